package ratelimit_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

const processes = 3

// hammered are limits whose windows are short, of every algorithm and with remainders. Two are sliding windows on one key.
func hammered(t testing.TB) []ratelimit.Limit {
	t.Helper()
	var all []ratelimit.Limit
	for _, text := range []string{
		"sliding-window:40/200ms", "sliding-window:90/500ms", "sliding-counter:40/200ms", "fixed-window:40/200ms",
		"token-bucket:170/1s,burst=20", "gcra:7/31ms,burst=30",
	} {
		limit, err := ratelimit.ParseLimit(text)
		check(t, err)
		all = append(all, limit)
	}
	return all
}

// shared is where the shared server of a kind is.
func shared(t testing.TB, kind rediskittest.Kind) address {
	t.Helper()
	switch kind {
	case rediskittest.OnSingle:
		addr, err := redistest.SharedServer()
		check(t, err)
		return address{Addrs: []string{addr}}
	case rediskittest.OnSentinel:
		set, err := redistest.SharedSentinel()
		check(t, err)
		return address{Addrs: set.Addrs, Master: set.MasterName}
	default:
		addrs, err := redistest.SharedCluster()
		check(t, err)
		return address{Addrs: addrs, Cluster: true}
	}
}

// newNamespace is one of the test's own, whose keys all have to have a TTL at its end.
func newNamespace(t testing.TB, at address) string {
	t.Helper()
	name := "t" + rand.Text()
	c := connect(t, at.config())
	t.Cleanup(func() { leavesNothingForEver(t, c, keys.MustNew(name)) })
	return name
}

func wantAnswers(t testing.TB, r report) {
	t.Helper()
	if len(r.Unknown) > 0 || r.Failed > 0 {
		t.Errorf("%d calls without an answer and %d that failed, though nothing broke, the last with %s",
			len(r.Unknown), r.Failed, r.LastError)
	}
}

// In what the processes heard there is no window with more than the limit, and no refusal without need.
func TestSoakProcessesThatHammerOneKeyShareEachLimitExactly(t *testing.T) {
	t.Parallel()
	for _, kind := range []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster} {
		t.Run(string(kind), func(t *testing.T) {
			at, all := shared(t, kind), hammered(t)
			for range soak.Scale() {
				const span = time.Second
				r := launch(t, processes, orders{Redis: at, Namespace: newNamespace(t, at), Key: "}hot{", Limits: all, Span: span}).wait()
				wantAnswers(t, r)
				for _, h := range histories(t, all, r, true) {
					h.check(t)
					h.wantUse(t, span)
				}
			}
		})
	}
}

// What was taken and not given back never exceeds the limit, however much is given back meanwhile.
func TestSoakRefundsOfManyProcessesNeverAdmitMore(t *testing.T) {
	t.Parallel()
	at, all := shared(t, rediskittest.OnCluster), hammered(t)
	for range soak.Scale() {
		const span = 800 * time.Millisecond
		r := launch(t, processes, orders{Redis: at, Namespace: newNamespace(t, at), Key: "hot", Limits: all, Refunds: true, Span: span}).wait()
		wantAnswers(t, r)
		for _, h := range histories(t, all, r, false) {
			h.check(t)
			h.wantUse(t, span)
		}
	}
}

// startCluster starts a cluster of the test's own.
func startCluster(t testing.TB) (*redistest.Cluster, address) {
	t.Helper()
	cl, err := redistest.StartCluster(redistest.ClusterConfig{})
	check(t, err)
	t.Cleanup(func() { cl.Close() })
	return cl, address{Addrs: cl.Addrs(), Cluster: true}
}

// away returns a master that a slot is not at.
func away(t testing.TB, cl *redistest.Cluster, slot int) *redistest.Server {
	t.Helper()
	owner, err := cl.NodeForSlot(slot)
	check(t, err)
	masters, err := cl.Masters()
	check(t, err)
	return masters[slices.IndexFunc(masters, func(m *redistest.Server) bool { return m != owner })]
}

// stateNames are the keys of what limits know of a key.
func stateNames(t testing.TB, cl *redistest.Cluster, slot int) []string {
	t.Helper()
	owner, err := cl.NodeForSlot(slot)
	check(t, err)
	reply, err := owner.Do("CLUSTER", "GETKEYSINSLOT", fmt.Sprint(slot), "100")
	check(t, err)
	var names []string
	for _, name := range reply.([]any) {
		names = append(names, name.(string))
	}
	return names
}

func TestSoakTheLimitsHoldWhileTheirSlotMovesBackAndForth(t *testing.T) {
	t.Parallel()
	cl, at := startCluster(t)
	all, moves := hammered(t), 0
	for range soak.Scale() {
		o := orders{Redis: at, Namespace: newNamespace(t, at), Key: "hot", Limits: all}
		slot := int(keys.Slot(string(keys.MustNew(o.Namespace).RateLimit("any", o.Key))))
		f := launch(t, processes, o)
		eventually(t, func() error {
			if len(stateNames(t, cl, slot)) < len(all) {
				return errors.New("the limits have no states yet")
			}
			return nil
		})
		const span = 1100 * time.Millisecond
		server := cl.Nodes()[0]
		for began := now(t, server); now(t, server) < began+span.Milliseconds(); moves++ {
			m, err := cl.BeginMigrate(slot, away(t, cl, slot))
			check(t, err)
			if names := stateNames(t, cl, slot); len(names) > 0 {
				check(t, m.MoveKeys(names[:1]...)) // half moved
			}
			check(t, m.Finish())
		}
		f.stop()
		r := f.wait()
		wantAnswers(t, r)
		for _, h := range histories(t, all, r, true) {
			h.check(t)
			h.wantUse(t, span)
		}
	}
	t.Logf("the slot moved %d times", moves)
}

