package limits

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/script"
)

// concurrencyScripts are those of a limit on how many at a time. Its state is a ZSET of leases, each scored with the end of its
// time.
type concurrencyScripts struct {
	acquire, renew, peek *script.Script
}

func makeConcurrencyScripts(begin string) concurrencyScripts {
	begin += source("concurrency")
	return concurrencyScripts{
		acquire: script.New(begin+source("concurrency_acquire"), script.Idempotent),
		renew:   script.New(begin+source("concurrency_renew"), script.Idempotent),
		peek:    script.New(begin+source("concurrency_peek"), script.Idempotent),
	}
}

// NewLease names a lease as no other is named.
func NewLease() string { return rand.Text() }

// Acquire takes one of n places for a lease of that length, n being at least 1. It may be repeated: the same lease has one
// place. A refusal writes nothing but a TTL that was lost.
func (s *Scripts) Acquire(ctx context.Context, c *rediskit.Client, key, lease string, n int64, length time.Duration) (Reply, error) {
	return decode(s.concurrency.acquire.Exec(ctx, c, []string{key}, []string{lease, number(n), number(length.Microseconds())}))
}

// Renew makes a lease last for its length from now on, and reports whether it is still held. One that is not stays lost.
// It may be repeated.
func (s *Scripts) Renew(ctx context.Context, c *rediskit.Client, key, lease string, length time.Duration) (bool, error) {
	n, err := s.concurrency.renew.Exec(ctx, c, []string{key}, []string{lease, number(length.Microseconds())}).AsInt64()
	return n == 1, err
}

// Release ends a lease, if it is held. It may be repeated.
func (s *Scripts) Release(ctx context.Context, c *rediskit.Client, key, lease string) error {
	return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Zrem().Key(key).Member(lease).Build().ToRetryable()
	}).Error()
}

// Holders is what Acquire would reply to another lease. It takes nothing.
func (s *Scripts) Holders(ctx context.Context, c *rediskit.Client, key string, n int64) (Reply, error) {
	return decode(s.concurrency.peek.Exec(ctx, c, []string{key}, []string{number(n)}))
}
