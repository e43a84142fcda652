package limits

import "slices"

// state is what the scripts keep in a key. The zero state is that of a key that is not there.
type state struct {
	key     string
	index   int   // in Store.all
	kind    Kind  // its family
	blocked int64 // until when
	expires int64

	// a, b and c are by algorithm
	//
	//	sliding counter   index of its window, count in it, count in the one before
	//	fixed window      count, end
	//	buckets           when it is full again, in us and rest, and what the rest is a fraction of
	a, b, c int64
	hits    ring   // of a sliding window: their times
	moves   *moves // of a bucket, if there were refunds
}

// check decides and changes nothing.
func (st *state) check(now int64, call Call, ahead int64) Reply {
	r := Reply{At: now, Verdict: -max(st.blocked-now, 0)}
	n, window, fits := call.Limit.Permits, call.Limit.Window.Microseconds(), false
	switch call.Limit.Kind {
	case SlidingWindow:
		gone := st.hits.upTo(now - window)
		live := st.hits.n - gone
		r.A = int64(live)
		if live > 0 {
			r.B = st.hits.at(st.hits.n - 1)
		}
		fits = r.A+call.Cost <= n
		if !fits && live > 0 { // it fits when the hit has left that leaves n - cost behind it
			r.C = st.hits.at(gone + int(min(r.A+call.Cost-n, r.A)) - 1)
		}
	case SlidingCounter:
		r.A, r.B, r.C = st.counts(now, window)
		left := window - max(now-r.C*window, 0)
		free := n - r.A - call.Cost
		fits = free >= 0 && !over(r.B, left, free, window)
	case FixedWindow:
		r.A, r.B = st.a, st.b
		if r.B <= now {
			r.A, r.B = 0, now+window
		}
		fits = r.A+call.Cost <= n
	case TokenBucket, GCRA:
		debt, moved := st.debt(now, call.Limit.Per)
		after := debt.plus(call.Limit.cost(call.Cost), call.Limit.Per)
		full := call.Limit.full
		full.us += ahead
		fits = !after.over(full)
		if fits && r.Verdict == 0 {
			debt = after
		}
		r.A, r.B, r.C = debt.us, debt.rem, moved
	}
	if fits && r.Verdict == 0 {
		r.Verdict = 1
	}
	return r
}

// take carries out what check has allowed.
func (st *state) take(now int64, call Call, r Reply) Reply {
	window := call.Limit.Window.Microseconds()
	switch call.Limit.Kind {
	case SlidingWindow:
		st.hits.drop(st.hits.n - int(r.A))
		r.A, r.B = r.A+call.Cost, max(now, r.B+1)
		st.hits.push(r.B, int(call.Cost))
		st.expires = r.B + window
	case SlidingCounter:
		r.A += call.Cost
		st.a, st.b, st.c = r.C, r.A, r.B
		st.expires = (r.C + 2) * window
	case FixedWindow:
		r.A += call.Cost
		st.a, st.b = r.A, r.B
		st.expires = r.B
	case TokenBucket, GCRA:
		st.a, st.b, st.c = now+r.A, r.B, call.Limit.Per
		st.expires = st.a + 1
		if r.C == 0 {
			st.moves = nil
		} else {
			st.expires = max(st.expires, st.moves.until)
		}
	}
	return r
}

func (st *state) block(until int64) {
	st.blocked = until
	st.expires = max(st.expires, until)
}

// counts are those of a sliding counter's window, of the one before, and its index.
func (st *state) counts(now, window int64) (current, previous, index int64) {
	index = now / window
	switch {
	case st.a >= index: // time does not run backwards
		return st.b, st.c, st.a
	case st.a == index-1:
		return 0, st.b, index
	default:
		return 0, 0, index
	}
}

// debt is how long a bucket takes from now until it is full, and how far refunds have moved that.
func (st *state) debt(now, per int64) (debt amount, moved int64) {
	debt = amount{st.a, st.b}
	if st.c != per && debt.rem > 0 { // another rate: round up, once
		debt.us, debt.rem = debt.us+1, 0
	}
	debt.us -= now
	if st.moves != nil && (debt.us >= 0 || st.moves.until > now) {
		moved = st.moves.total
	}
	if debt.us < 0 {
		debt = amount{}
	}
	return debt, moved
}

