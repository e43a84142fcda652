package limits_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/internal/limits/batchmodel"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
)

const beginning = 1_700_000_000_123_456

// leasable are limits of each algorithm, with the leases that go with them. Those of a line share their state.
var leasable = []struct {
	limits []string
	leases []time.Duration
}{
	{[]string{"sliding-window:20/100ms", "sliding-window:7/100ms"}, []time.Duration{10 * time.Millisecond, 30 * time.Millisecond}},
	{[]string{"sliding-window:3/1ms"}, []time.Duration{time.Millisecond, 250 * time.Microsecond}},
	{[]string{"fixed-window:20/100ms", "fixed-window:7/100ms"}, []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}},
	{[]string{"sliding-counter:20/100ms", "sliding-counter:7/100ms"}, []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}},
	{[]string{"sliding-counter:1000000000/24h"}, []time.Duration{time.Hour}},
	{[]string{"token-bucket:200/1s,burst=20", "token-bucket:200/1s,burst=7"}, []time.Duration{10 * time.Millisecond, 30 * time.Millisecond}},
	{[]string{"gcra:7/31ms,burst=30"}, []time.Duration{10 * time.Millisecond, 100 * time.Millisecond}},
	{[]string{"gcra:3000000/1s,burst=5000"}, []time.Duration{time.Millisecond}},
	{[]string{"gcra:1000000000/999999us,burst=1000000000"}, []time.Duration{10 * time.Millisecond}},
}

func spec(t fataler, text string) *limits.Spec {
	t.Helper()
	s, err := limits.Parse(text)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// held is a batch, as the scripts name it and as the model does.
type held struct {
	mine, models limits.BatchName
	permits      int64
}

func TestTheScriptsGiveOutBatchesAsTheModelDoes(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, expiring := range []bool{false, true} {
			frozen := limits.FreezeBatches(t, c, expiring)
			round := 0
			rapid.Check(t, func(t *rapid.T) {
				model := batchmodel.New()
				round++
				key := frozen.Key(fmt.Sprint(round))
				of := rapid.SampledFrom(leasable).Draw(t, "limits")
				now := int64(beginning)
				var batches []held
				for range rapid.IntRange(1, 40).Draw(t, "calls") {
					limit := spec(t, rapid.SampledFrom(of.limits).Draw(t, "limit"))
					lease := rapid.SampledFrom(of.leases).Draw(t, "lease")
					now += step(t, limit, lease)
					call := limits.BatchCall{Limit: limit, Key: key, Lease: lease}
					if most := limit.MostLeased(lease); rapid.IntRange(0, 9).Draw(t, "takes") > 0 {
						call.Need = 1
						if rapid.IntRange(0, 3).Draw(t, "cost") == 0 {
							call.Need = rapid.Int64Range(1, most).Draw(t, "need")
						}
						call.Want = rapid.Int64Range(call.Need, most).Draw(t, "want")
					}
					same := call
					for len(batches) > 0 && rapid.Bool().Draw(t, "returns") {
						i := rapid.IntRange(0, len(batches)-1).Draw(t, "batch")
						b := batches[i]
						batches = slices.Delete(batches, i, i+1)
						unused := rapid.Int64Range(0, b.permits).Draw(t, "unused")
						call.Returns = append(call.Returns, limits.Return{Name: b.mine, Unused: unused})
						same.Returns = append(same.Returns, limits.Return{Name: b.models, Unused: unused})
					}
					got, batch := frozen.Take(t, now, call)
					want, models := model.Take(now, same)
					if batch.Permits > 0 {
						batches = append(batches, held{batch.Name, models.Name, batch.Permits})
					}
					models.Name = batch.Name
					if limit.Kind == limits.SlidingWindow {
						if want.A == 0 || call.Want == 0 { // nobody asks for the last of what has left
							got.B, want.B = 0, 0
						}
						if batch.Permits == call.Want { // nor is all dropped that has left
							got.A, want.A = 0, 0
						}
					}
					if got != want || batch != models {
						t.Fatalf("%v %v: %+v at %d\n%+v %+v, and the model\n%+v %+v", limit, lease, call, now, got, batch, want, models)
					}
					if call.Want > 0 && batch.Permits < call.Want {
						wantWait(t, model, now, same, got)
					}
				}
			})
		}
	}, rediskittest.OnSingle, rediskittest.OnEmbedded)
}

// step is some time, often up to just before or after something ends.
func step(t *rapid.T, limit *limits.Spec, lease time.Duration) int64 {
	switch rapid.IntRange(0, 5).Draw(t, "step") {
	case 0:
		return 0
	case 1:
		return rapid.Int64Range(1, 3).Draw(t, "us")
	case 2:
		return max(lease.Microseconds()+rapid.Int64Range(-1, 1).Draw(t, "around"), 0)
	case 3:
		return max(limit.Fill().Microseconds()+rapid.Int64Range(-1, 1).Draw(t, "around"), 0)
	default:
		return rapid.Int64Range(0, 2*lease.Microseconds()).Draw(t, "us")
	}
}

