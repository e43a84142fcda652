package ratelimit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// at is how many at a time, with leases that do not end while a test runs.
func at(n int) ratelimit.Limit { return ratelimit.Concurrency(n, time.Hour) }

func acquire(t testing.TB, l *ratelimit.Limiter, key string, limit ratelimit.Limit) *ratelimit.Slot {
	t.Helper()
	return ok[*ratelimit.Slot](t)(l.Acquire(t.Context(), key, limit))
}

// wantFull wants a refusal.
func wantFull(t testing.TB, l *ratelimit.Limiter, key string, limit ratelimit.Limit) *ratelimit.ExceededError {
	t.Helper()
	slot, err := l.Acquire(t.Context(), key, limit)
	var full *ratelimit.ExceededError
	var op *rediskit.OpError
	if slot != nil || !errors.As(err, &full) || !errors.As(err, &op) {
		t.Fatalf("%v, %v: want an ExceededError", slot, err)
	}
	return full
}

// wantLost waits until a slot's context ends because the lease is lost.
func wantLost(t testing.TB, slot *ratelimit.Slot) {
	t.Helper()
	select {
	case <-slot.Context().Done():
	case <-time.After(time.Minute):
		t.Fatal("the context has not ended in a minute")
	}
	if err := context.Cause(slot.Context()); err != ratelimit.ErrLost {
		t.Fatalf("the context ended because of %v", err)
	}
}

// wantEmpty waits until no place is taken.
func wantEmpty(t testing.TB, l *ratelimit.Limiter, key string) {
	t.Helper()
	eventually(t, func() error {
		if n := taken(t, l, key, at(100)); n != 0 {
			return fmt.Errorf("%d places are taken", n)
		}
		return nil
	})
}

// outlives waits until a slot, the only one of its key, was renewed for longer than a lease.
func outlives(t testing.TB, slot *ratelimit.Slot, l *ratelimit.Limiter, key string, limit ratelimit.Limit) {
	t.Helper()
	lastsUntil(t, slot, l, key, limit, time.Now().Add(2*limit.Window()))
}

// lastsUntil waits until the lease of a slot, the only one of its key, lasts until then.
func lastsUntil(t testing.TB, slot *ratelimit.Slot, l *ratelimit.Limiter, key string, limit ratelimit.Limit, then time.Time) {
	t.Helper()
	eventually(t, func() error {
		if err := slot.Context().Err(); err != nil {
			t.Fatalf("it ended: %v because of %v", err, context.Cause(slot.Context()))
		}
		r, err := l.Peek(t.Context(), key, limit)
		if err == nil && r.ResetAt.Before(then) {
			err = errors.New("it is not renewed")
		}
		return err
	})
}

func TestAcquireGivesOutNPlacesAndNoMore(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key := newLimiter(t, c, patient), "k"
		slots := make([]*ratelimit.Slot, 3)
		for i := range slots {
			if r := ok[ratelimit.Result](t)(l.Peek(t.Context(), key, at(3))); !r.Allowed || r.Remaining != 3-i {
				t.Fatalf("%+v", r)
			}
			slots[i] = acquire(t, l, key, at(3))
			r := slots[i].Result()
			if !r.Allowed || r.Limit != 3 || r.Remaining != 2-i || r.Degraded || r.RetryAfter != 0 || r.Err() != nil {
				t.Fatalf("%+v", r)
			}
			if in := time.Until(r.ResetAt); in <= 59*time.Minute || in > time.Hour {
				t.Fatalf("all would be free in %v", in)
			}
		}
		full := wantFull(t, l, key, at(3))
		if full.Key != key || full.Limit != 3 || full.Current != 3 || full.RetryAfter <= 59*time.Minute || full.RetryAfter > time.Hour ||
			full.RetryAfter%time.Millisecond != 0 {
			t.Errorf("%+v", full)
		}
		if r := ok[ratelimit.Result](t)(l.Peek(t.Context(), key, at(3))); r.Allowed || r.Remaining != 0 || r.RetryAfter <= 59*time.Minute {
			t.Errorf("%+v", r)
		}
		acquire(t, l, "another", at(3))
		check(t, slots[1].Release())
		if again := acquire(t, l, key, at(3)); again.Result().Remaining != 0 {
			t.Errorf("%+v", again.Result())
		}
		wantFull(t, l, key, at(3))
	}, everywhere...)
}

