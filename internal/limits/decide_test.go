package limits

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWhatADecisionSaysHolds asks the Store at the times and for the costs that decisions name, after any
// history.
func TestWhatADecisionSaysHolds(t *testing.T) {
	for _, kind := range everyKind {
		t.Run(kind.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				window := rapid.SampledFrom(windows).Draw(t, "window")
				specs := []*Spec{drawSpec(t, kind, window), drawSpec(t, kind, window)} // lowered and raised
				backwards := rapid.Bool().Draw(t, "backwards")
				store, now, wait := NewStore(10), int64(start), time.Duration(0)
				var calls []taken
				for range rapid.IntRange(1, 40).Draw(t, "calls") {
					s := rapid.SampledFrom(specs).Draw(t, "spec")
					now = max(now+drawStep(t, s, wait, backwards), start/2)
					call := Call{s, s.Name(), drawCost(t, s)}
					peek := store.Peek(now, call)
					holds(t, store, now, call, peek, false)
					r, took := Reply{}, true
					switch rapid.IntRange(0, 7).Draw(t, "op") {
					case 0:
						store.Block(now, s, call.Key, rapid.SampledFrom([]time.Duration{time.Millisecond, 3 * window}).Draw(t, "d"))
						r, took = store.Peek(now, call), false
					case 1:
						if len(calls) > 0 {
							c := rapid.SampledFrom(calls).Draw(t, "refund")
							store.Refund(now, c.call, c.r)
						}
						r, took = store.Peek(now, call), false
					case 2:
						if kind == TokenBucket || kind == GCRA {
							r = store.Reserve(now, call, micros(2*s.full.us))
							break
						}
						fallthrough
					default:
						r = store.Allow(now, call)
						if r.Verdict != peek.Verdict {
							t.Fatalf("Allow says %+v and Peek before %+v", r, peek)
						}
					}
					wait = holds(t, store, now, call, r, took).Wait
					if took && r.Verdict == 1 {
						calls = append(calls, taken{call, r})
					}
				}
			})
		})
	}
}

func holds(t *rapid.T, store *Store, now int64, call Call, r Reply, took bool) Decision {
	t.Helper()
	s, d := call.Limit, call.Limit.Decide(r, call.Cost, took)
	fits := func(now, cost int64) bool { return store.Peek(now, Call{s, call.Key, cost}).Verdict == 1 }
	if d.Allowed != (d.Wait == 0) {
		t.Fatalf("%+v of %v: %+v", r, s, d)
	}
	if at := now + us(d.Wait); !d.Allowed && (fits(at-1, call.Cost) || !fits(at, call.Cost)) {
		t.Fatalf("at %d %v says %+v of %d, so wait %v, and one microsecond before then it fits: %v, then: %v",
			now, s, r, call.Cost, d.Wait, fits(at-1, call.Cost), fits(at, call.Cost))
	}
	if n := d.Remaining; n < 0 || n > s.Permits || n > 0 && !fits(now, n) || n < s.Permits && fits(now, n+1) {
		t.Fatalf("at %d after %+v of %v there remain %d", now, r, s, n)
	}
	if at := now + us(d.Reset); !fits(at, s.Permits) || d.Reset > 0 && whole(store, at-1, s, call.Key) {
		t.Fatalf("at %d after %+v of %v all is said to be there after %v", now, r, s, d.Reset)
	}
	return d
}

// whole says whether nothing of what was taken is left.
func whole(store *Store, now int64, s *Spec, key string) bool {
	r := store.Peek(now, Call{s, key, s.Permits})
	switch s.Kind {
	case SlidingCounter:
		return r.Verdict >= 0 && r.A == 0 && r.B == 0
	case TokenBucket, GCRA:
		return r.Verdict == 1
	default:
		return r.Verdict >= 0 && r.A == 0
	}
}

func FuzzDecide(f *testing.F) {
	for _, kind := range everyKind {
		f.Add(int(kind), int64(10), int64(3), int64(time.Second), int64(0), int64(0), int64(start), int64(3), int64(start), int64(start), int64(1), true)
		f.Add(int(kind), int64(10), int64(3), int64(time.Hour), int64(time.Second), int64(-1<<63), int64(-1<<63), int64(-1<<63), int64(-1<<63), int64(-1<<63), int64(-1<<63), true)
		f.Add(int(kind), int64(10), int64(3), int64(time.Hour), int64(time.Second), int64(1), int64(1<<63-1), int64(1<<63-1), int64(1<<63-1), int64(1<<63-1), int64(1<<63-1), false)
	}
	f.Fuzz(func(t *testing.T, kind int, permits, per, window, penalty, verdict, at, a, b, c, cost int64, took bool) {
		if kind < int(SlidingWindow) || kind > int(Concurrency) || Kind(kind) == TokenBucket {
			return
		}
		s, err := New(Kind(kind), permits, per, time.Duration(window), time.Duration(penalty))
		if err != nil {
			return
		}
		d := s.Decide(Reply{verdict, at, a, b, c}, cost, took)
		if d.Remaining < 0 || d.Remaining > s.Permits || d.Wait < 0 || d.Delay < 0 || d.Reset < 0 || d.Allowed != (d.Wait == 0) {
			t.Errorf("%v: %+v", s, d)
		}
	})
}
