package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/lease"
	"github.com/tickettoken/rediskit/internal/limits"
)

// ErrLost is the [context.Cause] of a [Slot.Context] that ended because the slot's lease did.
var ErrLost = errors.New("ratelimit: the slot's lease is lost")

// Slot is a place among those of a [Concurrency] limit. It is safe for concurrent use.
type Slot struct {
	limiter *Limiter
	key     string // as the caller says
	state   string // its key
	lease   string // "" if Redis knows nothing of the slot
	result  Result

	caller context.Context
	ctx    context.Context
	end    func() // ends ctx
	leave  func() // gives up its place in this process, see slots

	releasing sync.Mutex
	released  bool
}

// Acquire takes one place of a [Concurrency] limit, in one round trip, for as long as the caller likes:
//
//	slot, err := limiter.Acquire(ctx, "report", ratelimit.Concurrency(10, 30*time.Second))
//	if err != nil { ... }
//	defer slot.Release()
//	work(slot.Context())
//
// The limit's lease is how long the place of a holder that crashed stays taken. It is renewed in the background, when
// about a third of it has passed, until [Slot.Release] or until ctx ends: so a slot of a finished request that was
// forgotten is free after a lease, and one that was taken with a context that never ends is held until Release. The lease
// should be long beside the interruptions to survive, a failover say; seconds, not milliseconds.
//
// If all places are taken, the error wraps [*ExceededError], and nothing is written. Its RetryAfter says when there were a
// place if the holders had crashed; they may release sooner, so who waits should not wait for all of it. A limit of another n
// works on the same places: who holds one keeps it when n is lowered.
//
// Other errors, and outages, are as with [Limiter.AllowN], except that a question whose reply is lost is repeated, which
// takes no second place. When Acquire gives up on it nevertheless, it gives the place back in the background, if it can,
// and else it is free after a lease. In an outage, FailOpen gives a slot that holds nothing, and FailLocal counts the
// slots that this process holds, those from before the outage too, against its share of the limit.
//
// There are never more than n slots whose Context has not ended, with the same exceptions as for all limits: a failover may
// forget the last places that were taken, and a server clock that jumps forward ends leases early. A holder hears of
// either at its next renewal. Work that goes on after its Context has ended counts no more.
func (l *Limiter) Acquire(ctx context.Context, key string, limit Limit) (*Slot, error) {
	const op = "ratelimit.Acquire"
	lim, err := l.checkSlot(ctx, key, limit)
	if err != nil {
		return nil, opError(op, key, err)
	}
	s := &Slot{
		limiter: l,
		key:     key,
		state:   l.state(lim.spec.Name(), key).String(),
		lease:   limits.NewLease(),
		caller:  ctx,
	}
	sent := time.Now()
	var reply limits.Reply
	err = l.ask(ctx, func(ctx context.Context) (err error) {
		reply, err = l.run.Acquire(ctx, l.client, s.state, s.lease, lim.spec.Permits, lim.spec.Window)
		return err
	})
	if err != nil {
		if rediskit.MayHaveApplied(err) {
			l.free(s.state, s.lease)
		}
		return l.acquireWithout(ctx, op, s, lim, err)
	}
	s.result, _ = lim.result(key, 1, reply, true, time.Now())
	l.counts.add(ctx, lim, s.result.Allowed, fromServer)
	if !s.result.Allowed {
		full := &ExceededError{Key: key, RetryAfter: s.result.RetryAfter, Limit: limit.Permits(), Current: int(reply.A)}
		return nil, opError(op, key, full)
	}
	held := lease.Hold(ctx, lease.Terms{
		Length: lim.spec.Window,
		Sent:   sent,
		Renew: func(ctx context.Context) (bool, error) {
			return l.run.Renew(ctx, l.client, s.state, s.lease, lim.spec.Window)
		},
		Lost: ErrLost,
	})
	s.ctx, s.end = held, held.End
	l.count(s, math.MaxInt)
	return s, nil
}

