package ratelimit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/ratelimit"
)

// after is a network that takes so long each way.
func after(d time.Duration) func(*rand.Rand) time.Duration {
	return func(*rand.Rand) time.Duration { return d }
}

func TestALeasedRetryAfterIsExact(t *testing.T) {
	for _, text := range leasedLimits {
		synctest.Test(t, func(t *testing.T) {
			s, limit := simulate(1, after(0), 0), ok[ratelimit.Limit](t)(ratelimit.ParseLimit(text))
			leased := s.process(t, limit, ratelimit.Config{DenyCache: -1}, ratelimit.LeaseConfig{})
			for range 20 {
				all(t, leased, "k")
				res := ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", 3))
				if res.Allowed || res.RetryAfter <= 0 || res.RetryAfter%time.Millisecond != 0 {
					t.Fatalf("%v: %+v", limit, res)
				}
				time.Sleep(res.RetryAfter - time.Millisecond - time.Microsecond)
				if early := ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", 3)); early.Allowed {
					t.Fatalf("%v: a millisecond before %v it is allowed", limit, res.RetryAfter)
				}
				time.Sleep(time.Millisecond + time.Microsecond)
				if !ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", 3)).Allowed {
					t.Fatalf("%v: after %v it is not allowed", limit, res.RetryAfter)
				}
			}
		})
	}
}

func TestARefusalOfALeasedKeyIsBelievedForASecondAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(0), 0)
		limit := ratelimit.SlidingWindow(10, time.Hour)
		leased := s.process(t, limit, ratelimit.Config{}, ratelimit.LeaseConfig{Batch: 10, Lease: time.Hour})
		if n := all(t, leased, "k"); n != 10 {
			t.Fatalf("%d of 10", n)
		}
		asked := s.asked
		for ms := range 999 {
			if res := ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k")); res.Allowed || res.RetryAfter != 2*time.Hour-time.Duration(ms)*time.Millisecond {
				t.Fatalf("after %d ms: %+v", ms, res)
			}
			time.Sleep(time.Millisecond)
		}
		if s.asked != asked {
			t.Errorf("it was asked %d times", s.asked-asked)
		}
		time.Sleep(time.Millisecond)
		ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
		if s.asked != asked+1 {
			t.Errorf("after a second it was not asked")
		}
		// Another cost may fit.
		ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", 2))
		if s.asked != asked+2 {
			t.Errorf("a refusal was believed for another cost")
		}
	})
}

// One request is under way at a time, and whoever comes meanwhile is in the next one.
func TestWhoWaitsForABatchIsServedInOrderByOneRequestAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(time.Millisecond), 0)
		leased := s.process(t, ratelimit.SlidingWindow(1000, time.Hour), ratelimit.Config{}, ratelimit.LeaseConfig{})
		var under, most atomic.Int64
		leased.Through(func(take ratelimit.BatchFunc) ratelimit.BatchFunc {
			return func(ctx context.Context, call limits.BatchCall) (limits.Reply, limits.Batch, error) {
				most.Store(max(most.Load(), under.Add(1)))
				defer under.Add(-1)
				return take(ctx, call)
			}
		})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				cost := 1 + i%2
				if !ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", cost)).Allowed {
					t.Errorf("a cost of %d was refused", cost)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 || s.asked != 2 || time.Since(start) != 4*time.Millisecond {
			t.Errorf("%d requests at once, %d in all, %v", most.Load(), s.asked, time.Since(start))
		}
	})
}

func TestALargeCostIsNotPassedOverForSmallOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(time.Millisecond), 0)
		leased := s.process(t, ratelimit.SlidingWindow(1_000_000, time.Hour), ratelimit.Config{}, ratelimit.LeaseConfig{Batch: 10})
		end := time.Now().Add(time.Second)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for time.Now().Before(end) {
					ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
					time.Sleep(10 * time.Microsecond)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		if !ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", 5000)).Allowed || time.Since(start) > 4*time.Millisecond {
			t.Errorf("it waited for %v", time.Since(start))
		}
		wg.Wait()
	})
}

func TestABusyKeyDoesNotWaitForItsNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(time.Millisecond), 0)
		leased := s.process(t, ratelimit.SlidingWindow(1_000_000, time.Hour), ratelimit.Config{}, ratelimit.LeaseConfig{Batch: 1000})
		k := leased.Key("k")
		start, waits := time.Now(), 0
		for range 100_000 { // 1,000 in 50 ms, an eighth of them in 6
			before := time.Now()
			check(t, k.Take(t.Context()))
			if time.Since(before) > 0 && before.Sub(start) > 100*time.Millisecond {
				waits++
			}
			time.Sleep(50 * time.Microsecond)
		}
		if waits > 0 {
			t.Errorf("%d times", waits)
		}
	})
}

func TestAKeyAsksForWhatItUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(100*time.Microsecond), 0)
		leased := s.process(t, ratelimit.SlidingWindow(1_000_000, time.Minute), ratelimit.Config{}, ratelimit.LeaseConfig{Lease: time.Second})
		use := func(seconds int, pause time.Duration) float64 {
			asked, start := s.asked, time.Now()
			for time.Since(start) < time.Duration(seconds)*time.Second {
				check(t, leased.Key("k").Take(t.Context()))
				time.Sleep(pause)
			}
			return float64(s.asked-asked) / float64(seconds)
		}
		for _, row := range []struct {
			pause time.Duration
			most  float64 // requests a second
		}{{2 * time.Second, 0.6}, {100 * time.Millisecond, 2}, {time.Millisecond, 3}, {200 * time.Microsecond, 3}, {100 * time.Millisecond, 2}} {
			use(5, row.pause) // to get used to it
			if got := use(20, row.pause); got > row.most {
				t.Errorf("a permit each %v: %.1f requests a second", row.pause, got)
			}
		}
		time.Sleep(10 * time.Second)
		check(t, leased.Key("k").Take(t.Context()))
		if held := leased.Key("k").Held(); held > 1 {
			t.Errorf("an idle key holds %d", held)
		}
	})
}

func TestWhoeverGivesUpLeavesTheBatchToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(50*time.Millisecond), 0)
		limit := ratelimit.SlidingWindow(3, time.Hour)
		leased := s.process(t, limit, ratelimit.Config{Timeout: time.Second, OnOutage: ratelimit.FailOpen()}, ratelimit.LeaseConfig{})
		var wg sync.WaitGroup
		var allowed atomic.Int64
		for range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				start := time.Now()
				res, err := leased.Allow(ctx, "k")
				if !errors.Is(err, context.DeadlineExceeded) || res.Allowed || time.Since(start) != 10*time.Millisecond {
					t.Errorf("%+v, %v after %v", res, err, time.Since(start))
				}
			})
			wg.Go(func() {
				if ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k")).Allowed {
					allowed.Add(1)
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 3 {
			t.Errorf("%d were allowed of 3", allowed.Load())
		}
	})
}

func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(1, after(20*time.Millisecond), 0)
		leased := s.process(t, ratelimit.SlidingWindow(100, time.Hour), ratelimit.Config{}, ratelimit.LeaseConfig{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if !ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", 7)).Allowed {
				t.Error("refused")
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := leased.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("in 10 ms: %v", err)
		}
		if _, err := leased.Allow(t.Context(), "k"); !errors.Is(err, ratelimit.ErrClosed) {
			t.Error(err)
		}
		check(t, leased.Close(t.Context()))
		wg.Wait()
		if held := leased.Key("k").Held(); held != 0 {
			t.Errorf("%d are held", held)
		}
	})
}

// A reply that comes when its lease is over is good for those who waited for it, and for nobody else.
func TestANetworkSlowerThanTheLeaseStillServesWhoWaits(t *testing.T) {
	for _, text := range []string{"sliding-window:100/1s", "fixed-window:100/1s", "sliding-counter:100/1s", "token-bucket:100/1s,burst=100"} {
		synctest.Test(t, func(t *testing.T) {
			s, limit := simulate(1, after(5*time.Millisecond), 0), ok[ratelimit.Limit](t)(ratelimit.ParseLimit(text))
			leased := s.process(t, limit, ratelimit.Config{}, ratelimit.LeaseConfig{Lease: time.Millisecond})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 5 {
						if !ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k")).Allowed {
							t.Errorf("%v: refused", limit)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
