package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

var everywhere = []rediskittest.Kind{
	rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded,
}

func limiterOf(t testing.TB, c *rediskit.Client, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// patient is a configuration for tests that are not about time-outs or the deny cache.
var patient = ratelimit.Config{Timeout: 10 * time.Second, DenyCache: -1}

func ok[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// algorithms are five an hour, of every algorithm.
var algorithms = map[string]ratelimit.Limit{
	"sliding window":  ratelimit.SlidingWindow(5, time.Hour),
	"sliding counter": ratelimit.SlidingCounter(5, 24*time.Hour),
	"fixed window":    ratelimit.FixedWindow(5, time.Hour),
	"token bucket":    ratelimit.TokenBucket(5, 5.0/3600),
	"GCRA":            ratelimit.GCRA(5, time.Hour, 5),
}

func eachAlgorithm(t *testing.T, test func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit)) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for name, limit := range algorithms {
			t.Run(name, func(t *testing.T) { test(t, c, limit) })
		}
	}, everywhere...)
}

func TestAllowGivesOutTheLimitAndNoMore(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t)("k"), t.Context()
		for i := range 5 {
			res := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit))
			if !res.Allowed || res.Err() != nil || res.Limit != 5 || res.Remaining != 4-i || res.RetryAfter != 0 || res.Degraded {
				t.Fatalf("hit %d: %+v", i, res)
			}
			if until := time.Until(res.ResetAt); until <= 0 || until > 49*time.Hour {
				t.Fatalf("hit %d resets in %v", i, until)
			}
		}
		res := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit))
		var exceeded *ratelimit.ExceededError
		if res.Allowed || res.Remaining != 0 || res.RetryAfter <= 0 || !errors.As(res.Err(), &exceeded) {
			t.Fatalf("beyond the limit: %+v", res)
		}
		if exceeded.Key != key || exceeded.Limit != 5 || exceeded.Current != 5 || exceeded.RetryAfter != res.RetryAfter {
			t.Errorf("%+v", exceeded)
		}
	})
}

func TestTwoHundredGoroutinesShareOneLimit(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), rediskittest.Keys(t)("k"), t.Context()
		var wg sync.WaitGroup
		allowed := make(chan bool, 200)
		for range 200 {
			wg.Go(func() {
				res, err := l.Allow(ctx, key, limit)
				if err != nil {
					t.Error(err)
				}
				allowed <- res.Allowed
			})
		}
		wg.Wait()
		close(allowed)
		n := 0
		for a := range allowed {
			if a {
				n++
			}
		}
		if n != 5 {
			t.Errorf("%d were allowed of 5", n)
		}
	})
}

func TestPeekTakesNothing(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t)("k"), t.Context()
		for range 3 {
			if res := ok[ratelimit.Result](t)(l.Peek(ctx, key, limit)); !res.Allowed || res.Remaining != 5 {
				t.Fatalf("untouched: %+v", res)
			}
		}
		ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 4))
		if res := ok[ratelimit.Result](t)(l.Peek(ctx, key, limit)); !res.Allowed || res.Remaining != 1 {
			t.Fatalf("after four: %+v", res)
		}
		ok[ratelimit.Result](t)(l.Allow(ctx, key, limit))
		if res := ok[ratelimit.Result](t)(l.Peek(ctx, key, limit)); res.Allowed || res.Remaining != 0 || res.RetryAfter <= 0 {
			t.Fatalf("after five: %+v", res)
		}
	})
}

func TestACostIsTakenWholeOrNotAtAll(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t)("k"), t.Context()
		if res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 3)); !res.Allowed || res.Remaining != 2 {
			t.Fatalf("three: %+v", res)
		}
		res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 3))
		if res.Allowed || res.Remaining != 2 || res.RetryAfter <= 0 {
			t.Fatalf("three more: %+v", res)
		}
		if res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 2)); !res.Allowed || res.Remaining != 0 {
			t.Fatalf("the last two: %+v", res)
		}
	})
}

func TestRefundGivesBackWhatWasTakenOnce(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), rediskittest.Keys(t)("k"), t.Context()
		res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 2))
		ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 3))
		refused := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 2)) // and remembered
		for range 3 {
			if err := l.Refund(ctx, res, refused); err != nil {
				t.Fatal(err)
			}
		}
		if res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 2)); !res.Allowed || res.Remaining != 0 {
			t.Fatalf("after the refund: %+v", res)
		}
		if res := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit)); res.Allowed {
			t.Fatal("more came back than was taken")
		}
	})
}

