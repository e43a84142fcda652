package limits

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

var windows = []time.Duration{time.Millisecond, 1500 * time.Microsecond, 10 * time.Millisecond, 333_333 * time.Microsecond,
	time.Second, time.Minute, time.Hour, MaxWindow}

// drawSpec makes a limit with few permits mostly, so that it refuses often.
func drawSpec(t *rapid.T, kind Kind, window time.Duration) *Spec {
	permits := rapid.Int64Range(1, 12).Draw(t, "permits")
	if rapid.IntRange(0, 9).Draw(t, "big") == 0 {
		most := int64(MaxPermits)
		if kind == SlidingWindow {
			most = 3000
		}
		permits = rapid.Int64Range(1, most).Draw(t, "permits")
	}
	var per int64
	switch kind {
	case GCRA:
		per = rapid.OneOf(rapid.Int64Range(1, 12), rapid.SampledFrom([]int64{7, 1000, 3_000_000, 999_999_937})).Draw(t, "per")
	case TokenBucket: // its rate is part of the state's name, as the window is of the others
		per = map[time.Duration]int64{time.Millisecond: 7, time.Second: 3_000_000, time.Minute: 11, time.Hour: 1}[window]
		if per == 0 {
			per = 3
		}
		per, window = must2(t)(Rate(per, min(window, 24*time.Hour)))
	}
	penalty := time.Duration(0)
	if rapid.IntRange(0, 4).Draw(t, "punishes") == 0 {
		penalty = rapid.SampledFrom([]time.Duration{time.Millisecond, 2500 * time.Microsecond, time.Second, 2 * window}).Draw(t, "penalty")
		penalty = min(max(penalty, time.Millisecond), MaxWindow)
	}
	for {
		s, err := New(kind, permits, per, window, penalty)
		if err == nil {
			return s
		}
		if permits == 1 {
			t.Fatalf("%v", err)
		}
		permits = max(permits/1000, 1) // it would take too long to fill
	}
}

func must2(t fataler) func(int64, time.Duration, error) (int64, time.Duration) {
	return func(n int64, d time.Duration, err error) (int64, time.Duration) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v", err)
		}
		return n, d
	}
}

func drawCost(t *rapid.T, s *Spec) int64 {
	return rapid.OneOf(rapid.Just(int64(1)), rapid.Int64Range(1, min(s.Permits, 4)), rapid.Int64Range(1, s.Permits)).Draw(t, "cost")
}

// drawStep is how far the clock goes.
func drawStep(t *rapid.T, s *Spec, wait time.Duration, backwards bool) int64 {
	w := us(s.Window)
	if s.full.us > 0 {
		w = min(w, s.full.us)
	}
	steps := []int64{0, 0, 0, 1, 1, 2, 999, 1000, w / (s.Permits + 1), w / 3, w / 2, w - 1, w, w, w + 1, 2*w - 1, 2 * w, 3 * w,
		us(s.Window), max(us(wait)-1, 0), us(wait), us(wait)}
	if s.Per > 0 {
		one := s.cost(1)
		steps = append(steps, one.us, one.us+1, s.full.us+1, 2*s.full.us)
	}
	if backwards {
		steps = append(steps, -1, -1000, -w/2, -w, -3*w, -us(wait))
	}
	step := rapid.SampledFrom(steps).Draw(t, "step")
	if rapid.IntRange(0, 3).Draw(t, "between") == 0 && step > 0 {
		step = rapid.Int64Range(0, step).Draw(t, "step")
	}
	return min(step, 1<<48)
}

// taken is a call that took something, to refund.
type taken struct {
	call Call
	r    Reply
}

