package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestAHolderThatIsCutOffKnowsBeforeAnotherHasItsPlace(t *testing.T) {
	_, p, through, around := faulty(t)
	cut, sound := askers(t, through, around, ratelimit.Config{Timeout: 200 * time.Millisecond})
	limit := ratelimit.Concurrency(1, time.Second)
	for range 3 {
		slot := acquire(t, cut, "k", limit)
		p.BlackHole()
		refused := 0
		var next *ratelimit.Slot
		eventually(t, func() (err error) {
			if next, err = sound.Acquire(t.Context(), "k", limit); err != nil {
				refused++
			}
			return err
		})
		if slot.Context().Err() == nil || context.Cause(slot.Context()) != ratelimit.ErrLost {
			t.Errorf("two hold one place: %v, %v", slot.Context().Err(), context.Cause(slot.Context()))
		}
		if refused == 0 {
			t.Error("the place was never taken")
		}
		if err := slot.Release(); !rediskit.IsUnavailable(err) {
			t.Errorf("released into a black hole: %v", err)
		}
		check(t, p.Resume())
		// Releasing what is lost is no harm to whoever has the place now.
		eventually(t, slot.Release)
		if next.Context().Err() != nil || taken(t, sound, "k", limit) != 1 {
			t.Error("a slot that was lost released another's")
		}
		check(t, next.Release())
		eventually(t, func() error { _, err := cut.Peek(t.Context(), "k", limit); return err })
	}
}

func TestASlotSurvivesScriptFlushLostRepliesAndCutConnections(t *testing.T) {
	s, p, through, around := faulty(t)
	l, sound := askers(t, through, around, patient)
	limit := ratelimit.Concurrency(1, 2*time.Second)
	for what, fault := range map[string]func(){
		"scripts flushed": func() { ok[any](t)(s.Do("SCRIPT", "FLUSH")) },
		"a lost reply":    func() { p.CutAfterReplyBytes(0) },
		"half a reply":    func() { p.CutAfterReplyBytes(2) },
		"a cut":           p.Cut,
	} {
		t.Run(what, func(t *testing.T) {
			slot := acquire(t, l, "k", limit)
			fault()
			outlives(t, slot, sound, "k", limit)
			fault()
			check(t, slot.Release())
			if n := taken(t, sound, "k", limit); n != 0 {
				t.Errorf("%d places are taken", n)
			}
		})
	}
}

func TestAcquireTakesOnePlaceWhenItsReplyIsLost(t *testing.T) {
	_, p, through, around := faulty(t)
	l, sound := askers(t, through, around, patient)
	check(t, acquire(t, sound, "k", at(3)).Release()) // loads the script
	for bytes := range int64(3) {
		accepted := p.Stats().Accepted
		p.CutAfterReplyBytes(bytes)
		slot := acquire(t, l, "k", at(3))
		if n := taken(t, sound, "k", at(3)); n != 1 || slot.Result().Remaining != 2 {
			t.Errorf("%d places are taken: %+v", n, slot.Result())
		}
		if p.Stats().Accepted == accepted {
			t.Error("nothing was cut")
		}
		check(t, slot.Release())
	}
}

func TestAPlaceThatNobodyHeardOfIsGivenBack(t *testing.T) {
	for name, policy := range map[string]ratelimit.Outage{
		"closed": ratelimit.FailClosed, "open": ratelimit.FailOpen(), "local": ratelimit.FailLocal(1),
	} {
		t.Run(name, func(t *testing.T) {
			s, p, through, around := faulty(t)
			l, sound := askers(t, through, around, ratelimit.Config{Timeout: 200 * time.Millisecond, OnOutage: policy})
			eventually(t, func() error { _, err := l.Peek(t.Context(), "k", at(1)); return err })
			check(t, acquire(t, sound, "k", at(1)).Release()) // loads the script
			p.BlackHoleReplies()
			slot, err := l.Acquire(t.Context(), "k", at(1))
			if policy == ratelimit.FailClosed {
				if slot != nil || !rediskit.MayHaveApplied(err) || !rediskit.IsUnavailable(err) {
					t.Fatalf("%v, %v", slot, err)
				}
			} else if err != nil || !slot.Result().Degraded || slot.Context().Err() != nil {
				t.Fatalf("%v, %v", slot, err)
			}
			if calls := ok[any](t)(s.Do("INFO", "commandstats")).(string); !strings.Contains(calls, "cmdstat_zadd:calls=2,") {
				t.Fatalf("it was not acquired in secret: %s", calls)
			}
			check(t, p.Resume())
			wantEmpty(t, sound, "k")
		})
	}
}