func TestResetForgetsAlsoARememberedRefusal(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), rediskittest.Keys(t)("k"), t.Context()
		ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 5))
		for range 3 {
			if res := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit)); res.Allowed {
				t.Fatalf("%+v", res)
			}
		}
		if err := l.Reset(ctx, key, limit); err != nil {
			t.Fatal(err)
		}
		if res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 5)); !res.Allowed {
			t.Fatalf("after the reset: %+v", res)
		}
	})
}

func TestBlockRefusesUntilItEndsOrIsReset(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), rediskittest.Keys(t)("k"), t.Context()
		ok[ratelimit.Result](t)(l.AllowN(ctx, key, limit, 2))
		if err := l.Block(ctx, key, 200*time.Hour, limit); err != nil {
			t.Fatal(err)
		}
		res := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit))
		if res.Allowed || res.Remaining != 0 || res.RetryAfter > 200*time.Hour || res.RetryAfter < 199*time.Hour {
			t.Fatalf("blocked: %+v", res)
		}
		// A shorter block takes the place of the longer, and what was taken before is still taken.
		if err := l.Block(ctx, key, 20*time.Millisecond, limit); err != nil {
			t.Fatal(err)
		}
		res = ok[ratelimit.Result](t)(l.WaitN(ctx, key, limit, 3, time.Minute))
		if !res.Allowed || res.Remaining != 0 {
			t.Fatalf("after the block: %+v", res)
		}
	})
}

func TestAPenaltyBlocksWhoExceeds(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, c *rediskit.Client, limit ratelimit.Limit) {
		l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t)("k"), t.Context()
		harsh := limit.WithPenalty(300 * time.Hour)
		ok[ratelimit.Result](t)(l.AllowN(ctx, key, harsh, 4))
		for range 2 {
			res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, harsh, 2))
			if res.Allowed || res.Remaining != 0 || res.RetryAfter > 300*time.Hour || res.RetryAfter < 299*time.Hour {
				t.Fatalf("%+v", res)
			}
		}
		if res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, harsh, 1)); res.Allowed {
			t.Fatal("the one permit left was given out during the penalty")
		}
		if err := l.Reset(ctx, key, harsh); err != nil {
			t.Fatal(err)
		}
		if res := ok[ratelimit.Result](t)(l.AllowN(ctx, key, harsh, 5)); !res.Allowed {
			t.Fatalf("after the reset: %+v", res)
		}
	})
}

func TestAllowAllTakesFromAllOrFromNone(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t)("k"), t.Context()
		all := []ratelimit.Limit{
			ratelimit.SlidingWindow(3, time.Hour), ratelimit.SlidingWindow(10, 2*time.Hour), ratelimit.SlidingCounter(10, 24*time.Hour),
			ratelimit.FixedWindow(10, time.Hour), ratelimit.TokenBucket(10, 0.001), ratelimit.GCRA(10, time.Hour, 10),
		}
		for i := range 3 {
			res := ok[ratelimit.AllResult](t)(l.AllowAll(ctx, key, all...))
			if !res.Allowed || res.Remaining != 2-i || res.Limit != 3 || len(res.Each) != 6 {
				t.Fatalf("%+v", res)
			}
		}
		res := ok[ratelimit.AllResult](t)(l.AllowAll(ctx, key, all...))
		if res.Allowed || res.Limit != 3 || res.RetryAfter <= 0 || res.Each[0].Allowed || !res.Each[1].Allowed {
			t.Fatalf("%+v", res)
		}
		for i, limit := range all {
			want := 7
			if i == 0 {
				want = 0
			}
			if res := ok[ratelimit.Result](t)(l.Peek(ctx, key, limit)); res.Remaining != want {
				t.Errorf("%v has %d left, want %d", limit, res.Remaining, want)
			}
			if said := res.Each[i].Remaining; said != want {
				t.Errorf("the refusal says that %v has %d left, want %d", limit, said, want)
			}
		}
		before := ok[ratelimit.AllResult](t)(l.AllowAllN(ctx, key, 2, all[1:]...))
		if err := l.Refund(ctx, before.Each...); err != nil {
			t.Fatal(err)
		}
		for _, limit := range all[1:] {
			if res := ok[ratelimit.Result](t)(l.Peek(ctx, key, limit)); res.Remaining != 7 {
				t.Errorf("%v has %d left after the refund, want 7", limit, res.Remaining)
			}
		}
	}, everywhere...)
}