// wantWait checks that what was refused, or what would be needed after less than was wanted, is there when the reply says, and
// not before.
func wantWait(t *rapid.T, model *batchmodel.Model, now int64, call limits.BatchCall, r limits.Reply) {
	t.Helper()
	r.Verdict = 0
	wait := call.Limit.Decide(r, call.Need, true).Wait.Microseconds()
	call.Want, call.Returns = call.Need, nil
	at := func(us int64) int64 {
		_, b := model.Clone().Take(us, call)
		return b.Permits
	}
	if at(now+wait) == 0 || wait > 1 && at(now+wait-1) > 0 {
		t.Fatalf("%v %+v at %d: %+v means %d us: then there are %d, and before %d", call.Limit, call, now, r, wait, at(now+wait), at(now+wait-1))
	}
}

// A schedule is what several processes do with the batches of one key. The server decides some time after a request was sent
// and before its reply is received, each of which may be lost or overtaken; and its clock may be set back.
func TestSoakNoScheduleOfProcessesUsesMoreThanTheLimit(t *testing.T) {
	for range soak.Scale() {
		for _, of := range leasable {
			if spec(t, of.limits[0]).Permits < many {
				rapid.Check(t, func(t *rapid.T) { schedule(t, of.limits, of.leases, nil) })
			}
		}
	}
}

// many are more than a schedule uses.
const many = 10_000

func TestNoScheduleOfProcessesUsesMoreThanTheLimitOnServers(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		frozen := limits.FreezeBatches(t, c, true)
		for _, of := range leasable {
			if spec(t, of.limits[0]).Permits < many {
				rapid.Check(t, func(t *rapid.T) { schedule(t, of.limits, of.leases, frozen) })
			}
		}
	}, rediskittest.OnSingle)
}

// using is a process's batch. It is used before ends, by the true time.
type using struct {
	limits.Batch
	sent, given, ends int64
	need, left        int64
	window            int64 // that it is charged to, where windows have names
}

type use struct{ at, window int64 }

type request struct {
	limits.BatchCall
	sent int64
}

// scheduler is the processes and their server.
type scheduler struct {
	*rapid.T
	limit       *limits.Spec
	take        func(now int64, call limits.BatchCall) (limits.Reply, limits.Batch)
	now, behind int64 // the true time, and what the server's clock is behind it

	sent     []request
	underway []using
	held     []using
	uses     []use
	wait     int64 // until there is what was needed last
}

func schedule(t *rapid.T, texts []string, leases []time.Duration, frozen *limits.FrozenBatches) {
	s := &scheduler{T: t, limit: spec(t, texts[0]), take: batchmodel.New().Take, now: beginning}
	key := "k"
	if frozen != nil {
		key = frozen.Key(rapid.StringN(20, 20, -1).Draw(t, "key"))
		s.take = func(now int64, call limits.BatchCall) (limits.Reply, limits.Batch) { return frozen.Take(t, now, call) }
	}
	for range rapid.IntRange(10, 60).Draw(t, "steps") {
		lease := rapid.SampledFrom(leases).Draw(t, "lease")
		switch rapid.IntRange(0, 12).Draw(t, "what") {
		case 0:
			s.ask(key, lease)
		case 1:
			s.decide(rapid.Bool().Draw(t, "lost"))
		case 2:
			s.receive(rapid.Bool().Draw(t, "lost"))
		case 3, 4, 5: // all of these at about the same time
			s.exchange(key, lease)
		case 6:
			if len(s.held) > 0 {
				b := &s.held[rapid.IntRange(0, len(s.held)-1).Draw(t, "batch")]
				s.use(b, rapid.Int64Range(0, b.left).Draw(t, "uses"))
			}
		case 7: // a batch ends
			if len(s.held) > 0 {
				b := s.held[rapid.IntRange(0, len(s.held)-1).Draw(t, "batch")]
				s.now = max(s.now, b.ends-rapid.Int64Range(0, 2).Draw(t, "before"))
			}
		case 8, 9:
			for i := range s.held {
				s.use(&s.held[i], s.held[i].left)
			}
		case 10: // as late as can be, and then as early as can be
			for i := range s.held {
				s.now = max(s.now, s.held[i].ends-1)
				s.use(&s.held[i], s.held[i].left)
			}
			s.exchange(key, lease)
			s.now += s.wait
			s.exchange(key, lease)
		case 11:
			if s.limit.Kind != limits.SlidingCounter && frozen == nil && rapid.IntRange(0, 9).Draw(t, "back") == 0 {
				s.behind += rapid.Int64Range(1, s.limit.Fill().Microseconds()).Draw(t, "us")
			}
		default:
			s.now += step(t, s.limit, lease)
		}
	}
	check(t, s.limit, s.uses, s.behind == 0)
}