func TestAReleaseThatFailsIsTriedOnceMoreInTheBackground(t *testing.T) {
	_, p, through, around := faulty(t)
	l, sound := askers(t, through, around, ratelimit.Config{Timeout: 200 * time.Millisecond})
	slot := acquire(t, l, "k", at(1))
	p.BlackHole()
	if err := slot.Release(); !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	if slot.Context().Err() == nil {
		t.Error("the context outlived the slot")
	}
	check(t, p.Resume())
	wantEmpty(t, sound, "k")
	check(t, slot.Release())
}

func TestTheContextEndsWithTheLeaseWhenTheServerIsGone(t *testing.T) {
	s, c := startServer(t)
	l := ok[*ratelimit.Limiter](t)(ratelimit.New(c, ratelimit.Config{}))
	slots := make([]*ratelimit.Slot, 10)
	for i := range slots {
		slots[i] = acquire(t, l, fmt.Sprint(i), ratelimit.Concurrency(1, time.Second))
	}
	s.Kill()
	for _, slot := range slots {
		wantLost(t, slot)
		if err := slot.Release(); !rediskit.IsUnavailable(err) {
			t.Error(err)
		}
		if context.Cause(slot.Context()) != ratelimit.ErrLost {
			t.Error("Release hides that the slot was lost")
		}
	}
}

func TestInAnOutageThePolicyGivesSlots(t *testing.T) {
	c, _ := gone(t)
	closed, open := limiterOf(t, c, ratelimit.Config{}), limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen()})
	for range 8 { // and beyond the breaker
		slot, err := closed.Acquire(t.Context(), "k", at(10))
		if slot != nil || !rediskit.IsUnavailable(err) {
			t.Fatalf("closed: %v, %v", slot, err)
		}
		slot = acquire(t, open, "k", at(10))
		if r := slot.Result(); !r.Allowed || !r.Degraded || r.Limit != 10 || slot.Context().Err() != nil {
			t.Fatalf("open: %+v", r)
		}
		check(t, slot.Release())
		if slot.Context().Err() == nil {
			t.Fatal("open: the context outlived the slot")
		}
	}
}

func TestInAnOutageAProcessCountsItsSlotsAgainstItsShare(t *testing.T) {
	server, c := startServer(t)
	l, limit := limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailLocal(3), Timeout: time.Second}), at(10)
	before, released := acquire(t, l, "k", limit), acquire(t, l, "k", limit)
	check(t, released.Release())
	if before.Result().Degraded {
		t.Fatalf("%+v", before.Result())
	}
	server.Kill()

	// A third of ten is three, and one is held from before.
	wantResult := func(slot *ratelimit.Slot, remaining int) {
		t.Helper()
		if r := slot.Result(); !r.Allowed || !r.Degraded || r.Limit != 3 || r.Remaining != remaining {
			t.Errorf("%+v", r)
		}
	}
	one, two := acquire(t, l, "k", limit), acquire(t, l, "k", limit)
	wantResult(one, 1)
	wantResult(two, 0)
	if full := wantFull(t, l, "k", limit); full.Limit != 3 || full.Current != 3 || full.RetryAfter != time.Hour {
		t.Errorf("%+v", full)
	}
	wantResult(acquire(t, l, "another", limit), 2)

	for range 2 {
		check(t, one.Release())
	}
	wantResult(acquire(t, l, "k", limit), 0)
	wantFull(t, l, "k", limit)
	if err := before.Release(); !rediskit.IsUnavailable(err) {
		t.Errorf("what Redis knew of was released without it: %v", err)
	}
	wantResult(acquire(t, l, "k", limit), 0)

	// One that is forgotten goes with its context.
	check(t, two.Release())
	ctx, cancel := context.WithCancel(t.Context())
	wantResult(ok[*ratelimit.Slot](t)(l.Acquire(ctx, "k", limit)), 0)
	wantFull(t, l, "k", limit)
	cancel()
	eventually(t, func() error { _, err := l.Acquire(t.Context(), "k", limit); return err })
	wantFull(t, l, "k", limit)

	// A share is never nothing.
	if r := acquire(t, l, "single", at(1)).Result(); r.Limit != 1 {
		t.Errorf("%+v", r)
	}
}

