package list_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/blocktest"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/list"
	"github.com/tickettoken/rediskit/rediskittest"
)

// call is one of the calls that wait.
type call func(l *list.List[int], ctx context.Context, src, dst string, wait time.Duration) (int, bool, error)

var calls = map[string]call{
	"BLPop": func(l *list.List[int], ctx context.Context, src, _ string, wait time.Duration) (int, bool, error) {
		p, ok, err := l.BLPop(ctx, []string{src}, wait)
		return p.Value, ok, err
	},
	"BRPop": func(l *list.List[int], ctx context.Context, src, dst string, wait time.Duration) (int, bool, error) {
		p, ok, err := l.BRPop(ctx, []string{dst + "empty", src}, wait)
		return p.Value, ok, err
	},
	"BMove": func(l *list.List[int], ctx context.Context, src, dst string, wait time.Duration) (int, bool, error) {
		return l.BMove(ctx, src, dst, list.Right, list.Left, wait)
	},
}

// eachCall runs a test with each of the calls that wait.
func eachCall(t *testing.T, test func(t *testing.T, take call)) {
	for name, take := range calls {
		t.Run(name, func(t *testing.T) { test(t, take) })
	}
}

// race pushes n elements and lets workers take them.
func race(l *list.List[int], n int, take call, src, dst string) blocktest.Race {
	return blocktest.Race{
		N: n,
		Push: func(ctx context.Context, i int) error {
			_, err := l.LPush(ctx, src, i)
			return err
		},
		Take: func(ctx context.Context, _ int) ([]int, error) {
			i, ok, err := take(l, ctx, src, dst, 0)
			if !ok {
				return nil, err
			}
			return []int{i}, err
		},
	}
}

func TestSoakAContextThatEndsLosesNoElement(t *testing.T) {
	for name, take := range calls {
		t.Run(name, func(t *testing.T) {
			rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
				key := rediskittest.Keys(t)
				l := open[int](t, c, time.Hour)
				n := blocktest.Elements()
				got := race(l, n, take, key("src"), key("dst")).Run(t)
				left := must[[]int](t)(l.Range(t.Context(), key("src"), 0, -1))
				blocktest.WantEachOnce(t, n, append(got, left)...)
				if name == "BMove" {
					moved := must[[]int](t)(l.Range(t.Context(), key("dst"), 0, -1))
					blocktest.WantEachOnce(t, n, moved, left)
				}
			})
		})
	}
}

func TestACallThatWaitsTakesWhatIsThereAndWhatComes(t *testing.T) {
	eachCall(t, func(t *testing.T, take call) {
		rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			l := open[int](t, c, time.Hour)
			must[int64](t)(l.RPush(ctx, key("src"), 1))
			if i, ok, err := take(l, ctx, key("src"), key("dst"), time.Minute); i != 1 || !ok || err != nil {
				t.Fatal(i, ok, err)
			}
			if _, ok, err := take(l, ctx, key("src"), key("dst"), time.Millisecond); ok || err != nil {
				t.Fatal("of an empty list:", ok, err)
			}
			got := make(chan int)
			go func() {
				i, _, err := take(l, ctx, key("src"), key("dst"), 0)
				if err != nil {
					t.Error(err)
				}
				got <- i
			}()
			must[int64](t)(l.RPush(ctx, key("src"), 2))
			if i := <-got; i != 2 {
				t.Error(i)
			}
		}, everywhere...)
	})
}

func TestABlockingPopNamesTheListThatHadSomething(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		l := open[string](t, c, time.Hour)
		must[int64](t)(l.RPush(ctx, key("b"), "b1", "b2"))
		must[int64](t)(l.RPush(ctx, key("c"), "c1"))
		keys := []string{key("a"), key("b"), key("c")}
		for _, want := range []list.Popped[string]{{key("b"), "b2"}, {key("b"), "b1"}, {key("c"), "c1"}} {
			if got, ok, err := l.BRPop(ctx, keys, 0); got != want || !ok || err != nil {
				t.Error(got, ok, err)
			}
		}
	}, everywhere...)
}

func TestACallThatWaitsEndsWithItsContextAndWithTheClient(t *testing.T) {
	eachCall(t, func(t *testing.T, take call) {
		rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
			key := rediskittest.Keys(t)
			l := open[int](t, c, time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, ok, err := take(l, ctx, key("src"), key("dst"), 0)
			if ok || !errors.Is(err, context.DeadlineExceeded) || rediskit.MayHaveApplied(err) {
				t.Errorf("the deadline passed: %v, %v", ok, err)
			}
			ended := make(chan error)
			go func() {
				_, _, err := take(l, t.Context(), key("src"), key("dst"), 0)
				ended <- err
			}()
			c.Close()
			if err := <-ended; !errors.Is(err, rediskit.ErrClosed) || rediskit.MayHaveApplied(err) {
				t.Errorf("the client was closed: %v", err)
			}
		}, everywhere...)
	})
}