func TestSoakNoMoreThanNHoldAPlaceAtOnce(t *testing.T) {
	const n, processes, goroutines = 5, 4, 64
	for _, kind := range everywhere {
		t.Run(string(kind), func(t *testing.T) {
			cfg := patient
			cfg.Keys = keys.MustNew("t" + rand.Text())
			c := rediskittest.Connect(t, kind)
			limiters := []*ratelimit.Limiter{newLimiter(t, c, cfg)}
			for range processes - 1 {
				if kind != rediskittest.OnEmbedded {
					c = rediskittest.Connect(t, kind)
				}
				limiters = append(limiters, newLimiter(t, c, cfg))
			}
			var holding, peak atomic.Int64
			var wg sync.WaitGroup
			for i := range goroutines {
				wg.Go(func() {
					for range 5 * soak.Scale() {
						var slot *ratelimit.Slot
						eventually(t, func() (err error) {
							slot, err = limiters[i%processes].Acquire(t.Context(), "k", ratelimit.Concurrency(n, 30*time.Second))
							return err
						})
						now := holding.Add(1)
						if now > n {
							t.Errorf("%d hold %d places", now, n)
						}
						for most := peak.Load(); now > most && !peak.CompareAndSwap(most, now); most = peak.Load() {
						}
						if slot.Context().Err() != nil {
							t.Errorf("lost: %v", context.Cause(slot.Context()))
						}
						time.Sleep(time.Millisecond) // the work
						holding.Add(-1)
						if err := slot.Release(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if got := taken(t, limiters[0], "k", at(n)); got != 0 || peak.Load() < 2 {
				t.Errorf("%d places are taken in the end, and %d were at the most", got, peak.Load())
			}
		})
	}
}

func TestReleaseWorksWhenTheCallersContextHasEndedAndMoreThanOnce(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key := newLimiter(t, c, patient), "k"
		for _, l := range []*ratelimit.Limiter{l, newLimiter(t, c, ratelimit.Config{Timeout: -1})} {
			ctx, cancel := context.WithCancel(t.Context())
			slot := ok[*ratelimit.Slot](t)(l.Acquire(ctx, key, at(1)))
			cancel()
			check(t, slot.Release())
		}
		ctx, cancel := context.WithCancel(t.Context())
		slot := ok[*ratelimit.Slot](t)(l.Acquire(ctx, key, at(1)))
		cancel()
		if slot.Context().Err() != context.Canceled {
			t.Error("the slot's context outlived the caller's")
		}
		wantFull(t, l, key, at(1))
		check(t, slot.Release())
		next := acquire(t, l, key, at(1))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := slot.Release(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantFull(t, l, key, at(1))
		for range 8 {
			wg.Go(func() {
				if err := next.Release(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if next.Context().Err() != context.Canceled || context.Cause(next.Context()) != context.Canceled {
			t.Errorf("after Release the context ended because of %v", context.Cause(next.Context()))
		}
		acquire(t, l, key, at(1))
	}, everywhere...)
}

func TestAReleasedSlotIsNotReleasedAgain(t *testing.T) {
	s, c := startServer(t)
	l := ok[*ratelimit.Limiter](t)(ratelimit.New(c, ratelimit.Config{}))
	slot := acquire(t, l, "k", at(1))
	check(t, slot.Release())
	s.Kill()
	check(t, slot.Release())
}

func TestTheServerEndsTheLeaseOfACrashedHolderAndNotBefore(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		cfg := patient
		cfg.Keys = keys.MustNew("t" + rand.Text())
		l, limit := newLimiter(t, c, cfg), ratelimit.Concurrency(2, 400*time.Millisecond)
		// Holders that do nothing more.
		state := cfg.Keys.RateLimit("cc", "k").String()
		var ends int64
		for range 2 {
			r := ok[limits.Reply](t)(limits.Server.Acquire(t.Context(), c, state, limits.NewLease(), 2, limit.Window()))
			if ends == 0 {
				ends = r.C
			}
		}
		full := wantFull(t, l, "k", limit)
		if full.RetryAfter <= 0 || full.RetryAfter > limit.Window() {
			t.Errorf("%+v", full)
		}
		var slot *ratelimit.Slot
		eventually(t, func() (err error) { slot, err = l.Acquire(t.Context(), "k", limit); return err })
		if r := slot.Result().ServerReply(); r.At < ends {
			t.Errorf("a place was free %dus before the first lease ended", ends-r.At)
		}
		check(t, slot.Release())
	}, everywhere...)
}

func TestASlotIsRenewedWhileItIsHeld(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, limit := newLimiter(t, c, patient), ratelimit.Concurrency(1, 2*time.Second)
		slot := acquire(t, l, "k", limit)
		outlives(t, slot, l, "k", limit)
		wantFull(t, l, "k", limit)
		check(t, slot.Release())
		acquire(t, l, "k", limit)
	}, rediskittest.OnSingle, rediskittest.OnEmbedded)
}

func TestTheLimitMayBeLoweredAndRaisedWhileSlotsAreHeld(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, key := newLimiter(t, c, patient), "k"
		var slots []*ratelimit.Slot
		for hours := range 3 { // of different lengths, they are of one kind
			slots = append(slots, acquire(t, l, key, ratelimit.Concurrency(3, time.Duration(hours+1)*time.Hour)))
		}
		for n := 1; n <= 3; n++ {
			full := wantFull(t, l, key, at(n))
			// Of three leases of one to three hours so many have to end.
			if want := time.Duration(4-n) * time.Hour; full.Current != 3 || full.Limit != n || full.RetryAfter > want || full.RetryAfter <= want-time.Minute {
				t.Errorf("%d: %+v", n, full)
			}
		}
		fourth := acquire(t, l, key, at(4))
		for i, slot := range append(slots, fourth) {
			if err := slot.Context().Err(); err != nil {
				t.Errorf("slot %d: %v", i, err)
			}
			check(t, slot.Release())
		}
		acquire(t, l, key, at(1))
	}, everywhere...)
}

func TestResetTakesTheSlotsFromTheirHolders(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, limit := newLimiter(t, c, patient), ratelimit.Concurrency(2, 1500*time.Millisecond)
		one, two := acquire(t, l, "k", limit), acquire(t, l, "k", limit)
		check(t, l.Reset(t.Context(), "k", limit))
		three := acquire(t, l, "k", at(2))
		wantLost(t, one)
		wantLost(t, two)
		check(t, one.Release())
		if three.Context().Err() != nil || taken(t, l, "k", at(2)) != 1 {
			t.Error("a lost slot came back, or took another with it")
		}
	}, everywhere...)
}

