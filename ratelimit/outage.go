package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
)

// Outage says what to answer when Redis cannot be asked: when it is away, says that it cannot take writes, or does not
// answer within Config.Timeout. After five such failures in a row, each of a question that was asked after the failure before it, Redis
// is left alone for half a second at a time, in which the policy answers at once, and then tried with a single question.
type Outage int

const (
	// FailClosed refuses, with an error that says why. It is for limits that protect something.
	FailClosed Outage = 0

	failOpen Outage = -1
)

// FailOpen allows, without an error. It is for limits whose absence hurts less than a refusal.
func FailOpen() Outage { return failOpen }

// FailLocal decides in this process, without an error, with its share of the limit: a number of processes share the
// traffic about evenly. It starts with nothing taken, and what it allows is not known to Redis afterwards. A cost
// above the share is taken as the whole share.
func FailLocal(processes int) Outage { return Outage(max(processes, 1)) }

const (
	fallbackKeys = 65_536 // states that FailLocal keeps

	breakAfter = 5
	breakFor   = 500 * time.Millisecond
)

var errOpen = errors.New("redis failed repeatedly and is left alone for a moment")

// outage is what a Limiter knows about failures.
type outage struct {
	policy Outage
	store  *limits.Store // of FailLocal

	failures atomic.Int32              // in a row, of questions that were asked one after the other
	latest   atomic.Pointer[time.Time] // when the last of these was noticed
	until    atomic.Pointer[time.Time] // no question before that
	last     atomic.Pointer[error]     // what to say in the meantime
}

// mayAsk reports whether to try the server.
func (o *outage) mayAsk() bool {
	if o.failures.Load() < breakAfter {
		return true
	}
	until, now := o.until.Load(), time.Now()
	if until != nil && now.Before(*until) {
		return false
	}
	next := now.Add(pause())
	return o.until.CompareAndSwap(until, &next) // who gets to put it off is the one to try
}

func (o *outage) succeeded() {
	if o.failures.Load() != 0 {
		o.failures.Store(0)
	}
}

// failed counts a failure, unless the question was on its way already at the one before: all that is lost with a
// connection is lost once.
func (o *outage) failed(asked time.Time, err error) {
	said := &rediskit.ConnectionError{Err: fmt.Errorf("%w: %v", errOpen, err)}
	if ce := (*rediskit.ConnectionError)(nil); errors.As(err, &ce) {
		said = &rediskit.ConnectionError{Addr: ce.Addr, Err: fmt.Errorf("%w: %w", errOpen, ce.Err)}
	}
	last := error(said)
	o.last.Store(&last)
	before, now := o.latest.Load(), time.Now()
	if before != nil && !asked.After(*before) || !o.latest.CompareAndSwap(before, &now) {
		return
	}
	if o.failures.Add(1) == breakAfter {
		until := now.Add(pause())
		o.until.Store(&until)
	}
}

func pause() time.Duration { return breakFor - rand.N(breakFor/5) }

// ask puts one question to the server within the time there is, unless it has failed too often.
func (l *Limiter) ask(ctx context.Context, question func(ctx context.Context) error) error {
	if !l.outage.mayAsk() {
		return *l.outage.last.Load()
	}
	bounded, cancel := l.bound.context(ctx)
	defer cancel()
	asked := time.Now()
	err := question(bounded)
	switch {
	case err == nil:
		l.outage.succeeded()
	case ended(ctx) != nil: // which says nothing about the server
	case rediskit.IsUnavailable(err):
		l.outage.failed(asked, err)
	default:
		l.outage.succeeded()
	}
	return err
}

