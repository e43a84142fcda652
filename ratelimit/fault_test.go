package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
)

// askers are a limiter whose network is about to break and one that sees the same states without it.
func askers(t testing.TB, through, around *rediskit.Client, cfg ratelimit.Config) (broken, sound *ratelimit.Limiter) {
	t.Helper()
	cfg.Keys = keys.MustNew("faults")
	broken, err := ratelimit.New(through, cfg)
	check(t, err)
	return broken, newLimiter(t, around, ratelimit.Config{Keys: cfg.Keys, DenyCache: -1, Timeout: time.Minute})
}

// within fails the test if f hangs. It does not measure anything.
func within(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("still not back after a minute")
	}
}

// takers are the calls that take, with the number of permits that each asks for.
var takers = map[string]struct {
	asks int
	take func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (took int, err error)
}{
	"Allow": {1, func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (int, error) {
		r, err := l.Allow(ctx, key, limit)
		return btoi(r.Allowed), err
	}},
	"AllowN": {3, func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (int, error) {
		r, err := l.AllowN(ctx, key, limit, 3)
		return 3 * btoi(r.Allowed), err
	}},
	"AllowAll": {1, func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (int, error) {
		r, err := l.AllowAll(ctx, key, ratelimit.SlidingWindow(1_000_000, time.Hour), limit)
		return btoi(r.Allowed), err
	}},
	"AllowMany": {3, func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (int, error) {
		r, err := l.AllowMany(ctx, []ratelimit.Request{{Key: key, Limit: limit}, {Key: key, Limit: limit, Cost: 2}})
		return btoi(r[0].Allowed) + 2*btoi(r[1].Allowed), err
	}},
	"Wait": {1, func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (int, error) {
		r, err := l.Wait(ctx, key, limit, time.Minute)
		return btoi(r.Allowed), err
	}},
	"Reserve": {1, func(ctx context.Context, l *ratelimit.Limiter, key string, limit ratelimit.Limit) (int, error) {
		if !strings.HasPrefix(limit.String(), "gcra") && !strings.HasPrefix(limit.String(), "token-bucket") {
			return 0, nil
		}
		r, err := l.Reserve(ctx, key, limit, 1, time.Hour)
		return btoi(r.Allowed), err
	}},
}

// A decision is sent once: what it took is what it says, or, if it says that its reply was lost, that or nothing.
func TestSoakADecisionWhoseReplyIsLostIsNotRepeated(t *testing.T) {
	t.Parallel()
	_, proxy, through, around := faulty(t)
	broken, sound := askers(t, through, around, ratelimit.Config{DenyCache: -1, Timeout: time.Minute})
	calls, lost := 0, 0
	for algorithm, limit := range longLived(3000) {
		for name, call := range takers {
			known, unknown, key := 0, 0, algorithm+name
			for range 5 * soak.Scale() {
				// An answer in between, for else the breaker opens; and a connection that is made already.
				wantRecovery(t, broken, "another", ratelimit.FixedWindow(1_000_000, time.Hour))
				proxy.CutAfterReplyBytes(rand.N(int64(40)))
				took, err := call.take(t.Context(), broken, key, limit)
				known += took
				calls++
				switch {
				case rediskit.MayHaveApplied(err):
					unknown += call.asks - took
					lost++
				case unexpected(err):
					t.Fatalf("%s: %v", name, err)
				}
				if known > 1000 {
					wantTaken(t, taken(t, sound, key, limit), known, unknown)
					check(t, sound.Reset(t.Context(), key, limit))
					known, unknown = 0, 0
				}
			}
			wantTaken(t, taken(t, sound, key, limit), known, unknown)
		}
	}
	if lost < calls/3 {
		t.Errorf("of %d replies only %d were lost", calls, lost)
	}
	check(t, proxy.Resume())
}

// While all connections are cut again and again, callers are told what happened.
func TestSoakNoPermitIsCountedTwiceWhileConnectionsAreCut(t *testing.T) {
	t.Parallel()
	_, proxy, through, around := faulty(t)
	broken, sound := askers(t, through, around, ratelimit.Config{DenyCache: -1, Timeout: time.Minute})
	for range soak.Scale() {
		for algorithm, limit := range longLived(3000) {
			var known, unknown atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for g := range 4 { // fewer at a time than open the breaker
				wg.Go(func() {
					for i := g; ctx.Err() == nil && known.Load()+unknown.Load() < 2900; i++ {
						call := takers[[]string{"Allow", "AllowN", "AllowAll", "AllowMany"}[i%4]]
						took, err := call.take(context.Background(), broken, algorithm, limit)
						known.Add(int64(took))
						if rediskit.MayHaveApplied(err) {
							unknown.Add(int64(call.asks - took))
						} else if unexpected(err) {
							t.Error(err)
						}
					}
				})
			}
			for range 20 {
				before := known.Load()
				eventually(t, func() error {
					if n := known.Load(); n < before+20 && n < 2800 {
						return errors.New("nothing goes on")
					}
					return nil
				})
				proxy.Cut()
			}
			stop()
			wg.Wait()
			t.Logf("%s: %d known, %d unknown", algorithm, known.Load(), unknown.Load())
			wantTaken(t, taken(t, sound, algorithm, limit), int(known.Load()), int(unknown.Load()))
			check(t, sound.Reset(t.Context(), algorithm, limit, ratelimit.SlidingWindow(1, time.Hour)))
		}
	}
}

