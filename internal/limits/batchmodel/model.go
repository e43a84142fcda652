// Package batchmodel is what the scripts that give out permits by the batch are checked against: the same decisions in
// plain Go, and the bounds that hold for the permits that are used.
package batchmodel

import (
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// Model is a server on a clock of the caller's. Nothing in it expires.
type Model struct {
	windows  map[string][]entry
	counters map[string]*counter
	buckets  map[string]*bucket
}

// New makes an empty Model.
func New() *Model {
	return &Model{windows: map[string][]entry{}, counters: map[string]*counter{}, buckets: map[string]*bucket{}}
}

// entry is a batch in a sliding window.
type entry struct{ ends, weight int64 }

// counter is a fixed window, or a sliding counter.
type counter struct{ count, ends, index, previous, epoch int64 }

type bucket struct {
	full                 *big.Rat // when it is, in microseconds
	per                  int64
	latest, epoch, total int64
}

// Take decides at a time in microseconds.
func (m *Model) Take(now int64, call limits.BatchCall) (limits.Reply, limits.Batch) {
	r := limits.Reply{At: now}
	b := limits.Batch{Lasts: call.Lease}
	switch call.Limit.Kind {
	case limits.SlidingWindow:
		m.slidingWindow(now, call, &r, &b)
	case limits.FixedWindow:
		m.fixedWindow(now, call, &r, &b)
	case limits.SlidingCounter:
		m.slidingCounter(now, call, &r, &b)
	default:
		m.bucket(now, call, &r, &b)
	}
	if b.Permits > 0 {
		r.Verdict = 1
	}
	return r, b
}

func fits(call limits.BatchCall, free int64) int64 {
	if free < call.Need {
		return 0
	}
	return max(min(free, call.Want), 0)
}

func (m *Model) slidingWindow(now int64, call limits.BatchCall, r *limits.Reply, b *limits.Batch) {
	n, window := call.Limit.Permits, call.Limit.Window.Microseconds()
	all := m.windows[call.Key]
	for _, back := range call.Returns {
		for i := range all {
			if all[i].ends == back.Name[0] {
				all[i].weight -= min(max(back.Unused, 0), all[i].weight)
			}
		}
	}
	all = slices.DeleteFunc(all, func(e entry) bool { return e.weight == 0 })
	var last, taken int64
	live := 0
	for i, e := range all {
		last = e.ends
		if e.ends > now-window {
			if live++; live == 1 {
				live, all = 1, all[i:]
				break
			}
		}
	}
	if live == 0 {
		all = nil
	}
	for _, e := range all {
		taken, last = taken+e.weight, e.ends
	}
	b.Permits = fits(call, n-taken)
	if b.Permits > 0 {
		last = max(now+call.Lease.Microseconds(), last+1)
		all = append(all, entry{last, b.Permits})
		taken += b.Permits
	}
	m.windows[call.Key] = all
	r.A, r.B = taken, last
	b.Name = limits.BatchName{last, 0}
	if b.Permits < call.Want {
		missing := call.Need - (n - taken)
		for _, e := range all {
			if missing -= e.weight; missing <= 0 {
				r.C = e.ends
				break
			}
		}
	}
}

func (m *Model) fixedWindow(now int64, call limits.BatchCall, r *limits.Reply, b *limits.Batch) {
	c := m.counters[call.Key]
	if c == nil {
		c = &counter{}
		m.counters[call.Key] = c
	}
	for _, back := range call.Returns {
		if back.Name[0] == c.ends && c.ends > now && back.Unused > 0 {
			c.count = max(c.count-back.Unused, 0)
		}
	}
	if c.count == 0 || c.ends <= now {
		c.count, c.ends = 0, now+call.Limit.Window.Microseconds()
	}
	b.Permits = fits(call, call.Limit.Permits-c.count)
	c.count += b.Permits
	r.A, r.B = c.count, c.ends
	b.Lasts = min(call.Lease, us(c.ends-now))
	b.Name = limits.BatchName{c.ends, 0}
}

func us(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (m *Model) slidingCounter(now int64, call limits.BatchCall, r *limits.Reply, b *limits.Batch) {
	window := call.Limit.Window.Microseconds()
	c := m.counters[call.Key]
	if c == nil {
		c = &counter{index: now / window, epoch: now}
		m.counters[call.Key] = c
	}
	for _, back := range call.Returns {
		if back.Name[1] != c.epoch || back.Unused <= 0 {
			continue
		}
		switch back.Name[0] {
		case c.index:
			c.count = max(c.count-back.Unused, 0)
		case c.index - 1:
			c.previous = max(c.previous-back.Unused, 0)
		}
	}
	for c.index < now/window {
		c.previous, c.count, c.index = c.count, 0, c.index+1
		if c.previous == 0 {
			c.index = now / window
		}
	}
	at := max(now, c.index*window)
	rest := (c.index+1)*window - at
	weight := new(big.Int).Mul(big.NewInt(c.previous), big.NewInt(rest))
	weight.Add(weight, big.NewInt(window-1)).Div(weight, big.NewInt(window))
	b.Permits = fits(call, call.Limit.Permits-c.count-weight.Int64())
	c.count += b.Permits
	r.A, r.B, r.C = c.count, c.previous, c.index
	b.Lasts = min(call.Lease, us(rest))
	b.Name = limits.BatchName{c.index, c.epoch}
}

func (m *Model) bucket(now int64, call limits.BatchCall, r *limits.Reply, b *limits.Batch) {
	limit := call.Limit
	one := big.NewRat(limit.Window.Microseconds(), limit.Per)
	times := func(n int64) *big.Rat { return new(big.Rat).Mul(one, new(big.Rat).SetInt64(n)) }
	c := m.buckets[call.Key]
	if c == nil || c.per != limit.Per {
		was := c
		c = &bucket{full: new(big.Rat).SetInt64(now), per: limit.Per, epoch: now}
		if was != nil {
			c.full.SetInt64(ceil(was.full))
			c.latest = was.latest
		}
		m.buckets[call.Key] = c
	}
	for _, back := range call.Returns {
		if back.Name[0] != c.epoch || back.Name[1] > c.total || back.Unused <= 0 {
			continue
		}
		// As the script reckons it: with doubles, and so rounded up generously.
		whole := limit.Window.Microseconds() / limit.Per
		t := float64(whole) + float64(limit.Window.Microseconds()%limit.Per)/float64(limit.Per)
		after := float64(float64(c.total-back.Name[1])*t) * (1 + 1e-12)
		least := new(big.Rat).SetInt64(c.latest + int64(math.Ceil(after)) + 1)
		if x := new(big.Rat).Sub(c.full, times(back.Unused)); x.Cmp(least) > 0 {
			least = x
		}
		if least.Cmp(c.full) < 0 {
			c.full = least
		}
	}
	at := new(big.Rat).SetInt64(now)
	from := new(big.Rat).SetInt64(now + call.Lease.Microseconds())
	if c.full.Cmp(from) > 0 {
		from = c.full
	}
	room := new(big.Rat).Add(at, times(limit.Permits))
	room.Sub(room, from)
	if room.Sign() >= 0 {
		b.Permits = fits(call, floor(room.Quo(room, one)))
	}
	if b.Permits > 0 {
		c.full = new(big.Rat).Add(from, times(b.Permits))
		c.latest = max(c.latest, now+call.Lease.Microseconds())
		c.total += b.Permits
	}
	b.Name = limits.BatchName{c.epoch, c.total}
	if debt := new(big.Rat).Sub(c.full, at); debt.Sign() > 0 {
		r.A = floor(debt)
		rem := debt.Sub(debt, new(big.Rat).SetInt64(r.A))
		r.B = floor(rem.Mul(rem, new(big.Rat).SetInt64(limit.Per)))
	}
}

func floor(x *big.Rat) int64 { return new(big.Int).Div(x.Num(), x.Denom()).Int64() }

func ceil(x *big.Rat) int64 { return -floor(new(big.Rat).Neg(x)) }

// Clone is a Model that goes on by itself.
func (m *Model) Clone() *Model {
	c := New()
	for key, all := range m.windows {
		c.windows[key] = slices.Clone(all)
	}
	for key, state := range m.counters {
		s := *state
		c.counters[key] = &s
	}
	for key, state := range m.buckets {
		s := *state
		s.full = new(big.Rat).Set(state.full)
		c.buckets[key] = &s
	}
	return c
}
