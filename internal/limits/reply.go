package limits

import (
	"math/bits"
	"time"
)

// Reply is what a script or a [Store] says of one limit.
type Reply struct {
	// Verdict is 1 if the cost fits, 0 if not, and otherwise minus what is left of a block, in microseconds.
	Verdict int64
	// At is when it was decided, in microseconds since 1970.
	At int64
	// A, B and C are what the algorithm knows, after what was taken if anything was:
	//
	//	                  A             B                            C
	//	sliding window    hits inside   time of the last             refused: time of the hit that has to leave
	//	sliding counter   this window   the one before               index of this window
	//	fixed window      hits          end of the window
	//	buckets           debt, us      debt, rest of a microsecond  how far refunds have moved it, us
	//	concurrency       leases held   refused: when one may fit    when the last lease ends
	A, B, C int64
}

// Decision is what a Reply means.
type Decision struct {
	Allowed   bool
	Remaining int64         // permits there now
	Wait      time.Duration // if not allowed: until the same cost would fit
	Block     time.Duration // if not allowed: until a block ends, if there is one
	Delay     time.Duration // of a reservation
	Reset     time.Duration // until everything is there again
}

// Decide says what the reply to a call means. took is false if the call only peeked.
func (s *Spec) Decide(r Reply, cost int64, took bool) Decision {
	window := s.Window.Microseconds()
	r, cost = s.sane(r), min(max(cost, 0), s.Permits)
	d := Decision{Allowed: r.Verdict == 1}
	var wait, reset, delay int64
	switch s.Kind {
	case SlidingWindow:
		d.Remaining = s.Permits - r.A
		if r.A > 0 {
			reset = r.B + window - r.At
		}
		if r.C > 0 {
			wait = r.C + window - r.At
		}
	case FixedWindow:
		d.Remaining = s.Permits - r.A
		if r.A > 0 {
			reset = r.B - r.At
		}
		if r.A+cost > s.Permits {
			wait = r.B - r.At
		}
	case SlidingCounter:
		d.Remaining, wait, reset = s.counter(r, cost)
	case Concurrency:
		d.Remaining = s.Permits - r.A
		wait, reset = r.B-r.At, r.C-r.At
	case TokenBucket, GCRA:
		debt := amount{r.A, r.B}
		if d.Allowed && !took {
			debt = debt.minus(s.cost(cost), s.Per)
		}
		d.Remaining = s.whole(s.full.minus(debt, s.Per))
		reset = debt.up()
		delay = debt.minus(s.full, s.Per).up()
		wait = debt.plus(s.cost(cost), s.Per).minus(s.full, s.Per).up()
	}
	d.Remaining = max(d.Remaining, 0)
	if !d.Allowed {
		block := -r.Verdict
		if block == 0 && took {
			block = s.Penalty.Microseconds()
		}
		if block > 0 {
			d.Remaining = 0
			wait, reset = max(wait, block), max(reset, block)
		}
		d.Wait = time.Duration(max(wait, 1)) * time.Microsecond
		d.Block = time.Duration(block) * time.Microsecond
	} else {
		d.Delay = time.Duration(delay) * time.Microsecond
	}
	d.Reset = time.Duration(max(reset, 0)) * time.Microsecond
	return d
}

// sane is a reply as it is, unless somebody else wrote the state: then it is one that can be reckoned with.
func (s *Spec) sane(r Reply) Reply {
	const most = 1 << 53 // of what scripts reply
	r.Verdict = min(max(r.Verdict, -most), 1)
	for _, n := range []*int64{&r.At, &r.A, &r.B, &r.C} {
		*n = min(max(*n, 0), most)
	}
	switch s.Kind {
	case SlidingCounter:
		r.C = min(r.C, most/s.Window.Microseconds())
	case TokenBucket, GCRA:
		r.B = min(r.B, s.Per-1)
	}
	return r
}

// counter reckons with the two windows of a sliding counter.
func (s *Spec) counter(r Reply, cost int64) (remaining, wait, reset int64) {
	window, current, previous := s.Window.Microseconds(), r.A, r.B
	at := max(r.At, r.C*window) // the clock may be behind the state
	left := max(window-(at-r.C*window), 0)
	remaining = s.Permits - current - mulDivUp(previous, left, window)
	switch {
	case current > 0:
		reset = window + left
	case previous > 0:
		reset = left
	}
	switch free := s.Permits - cost; {
	case current > free: // only the next window has room, once enough of this one has left it
		wait = left + window - mulDiv(free, window, current)
	case previous > 0: // as soon as previous·(window-elapsed) is no more than (free-current)·window
		wait = max(left-mulDiv(free-current, window, previous), 0)
	}
	if wait > 0 {
		wait += at - r.At
	}
	if reset > 0 {
		reset += at - r.At
	}
	return remaining, wait, reset
}

// over is a·b > c·d.
func over(a, b, c, d int64) bool {
	h1, l1 := bits.Mul64(uint64(a), uint64(b))
	h2, l2 := bits.Mul64(uint64(c), uint64(d))
	return h1 > h2 || h1 == h2 && l1 > l2
}

// mulDiv is a·b/c rounded down, at most 2^62.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return 1 << 62
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, 1<<62))
}

func mulDivUp(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, r := bits.Div64(hi, lo, uint64(c))
	if r > 0 {
		q++
	}
	return int64(q)
}