func TestAllowManyDecidesEachByItself(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key, ctx := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), rediskittest.Keys(t)("k"), t.Context()
		window, bucket := ratelimit.SlidingWindow(2, time.Hour), ratelimit.TokenBucket(3, 0.001)
		for round, want := range []string{"++-++-", "------"} {
			results := ok[[]ratelimit.Result](t)(l.AllowMany(ctx, []ratelimit.Request{
				{Key: key, Limit: window}, {Key: key, Limit: window}, {Key: key, Limit: window},
				{Key: key, Limit: bucket, Cost: 2}, {Key: key + "other", Limit: window, Cost: 2 - round}, {Key: key, Limit: bucket, Cost: 2},
			}))
			var got strings.Builder
			for _, r := range results {
				got.WriteByte("-+"[btoi(r.Allowed)])
			}
			if got.String() != want {
				t.Errorf("round %d: %s, want %s", round, got.String(), want)
			}
		}
	}, everywhere...)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestReservationsQueueUp(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for name, limit := range map[string]ratelimit.Limit{
			"token bucket": ratelimit.TokenBucket(2, 1.0/60), "GCRA": ratelimit.GCRA(60, time.Hour, 2),
		} {
			t.Run(name, func(t *testing.T) {
				l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t)("k"), t.Context()
				var all []ratelimit.Reservation
				for i, want := range []time.Duration{0, 0, time.Minute, 2 * time.Minute} {
					r := ok[ratelimit.Reservation](t)(l.Reserve(ctx, key, limit, 1, time.Hour))
					if !r.Allowed || r.Delay > want || r.Delay < want-10*time.Second {
						t.Fatalf("reservation %d: %+v", i, r)
					}
					all = append(all, r)
				}
				r := ok[ratelimit.Reservation](t)(l.Reserve(ctx, key, limit, 1, 2*time.Minute))
				if r.Allowed || r.RetryAfter > time.Minute || r.RetryAfter < 50*time.Second {
					t.Fatalf("beyond what may be waited for: %+v", r)
				}
				if res := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit)); res.Allowed {
					t.Fatal("allowed in front of reservations")
				}
				// The third is behind the second, whose cancelling so gives nothing back; that of the last does.
				for _, i := range []int{2, 3} {
					if err := all[i].Cancel(ctx); err != nil {
						t.Fatal(err)
					}
					r := ok[ratelimit.Reservation](t)(l.Reserve(ctx, key, limit, 1, time.Hour))
					want := time.Duration(i-1) * time.Minute
					if i == 2 {
						want = 3 * time.Minute
					}
					if !r.Allowed || r.Delay > want || r.Delay < want-10*time.Second {
						t.Fatalf("after cancelling %d: %+v", i, r)
					}
					if err := r.Cancel(ctx); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}, everywhere...)
}

func TestAReservationWaitsForABlockInWhole(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key, ctx := limiterOf(t, c, patient), rediskittest.Keys(t), t.Context()
		limit := ratelimit.GCRA(60, time.Hour, 1)
		if err := l.Block(ctx, key("blocked"), time.Hour, limit); err != nil {
			t.Fatal(err)
		}
		r := ok[ratelimit.Reservation](t)(l.Reserve(ctx, key("blocked"), limit, 1, 50*time.Minute))
		if r.Allowed || r.RetryAfter < 50*time.Minute {
			t.Errorf("blocked for an hour: %+v", r)
		}
		punishing := limit.WithPenalty(time.Hour)
		for range 2 { // by the refusal itself, and then by what it wrote
			for r.Allowed = true; r.Allowed; {
				r = ok[ratelimit.Reservation](t)(l.Reserve(ctx, key("punished"), punishing, 1, 50*time.Minute))
			}
			if r.RetryAfter < 50*time.Minute {
				t.Errorf("blocked by a penalty of an hour: %+v", r)
			}
		}
	}, everywhere...)
}