// startSentinel starts a primary, a replica and sentinels of the test's own.
func startSentinel(t testing.TB) (*redistest.Sentinel, address) {
	t.Helper()
	set, err := redistest.StartSentinel(redistest.SentinelConfig{})
	check(t, err)
	t.Cleanup(func() { set.Close() })
	return set, address{Addrs: set.Addrs(), Master: set.MasterName()}
}

// The log is a limit that is never reached, decided together with the one that is: it has the times of all permits
// that the primary knows of, and so, after a failover, tells which ones replication lost.
func TestSoakAFailoverLosesNoMoreThanReplicationDoes(t *testing.T) {
	t.Parallel()
	limit, log := ratelimit.SlidingWindow(300, 300*time.Millisecond), ratelimit.SlidingWindow(1_000_000, 24*time.Hour)
	all := []ratelimit.Limit{limit, log}
	set, at := startSentinel(t)
	for round := range soak.Scale() {
		check(t, set.WaitOK())
		o := orders{Redis: at, Namespace: newNamespace(t, at), Key: "hot", Limits: all, Together: true}
		state := ratelimit.StateKey(keys.MustNew(o.Namespace), o.Key, log)
		f := launch(t, processes, o)
		goesOn := func() {
			t.Helper()
			from := len(logged(t, set, state))
			eventually(t, func() error {
				if got := len(logged(t, set, state)) - from; got < 2*limit.Permits() {
					return fmt.Errorf("%d permits since", got)
				}
				return nil
			})
		}
		goesOn()
		if round%2 == 0 {
			_, err := set.Failover() // the old primary goes on for a while
			check(t, err)
		} else {
			old, err := set.KillPrimary()
			check(t, err)
			_, err = set.WaitPromoted(old)
			check(t, err)
			check(t, old.Restart())
		}
		goesOn()
		f.stop()
		r := f.wait()
		check(t, lostNoMore(t, limit, r, logged(t, set, state)))
	}
}

// logged are the times in a log on the primary of the moment.
func logged(t testing.TB, set *redistest.Sentinel, state string) (times []int64) {
	t.Helper()
	var reply any
	eventually(t, func() error {
		primary, err := set.Primary()
		if err != nil {
			return err
		}
		reply, err = primary.Do("LRANGE", state, "0", "-1")
		return err
	})
	for _, s := range reply.([]any) {
		var at int64
		_, err := fmt.Sscan(s.(string), &at)
		check(t, err)
		times = append(times, at)
	}
	return times
}

// lostNoMore checks what all processes took of a limit against the log of what the new primary knows.
func lostNoMore(t testing.TB, limit ratelimit.Limit, r report, log []int64) error {
	n, window := int64(limit.Permits()), limit.Window().Microseconds()
	kept := make(map[int64]bool)
	for _, at := range log {
		kept[at] = true
	}
	var lost, took []int64
	known := make(map[int64]bool)
	for i, rec := range r.Took {
		if rec.Limit == 0 {
			took = append(took, rec.Reply.B)
			continue
		}
		if rec.Reply.B != r.Took[i-1].Reply.B {
			return fmt.Errorf("one call has two times: %d and %d", r.Took[i-1].Reply.B, rec.Reply.B)
		}
		known[rec.Reply.B] = true
		if !kept[rec.Reply.B] {
			lost = append(lost, rec.Reply.B)
		}
	}
	unknown := 0
	for _, at := range log {
		if !known[at] {
			unknown++
		}
	}
	slices.Sort(took)
	held := slices.DeleteFunc(slices.Clone(took), func(at int64) bool { return !kept[at] })
	worst := 0
	for i, at := range took {
		j, _ := slices.BinarySearch(took, at+window)
		worst = max(worst, j-i-int(n))
	}
	t.Logf("%d permits, replication lost %d; %d calls without a reply had an effect, of %d; %d failed; "+
		"the fullest window has %d more than %d", len(took), len(lost), unknown, len(r.Unknown)/2, r.Failed, max(worst, 0), n)
	switch {
	case len(crowded(held, n, window)) > 0:
		return fmt.Errorf("of the permits that were not lost: %q", crowded(held, n, window)[:1])
	case len(crowded(log, n, window)) > 0:
		return fmt.Errorf("of those that the new primary knows: %q", crowded(log, n, window)[:1])
	case worst > len(lost):
		return fmt.Errorf("a window has %d permits too many, and only %d were lost", worst, len(lost))
	case unknown > len(r.Unknown)/2: // each of which is about both limits
		return fmt.Errorf("%d permits were taken that nobody heard of, and only %d calls had no reply", unknown, len(r.Unknown)/2)
	}
	return nil
}
