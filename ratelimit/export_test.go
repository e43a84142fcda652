package ratelimit

import (
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/keys"
)

// ServerReply is what the server said, with its time.
func (r Result) ServerReply() limits.Reply { return r.reply }

// At is what the same reply would have meant at another time of this process's clock.
func (r Result) At(now time.Time) Result {
	r, _ = r.limit.result(r.key, r.cost, r.reply, true, now)
	return r
}

// ErrOpen is the error of the circuit breaker.
var ErrOpen = errOpen

// StateKey is where the state of a limit on a key is.
func StateKey(b keys.Builder, key string, limit Limit) string {
	return b.RateLimit(limit.spec.Name(), key).String()
}