func TestAMoveThatWaitedSetsTheTTLOfItsDestination(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		must[int64](t)(open[string](t, c, rediskit.NoTTL).RPush(ctx, key("src"), "a", "b"))
		l := open[string](t, c, time.Hour)
		if v, ok, err := l.BMove(ctx, key("src"), key("dst"), list.Left, list.Right, 0); v != "a" || !ok || err != nil {
			t.Fatal(v, ok, err)
		}
		if got := ttl(t, c, key("dst")); got <= 0 || got > time.Hour {
			t.Errorf("the destination lives for %v", got)
		}
		if got := ttl(t, c, key("src")); got >= 0 {
			t.Errorf("the source lives for %v", got)
		}
	}, everywhere...)
}

func TestACallThatWaitsDelaysNoOther(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		l := open[int](t, c, time.Hour)
		var ended [2]chan error
		for i := range ended {
			ended[i] = make(chan error, 1)
			go func() {
				_, _, err := l.BLPop(ctx, []string{key("src")}, 0)
				ended[i] <- err
			}()
		}
		for range 100 {
			// Behind a call that waits, these would wait for ever.
			err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key(key("other")).Build() }).Error()
			if !rueidis.IsRedisNil(err) {
				t.Fatal(err)
			}
		}
		must[int64](t)(l.RPush(ctx, key("src"), 1, 2))
		for i := range ended {
			if err := <-ended[i]; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAWaitThatEndedKeepsItsConnection(t *testing.T) {
	s := startServer(t)
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
	l := open[int](t, c, time.Hour)
	accepted := func() string { return infoField(t, s, "stats", "total_connections_received") }
	wait := func() {
		if _, ok, err := l.BLPop(t.Context(), []string{"k"}, time.Millisecond); ok || err != nil {
			t.Fatal(ok, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, ok, err := l.BLPop(ctx, []string{"k"}, 0); ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(ok, err)
		}
	}
	wait()
	// A call that waits long enough to be seen makes sure that its connection is there to be kept.
	ended := make(chan error)
	go func() {
		_, _, err := l.BLPop(t.Context(), []string{"k"}, 0)
		ended <- err
	}()
	eventually(t, func() error { return wantWaiting(s, 1) })
	must[int64](t)(l.RPush(t.Context(), "k", 1))
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	before := must[int](t)(strconv.Atoi(accepted()))
	for range 20 {
		wait()
	}
	// Looking costs a connection too.
	if after := must[int](t)(strconv.Atoi(accepted())); after > before+1 {
		t.Errorf("40 waits one after another made %d connections", after-before-1)
	}
}

func TestAKilledServerLeavesTheOutcomeOfAPopOpen(t *testing.T) {
	eachCall(t, func(t *testing.T, take call) {
		s := startServer(t)
		c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
		l := open[int](t, c, time.Hour)
		ended := make(chan error)
		go func() {
			_, _, err := take(l, t.Context(), "src", "dst", 0)
			ended <- err
		}()
		eventually(t, func() error { return wantWaiting(s, 1) })
		s.Kill()
		err := <-ended
		var op *rediskit.OpError
		var ce *rediskit.ConnectionError
		if !errors.As(err, &op) || !errors.As(err, &ce) || !rediskit.MayHaveApplied(err) || !rediskit.IsUnavailable(err) {
			t.Fatalf("%#v", err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				i, ok, err := take(l, t.Context(), "src", "dst", 0)
				if err == nil && (i != 7 || !ok) {
					err = fmt.Errorf("took %d, %v", i, ok)
				}
				if err == nil || !rediskit.IsUnavailable(err) {
					ended <- err
					return
				}
			}
		}()
		eventually(t, func() error { return wantWaiting(s, 1) })
		must[any](t)(s.Do("RPUSH", "src", "7"))
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestClosingTheClientLosesNoElement(t *testing.T) {
	s := startServer(t)
	eachCall(t, func(t *testing.T, take call) {
		other := open[int](t, connect(t, rediskit.Config{Addrs: []string{s.Addr()}}), rediskit.NoTTL)
		for i := range 20 {
			src, dst := t.Name()+strconv.Itoa(i), t.Name()+"dst"+strconv.Itoa(i)
			c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
			l := open[int](t, c, rediskit.NoTTL)
			taken := make(chan bool)
			go func() {
				_, ok, err := take(l, t.Context(), src, dst, 0)
				if ok == (err != nil) || rediskit.MayHaveApplied(err) {
					t.Error(ok, err)
				}
				taken <- ok
			}()
			pushed := make(chan error)
			go func() {
				_, err := other.RPush(t.Context(), src, 1)
				pushed <- err
			}()
			c.Close()
			if err := <-pushed; err != nil {
				t.Fatal(err)
			}
			ok := <-taken
			if n := must[int64](t)(other.Len(t.Context(), src)); n == 0 != ok {
				t.Errorf("taken %v, and %d left", ok, n)
			}
		}
	})
}

func startCluster(t *testing.T) *redistest.Cluster {
	t.Helper()
	cluster, err := redistest.StartCluster(redistest.ClusterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	return cluster
}

// nextMaster returns the node that serves a slot and the master after it.
func nextMaster(t *testing.T, cluster *redistest.Cluster, slot int) (now, next *redistest.Server) {
	t.Helper()
	now = must[*redistest.Server](t)(cluster.NodeForSlot(slot))
	masters := must[[]*redistest.Server](t)(cluster.Masters())
	return now, masters[(slices.Index(masters, now)+1)%len(masters)]
}

func TestSoakWorkersFollowAKeyFromNodeToNodeAndLoseNothing(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, rediskit.Config{Addrs: cluster.Addrs(), Cluster: true})
	eachCall(t, func(t *testing.T, take call) {
		key := rediskittest.Keys(t)
		slot := must[int](t)(cluster.SlotOf(key("")))
		l := open[int](t, c, rediskit.NoTTL)
		const moves, perMove = 6, 200
		n := moves * perMove * soak.Scale()
		r := race(l, n, take, key("src"), key("dst"))
		push := r.Push
		var migration *redistest.Migration
		r.Push = func(ctx context.Context, i int) error {
			// The slot is on its way for half of the time.
			switch i % perMove {
			case 0:
				_, next := nextMaster(t, cluster, slot)
				migration = must[*redistest.Migration](t)(cluster.BeginMigrate(slot, next))
			case perMove / 2:
				if err := migration.Finish(); err != nil {
					t.Fatal(err)
				}
			}
			return push(ctx, i)
		}
		got := r.Run(t)
		left := must[[]int](t)(l.Range(t.Context(), key("src"), 0, -1))
		blocktest.WantEachOnce(t, n, append(got, left)...)
	})
}

func TestACallThatWaitsLongFollowsItsKeyEveryTime(t *testing.T) {
	cluster := startCluster(t)
	const timeout = 500 * time.Millisecond
	c := connect(t, rediskit.Config{Addrs: cluster.Addrs(), Cluster: true, CommandTimeout: timeout})
	key := rediskittest.Keys(t)
	slot := must[int](t)(cluster.SlotOf(key("")))
	l := open[int](t, c, time.Hour)
	ended := make(chan error, 1)
	go func() {
		_, _, err := l.BLPop(t.Context(), []string{key("a"), key("b")}, 0)
		ended <- err
	}()
	for range 4 {
		now, next := nextMaster(t, cluster, slot)
		// Longer at each node than the time for which a failed call is repeated.
		for begin := time.Now(); time.Since(begin) < timeout; {
			eventually(t, func() error { return wantWaiting(now, 1) })
		}
		if err := cluster.MigrateSlot(slot, next); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			select {
			case err := <-ended:
				t.Fatal(err)
			default:
			}
			return wantWaiting(next, 1)
		})
	}
	must[int64](t)(l.RPush(t.Context(), key("b"), 1))
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCallsThatWaitFindTheReplicaThatTookOver(t *testing.T) {
	cluster := startCluster(t)
	c := connect(t, rediskit.Config{Addrs: cluster.Addrs(), Cluster: true})
	key := rediskittest.Keys(t)
	slot := must[int](t)(cluster.SlotOf(key("")))
	l := open[int](t, c, time.Hour)
	ended := make(chan error, 1)
	wait := func() {
		_, _, err := l.BLPop(t.Context(), []string{key("a")}, 0)
		ended <- err
	}
	go wait()
	master := must[*redistest.Server](t)(cluster.NodeForSlot(slot))
	eventually(t, func() error { return wantWaiting(master, 1) })
	master.Kill()
	if err := <-ended; !rediskit.MayHaveApplied(err) {
		t.Fatal(err)
	}
	if err := cluster.WaitOK(); err != nil {
		t.Fatal(err)
	}
	go wait()
	now := must[*redistest.Server](t)(cluster.NodeForSlot(slot))
	eventually(t, func() error {
		select {
		case err := <-ended:
			t.Logf("not yet: %v", err)
			go wait()
		default:
		}
		return wantWaiting(now, 1)
	})
	must[int64](t)(l.RPush(t.Context(), key("a"), 1))
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAUserWhoMayNotUnblockCanCancelACallThatWaits(t *testing.T) {
	s := startServer(t)
	must[any](t)(s.Do("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-client|unblock"))
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, Username: "app", Password: "secret"})
	l := open[int](t, c, rediskit.NoTTL)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, _, err := l.BLPop(ctx, []string{"src"}, 0)
			ended <- err
		}()
		eventually(t, func() error { return wantWaiting(s, 1) })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || rediskit.MayHaveApplied(err) {
			t.Error(err)
		}
	}
}