func TestWhatMayBeRepeatedIsRepeatedAfterALostReply(t *testing.T) {
	t.Parallel()
	_, proxy, through, around := faulty(t)
	broken, sound := askers(t, through, around, ratelimit.Config{DenyCache: -1, Timeout: time.Minute})
	ctx := t.Context()
	for key, limit := range longLived(10) {
		t.Run(key, func(t *testing.T) {
			var results []ratelimit.Result
			for range 5 {
				r, err := broken.Allow(ctx, key, limit)
				check(t, err)
				results = append(results, r)
			}
			want := func(after string, n int) {
				t.Helper()
				if got := taken(t, sound, key, limit); got != n {
					t.Fatalf("after %s %d permits are taken, want %d", after, got, n)
				}
			}
			for i, r := range results[:3] {
				proxy.CutAfterReplyBytes(0)
				check(t, broken.Refund(ctx, r))
				want("a refund", 4-i)
			}
			check(t, broken.Refund(ctx, results[:3]...))
			want("the same refunds again", 2)

			proxy.CutAfterReplyBytes(0)
			if got := taken(t, broken, key, limit); got != 2 {
				t.Errorf("Peek sees %d", got)
			}

			proxy.CutAfterReplyBytes(0)
			check(t, broken.Block(ctx, key, time.Hour, limit))
			if r, err := sound.Allow(ctx, key, limit); err != nil || r.Allowed {
				t.Errorf("blocked: %+v, %v", r, err)
			}

			proxy.CutAfterReplyBytes(0)
			check(t, broken.Reset(ctx, key, limit))
			want("a reset", 0)
		})
	}
}

func TestScriptsMayBeFlushedInTheMiddle(t *testing.T) {
	t.Parallel()
	s, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{DenyCache: -1, Timeout: time.Minute})
	var wg sync.WaitGroup
	took := make(map[string]*atomic.Int64)
	every := longLived(100)
	for name := range every {
		took[name] = new(atomic.Int64)
	}
	for range 8 {
		wg.Go(func() {
			for range 12 {
				for name, limit := range every {
					for _, kind := range []string{"Allow", "AllowN", "AllowAll", "AllowMany"} {
						n, err := takers[kind].take(t.Context(), l, name, limit)
						if err != nil {
							t.Error(err)
						}
						took[name].Add(int64(n))
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			_, err := s.Do("SCRIPT", "FLUSH")
			check(t, err)
		}
	}
	for name, n := range took {
		if n.Load() != 100 {
			t.Errorf("%s: %d of 100 permits were given out", name, n.Load())
		}
	}
}

func TestALimitStartsAfreshWithAServerThatLostItsData(t *testing.T) {
	t.Parallel()
	s, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{DenyCache: -1, Timeout: time.Second})
	limit := ratelimit.SlidingWindow(20, time.Hour)
	var life, refused, failed atomic.Int64
	var took [2]atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				before := life.Load()
				r, err := l.Allow(context.Background(), "k", limit)
				switch {
				case unexpected(err):
					t.Error(err)
				case err != nil:
					failed.Add(1)
					if r.Allowed {
						t.Error("allowed, and an error")
					}
				case !r.Allowed:
					refused.Add(1)
				case life.Load() == before: // else nobody knows which of them it was
					took[before].Add(1)
				}
			}
		})
	}
	sees := func(what *atomic.Int64) {
		t.Helper()
		from := what.Load()
		eventually(t, func() error {
			if what.Load() < from+100 {
				return errors.New("not yet")
			}
			return nil
		})
	}
	sees(&refused)
	s.Kill()
	sees(&failed)
	life.Add(1)
	check(t, s.Restart())
	sees(&refused)
	stop()
	wg.Wait()
	// A call that was under way between the lives may have taken one in either.
	if took[0].Load() != 20 || took[1].Load() > 20 || taken(t, l, "k", limit) != 20 {
		t.Errorf("%d and %d permits of 20 were given out", took[0].Load(), took[1].Load())
	}
}

