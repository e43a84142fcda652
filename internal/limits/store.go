package limits

import (
	"sync"
	"time"
)

// Store decides limits in memory as the scripts do on a server, on a clock of the caller's: now is in
// microseconds since 1970, and the key of a call is the state's identity. It is safe for concurrent use.
// [Concurrency] is not part of it. Costs have passed [Spec.CheckCost].
type Store struct {
	mu     sync.Mutex
	most   int
	states map[string]*state
	all    []*state // the same again, to walk through when there is no room
	hand   int
	none   state // stands for all that are not there; never written to

	refunded map[refund]int64 // and until when that makes a difference
}

// refund is one call: no two of a state have the same reply, unless one was given back in between.
type refund struct {
	key string
	of  Reply
}

// NewStore makes a Store of at most most states, and as many refunds that are remembered. Where there is no room,
// some go that have expired, or else any other: then its key begins anew.
func NewStore(most int) *Store {
	return &Store{most: max(most, 1), states: map[string]*state{}, refunded: map[refund]int64{}}
}

// Allow takes cost permits if they are there.
func (s *Store) Allow(now int64, call Call) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.find(call.Key, call.Limit.Kind)
	r := st.check(now, call, 0)
	if r.Verdict == 1 {
		return s.take(now, call, st, r)
	}
	s.refuse(now, call, r)
	return r
}

// AllowAll takes from all states or from none. The keys differ. It was taken if all verdicts are 1.
func (s *Store) AllowAll(now int64, calls []Call) []Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	replies, all := make([]Reply, len(calls)), true
	for i, call := range calls {
		replies[i] = s.find(call.Key, call.Limit.Kind).check(now, call, 0)
		all = all && replies[i].Verdict == 1
	}
	for i, call := range calls {
		switch {
		case all:
			replies[i] = s.take(now, call, s.find(call.Key, call.Limit.Kind), replies[i])
		case replies[i].Verdict != 1:
			s.refuse(now, call, replies[i])
		}
	}
	return replies
}

// Peek is what Allow would decide.
func (s *Store) Peek(now int64, call Call) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(call.Key, call.Limit.Kind).check(now, call, 0)
}

// Reserve takes permits of a bucket that will be there within ahead.
func (s *Store) Reserve(now int64, call Call, ahead time.Duration) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.find(call.Key, call.Limit.Kind)
	r := st.check(now, call, ahead.Microseconds())
	if r.Verdict == 1 {
		return s.take(now, call, st, r)
	}
	s.refuse(now, call, r)
	return r
}

// Refund gives back what a call took, given its reply, and reports whether anything came back. It may be
// repeated.
func (s *Store) Refund(now int64, call Call, r Reply) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.find(call.Key, call.Limit.Kind)
	if r.Verdict != 1 || st == &s.none {
		return false
	}
	if call.Limit.Kind == SlidingWindow { // the times of its hits are no other call's
		return st.hits.remove(r.B)
	}
	id := refund{call.Key, r}
	if _, done := s.refunded[id]; done {
		return false
	}
	until, ok := st.refund(now, call, r)
	if !ok {
		return false
	}
	if st.blocked <= now {
		st.blocked = 0
	}
	if len(s.refunded) >= s.most {
		s.forget(now)
	}
	s.refunded[id] = until
	return true
}

// forget makes room for one more refund. Ranging over a map begins anywhere.
func (s *Store) forget(now int64) {
	looked := 0
	for id, until := range s.refunded {
		looked++
		if until <= now || looked == probes {
			delete(s.refunded, id)
		}
		if looked == probes {
			return
		}
	}
	if len(s.refunded) >= s.most {
		for id := range s.refunded {
			delete(s.refunded, id)
			return
		}
	}
}

// Block refuses everything for a time.
func (s *Store) Block(now int64, limit *Spec, key string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.make(now, key, limit.Kind).block(now + d.Microseconds())
}

// Reset forgets a state.
func (s *Store) Reset(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.states[key]; st != nil {
		s.drop(st)
	}
}

// Len is how many states there are, with those that have expired since.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

func (s *Store) take(now int64, call Call, st *state, r Reply) Reply {
	if st == &s.none {
		st = s.make(now, call.Key, call.Limit.Kind)
	}
	st.blocked = 0 // or it would not have been allowed
	return st.take(now, call, r)
}

func (s *Store) refuse(now int64, call Call, r Reply) {
	if r.Verdict == 0 && call.Limit.Penalty > 0 {
		s.make(now, call.Key, call.Limit.Kind).block(now + call.Limit.Penalty.Microseconds())
	}
}

func (s *Store) find(key string, kind Kind) *state {
	if st := s.states[key]; st != nil && st.kind == family(kind) {
		return st
	}
	return &s.none
}

// family is the kind whose states are as those of kind.
func family(kind Kind) Kind {
	if kind == GCRA {
		return TokenBucket
	}
	return kind
}

// make finds a state or puts an empty one there.
func (s *Store) make(now int64, key string, kind Kind) *state {
	st := s.states[key]
	if st == nil {
		if len(s.all) >= s.most {
			s.evict(now)
		}
		st = &state{key: key, index: len(s.all)}
		s.states[key] = st
		s.all = append(s.all, st)
	} else if st.kind != family(kind) {
		*st = state{key: key, index: st.index}
	}
	st.kind = family(kind)
	return st
}

// probes is how many states are looked at for some that have expired before one that has not must go.
const probes = 32

// evict makes room for one more state.
func (s *Store) evict(now int64) {
	room := false
	for range min(probes, len(s.all)) {
		if len(s.all) == 0 {
			break
		}
		s.hand %= len(s.all)
		if st := s.all[s.hand]; st.expires <= now {
			s.drop(st) // and another one takes its place
			room = true
		} else {
			s.hand++
		}
	}
	if !room {
		s.drop(s.all[s.hand%len(s.all)])
	}
}

func (s *Store) drop(st *state) {
	delete(s.states, st.key)
	last := len(s.all) - 1
	s.all[st.index] = s.all[last]
	s.all[st.index].index = st.index
	s.all[last] = nil
	s.all = s.all[:last]
}
