package limits

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// queue is a bucket in exact fractions: a queue of what was taken, that is served at one microsecond each.
type queue struct {
	now   *big.Rat
	items []*item // those that have not passed
}

type item struct {
	left *big.Rat
	back bool // something came back already
}

func rat(us int64) *big.Rat { return new(big.Rat).SetInt64(us) }

func costOf(s *Spec, n int64) *big.Rat {
	return new(big.Rat).Mul(rat(n), big.NewRat(us(s.Window), s.Per))
}

func (q *queue) to(now int64) {
	if q.now == nil {
		q.now = rat(now)
	}
	passes := new(big.Rat).Sub(rat(now), q.now)
	q.now = rat(now)
	for len(q.items) > 0 && passes.Cmp(q.items[0].left) >= 0 {
		passes.Sub(passes, q.items[0].left)
		q.items = q.items[1:]
	}
	if len(q.items) > 0 {
		q.items[0].left = new(big.Rat).Sub(q.items[0].left, passes)
	}
}

func (q *queue) debt() *big.Rat { return sum(q.items) }

func sum(items []*item) *big.Rat {
	all := new(big.Rat)
	for _, i := range items {
		all.Add(all, i.left)
	}
	return all
}

func (q *queue) put(cost *big.Rat) *item {
	i := &item{left: cost}
	q.items = append(q.items, i)
	return i
}

// refund takes out what is left of an item; of one that others wait behind for their reservations, only what
// is more than theirs.
func (q *queue) refund(i *item, cost, full *big.Rat) {
	for at, other := range q.items {
		if other != i || i.back {
			continue
		}
		back := new(big.Rat).Set(i.left)
		if q.debt().Cmp(full) > 0 {
			if exceeds := new(big.Rat).Sub(cost, sum(q.items[at+1:])); exceeds.Cmp(back) < 0 {
				back = exceeds
			}
		}
		if back.Sign() < 0 {
			back = new(big.Rat)
		}
		i.left = new(big.Rat).Sub(i.left, back)
		i.back = back.Sign() > 0
	}
}

func (r Reply) debtOf(s *Spec) *big.Rat {
	return new(big.Rat).Add(rat(r.A), big.NewRat(r.B, s.Per))
}

// passage is when a call of a bucket acts: at once, or after the delay of a reservation.
type passage struct {
	call     Call
	r        Reply
	at       int64 // when it was asked
	acts     *big.Rat
	item     *item
	refunded bool
}

// playBucket drives a bucket, and after each call looks at it.
func playBucket(t *rapid.T, s *Spec, most int, look func(now int64, all []*passage, debt *big.Rat), do func(now int64, p *passage), refund func(now int64, p *passage, before, after *big.Rat)) {
	store, now, wait := NewStore(10), int64(start), time.Duration(0)
	var all []*passage
	debt := func() *big.Rat {
		r := store.Peek(now, Call{s, "key", 1})
		if r.Verdict == 1 {
			return new(big.Rat).Sub(r.debtOf(s), costOf(s, 1))
		}
		return r.debtOf(s)
	}
	for range rapid.IntRange(1, most).Draw(t, "calls") {
		now += drawStep(t, s, wait, false)
		call := Call{s, "key", drawCost(t, s)}
		switch n := len(all); {
		case n > 0 && rapid.IntRange(0, 2).Draw(t, "refund") == 0:
			p := all[rapid.IntRange(max(0, n-12), n-1).Draw(t, "which")]
			before := debt()
			done := store.Refund(now, p.call, p.r)
			after := debt()
			if done != (before.Cmp(after) > 0) {
				t.Fatalf("at %d a refund says %v and makes of %v %v", now, done, before, after)
			}
			refund(now, p, before, after)
			p.refunded = true
		default:
			ahead := time.Duration(0)
			if rapid.Bool().Draw(t, "reserve") {
				ahead = rapid.SampledFrom([]time.Duration{micros(s.full.us / 2), micros(2 * s.full.us), time.Millisecond}).Draw(t, "ahead")
			}
			r := store.Reserve(now, call, ahead)
			d := s.Decide(r, call.Cost, true)
			wait = max(d.Wait, d.Delay)
			acts := rat(now)
			if delay := new(big.Rat).Sub(r.debtOf(s), costOf(s, s.Permits)); delay.Sign() > 0 {
				acts.Add(acts, delay)
			}
			p := &passage{call: call, r: r, at: now, acts: acts}
			do(now, p)
			if r.Verdict == 1 {
				all = append(all, p)
			}
		}
		look(now, all, debt())
	}
}

func drawBucket(t *rapid.T, whole bool) *Spec {
	for {
		s := drawLimit(t, rapid.SampledFrom([]Kind{TokenBucket, GCRA}).Draw(t, "kind"))
		if !whole || us(s.Window)%s.Per == 0 {
			return s
		}
	}
}