// policies are what the calls of a broken limiter have to look like, given a limit of 40 and the share of 4 processes.
var policies = map[string]struct {
	outage ratelimit.Outage
	want   func(r ratelimit.Result, err error) error
	most   int // permits in an outage
}{
	"FailClosed": {ratelimit.FailClosed, func(r ratelimit.Result, err error) error {
		if err == nil || r.Allowed || !r.Degraded || unexpected(err) {
			return fmt.Errorf("%+v, %w", r, err)
		}
		return nil
	}, 0},
	"FailOpen": {ratelimit.FailOpen(), func(r ratelimit.Result, err error) error {
		if err != nil || !r.Allowed || !r.Degraded {
			return fmt.Errorf("%+v, %w", r, err)
		}
		return nil
	}, 1 << 30},
	"FailLocal": {ratelimit.FailLocal(4), func(r ratelimit.Result, err error) error {
		if err != nil || !r.Degraded {
			return fmt.Errorf("%+v, %w", r, err)
		}
		return nil
	}, 10},
}

// wantRecovery waits until the server answers again.
func wantRecovery(t testing.TB, l *ratelimit.Limiter, key string, limit ratelimit.Limit) {
	t.Helper()
	eventually(t, func() error {
		r, err := l.Allow(t.Context(), key, limit)
		if err != nil || r.Degraded {
			return fmt.Errorf("%+v, %w", r, err)
		}
		return nil
	})
}

func TestTwoHundredCallersOfAServerThatWentSilentAllGetThePolicysAnswer(t *testing.T) {
	t.Parallel()
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			_, proxy, through, around := faulty(t)
			broken, sound := askers(t, through, around, ratelimit.Config{OnOutage: policy.outage, Timeout: 300 * time.Millisecond})
			limit := ratelimit.SlidingWindow(40, time.Hour)
			check(t, errorOf(broken.Allow(t.Context(), "k", limit)))
			proxy.BlackHole()
			var allowed atomic.Int64
			within(t, func() {
				var wg sync.WaitGroup
				for range 200 {
					wg.Go(func() {
						for range 10 {
							r, err := broken.Allow(t.Context(), "k", limit)
							if err := policy.want(r, err); err != nil {
								t.Error(err)
							}
							allowed.Add(int64(btoi(r.Allowed)))
						}
					})
				}
				wg.Wait()
			})
			if got, want := int(allowed.Load()), min(2000, policy.most); got != want {
				t.Errorf("%d were allowed, want %d", got, want)
			}
			if policy.outage == ratelimit.FailClosed {
				// Nobody waits for the server any more: the breaker has opened.
				eventually(t, func() error {
					if _, err := broken.Allow(t.Context(), "k", limit); !errors.Is(err, ratelimit.ErrOpen) {
						return fmt.Errorf("the breaker has not opened: %w", err)
					}
					return nil
				})
			}
			check(t, proxy.Resume())
			wantRecovery(t, broken, "k", limit)
			if got := taken(t, sound, "k", limit); got != 2 {
				t.Errorf("%d permits are taken, want those of before and after", got)
			}
		})
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestAServerThatIsFullTakesNothingAndStillRefuses(t *testing.T) {
	t.Parallel()
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			s, c := startServer(t)
			l := newLimiter(t, c, ratelimit.Config{OnOutage: policy.outage, DenyCache: -1, Timeout: time.Minute})
			ctx := t.Context()
			for algorithm, limit := range longLived(40) {
				check(t, errorOf(l.AllowN(ctx, algorithm+"full", limit, 40)))
				check(t, errorOf(l.AllowN(ctx, algorithm+"some", limit, 1)))
				other := ratelimit.SlidingWindow(7, time.Hour)
				check(t, errorOf(l.AllowAll(ctx, algorithm+"both", limit, other)))
				_, err := s.Do("CONFIG", "SET", "maxmemory", "1")
				check(t, err)
				r, err := l.Allow(ctx, algorithm+"full", limit)
				if err != nil || r.Allowed || r.Degraded {
					t.Errorf("%s: a refusal needs no memory: %+v, %v", algorithm, r, err)
				}
				r, err = l.Allow(ctx, algorithm+"some", limit)
				check(t, policy.want(r, err))
				if err != nil && !errors.Is(err, ratelimit.ErrOpen) && !strings.Contains(err.Error(), "OOM") {
					t.Errorf("%s: %v", algorithm, err)
				}
				all, err := l.AllowAll(ctx, algorithm+"both", limit, other)
				check(t, policy.want(all.Result, err))
				for _, key := range []string{"some", "both"} {
					if got := taken(t, l, algorithm+key, limit); got != 1 {
						t.Errorf("%s: %d permits are taken, want the 1 of before", algorithm, got)
					}
				}
				if got := taken(t, l, algorithm+"both", other); got != 1 {
					t.Errorf("%s: %d permits are taken of the other limit, want the 1 of before", algorithm, got)
				}
				check(t, l.Reset(ctx, algorithm+"full", limit))
				_, err = s.Do("CONFIG", "SET", "maxmemory", "0")
				check(t, err)
				wantRecovery(t, l, algorithm+"full", limit)
			}
		})
	}
}