// playModel makes the same calls of the scripts and of a Store.
func playModel(t *rapid.T, f *frozen, run int, kinds []Kind, most int) {
	prefix := f.key(fmt.Sprintf("model:%d:", run))
	store := NewStore(1000)
	var specs []*Spec
	states := map[string]*Spec{}
	for range rapid.IntRange(1, 3).Draw(t, "windows") {
		kind, window := rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.SampledFrom(windows).Draw(t, "window")
		for range rapid.IntRange(1, 3).Draw(t, "variants") { // the same state, lowered or raised
			specs = append(specs, drawSpec(t, kind, window))
		}
	}
	for _, s := range specs {
		states[prefix+s.Name()] = s
	}
	keys := slices.Sorted(func(yield func(string) bool) {
		for k := range states {
			if !yield(k) {
				return
			}
		}
	})
	now, wait := int64(start), time.Duration(0)
	var calls []taken
	for range rapid.IntRange(1, most).Draw(t, "calls") {
		s := rapid.SampledFrom(specs).Draw(t, "spec")
		now += drawStep(t, s, wait, !f.expiring)
		now = max(now, start/2)
		call := Call{s, prefix + s.Name(), drawCost(t, s)}
		switch rapid.IntRange(0, 11).Draw(t, "op") {
		case 0:
			got, want := f.peek(t, now, call), store.Peek(now, call)
			same(t, "Peek", now, call, got, want)
		case 1:
			ahead := time.Duration(0)
			if s.Kind != TokenBucket && s.Kind != GCRA {
				continue
			}
			ahead = rapid.SampledFrom([]time.Duration{0, time.Microsecond, micros(s.full.us), micros(s.full.us / 2), time.Hour}).Draw(t, "ahead")
			got, want := f.reserve(t, now, call, ahead), store.Reserve(now, call, ahead)
			same(t, "Reserve "+ahead.String(), now, call, got, want)
			if got.Verdict == 1 {
				calls = append(calls, taken{call, got})
			}
			wait = max(s.Decide(got, call.Cost, true).Wait, s.Decide(got, call.Cost, true).Delay)
		case 2, 3, 4:
			if len(calls) == 0 {
				continue
			}
			i := len(calls) - 1 // LIFO, or any, also those that were refunded
			if rapid.Bool().Draw(t, "any") {
				i = rapid.IntRange(0, i).Draw(t, "which")
			}
			c := calls[i]
			got, want := f.refundOf(t, now, c.call, c.r), store.Refund(now, c.call, c.r)
			gone := f.expiring && c.call.Limit.Kind == SlidingWindow && c.r.B+us(c.call.Limit.Window) <= now
			if got != want && !gone {
				t.Fatalf("Refund at %d of %v %+v: %v, in memory %v", now, c.call, c.r, got, want)
			}
			f.lasts(t, marker(c.call, c.r))
			call.Key = c.call.Key
			if rapid.Bool().Draw(t, "keep") {
				calls = slices.Delete(calls, i, i+1)
			}
		case 5:
			key := rapid.SampledFrom(keys).Draw(t, "key")
			d := rapid.SampledFrom([]time.Duration{time.Millisecond, 1234567 * time.Nanosecond, time.Second, s.Window, 3 * time.Hour}).Draw(t, "d")
			f.blockFor(t, now, states[key], key, d)
			store.Block(now, states[key], key, d)
			wait = d
		case 6:
			if rapid.IntRange(0, 3).Draw(t, "reset") == 0 {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				f.reset(t, key)
				store.Reset(key)
			}
		case 7, 8:
			var all []Call
			for _, key := range keys {
				var of []*Spec
				for _, s := range specs {
					if prefix+s.Name() == key {
						of = append(of, s)
					}
				}
				s := rapid.SampledFrom(of).Draw(t, "spec")
				all = append(all, Call{s, key, drawCost(t, s)})
			}
			got, want := f.allowAll(t, now, all), store.AllowAll(now, all)
			took := true
			for i := range all {
				same(t, "AllowAll", now, all[i], got[i], want[i])
				took = took && got[i].Verdict == 1
			}
			for i := range all {
				if took {
					calls = append(calls, taken{all[i], got[i]})
				}
			}
		default:
			got, want := f.allow(t, now, call), store.Allow(now, call)
			same(t, "Allow", now, call, got, want)
			if got.Verdict == 1 {
				calls = append(calls, taken{call, got})
			}
			wait = s.Decide(got, call.Cost, true).Wait
		}
		f.lasts(t, call.Key)
	}
}

func same(t fataler, op string, now int64, call Call, got, want Reply) {
	t.Helper()
	if got != want {
		t.Fatalf("%s at %d of %d of %v on %s: %+v, in memory %+v", op, now, call.Cost, call.Limit, call.Key, got, want)
	}
}

var everyKind = []Kind{SlidingWindow, SlidingCounter, FixedWindow, TokenBucket, GCRA}

func TestScriptsAndStoreGiveTheSameReplies(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		most, kinds := 60, append([][]Kind{everyKind}, each(everyKind)...)
		if strings.HasSuffix(t.Name(), string(rediskittest.OnEmbedded)) { // it is slow
			most, kinds = 20, kinds[:1]
		}
		for _, expiring := range []bool{true, false} {
			f, run := freeze(t, c, expiring), 0
			for _, kinds := range kinds {
				name := fmt.Sprint(kinds)
				if !expiring {
					name += " with a clock that goes backwards"
				}
				t.Run(name, func(t *testing.T) {
					rapid.Check(t, func(t *rapid.T) {
						run++
						playModel(t, f, run, kinds, most)
					})
				})
			}
		}
	}, rediskittest.OnSingle, rediskittest.OnEmbedded)
}

func each(kinds []Kind) (out [][]Kind) {
	for _, k := range kinds {
		out = append(out, []Kind{k})
	}
	return out
}