// acquireWithout gives a slot without the server, or returns why not.
func (l *Limiter) acquireWithout(ctx context.Context, op string, s *Slot, lim *limit, err error) (*Slot, error) {
	s.lease = ""
	s.ctx, s.end = context.WithCancel(ctx)
	if l.outage.policy <= FailClosed || !rediskit.IsUnavailable(err) || ended(ctx) != nil {
		s.result, err = l.fallback(ctx, op, s.key, limits.Call{Limit: lim.spec, Key: s.state, Cost: 1}, lim, err)
		if err != nil {
			s.end()
			return nil, err
		}
		l.count(s, math.MaxInt)
		return s, nil
	}
	share := of(lim.spec.Share(int(l.outage.policy))).Permits()
	s.result = Result{Limit: share, ResetAt: time.Now(), Degraded: true, key: s.key, limit: lim, cost: 1}
	s.result.Remaining, s.result.Allowed = l.count(s, share)
	l.counts.add(ctx, lim, s.result.Allowed, fromOutage)
	if !s.result.Allowed {
		s.end()
		s.result.RetryAfter = roundUp(lim.spec.Window)
		return nil, opError(op, s.key, s.result.Err())
	}
	return s, nil
}

// Release gives the place back, and ends the slot's Context. It works when the caller's context has ended, and takes at
// most Config.Timeout; without one, rediskit's own time-outs. It may be called by several goroutines and again: a slot
// is released once, and nothing is sent for one that has been.
//
// After an error, which is as with [Limiter.AllowN], the place may still be taken. Giving it back is then tried once more in the
// background, for ten seconds; else it is free after a lease. The error may be ignored.
func (s *Slot) Release() error {
	s.releasing.Lock()
	defer s.releasing.Unlock()
	if s.released {
		return nil
	}
	s.end()
	s.leave()
	if s.lease != "" {
		l := s.limiter
		err := l.ask(context.WithoutCancel(s.caller), func(ctx context.Context) error {
			return l.run.Release(ctx, l.client, s.state, s.lease)
		})
		if err != nil {
			l.free(s.state, s.lease)
			return opError("ratelimit.Release", s.key, err)
		}
	}
	s.released = true
	return nil
}

// Context is for the work that the slot was taken for. It is derived from Acquire's, and ends with that, with Release, and
// when the lease is lost, with [ErrLost] as its [context.Cause]: when others may have the place. That is when
// no renewal has succeeded for a lease, also when Redis is out of reach, and when a renewal finds that the lease is gone,
// after [Limiter.Reset] for one.
//
// When timers are late, as after the process was stopped, Err and Done of this very context tell nevertheless. The Context of a
// Degraded slot is never lost.
func (s *Slot) Context() context.Context { return s.ctx }

// Result is what was decided when the slot was taken: Limit, how many places were left as Remaining, and whether it is
// Degraded. ResetAt is when all would be free if no lease were renewed.
func (s *Slot) Result() Result { return s.result }

// slots is what a Limiter knows of the slots that it gave out.
type slots struct {
	mu      sync.Mutex
	held    map[string]int // by state; only FailLocal needs it
	freeing atomic.Int32
}

// count counts a slot among those of its state, of which there may be most, and says how many may come.
func (l *Limiter) count(s *Slot, most int) (left int, ok bool) {
	if l.outage.policy <= FailClosed {
		s.leave = func() {}
		return 0, true
	}
	l.slots.mu.Lock()
	defer l.slots.mu.Unlock()
	held := l.slots.held[s.state]
	if held >= most {
		return 0, false
	}
	if l.slots.held == nil {
		l.slots.held = make(map[string]int)
	}
	l.slots.held[s.state] = held + 1
	s.leave = sync.OnceFunc(func() { l.slots.leave(s.state) })
	context.AfterFunc(s.ctx, s.leave) // a slot that is forgotten goes with its context
	return most - held - 1, true
}

func (s *slots) leave(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[state]--; s.held[state] == 0 {
		delete(s.held, state)
	}
}

const (
	maxFreeing = 1000 // goroutines
	freeFor    = 10 * time.Second
)

// free gives back, in the background, a place that nobody holds. What it misses ends with the lease.
func (l *Limiter) free(state, lease string) {
	if l.slots.freeing.Add(1) > maxFreeing {
		l.slots.freeing.Add(-1)
		return
	}
	go func() {
		defer l.slots.freeing.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), freeFor)
		defer cancel()
		_ = l.run.Release(ctx, l.client, state, lease)
	}()
}

func (l *Limiter) checkSlot(ctx context.Context, key string, limit Limit) (*limit, error) {
	if err := checkKey(key, limit); err != nil {
		return nil, err
	}
	if !limit.IsConcurrency() {
		return nil, fmt.Errorf("%v is a limit for Allow: Acquire takes Concurrency", limit)
	}
	return limit.limit, ctx.Err()
}