func TestAServerThatPausesItsClientsIsAnOutageUntilItGoesOn(t *testing.T) {
	t.Parallel()
	s, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen(), DenyCache: -1, Timeout: 300 * time.Millisecond})
	every := longLived(40)
	for algorithm, limit := range every {
		check(t, errorOf(l.Allow(t.Context(), algorithm, limit)))
	}
	_, err := s.Do("CLIENT", "PAUSE", "60000", "WRITE")
	check(t, err)
	for algorithm, limit := range every {
		for range 2 {
			r, err := l.Allow(t.Context(), algorithm, limit)
			check(t, policies["FailOpen"].want(r, err))
		}
	}
	_, err = s.Do("CLIENT", "UNPAUSE")
	check(t, err)
	for algorithm, limit := range every {
		wantRecovery(t, l, algorithm, limit)
		wantTaken(t, taken(t, l, algorithm, limit), 2, 2) // what was sent in the pause came after it
	}
}

func TestTroubleInAPartOfAClusterStaysThere(t *testing.T) {
	t.Parallel()
	cl, at := startCluster(t)
	c := connect(t, at.config())

	// One master that cannot take anything does not keep the others from answering, now or later.
	t.Run("a full master", func(t *testing.T) {
		l := newLimiter(t, c, ratelimit.Config{DenyCache: -1, Timeout: time.Minute})
		limit := ratelimit.SlidingWindow(1000, time.Hour)
		masters, err := cl.Masters()
		check(t, err)
		_, err = masters[0].Do("CONFIG", "SET", "maxmemory", "1")
		check(t, err)
		var requests []ratelimit.Request
		var full []bool
		for i := range 30 {
			requests = append(requests, ratelimit.Request{Key: fmt.Sprint(i), Limit: limit, Cost: i + 1})
			owner, err := cl.NodeForSlot(int(keys.Slot(requests[i].Key)))
			check(t, err)
			full = append(full, owner == masters[0])
		}
		if !slices.Contains(full, true) || !slices.Contains(full, false) {
			t.Fatal("all keys are on one side")
		}
		for round := range 15 { // more than open the breaker
			results, err := l.AllowMany(t.Context(), requests)
			if !rediskit.IsUnavailable(err) {
				t.Fatalf("the error is %v", err)
			}
			for i, r := range results {
				if full[i] && (r.Allowed || !r.Degraded) || !full[i] && (!r.Allowed || r.Degraded || r.Remaining != 1000-(i+1)*(round+1)) {
					t.Fatalf("round %d, request %d (to the full master: %v): %+v, %v", round, i, full[i], r, err)
				}
			}
		}
		_, err = masters[0].Do("CONFIG", "SET", "maxmemory", "0")
		check(t, err)
		eventually(t, func() error { return errorOf(l.AllowMany(t.Context(), requests)) })
	})

	// What needs both states of a key is answered by the policy and takes nothing; what needs one of them goes on.
	t.Run("a slot half moved", func(t *testing.T) {
		space := keys.MustNew("half")
		l := newLimiter(t, c, ratelimit.Config{Keys: space, OnOutage: ratelimit.FailOpen(), DenyCache: -1, Timeout: 500 * time.Millisecond})
		one, two, ctx := ratelimit.SlidingWindow(100, time.Hour), ratelimit.GCRA(1, 24*time.Hour, 100), t.Context()
		both := func() (ratelimit.AllResult, error) { return l.AllowAll(ctx, "k", one, two) }
		if r, err := both(); err != nil || r.Degraded {
			t.Fatalf("%+v, %v", r, err)
		}
		slot := int(keys.Slot("k"))
		m, err := cl.BeginMigrate(slot, away(t, cl, slot))
		check(t, err)
		check(t, m.MoveKeys(ratelimit.StateKey(space, "k", one)))
		r, err := both()
		check(t, policies["FailOpen"].want(r.Result, err))
		for _, limit := range []ratelimit.Limit{one, two} {
			wantRecovery(t, l, "k", limit)
		}
		check(t, m.Finish())
		eventually(t, func() error {
			r, err := both()
			if err != nil || r.Degraded {
				return fmt.Errorf("%+v, %w", r, err)
			}
			return nil
		})
		for _, limit := range []ratelimit.Limit{one, two} {
			if got := taken(t, l, "k", limit); got != 3 {
				t.Errorf("%v: %d are taken, want 3", limit, got)
			}
		}
	})
}
