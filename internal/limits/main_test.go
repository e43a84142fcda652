package limits

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

// start is when tests on a clock of their own begin.
const start = 1_700_000_000_123_456

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func must[T any](t fataler) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%v", err)
		}
		return v
	}
}

func limit(t fataler, text string) *Spec {
	t.Helper()
	return must[*Spec](t)(Parse(text))
}

func do(t fataler, c *rediskit.Client, args ...string) rueidis.RedisResult {
	t.Helper()
	res := c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(args[0]).Keys(args[1]).Args(args[2:]...).Build()
	})
	if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatalf("%v: %v", args, err)
	}
	return res
}

func num(t fataler, c *rediskit.Client, args ...string) int64 {
	t.Helper()
	return must[int64](t)(do(t, c, args...).AsInt64())
}

// marker is that of a call, as nobody else's.
func marker(call Call, r Reply) string {
	id := call.Key + ":refunded"
	for _, n := range []int64{r.At, r.A, r.B, r.C} {
		id += "." + strconv.FormatInt(n, 36)
	}
	return id
}

// micros are microseconds as a duration.
func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

func us(d time.Duration) int64 { return d.Microseconds() }

func context20(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
