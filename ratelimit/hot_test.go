package ratelimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestADecisionAboutAKnownKeyAllocatesOnceAtMost(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("k")
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // as a request has
		defer cancel()
		for name, limit := range map[string]ratelimit.Limit{
			"sliding window":  ratelimit.SlidingWindow(100_000, time.Hour),
			"sliding counter": ratelimit.SlidingCounter(100_000, time.Hour),
			"fixed window":    ratelimit.FixedWindow(100_000, time.Hour),
			"token bucket":    ratelimit.TokenBucket(100_000, 7),
			"GCRA":            ratelimit.GCRA(7, time.Second, 100_000),
		} {
			l := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second})
			if n := testing.AllocsPerRun(500, func() {
				if r := ok[ratelimit.Result](t)(l.Allow(ctx, key, limit)); !r.Allowed {
					t.Fatal("refused")
				}
			}); n > mostAllocations {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
		l, once := limiterOf(t, c, ratelimit.Config{Timeout: 10 * time.Second}), ratelimit.FixedWindow(1, 24*time.Hour)
		ok[ratelimit.Result](t)(l.Allow(ctx, key, once))
		if n := testing.AllocsPerRun(500, func() {
			if r := ok[ratelimit.Result](t)(l.Allow(ctx, key, once)); r.Allowed {
				t.Fatal("allowed")
			}
		}); n > 0 {
			t.Errorf("a remembered refusal: %v allocations", n)
		}
	}, rediskittest.OnSingle)
}

type traceKey struct{}

// traced is a client with somebody around it who looks at the contexts of calls.
type traced struct {
	rueidis.Client
	saw []any
}

func (c *traced) Do(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	c.saw = append(c.saw, ctx.Value(traceKey{}))
	return c.Client.Do(ctx, cmd)
}

func TestAWrappedClientSeesTheValuesOfTheCallersContext(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		around := &traced{Client: c.Redis()}
		l := limiterOf(t, rediskit.Wrap(around), patient)
		key := rediskittest.Keys(t)("k")
		ok[ratelimit.Result](t)(l.Allow(context.WithValue(t.Context(), traceKey{}, "42"), key, ratelimit.GCRA(1, time.Minute, 1)))
		if len(around.saw) == 0 || around.saw[0] != "42" {
			t.Errorf("saw %v", around.saw)
		}
	}, rediskittest.OnSingle)
}