func TestACallerWhoGaveUpInAnOutageGetsNoSlot(t *testing.T) {
	_, p, through, _ := faulty(t)
	p.BlackHole()
	for _, policy := range []ratelimit.Outage{ratelimit.FailClosed, ratelimit.FailOpen(), ratelimit.FailLocal(1)} {
		l := limiterOf(t, through, ratelimit.Config{OnOutage: policy, Timeout: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if slot, err := l.Acquire(ctx, "k", at(1)); slot != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%d: %v, %v", policy, slot, err)
		}
		cancel()
	}
}

func TestASlotIsHeldThroughAFailover(t *testing.T) {
	set := rediskittest.Sentinel(t)
	c := set.Client()
	l, limit := limiterOf(t, c, ratelimit.Config{Timeout: time.Minute}), ratelimit.Concurrency(1, 30*time.Second)
	slot := acquire(t, l, "k", limit)
	replicated := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Wait().Numreplicas(1).Timeout(20_000).Build()
	})
	if n := ok[int64](t)(replicated.AsInt64()); n != 1 {
		t.Fatalf("%d replicas", n)
	}
	set.KillPrimary()
	r := ok[ratelimit.Result](t)(l.Peek(t.Context(), "k", limit))
	if r.Remaining != 0 {
		t.Fatalf("%+v", r)
	}
	lastsUntil(t, slot, l, "k", limit, r.ResetAt.Add(limit.Window()/6))
	wantFull(t, l, "k", limit)
	check(t, slot.Release())
	acquire(t, l, "k", limit)
}

func TestASlotIsHeldWhileItsKeyMovesThroughTheCluster(t *testing.T) {
	set := rediskittest.Cluster(t)
	l, limit := limiterOf(t, set.Client(), patient), ratelimit.Concurrency(1, 3*time.Second)
	slot := acquire(t, l, "k", limit)
	set.MoveSlot(keys.Builder{}.RateLimit("cc", "k").String())
	outlives(t, slot, l, "k", limit)
	wantFull(t, l, "k", limit)
	check(t, slot.Release())
	acquire(t, l, "k", limit)
}

// Holders that look at their contexts are never more than n, whatever the network does. All on this machine have the
// server's clock.
func TestSoakNoMoreThanNHoldALiveContextWhileTheNetworkFails(t *testing.T) {
	const n = 3
	_, p, through, around := faulty(t)
	cut, sound := askers(t, through, around, ratelimit.Config{Timeout: 100 * time.Millisecond})
	limit := ratelimit.Concurrency(n, 300*time.Millisecond)

	var mu sync.Mutex
	holders := make(map[*ratelimit.Slot]bool)
	var lost, got atomic.Int64
	enough := func() bool { return lost.Load() >= int64(10*soak.Scale()) }
	work := func(l *ratelimit.Limiter) {
		for !enough() {
			slot, err := l.Acquire(t.Context(), "k", limit)
			if err != nil {
				var full *ratelimit.ExceededError
				if !errors.As(err, &full) && unexpected(err) {
					t.Error(err)
				}
				time.Sleep(2 * time.Millisecond) // before it asks again
				continue
			}
			rounds := 10
			if got.Add(1); l == cut {
				rounds = 10_000 // until it is lost
			}
			mu.Lock()
			holders[slot] = true
			mu.Unlock()
			for range rounds {
				mu.Lock()
				live := 0
				for holder := range holders {
					if holder.Context().Err() == nil {
						live++
					}
				}
				mu.Unlock()
				if live > n {
					t.Errorf("%d contexts of %d are live", live, n)
				}
				if slot.Context().Err() != nil {
					lost.Add(1)
					break
				}
				time.Sleep(time.Millisecond) // the work
			}
			mu.Lock()
			delete(holders, slot)
			mu.Unlock()
			_ = slot.Release()
		}
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { work(cut) })
		wg.Go(func() { work(sound) })
	}
	faults := []func(){p.Cut, p.BlackHole, p.BlackHoleReplies, func() { p.CutAfterReplyBytes(7) }}
	for i := 0; !enough(); i++ {
		faults[i%len(faults)]()
		time.Sleep(time.Duration(i%5) * 100 * time.Millisecond) // some last longer than a lease
		if err := p.Resume(); err != nil {
			t.Error(err)
		}
		time.Sleep(50 * time.Millisecond) // peace
	}
	wg.Wait()
	t.Logf("%d slots, %d of them lost", got.Load(), lost.Load())
	wantEmpty(t, sound, "k")
}