// refund gives back what a call took and says until when it must not be given back again.
func (st *state) refund(now int64, call Call, r Reply) (until int64, ok bool) {
	switch call.Limit.Kind {
	case SlidingCounter:
		until = (r.C + 2) * call.Limit.Window.Microseconds()
		switch {
		case until <= now:
		case st.a == r.C:
			st.b, ok = max(st.b-call.Cost, 0), true
		case st.a == r.C+1:
			st.c, ok = max(st.c-call.Cost, 0), true
		}
	case FixedWindow:
		if until = r.B; until > now && st.b == r.B {
			st.a, ok = max(st.a-call.Cost, 0), true
		}
	case TokenBucket, GCRA:
		until = r.At + r.A + 1
		ok = st.refundBucket(now, call, r)
	}
	return until, ok
}

// refundBucket: see lua/refund_bucket.lua.
func (st *state) refundBucket(now int64, call Call, r Reply) bool {
	per := call.Limit.Per
	last := amount{st.a, st.b}
	if st.c != per && last.rem > 0 {
		last.us, last.rem = last.us+1, 0
	}
	debt := amount{last.us - now, last.rem}
	m := st.moves
	if m == nil || debt.us < 0 && m.until <= now {
		m = &moves{}
	}
	ends := amount{r.At + r.A - max(m.before(r.At+r.A+r.C)-r.C, 0), r.B}
	back := call.Limit.cost(call.Cost)
	most := func(a amount) {
		if back.over(a) {
			back = a
		}
	}
	if debt.over(call.Limit.full) {
		most(back.minus(last.minus(ends, per), per))
	}
	most(amount{ends.us - now, ends.rem})
	most(debt)
	if !back.over(amount{}) {
		return false
	}
	left := last.minus(back, per)
	st.a, st.b, st.c = left.us, left.rem, per
	m.add(now, last.us+1, r.At+r.A+r.C, back.up())
	st.moves = m
	return true
}

// moves are how refunds have moved the end of a bucket's debt: see lua/refund_bucket.lua.
type moves struct {
	total, until int64
	each         []move // the last place first
}

type move struct{ place, by int64 }

const mostMoves = 16

// before is how far what ends at a place has been moved by refunds in front of it.
func (m *moves) before(place int64) int64 {
	by := m.total
	for _, each := range m.each {
		if each.place > place {
			by -= each.by
		}
	}
	return by
}

func (m *moves) add(now, until, place, by int64) {
	m.total += by
	m.until = max(m.until, until)
	i := 0
	for i < len(m.each) && m.each[i].place > place {
		i++
	}
	m.each = slices.Insert(m.each, i, move{place, by})
	m.each = slices.DeleteFunc(m.each, func(each move) bool { return each.place <= now })
	if n := len(m.each); n > mostMoves {
		m.each[n-2] = move{m.each[n-1].place, m.each[n-2].by + m.each[n-1].by}
		m.each = m.each[:n-1]
	}
}

// ring is a queue of times in ascending order.
type ring struct {
	buf     []int64 // its length is a power of 2, or 0
	head, n int
}

func (r *ring) slot(i int) *int64 { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring) at(i int) int64 { return *r.slot(i) }

// upTo is how many are no later than edge.
func (r *ring) upTo(edge int64) int {
	if r.n == 0 || r.at(0) > edge {
		return 0
	}
	low, high := 0, 1 // in steps that double, then by halves: few have left since the last time
	for high < r.n && r.at(high) <= edge {
		low, high = high, high*2
	}
	high = min(high, r.n)
	for high-low > 1 {
		if mid := (low + high) / 2; r.at(mid) <= edge {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

func (r *ring) drop(count int) {
	if count > 0 {
		r.head = (r.head + count) & (len(r.buf) - 1)
		r.n -= count
	}
}

func (r *ring) push(at int64, count int) {
	if size := max(len(r.buf), 4); r.n+count > len(r.buf) {
		for size < r.n+count {
			size *= 2
		}
		buf := make([]int64, size)
		for i := range r.n {
			buf[i] = r.at(i)
		}
		r.buf, r.head = buf, 0
	}
	for i := range count {
		*r.slot(r.n + i) = at
	}
	r.n += count
}

// remove takes out all of one time and reports whether there were any.
func (r *ring) remove(at int64) bool {
	from, to := r.upTo(at-1), r.upTo(at)
	for i := to; i < r.n; i++ {
		*r.slot(from + i - to) = r.at(i)
	}
	r.n -= to - from
	return to > from
}