// ended is ctx.Err, also where the client library has noticed the deadline before the context did.
func ended(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// firstOutage is what to count of questions that were sent together: nothing if one was answered, for that a master of a
// cluster is away is no reason to leave the others alone.
func firstOutage(errs []error) error {
	if slices.Contains(errs, nil) {
		return nil
	}
	return errs[0]
}

// fallback answers in place of the server, or returns why nobody does.
func (l *Limiter) fallback(ctx context.Context, op, key string, call limits.Call, lim *limit, err error) (Result, error) {
	all, err := l.fallbackAll(ctx, op, key, []limits.Call{call}, []Limit{{lim}}, err)
	return all.Result, err
}

func (l *Limiter) fallbackAll(ctx context.Context, op, key string, calls []limits.Call, all []Limit, err error) (AllResult, error) {
	now, each := time.Now(), make([]Result, len(all))
	for i, limit := range all {
		each[i] = Result{Limit: limit.Permits(), ResetAt: now, Degraded: true, key: key, limit: limit.limit, cost: calls[i].Cost}
	}
	switch {
	case ended(ctx) != nil:
		if end := ended(ctx); !errors.Is(err, end) {
			err = fmt.Errorf("%w, after %w", end, err)
		}
	case !rediskit.IsUnavailable(err), l.outage.policy == FailClosed:
	case l.outage.policy == failOpen:
		for i := range each {
			each[i].Allowed, each[i].Remaining = true, each[i].Limit
		}
		return l.together(ctx, each, fromOutage), nil
	default:
		local := make([]limits.Call, len(calls))
		for i, c := range calls {
			share := c.Limit.Share(int(l.outage.policy))
			// Limits that have one state may have shares that cannot: those of another window.
			local[i] = limits.Call{Limit: share, Key: share.Name() + " " + c.Key, Cost: min(c.Cost, share.Permits)}
		}
		replies := l.outage.store.AllowAll(now.UnixMicro(), local)
		for i, reply := range replies {
			r, _ := of(local[i].Limit).result(key, local[i].Cost, reply, took(replies, i), now)
			r.Degraded, r.limit = true, all[i].limit
			each[i] = r
		}
		return l.together(ctx, each, fromOutage), nil
	}
	for _, limit := range all {
		l.counts.failed(ctx, limit.limit)
	}
	// The zero Result refuses, and this one says as well that nobody was asked.
	for i := range each {
		each[i].Allowed = false
	}
	return AllResult{Result: each[0], Each: each}, opError(op, key, err)
}

// bound gives contexts that end after timeout. Making one for each question would cost more than all the rest,
// so questions of about the same time share one, which ends up to an eighth of the timeout early.
type bound struct {
	timeout time.Duration // off if not positive
	hooked  bool          // somebody may look at the values of a context
	current atomic.Pointer[shared]
}

type shared struct {
	context.Context
	cancel context.CancelFunc // never called: the timer does that
	made   time.Time
	ends   time.Time
}

// context is one that ends with ctx's deadline or the timeout, and does not end when ctx is cancelled.
func (b *bound) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.timeout <= 0 {
		return ctx, nothing
	}
	now := time.Now()
	s := b.current.Load()
	if s == nil || now.Sub(s.made) > b.timeout/8 {
		// It is let go by its own timer, when the last who shares it has his answer.
		c, cancel := context.WithDeadline(context.Background(), now.Add(b.timeout))
		s = &shared{Context: c, cancel: cancel, made: now, ends: now.Add(b.timeout)}
		b.current.Store(s)
	}
	if d, ok := ctx.Deadline(); ok && d.Before(s.ends) {
		return context.WithDeadline(context.WithoutCancel(ctx), d)
	}
	if b.hooked {
		return valued{s.Context, ctx}, nothing
	}
	return s.Context, nothing
}

func nothing() {}

// valued has the values of another context: those of a trace, for one.
type valued struct {
	context.Context
	values context.Context
}

func (v valued) Value(key any) any { return v.values.Value(key) }

// hooked reports whether a client is not the client library's own, which looks at no values, but something around it.
func hooked(c rueidis.Client) bool {
	t := reflect.TypeOf(c)
	if t == nil || t.Kind() != reflect.Pointer {
		return true
	}
	return t.Elem().PkgPath() != reflect.TypeFor[rueidis.ClientOption]().PkgPath()
}
