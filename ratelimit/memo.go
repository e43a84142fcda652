package ratelimit

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/tickettoken/rediskit/keys"
)

// believe is how long a refusal is believed at most: others may have reset the key.
const believe = time.Second

// memo remembers, for the keys that were asked for last, the name of the state and whether it was refused. It has a
// fixed number of slots, one for each hash; who comes later has the slot. A nil memo remembers nothing.
type memo struct {
	seed  maphash.Seed
	slots []atomic.Pointer[note]
	base  time.Time     // times are since then, on the monotonic clock
	wiped atomic.Uint64 // counts what makes refusals void that are on their way
}

// note does not change; a refusal makes a new one. There is one for each state, whatever the limit's permits.
type note struct {
	key, state, name string

	// The last refusal, if limit is not "".
	limit   string
	cost    int64
	known   time.Duration // since base: when it was asked for
	retry   time.Duration // since base: when to ask again
	refusal Result
}

func newMemo(size int) *memo {
	if size < 0 {
		return nil
	}
	n := 1
	for n < size {
		n *= 2
	}
	return &memo{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[note], n), base: time.Now()}
}

func (m *memo) slot(key string, l *limit) *atomic.Pointer[note] {
	return &m.slots[(maphash.String(m.seed, key)^l.hash)&uint64(len(m.slots)-1)]
}

// find returns the note on a key and limit, made new if need be.
func (m *memo) find(b keys.Builder, key string, l *limit) *note {
	slot := m.slot(key, l)
	state := l.spec.Name()
	n := slot.Load()
	if n != nil && n.key == key && n.state == state {
		return n
	}
	n = &note{state: state, name: b.RateLimit(state, key).String()}
	n.key = within(n.name, key)
	slot.Store(n)
	return n
}

// within is key as a part of name where it is one, so that a key cut out of a request does not keep the request.
func within(name, key string) string {
	if at := len(name) - 1 - len(key); at >= 0 && name[at:len(name)-1] == key {
		return name[at : len(name)-1]
	}
	return string([]byte(key))
}

// refused answers from a refusal that is still believed.
func (m *memo) refused(n *note, l *limit, cost int64) (Result, bool) {
	if n.limit != l.text || n.cost != cost {
		return Result{}, false
	}
	since := time.Since(m.base)
	if since >= n.retry || since >= n.known+believe {
		return Result{}, false
	}
	r := n.refusal
	r.RetryAfter = roundUp(n.retry - since)
	return r, true
}

// remember keeps a refusal of a question that was asked at asked, when m.wiped was wiped.
func (m *memo) remember(n *note, r Result, wait time.Duration, asked time.Time, wiped uint64) {
	slot := m.slot(n.key, r.limit)
	known := asked.Sub(m.base)
	r.key = n.key
	kept := &note{key: n.key, state: n.state, name: n.name, limit: r.limit.text, cost: r.cost,
		known: known, retry: known + wait, refusal: r}
	// A reset in the meantime counts after the server's answer to it, and then clears the slot. So either it is
	// seen here, or it sees this note.
	before := slot.Load()
	if m.wiped.Load() == wiped && slot.CompareAndSwap(before, kept) && m.wiped.Load() != wiped {
		slot.CompareAndSwap(kept, nil)
	}
}

// forget drops what is known of a state, and the refusals that are on their way.
func (m *memo) forget(key string, l *limit) {
	if m == nil {
		return
	}
	m.wiped.Add(1)
	m.slot(key, l).Store(nil)
}

// epoch is to be read before a question is asked whose answer is to be remembered.
func (m *memo) epoch() uint64 {
	if m == nil {
		return 0
	}
	return m.wiped.Load()
}
