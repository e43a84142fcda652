package limits

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// event is a call that was allowed.
type event struct {
	call     Call
	r        Reply
	at       int64
	refunded bool
}

// play drives a Store with calls of one limit on a clock that does not go backwards. Before a call takes what
// was allowed, and after each refusal, the oracle is asked: it knows the events, and nothing of the Store.
func play(t *rapid.T, s *Spec, oracle func(now, cost int64, events []*event, r Reply) (fits bool)) {
	store, now, wait := NewStore(10), int64(start), time.Duration(0)
	var events []*event
	for range rapid.IntRange(1, 100).Draw(t, "calls") {
		now += drawStep(t, s, wait, false)
		call := Call{s, "key", drawCost(t, s)}
		if n := len(events); n > 0 && rapid.IntRange(0, 4).Draw(t, "refund") == 0 {
			e := events[rapid.IntRange(max(0, n-5), n-1).Draw(t, "which")]
			done := store.Refund(now, e.call, e.r)
			if done && e.refunded {
				t.Fatalf("at %d %+v came back twice", now, e)
			}
			e.refunded = true
			if now++; s.Kind == SlidingWindow { // or the next call might have the time of the one that is gone
				now = max(now, events[n-1].r.B+1)
			}
			continue
		}
		r := store.Allow(now, call)
		if fits := oracle(now, call.Cost, events, r); fits != (r.Verdict == 1) {
			t.Fatalf("at %d %v says %+v of %d; after all that was, it fits: %v", now, s, r, call.Cost, fits)
		}
		wait = s.Decide(r, call.Cost, true).Wait
		if r.Verdict == 1 {
			events = append(events, &event{call: call, r: r, at: now})
		}
	}
}

func drawLimit(t *rapid.T, kind Kind) *Spec {
	for {
		s := drawSpec(t, kind, rapid.SampledFrom(windows).Draw(t, "window"))
		if s.Penalty == 0 {
			return s
		}
	}
}

func TestNoWindowOfASlidingWindowHoldsMoreThanNAndEveryRefusalIsNecessary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawLimit(t, SlidingWindow)
		play(t, s, func(now, cost int64, events []*event, r Reply) bool {
			sum, last, real := int64(0), int64(0), int64(0)
			for _, e := range events {
				if e.refunded {
					continue
				}
				if e.r.B > now-us(s.Window) { // (now-W, now]
					sum += e.call.Cost
				}
				if e.at > now-us(s.Window) {
					real += e.call.Cost
				}
				last = max(last, e.r.B)
			}
			if r.Verdict == 1 {
				if r.B < now || r.B <= last || r.B > now+int64(len(events)) {
					t.Fatalf("at %d a hit after that of %d is said to be of %d", now, last, r.B)
				}
				if real+cost > s.Permits {
					t.Fatalf("at %d there are %d of %d", now, real+cost, s.Permits)
				}
				if r.A != sum+cost {
					t.Fatalf("at %d there are %d, not %d", now, sum+cost, r.A)
				}
			}
			return sum+cost <= s.Permits
		})
	})
}

func TestAFixedWindowBeginsWithAHitAndCountsToN(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawLimit(t, FixedWindow)
		play(t, s, func(now, cost int64, events []*event, r Reply) bool {
			sum, ends := int64(0), int64(0)
			for _, e := range events {
				if e.at >= ends { // also a hit that was refunded began it
					sum, ends = 0, e.at+us(s.Window)
				}
				if !e.refunded {
					sum += e.call.Cost
				}
			}
			if now >= ends {
				sum, ends = 0, now+us(s.Window)
			}
			if r.B != ends {
				t.Fatalf("at %d the window ends at %d, not %d", now, ends, r.B)
			}
			return sum+cost <= s.Permits
		})
	})
}

func TestASlidingCounterFollowsItsFormulaWithoutRounding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawLimit(t, SlidingCounter)
		w := us(s.Window)
		play(t, s, func(now, cost int64, events []*event, _ Reply) bool {
			var current, previous int64
			for _, e := range events {
				switch {
				case e.refunded:
				case e.at/w == now/w:
					current += e.call.Cost
				case e.at/w == now/w-1:
					previous += e.call.Cost
				}
			}
			left := big.NewInt(w - now%w)
			left.Mul(left, big.NewInt(previous))
			right := new(big.Int).Mul(big.NewInt(current+cost), big.NewInt(w))
			return left.Add(left, right).Cmp(new(big.Int).Mul(big.NewInt(s.Permits), big.NewInt(w))) <= 0
		})
	})
}

func TestARefundOfAWindowTakesOutItsOwnHitsOnce(t *testing.T) {
	s, store := limit(t, "sliding-window:5/1s"), NewStore(10)
	call := Call{s, "key", 1}
	first := store.Allow(start, call)
	var newest Reply
	for i := range int64(4) {
		newest = store.Allow(start+100+i, call)
	}
	if !store.Refund(start+200, call, first) || store.Refund(start+201, call, first) {
		t.Fatal("the first call came back not once")
	}
	if r := store.Allow(start+300, call); r.Verdict != 1 {
		t.Fatalf("after a refund there is no room: %+v", r)
	}
	if r := store.Allow(start+1_000_000, call); r.Verdict != 0 || r.C != start+100 {
		t.Fatalf("the refund took out another hit than its own: %+v", r)
	}
	if !store.Refund(start+1_000_001, call, newest) {
		t.Fatal("the newest hit is gone")
	}
}