func TestWaitGivesUpAtOnceWhenItWouldTakeTooLong(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l, key := limiterOf(t, c, patient), rediskittest.Keys(t)("k")
	limit := ratelimit.TokenBucket(1, 0.001)
	ok[ratelimit.Result](t)(l.Wait(t.Context(), key, limit, time.Second))
	var exceeded *ratelimit.ExceededError
	if _, err := l.Wait(t.Context(), key, limit, time.Minute); !errors.As(err, &exceeded) {
		t.Errorf("beyond atMost: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := l.Wait(ctx, key, limit, time.Hour); !errors.As(err, &exceeded) {
		t.Errorf("beyond the deadline: %v", err)
	}
	cancel()
	if _, err := l.Wait(ctx, key, limit, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestManyWhoWaitGetThroughAtTheRate(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), rediskittest.Keys(t)("k")
		limit := ratelimit.TokenBucket(1, 200)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if res, err := l.Wait(t.Context(), key, limit, time.Minute); err != nil || !res.Allowed {
					t.Errorf("%+v, %v", res, err)
				}
			})
		}
		wg.Wait()
	}, rediskittest.OnSingle, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

func TestBadArgumentsAreRefusedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	l, ctx := limiterOf(t, c, ratelimit.Config{}), t.Context()
	c.Close()
	good := ratelimit.SlidingWindow(5, time.Second)
	allow := func(limit ratelimit.Limit) func() error {
		return func() error { _, err := l.Allow(ctx, "k", limit); return err }
	}
	for want, call := range map[string]func() error{
		"ratelimit.Allow \"k\": ratelimit: the zero Limit is none":                              allow(ratelimit.Limit{}),
		"SlidingWindow: n is 0: want 1 to":                                                      allow(ratelimit.SlidingWindow(0, time.Second)),
		"SlidingWindow: n is 1000001: a sliding window remembers each hit":                      allow(ratelimit.SlidingWindow(1_000_001, time.Second)),
		"SlidingWindow: window is 0s: want 1ms to":                                              allow(ratelimit.SlidingWindow(1, 0)),
		"SlidingCounter: window is 999µs: want 1ms to":                                          allow(ratelimit.SlidingCounter(1, 999*time.Microsecond)),
		"FixedWindow: window is -1s: want 1ms to":                                               allow(ratelimit.FixedWindow(1, -time.Second)),
		"FixedWindow: n is -1: want 1 to":                                                       allow(ratelimit.FixedWindow(-1, time.Second)),
		"TokenBucket: perSecond is 0: want":                                                     allow(ratelimit.TokenBucket(1, 0)),
		"TokenBucket: perSecond is -1: want":                                                    allow(ratelimit.TokenBucket(1, -1)),
		"TokenBucket: perSecond is NaN: want":                                                   allow(ratelimit.TokenBucket(1, math.NaN())),
		"TokenBucket: perSecond is +Inf: want":                                                  allow(ratelimit.TokenBucket(1, math.Inf(1))),
		"TokenBucket: capacity is 0: want":                                                      allow(ratelimit.TokenBucket(0, 1)),
		"TokenBucket: capacity is 1000000000: at this rate it takes more than 10 years to fill": allow(ratelimit.TokenBucket(1e9, 0.001)),
		"GCRA: perPeriod is 0: want":                                                            allow(ratelimit.GCRA(0, time.Second, 1)),
		"GCRA: burst is 0: want":                                                                allow(ratelimit.GCRA(1, time.Second, 0)),
		"GCRA: period is 1.0000005s: want whole microseconds":                                   allow(ratelimit.GCRA(1, time.Second+500, 1)),
		"Concurrency: lease is 0s: want":                                                        allow(ratelimit.Concurrency(1, 0)),
		"concurrency:1/1s is a limit for Acquire":                                               allow(ratelimit.Concurrency(1, time.Second)),
		"WithPenalty: penalty is 0":                                                             allow(good.WithPenalty(0)),
		"WithPenalty: penalty is 1µs":                                                           allow(good.WithPenalty(time.Microsecond)),
		"ratelimit.Allow: empty key":                                                            func() error { _, err := l.Allow(ctx, "", good); return err },
		"the cost is 0: want at least 1":                                                        func() error { _, err := l.AllowN(ctx, "k", good, 0); return err },
		"the cost is -3: want at least 1":                                                       func() error { _, err := l.AllowN(ctx, "k", good, -3); return err },
		"the cost is more than the limit ever allows: 6 of 5":                                   func() error { _, err := l.AllowN(ctx, "k", good, 6); return err },
		"ratelimit.AllowAll \"k\": no limits":                                                   func() error { _, err := l.AllowAll(ctx, "k"); return err },
		"limits 0 and 1 have one state: sliding-window:5/1s and sliding-window:6/1s": func() error {
			_, err := l.AllowAll(ctx, "k", good, ratelimit.SlidingWindow(6, time.Second))
			return err
		},
		"ratelimit.AllowMany: request 1: empty key": func() error {
			_, err := l.AllowMany(ctx, []ratelimit.Request{{Key: "k", Limit: good}, {Limit: good}})
			return err
		},
		"only TokenBucket and GCRA can be reserved": func() error { _, err := l.Reserve(ctx, "k", good, 1, 0); return err },
		"ratelimit.Reserve \"k\": atMost is -1s":    func() error { _, err := l.Reserve(ctx, "k", ratelimit.TokenBucket(1, 1), 1, -time.Second); return err },
		"ratelimit.Wait \"k\": atMost is 0s":        func() error { _, err := l.Wait(ctx, "k", good, 0); return err },
		"ratelimit.Reset \"k\": no limits":          func() error { return l.Reset(ctx, "k") },
		"ratelimit.Block \"k\": the duration is 0s": func() error { return l.Block(ctx, "k", 0, good) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if _, err := l.AllowN(ctx, "k", good, 6); !errors.Is(err, ratelimit.ErrNever) {
		t.Errorf("%v", err)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	c := rediskittest.Embedded(t)
	for want, cfg := range map[string]ratelimit.Config{
		"Config.Timeout is 1µs":      {Timeout: time.Microsecond},
		"Config.OnOutage is -2":      {OnOutage: -2},
		"Config.DenyCache is 100000": {DenyCache: 100_000_000},
	} {
		if _, err := ratelimit.New(c, cfg); err == nil || !strings.HasPrefix(err.Error(), "ratelimit: "+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := ratelimit.New(nil, ratelimit.Config{}); err == nil {
		t.Error("a nil client was accepted")
	}
}

func TestLimitsAreTextAndBack(t *testing.T) {
	for text, limit := range map[string]ratelimit.Limit{
		"sliding-window:100/1m":         ratelimit.SlidingWindow(100, time.Minute),
		"sliding-counter:100/1h":        ratelimit.SlidingCounter(100, time.Hour),
		"fixed-window:5/1h,penalty=10m": ratelimit.FixedWindow(5, time.Hour).WithPenalty(10 * time.Minute),
		"token-bucket:5/1s,burst=20":    ratelimit.TokenBucket(20, 5),
		"token-bucket:1/10s,burst=2":    ratelimit.TokenBucket(2, 0.1),
		"token-bucket:1000/7s,burst=2":  ratelimit.Limit{},
		"gcra:3000000/1s,burst=1":       ratelimit.GCRA(3_000_000, time.Second, 1),
		"gcra:5/1.5s,burst=20":          ratelimit.GCRA(5, 1500*time.Millisecond, 20),
		"concurrency:10/30s":            ratelimit.Concurrency(10, 30*time.Second),
	} {
		parsed, err := ratelimit.ParseLimit(text)
		if err != nil || parsed.String() != text {
			t.Errorf("%s: %v, %v", text, parsed, err)
		}
		if limit.Validate() == nil && limit.String() != text {
			t.Errorf("%v, want %s", limit, text)
		}
	}
	var cfg struct{ Login ratelimit.Limit }
	if err := json.Unmarshal([]byte(`{"Login": "fixed-window:5/h"}`), &cfg); err != nil || cfg.Login.String() != "fixed-window:5/1h" {
		t.Errorf("%v, %v", cfg.Login, err)
	}
	for _, text := range []string{"", "5/1m", "sliding:5/1m", "fixed-window:5", "fixed-window:x/1m", "fixed-window:5/1x", "fixed-window:0/1m",
		"fixed-window:5/1m,burst=3", "gcra:5/1m,penalty=0", "gcra:5/1m,", "gcra:5/1m,burst", "concurrency:5/1m,penalty=1m", "fixed-window:5/0s"} {
		if limit, err := ratelimit.ParseLimit(text); err == nil {
			t.Errorf("%q was read as %v", text, limit)
		}
	}
}
