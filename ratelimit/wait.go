package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// Wait waits until one permit of a key can be taken, and takes it: [Limiter.WaitN] with a cost of 1.
func (l *Limiter) Wait(ctx context.Context, key string, limit Limit, atMost time.Duration) (Result, error) {
	return l.WaitN(ctx, key, limit, 1, atMost)
}

// WaitN waits until cost permits of a key can be taken, and takes them. It gives up at once, with an error
// that wraps [*ExceededError], when RetryAfter is beyond atMost or the context's deadline; and with the context's error when that
// ends. Other errors are those of [Limiter.AllowN]. Many who wait for one key do not wake together, and are not
// served in order. Without a deadline it waits up to atMost, which must be positive.
func (l *Limiter) WaitN(ctx context.Context, key string, limit Limit, cost int, atMost time.Duration) (Result, error) {
	const op = "ratelimit.Wait"
	if atMost < time.Millisecond {
		return Result{}, opError(op, key, fmt.Errorf("atMost is %v: want at least 1ms", atMost))
	}
	end := time.Now().Add(atMost)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	var timer *time.Timer
	for {
		r, err := l.AllowN(ctx, key, limit, cost)
		if err != nil || r.Allowed {
			return r, err
		}
		left := time.Until(end)
		if r.RetryAfter >= left {
			return r, opError(op, key, r.Err())
		}
		// A tenth more, for the others who were told the same.
		pause := min(r.RetryAfter+rand.N(r.RetryAfter/10+time.Millisecond), left)
		if timer == nil {
			timer = time.NewTimer(pause)
			defer timer.Stop()
		} else {
			timer.Reset(pause)
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			return r, opError(op, key, ctx.Err())
		}
	}
}

// Reservation is permits that were taken ahead of time. They may be used when Delay has passed.
type Reservation struct {
	// Result has Allowed if there is a reservation.
	Result
	// Delay is how long to wait before acting on it. It may be 0.
	Delay time.Duration

	limiter *Limiter
}

// Reserve takes cost permits of a token bucket or GCRA limit that will be there within atMost, and says when: the caller waits
// for Delay and then acts, or calls [Reservation.Cancel]. Those who ask later queue up behind. It is refused, with
// a RetryAfter, if the delay were longer than atMost, which bounds how far ahead the key's permits can be taken; with an
// atMost of 0 it is AllowN. Errors and outages are as with [Limiter.AllowN].
func (l *Limiter) Reserve(ctx context.Context, key string, limit Limit, cost int, atMost time.Duration) (Reservation, error) {
	const op = "ratelimit.Reserve"
	lim, err := l.check(ctx, key, limit, int64(cost))
	switch {
	case err != nil:
	case lim.spec.Kind != limits.TokenBucket && lim.spec.Kind != limits.GCRA:
		err = fmt.Errorf("%v: only TokenBucket and GCRA can be reserved", limit)
	case atMost < 0 || atMost > limits.MaxWindow:
		err = fmt.Errorf("atMost is %v: want 0 to %v", atMost, limits.MaxWindow)
	}
	if err != nil {
		return Reservation{}, opError(op, key, err)
	}
	_, name := l.name(key, lim)
	call := limits.Call{Limit: lim.spec, Key: name, Cost: int64(cost)}
	var reply limits.Reply
	err = l.ask(ctx, func(ctx context.Context) (err error) {
		reply, err = l.run.Reserve(ctx, l.client, call, atMost)
		return err
	})
	if err != nil {
		r, err := l.fallback(ctx, op, key, call, lim, err)
		return Reservation{Result: r, limiter: l}, err
	}
	r, d := lim.result(key, int64(cost), reply, true, time.Now())
	if !r.Allowed {
		r.RetryAfter = roundUp(max(d.Wait-atMost, d.Block, time.Microsecond))
	}
	l.counts.add(ctx, lim, r.Allowed, fromServer)
	return Reservation{Result: r, Delay: d.Delay, limiter: l}, nil
}

// Cancel gives the permits back as [Limiter.Refund] does, so that those who ask later need not wait for them.
func (r Reservation) Cancel(ctx context.Context) error {
	if r.limiter == nil {
		return errors.New("ratelimit: the Reservation is not one of Reserve")
	}
	return r.limiter.Refund(ctx, r.Result)
}