func TestAForgottenSlotIsFreeALeaseAfterItsContextEnded(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, limit := newLimiter(t, c, patient), ratelimit.Concurrency(1, time.Second)
		ctx, cancel := context.WithCancelCause(t.Context())
		forgotten := ok[*ratelimit.Slot](t)(l.Acquire(ctx, "k", limit))
		errDone := errors.New("done")
		cancel(errDone)
		if context.Cause(forgotten.Context()) != errDone {
			t.Errorf("%v", context.Cause(forgotten.Context()))
		}
		wantFull(t, l, "k", limit)
		var next *ratelimit.Slot
		eventually(t, func() (err error) { next, err = l.Acquire(t.Context(), "k", limit); return err })
		check(t, forgotten.Release())
		if taken(t, l, "k", limit) != 1 {
			t.Error("the place is not taken")
		}
		check(t, next.Release())
	}, rediskittest.OnSingle, rediskittest.OnEmbedded)
}

func TestSlotsNeedNoGoroutinesWhileTheyAreHeld(t *testing.T) {
	_, c := startServer(t)
	l, n := newLimiter(t, c, patient), 5000
	check(t, acquire(t, l, "k", at(n)).Release())
	before := runtime.NumGoroutine()
	slots := make([]*ratelimit.Slot, n)
	for i := range slots {
		slots[i] = acquire(t, l, "k", at(n))
	}
	if more := runtime.NumGoroutine() - before; more > 100 {
		t.Errorf("%d more goroutines", more)
	}
	wantFull(t, l, "k", at(n))
	for _, slot := range slots {
		check(t, slot.Release())
	}
}

