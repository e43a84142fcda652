package ratelimit

import (
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tickettoken/rediskit/keys"
)

// believe is how long a refusal is believed at most: others may have reset the key.
const believe = time.Second

// memo remembers, for the keys that were asked for last, the name of the state and whether it was refused. It has a
// fixed number of places, a few for each hash, so that keys of one hash do not keep driving one another out. A nil memo
// remembers nothing.
type memo struct {
	seed  maphash.Seed
	sets  []set
	base  time.Time     // times are since then, on the monotonic clock
	wiped atomic.Uint64 // counts what makes refusals void that are on their way
}

// set has the notes on keys of one hash. There may be two of one key for a while, if they came at once.
type set [4]atomic.Pointer[note]

// note does not change; a refusal makes a new one. There is one for each state, whatever the limit's permits.
type note struct {
	key, state, name string

	// The last refusal, if limit is not "".
	limit   string
	cost    int64
	until   time.Duration // since base: how long it is believed
	retry   time.Duration // since base: when to ask again
	refusal Result
}

func newMemo(size int) *memo {
	if size < 0 {
		return nil
	}
	n := 1
	for n*len(set{}) < size {
		n *= 2
	}
	return &memo{seed: maphash.MakeSeed(), sets: make([]set, n), base: time.Now()}
}

func (m *memo) set(key string, l *limit) *set {
	return &m.sets[(maphash.String(m.seed, key)^l.hash)&uint64(len(m.sets)-1)]
}

// find returns the note on a key and limit, made new if need be.
func (m *memo) find(b keys.Builder, key string, l *limit) *note {
	s, state := m.set(key, l), l.spec.Name()
	for i := range s {
		if n := s[i].Load(); n != nil && n.key == key && n.state == state {
			return n
		}
	}
	n := &note{state: state, name: b.RateLimit(state, key).String()}
	n.key = within(n.name, key)
	m.place(s, n).Store(n)
	return n
}

// place is where to put a note: in place of another on the same, or of one that is not needed, or of any.
func (m *memo) place(s *set, n *note) *atomic.Pointer[note] {
	now, first := time.Since(m.base), rand.IntN(len(s))
	spare := -1
	for i := range s {
		at := (first + i) % len(s)
		switch old := s[at].Load(); {
		case old != nil && old.key == n.key && old.state == n.state:
			return &s[at]
		case spare < 0 && (old == nil || now >= old.until):
			spare = at
		}
	}
	if spare < 0 {
		spare = first
	}
	return &s[spare]
}

// within is key as a part of name where it is one, so that a key cut out of a request does not keep the request.
func within(name, key string) string {
	if at := len(name) - 1 - len(key); at >= 0 && name[at:len(name)-1] == key {
		return name[at : len(name)-1]
	}
	return string([]byte(key))
}

// refused puts down the answer from a refusal that is still believed, if there is one.
func (m *memo) refused(n *note, l *limit, cost int64, r *Result) bool {
	if n.limit != l.text || n.cost != cost {
		return false
	}
	since := time.Since(m.base)
	if since >= n.until {
		return false
	}
	*r = n.refusal
	r.RetryAfter = roundUp(n.retry - since)
	return true
}

// remember keeps a refusal of a question that was asked at asked, when m.wiped was wiped.
func (m *memo) remember(n *note, r Result, wait time.Duration, asked time.Time, wiped uint64) {
	known := asked.Sub(m.base)
	r.key = n.key
	kept := &note{key: n.key, state: n.state, name: n.name, limit: r.limit.text, cost: r.cost,
		until: known + min(wait, believe), retry: known + wait, refusal: r}
	// A reset in the meantime counts after the server's answer to it, and then clears the place. So either it is
	// seen here, or it sees this note.
	place := m.place(m.set(n.key, r.limit), kept)
	before := place.Load()
	if m.wiped.Load() == wiped && place.CompareAndSwap(before, kept) && m.wiped.Load() != wiped {
		place.CompareAndSwap(kept, nil)
	}
}

// forget drops what is known of a state, and the refusals that are on their way.
func (m *memo) forget(key string, l *limit) {
	if m == nil {
		return
	}
	m.wiped.Add(1)
	s, state := m.set(key, l), l.spec.Name()
	for i := range s {
		if n := s[i].Load(); n != nil && n.key == key && n.state == state {
			s[i].Store(nil)
		}
	}
}

// epoch is to be read before a question is asked whose answer is to be remembered.
func (m *memo) epoch() uint64 {
	if m == nil {
		return 0
	}
	return m.wiped.Load()
}
