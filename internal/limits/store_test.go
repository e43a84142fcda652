package limits

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestAStoreHoldsNoMoreThanItMayAndDropsWhatHasExpiredFirst(t *testing.T) {
	store := NewStore(20)
	short, long := limit(t, "fixed-window:1/1s"), limit(t, "fixed-window:1/1h")
	for i := range 20 {
		s := long
		if i%4 == 0 {
			s = short
		}
		store.Allow(start, Call{s, fmt.Sprint("key ", i), 1})
	}
	later := int64(start + 2_000_000)
	for i := range 5 { // as many as have expired
		store.Allow(later, Call{long, fmt.Sprint("new ", i), 1})
	}
	for i := range 20 {
		if r := store.Peek(later, Call{long, fmt.Sprint("key ", i), 1}); i%4 != 0 && r.Verdict != 0 {
			t.Errorf("key %d was dropped: %+v", i, r)
		}
	}
	for i := range 100 {
		store.Allow(later, Call{long, fmt.Sprint("newer ", i), 1})
		if n := store.Len(); n != 20 {
			t.Fatalf("there are %d states", n)
		}
	}
	if r := store.Peek(later, Call{long, "newer 99", 1}); r.Verdict != 0 {
		t.Errorf("the newest was dropped: %+v", r)
	}
}

func TestAStoreRemembersNoMoreRefundsThanItMay(t *testing.T) {
	store, s := NewStore(50), limit(t, "fixed-window:1/1m")
	call := Call{s, "key", 1}
	for i := range int64(1000) {
		now := start + i*us(s.Window)
		r := store.Allow(now, call)
		if !store.Refund(now, call, r) || store.Refund(now+1, call, r) {
			t.Fatalf("call %d came back not once", i)
		}
		if n := len(store.refunded); n > 50 {
			t.Fatalf("%d refunds are remembered", n)
		}
	}
	for i := range int64(1000) { // none has expired
		call := Call{s, fmt.Sprint(i), 1}
		store.Refund(start, call, store.Allow(start, call))
		if n := len(store.refunded); n > 50 {
			t.Fatalf("%d refunds are remembered", n)
		}
	}
}

func TestAStoreOfOneStateWorks(t *testing.T) {
	store := NewStore(0)
	for i, text := range []string{"sliding-window:1/1m", "gcra:1/1m", "fixed-window:1/1m", "fixed-window:1/1m"} {
		call := Call{limit(t, text), fmt.Sprint(i), 1}
		if a, b := store.Allow(start, call), store.Allow(start, call); a.Verdict != 1 || b.Verdict != 0 || store.Len() != 1 {
			t.Errorf("%s: %+v, %+v, %d states", text, a, b, store.Len())
		}
	}
	store.Reset("other")
	store.Reset("3")
	if n := store.Len(); n != 0 {
		t.Errorf("after Reset there are %d states", n)
	}
	store.Block(start, limit(t, "gcra:1/1m"), "key", time.Second)
	if r := store.Allow(start+1, Call{limit(t, "gcra:1/1m"), "key", 1}); r.Verdict != -999_999 {
		t.Errorf("a key that was blocked while there was no state: %+v", r)
	}
}

func TestLookingAndBeingRefusedLeavesNothingInAStore(t *testing.T) {
	store := NewStore(10)
	for _, kind := range everyKind {
		s := limit(t, kind.String()+":3/1m")
		call := Call{s, kind.String(), 3}
		store.Peek(start, call)
		store.Refund(start, call, Reply{Verdict: 1, At: start, A: 3, B: start, C: 1})
		store.AllowAll(start, []Call{call, {s, "never", 4}})
		store.Reset(call.Key)
	}
	if n := store.Len(); n != 0 {
		t.Errorf("there are %d states", n)
	}
}

func TestManyAtOnceShareAStoreExactly(t *testing.T) {
	store := NewStore(100)
	for _, kind := range everyKind {
		s := limit(t, kind.String()+":1000/1h")
		var allowed, clock atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 300 {
					now := start + clock.Add(1)
					call := Call{s, kind.String(), 1}
					r := store.Allow(now, call)
					if r.Verdict != 1 {
						continue
					}
					allowed.Add(1)
					if i%10 == 0 && store.Refund(now, call, r) {
						allowed.Add(-1)
					}
					store.Peek(now, call)
					store.Len()
				}
			})
		}
		wg.Wait()
		if n := allowed.Load(); n != 1000 {
			t.Errorf("%v: %d were allowed", kind, n)
		}
	}
}

func TestAStoreAllocatesNothingForAKeyItHas(t *testing.T) {
	for _, kind := range everyKind {
		store, s, now := NewStore(10), limit(t, kind.String()+":100/1s"), int64(start)
		call := Call{s, "key", 1}
		next := func() {
			now += 7000 // some are refused
			store.Allow(now, call)
			store.Peek(now, call)
		}
		for range 1000 {
			next()
		}
		if n := testing.AllocsPerRun(1000, next); n != 0 {
			t.Errorf("%v: %v allocations", kind, n)
		}
	}
}

func TestMixedAlgorithmsAreDecidedTogetherAsEachAlone(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		f, store := freeze(t, c, true), NewStore(100)
		var calls []Call
		for i := range 4 {
			for _, kind := range everyKind {
				calls = append(calls, Call{limit(t, kind.String()+":7/1m"), f.key(kind.String()), int64(1 + i)})
			}
		}
		f.set(t, start)
		for _, calls := range [][]Call{calls, calls[:1], {calls[0], calls[5]}, {calls[3], calls[4]}} { // mixed, and of one script
			replies, errs := f.AllowEach(f.ctx, c, calls)
			for i, call := range calls {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				same(t, "AllowEach", start, call, replies[i], store.Allow(start, call))
			}
		}
	}, singleAndEmbedded...)
}

func BenchmarkStoreAllow(b *testing.B) {
	keys := make([]string, 50_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("rl:{client-%d}:x", i)
	}
	for _, kind := range everyKind {
		b.Run(kind.String(), func(b *testing.B) {
			s, store := limit(b, kind.String()+":100/1m"), NewStore(1_000_000)
			b.ReportAllocs()
			for i := range b.N {
				store.Allow(start+int64(i)*60, Call{s, keys[uint32(i*2654435761)%50_000], 1})
			}
		})
	}
}