// exchange is a request that is answered at once.
func (s *scheduler) exchange(key string, lease time.Duration) {
	s.ask(key, lease)
	s.now += rapid.Int64Range(0, 1).Draw(s.T, "us")
	s.decide(false)
	s.receive(false)
}

// ask sends a request, with some of what is held given back.
func (s *scheduler) ask(key string, lease time.Duration) {
	most := s.limit.MostLeased(lease)
	q := request{BatchCall: limits.BatchCall{Limit: s.limit, Key: key, Lease: lease, Want: most}, sent: s.now}
	q.Need = rapid.Int64Range(1, min(3, most)).Draw(s.T, "need")
	if rapid.Bool().Draw(s.T, "modest") {
		q.Want = rapid.Int64Range(q.Need, most).Draw(s.T, "want")
	}
	if rapid.Bool().Draw(s.T, "returns") {
		s.held = slices.DeleteFunc(s.held, func(b using) bool {
			if !rapid.Bool().Draw(s.T, "this") {
				return false
			}
			q.Returns = append(q.Returns, limits.Return{Name: b.Name, Unused: b.left})
			return true
		})
	}
	s.sent = append(s.sent, q)
}

// decide lets a request arrive, if it is not lost.
func (s *scheduler) decide(lost bool) {
	if len(s.sent) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.sent)-1).Draw(s.T, "request")
	q := s.sent[i]
	s.sent = slices.Delete(s.sent, i, i+1)
	if lost {
		return
	}
	r, b := s.take(s.now-s.behind, q.BatchCall)
	r.Verdict, s.wait = 0, 0
	if b.Permits < q.Want {
		s.wait = s.limit.Decide(r, q.Need, true).Wait.Microseconds()
	}
	if b.Permits == 0 {
		return
	}
	u := using{Batch: b, sent: q.sent, given: s.now, ends: q.sent + b.Lasts.Microseconds(), need: q.Need, left: b.Permits}
	switch s.limit.Kind {
	case limits.FixedWindow:
		u.window = r.B
	case limits.SlidingCounter:
		u.window = r.C
	}
	s.underway = append(s.underway, u)
}

// receive lets a reply arrive, if it is not lost.
func (s *scheduler) receive(lost bool) {
	if len(s.underway) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.underway)-1).Draw(s.T, "reply")
	b := s.underway[i]
	s.underway = slices.Delete(s.underway, i, i+1)
	if lost {
		return
	}
	for range b.need { // by who waited for it
		s.uses = append(s.uses, use{b.given, b.window})
	}
	b.left -= b.need
	s.held = append(s.held, b)
}

// use uses permits, unless the batch is over.
func (s *scheduler) use(b *using, n int64) {
	if s.now >= b.ends {
		return
	}
	b.left -= n
	for range n {
		s.uses = append(s.uses, use{s.now, b.window})
	}
}

func check(t *rapid.T, limit *limits.Spec, uses []use, inTime bool) {
	t.Helper()
	slices.SortFunc(uses, func(a, b use) int { return cmp.Compare(a.at, b.at) })
	n, window := limit.Permits, limit.Window.Microseconds()
	sums := map[int64]int64{}
	for _, u := range uses {
		sums[u.window]++
	}
	sofar := map[int64]int64{}
	var all batchmodel.Uses
	for _, u := range uses {
		at := time.UnixMicro(u.at)
		all.Add(1, at, at)
		switch limit.Kind {
		case limits.FixedWindow:
			if sums[u.window] > n {
				t.Fatalf("%v: %d in the window up to %d", limit, sums[u.window], u.window)
			}
			if inTime && (u.at >= u.window || u.at < u.window-window) {
				t.Fatalf("%v: used at %d in the window up to %d", limit, u.at, u.window)
			}
		case limits.SlidingCounter:
			sofar[u.window]++
			index, before := u.window, sums[u.window-1]
			rest := (index+1)*window - u.at
			if rest > window || rest <= 0 {
				t.Fatalf("%v: used at %d in window %d", limit, u.at, index)
			}
			if before*rest+sofar[u.window]*window > n*window {
				t.Fatalf("%v: %d at %d, and %d before", limit, sofar[u.window], u.at, before)
			}
		}
	}
	if limit.Kind != limits.FixedWindow && all.Len() > 0 {
		if err := all.Check(limit); err != nil {
			t.Fatalf("%v: %v", limit, err)
		}
	}
}