func TestABucketIsAQueueThatIsServedWithoutAPause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawBucket(t, true)
		var q queue
		full := costOf(s, s.Permits)
		playBucket(t, s, 60, func(now int64, _ []*passage, debt *big.Rat) {
			if q.to(now); q.debt().Cmp(debt) != 0 {
				t.Fatalf("at %d the debt of %v is %v, not %v", now, s, debt, q.debt())
			}
		}, func(now int64, p *passage) {
			q.to(now)
			if p.r.Verdict == 1 {
				p.item = q.put(costOf(s, p.call.Cost))
			}
		}, func(now int64, p *passage, _, _ *big.Rat) {
			q.to(now)
			q.refund(p.item, costOf(s, p.call.Cost), full)
		})
	})
}

func TestWithoutRefundsABucketDecidesAsExactFractionsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawBucket(t, false)
		full, last := costOf(s, s.Permits), new(big.Rat)
		store, now, wait := NewStore(10), int64(start), time.Duration(0)
		for range rapid.IntRange(1, 100).Draw(t, "calls") {
			now += drawStep(t, s, wait, false)
			call := Call{s, "key", drawCost(t, s)}
			if last.Cmp(rat(now)) < 0 {
				last = rat(now)
			}
			next := new(big.Rat).Add(last, costOf(s, call.Cost))
			fits := new(big.Rat).Sub(next, rat(now)).Cmp(full) <= 0
			r := store.Allow(now, call)
			if fits != (r.Verdict == 1) {
				t.Fatalf("at %d %v says %+v of %d; by fractions it fits: %v", now, s, r, call.Cost, fits)
			}
			if fits {
				last = next
			}
			if want := new(big.Rat).Sub(last, rat(now)); r.debtOf(s).Cmp(want) != 0 {
				t.Fatalf("at %d the debt of %v is %v, not %v", now, s, r.debtOf(s), want)
			}
			wait = s.Decide(r, call.Cost, true).Wait
		}
	})
}

func TestARefundOfABucketLetsNoMoreThroughThanIfTheCallHadNeverBeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawBucket(t, false)
		full := costOf(s, s.Permits)
		playBucket(t, s, 60, func(now int64, all []*passage, debt *big.Rat) {
			last := new(big.Rat)
			for _, p := range all {
				if p.refunded {
					continue
				}
				if last.Cmp(rat(p.at)) < 0 {
					last = rat(p.at)
				}
				last.Add(last, costOf(s, p.call.Cost))
			}
			if never := last.Sub(last, rat(now)); debt.Cmp(never) < 0 {
				t.Fatalf("at %d the debt of %v is %v, and had the refunded calls never been it were %v", now, s, debt, never)
			}
			// No more than C + r·T in any time, and so, in microseconds of debt, than full + T.
			for i, from := range all {
				if from.refunded {
					continue
				}
				for _, to := range all {
					newest := all[len(all)-1]
					if to.refunded || to.acts.Cmp(from.acts) < 0 || from != newest && to != newest {
						continue
					}
					sum := new(big.Rat)
					for _, p := range all {
						if !p.refunded && p.acts.Cmp(from.acts) >= 0 && p.acts.Cmp(to.acts) <= 0 {
							sum.Add(sum, costOf(s, p.call.Cost))
						}
					}
					if most := new(big.Rat).Sub(to.acts, from.acts); sum.Cmp(most.Add(most, full)) > 0 {
						t.Fatalf("at %d, from call %d at %v to %v, %v lets %v microseconds through", now, i, from.acts, to.acts, s, sum)
					}
				}
			}
		}, func(int64, *passage) {}, func(int64, *passage, *big.Rat, *big.Rat) {})
	})
}

func TestABucketCarriesTheRemainderOfItsInterval(t *testing.T) {
	t.Run("3 a microsecond", func(t *testing.T) {
		s, store := limit(t, "gcra:3000000/1s,burst=10"), NewStore(1)
		for us, allowed := int64(0), int64(0); us < 300_000; us++ {
			for store.Allow(start+us, Call{s, "key", 1}).Verdict == 1 {
				allowed++
			}
			if want := 10 + 3*us; allowed != want {
				t.Fatalf("after %d us %d were allowed, not %d", us, allowed, want)
			}
		}
	})
	t.Run("7 a second, a million times", func(t *testing.T) {
		s, store := limit(t, "gcra:7/1s,burst=10"), NewStore(1)
		now := int64(start)
		for k := int64(1); k <= 1_000_000; k++ {
			r := store.Allow(now, Call{s, "key", 1})
			if r.Verdict != 1 {
				now += us(s.Decide(r, 1, true).Wait)
				r = store.Allow(now, Call{s, "key", 1})
			}
			want := (max(k-10, 0)*1_000_000 + 6) / 7
			if r.Verdict != 1 || now-start != want {
				t.Fatalf("hit %d was allowed after %d us, not %d: %+v", k, now-start, want, r)
			}
		}
	})
}
