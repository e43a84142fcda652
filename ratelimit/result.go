package ratelimit

import (
	"fmt"
	"slices"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// Result is the answer to one question. The zero Result refuses.
type Result struct {
	// Allowed reports whether it was allowed, and so taken.
	Allowed bool

	// Limit is the limit's n, capacity or burst.
	Limit int

	// Remaining is how many permits are left now. It may be more than zero in a refusal, of a cost that is higher.
	Remaining int

	// RetryAfter says of a refusal when the same would be allowed if nobody else asked, rounded up to a
	// millisecond. It is 0 if Allowed.
	RetryAfter time.Duration

	// ResetAt is when all permits would be there again if nobody asked, by this process's clock.
	ResetAt time.Time

	// Degraded reports that Redis could not be asked, and the outage policy answered.
	Degraded bool

	key   string
	limit *limit
	cost  int64
	reply limits.Reply
}

// Err is nil if the result allows, and otherwise an [*ExceededError].
func (r Result) Err() error {
	if r.Allowed {
		return nil
	}
	return &ExceededError{Key: r.key, RetryAfter: r.RetryAfter, Limit: r.Limit, Current: r.Limit - r.Remaining}
}

// ExceededError reports that a limit was reached.
type ExceededError struct {
	Key        string
	RetryAfter time.Duration // see [Result]
	Limit      int
	Current    int // how many of Limit are taken
}

// Error says what is limited, by how much, and when to try again.
func (e *ExceededError) Error() string {
	return fmt.Sprintf("ratelimit: %q is limited: %d of %d taken, try again in %v", e.Key, e.Current, e.Limit, e.RetryAfter)
}

// ErrNever is wrapped by the error of a cost that is more than the limit allows at any time. It is found
// without asking the server, and takes nothing.
var ErrNever = limits.ErrNever

// result makes a Result of a decision that was made now.
func (l *limit) result(key string, cost int64, r limits.Reply, took bool, now time.Time) (Result, limits.Decision) {
	d := l.spec.Decide(r, cost, took)
	if !took {
		cost = 0 // for Refund
	}
	return Result{
		Allowed:    d.Allowed,
		Limit:      int(l.spec.Permits),
		Remaining:  int(d.Remaining),
		RetryAfter: roundUp(d.Wait),
		ResetAt:    now.Add(d.Reset),
		key:        key,
		limit:      l,
		cost:       cost,
		reply:      r,
	}, d
}

// took reports whether the cost of call i was taken, or refused. A limit that was no obstacle where another was answers as
// to [Limiter.Peek].
func took(replies []limits.Reply, i int) bool {
	return replies[i].Verdict != 1 || !slices.ContainsFunc(replies, func(r limits.Reply) bool { return r.Verdict != 1 })
}

func roundUp(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1) / time.Millisecond * time.Millisecond
}
