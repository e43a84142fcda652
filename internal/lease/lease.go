// Package lease keeps a lease on a server alive, and says how long it is certain to be held.
package lease

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Terms are what a lease was given under.
type Terms struct {
	// Length is how long it lasts by the server's clock, from when the server gave or renewed it.
	Length time.Duration

	// Sent is a moment before the request was sent that got the lease.
	Sent time.Time

	// Renew renews it, and reports whether it is still held. It is called again after an error. It heeds its context.
	Renew func(ctx context.Context) (held bool, err error)

	// Lost is the cause of the context's end when the lease is lost.
	Lost error
}

// A request to renew waits for its answer for a sixth of the lease, but for this long at least.
const patience = 100 * time.Millisecond

// Lease is a context that ends when its parent does, with [Lease.End], and when the lease is lost, with
// Terms.Lost as its [context.Cause]: when a renewal finds it gone, or when none has succeeded for its length.
//
// That length counts from before the last successful renewal was sent, on this process's monotonic clock, and is a
// thousandth shorter than on the server, because clocks may differ by that much in their rate. So the context
// ends before the lease does on the server, also when the server is out of reach, as long as the server's clock
// does not jump. Timers of a process that was stopped fire late; so Err and Done look at the clock themselves. What is
// derived from the context, and who waits for it already, hears of it when the timer fires.
//
// The lease is renewed when about a third of it has passed, and about twelve times in its length while that fails,
// until the context ends. There is a goroutine while a renewal is under way, and none otherwise.
type Lease struct {
	context.Context
	cancel context.CancelCauseFunc
	terms  Terms

	until atomic.Int64 // since Terms.Sent: for how long it is held for certain
	over  *time.Timer
	next  *time.Timer // the next renewal
}

// Hold begins to keep a lease.
func Hold(parent context.Context, terms Terms) *Lease {
	ctx, cancel := context.WithCancelCause(parent)
	l := &Lease{Context: ctx, cancel: cancel, terms: terms}
	l.certain(0)
	// They need each other's field, so they start only when both are there.
	l.over = time.AfterFunc(math.MaxInt64, l.expire)
	l.next = time.AfterFunc(math.MaxInt64, l.renew)
	l.over.Reset(l.left())
	l.next.Reset(soon(terms.Length/3) - time.Since(terms.Sent))
	return l
}

// soon is d but for up to a fifth, so that leases that began together are not renewed together.
func soon(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

// certain is called when the lease is held that was asked for so long after Terms.Sent.
func (l *Lease) certain(asked time.Duration) {
	l.until.Store(int64(asked + l.terms.Length - l.terms.Length/1000))
}

func (l *Lease) left() time.Duration {
	return time.Duration(l.until.Load()) - time.Since(l.terms.Sent)
}

func (l *Lease) expire() {
	if left := l.left(); left > 0 && l.Context.Err() == nil {
		l.over.Reset(left) // it was renewed since
		return
	}
	l.cancel(l.terms.Lost)
}

func (l *Lease) renew() {
	if l.Err() != nil {
		return
	}
	sent := time.Now()
	ctx, cancel := context.WithTimeout(l, max(l.terms.Length/6, patience))
	held, err := l.terms.Renew(ctx)
	cancel()
	switch {
	case err != nil:
		l.next.Reset(soon(l.terms.Length / 12))
	case held:
		l.certain(sent.Sub(l.terms.Sent))
		l.next.Reset(soon(l.terms.Length / 3))
	default:
		l.cancel(l.terms.Lost)
	}
}

// Err is nil while the lease is certain to be held and neither the parent nor End has ended it.
func (l *Lease) Err() error {
	if err := l.Context.Err(); err != nil {
		return err
	}
	if l.left() > 0 {
		return nil
	}
	l.cancel(l.terms.Lost)
	return l.Context.Err()
}

// Done is closed when the context has ended.
func (l *Lease) Done() <-chan struct{} {
	_ = l.Err() // ends it if it is time
	return l.Context.Done()
}

// End ends the context, unless it has ended, and the renewals. It does not end the lease. It may be called more than
// once.
func (l *Lease) End() {
	_ = l.Err() // what is lost was not ended
	l.cancel(nil)
	l.over.Stop()
	l.next.Stop()
}