func TestHostileKeysHavePlacesOfTheirOwn(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l := newLimiter(t, c, patient)
		hostile := []string{"}", "{", "{}", "}{", "a}b{c", ":", " ", "\x00\xff\r\n", "%", "*", "cc", "k", "K", strings.Repeat("long", 1000)}
		for _, key := range hostile {
			if r := acquire(t, l, key, at(1)).Result(); r.Remaining != 0 {
				t.Errorf("%q: %+v", key, r)
			}
		}
		for _, key := range hostile {
			if full := wantFull(t, l, key, at(1)); full.Key != key || full.Current != 1 {
				t.Errorf("%q: %+v", key, full)
			}
			check(t, l.Reset(t.Context(), key, at(1)))
			acquire(t, l, key, at(1))
		}
	}, everywhere...)
}

func TestACancelledAcquireTakesNothing(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for name, policy := range map[string]ratelimit.Outage{
			"closed": ratelimit.FailClosed, "open": ratelimit.FailOpen(), "local": ratelimit.FailLocal(1),
		} {
			l := newLimiter(t, c, ratelimit.Config{OnOutage: policy, Timeout: time.Minute})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if slot, err := l.Acquire(ctx, "k", at(1)); slot != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, %v", name, slot, err)
			}
			acquire(t, l, "k", at(1))
		}
	}, rediskittest.OnSingle)
}

func TestSlotsAndPermitsAreNotMixedUp(t *testing.T) {
	c, _ := gone(t)
	l, window := limiterOf(t, c, ratelimit.Config{}), ratelimit.FixedWindow(1, time.Hour)
	ctx := t.Context()
	for what, call := range map[string]func() error{
		"want Slot.Release": func() error {
			live := limiterOf(t, rediskittest.Embedded(t), patient)
			return l.Refund(ctx, acquire(t, live, "k", at(1)).Result())
		},
		"is a limit for Allow": func() error { _, err := l.Acquire(ctx, "k", window); return err },
		"is a limit for Acquire": func() error {
			_, err := l.AllowAll(ctx, "k", window, at(1))
			return err
		},
		"has no block": func() error { return l.Block(ctx, "k", time.Hour, window, at(1)) },
		"empty key":    func() error { _, err := l.Acquire(ctx, "", at(1)); return err },
		"zero Limit":   func() error { _, err := l.Acquire(ctx, "k", ratelimit.Limit{}); return err },
		"n is 0":       func() error { _, err := l.Acquire(ctx, "k", at(0)); return err },
		"lease is 0s":  func() error { _, err := l.Acquire(ctx, "k", ratelimit.Concurrency(1, 0)); return err },
	} {
		err := call()
		var op *rediskit.OpError
		if err == nil || !strings.Contains(err.Error(), what) || rediskit.IsUnavailable(err) || !errors.As(err, &op) {
			t.Errorf("%v: want %q", err, what)
		}
	}
}

func TestSlotsAreCounted(t *testing.T) {
	meter := &counting{seen: map[string]int64{}}
	l := limiterOf(t, rediskittest.Embedded(t), ratelimit.Config{MeterProvider: meter, Timeout: time.Minute})
	slot := acquire(t, l, "k", at(1))
	wantFull(t, l, "k", at(1))
	wantFull(t, l, "k", at(1))
	check(t, slot.Release())

	away, _ := gone(t)
	open := limiterOf(t, away, ratelimit.Config{MeterProvider: meter, OnOutage: ratelimit.FailOpen()})
	acquire(t, open, "k", at(1))
	local := limiterOf(t, away, ratelimit.Config{MeterProvider: meter, OnOutage: ratelimit.FailLocal(1)})
	acquire(t, local, "k", at(1))
	wantFull(t, local, "k", at(1))
	if _, err := limiterOf(t, away, ratelimit.Config{MeterProvider: meter}).Acquire(t.Context(), "k", at(1)); err == nil {
		t.Error("a server that is gone gave a slot")
	}
	for what, want := range map[string]int64{
		"allowed server": 1, "refused server": 2, "allowed outage": 2, "refused outage": 1, "failed outage": 1, "refused cache": 0,
	} {
		if got := meter.seen["rediskit.ratelimit.decisions concurrency "+what]; got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
}
