package zset_test

import (
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/zset"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
}

var everywhere = []rediskittest.Kind{
	rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded,
}

func open[M any](t testing.TB, c *rediskit.Client, ttl time.Duration) *zset.Set[M] {
	t.Helper()
	s, err := zset.New(c, zset.Config[M]{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// both runs a test on sets that are written by scripts and on sets that are written by plain commands.
func both(t *testing.T, c *rediskit.Client, test func(t *testing.T, s *zset.Set[string])) {
	t.Helper()
	t.Run("with a TTL", func(t *testing.T) { test(t, open[string](t, c, time.Hour)) })
	t.Run("without", func(t *testing.T) { test(t, open[string](t, c, rediskit.NoTTL)) })
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// e is short for an entry.
func e(member string, score float64) zset.Entry[string] {
	return zset.Entry[string]{Member: member, Score: score}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !same(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// ttl returns what PTTL says.
func ttl(t *testing.T, c *rediskit.Client, key string) time.Duration {
	t.Helper()
	n := must[int64](t)(c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Pttl().Key(key).Build()
	}).AsInt64())
	return time.Duration(n) * time.Millisecond
}

// command sends one past the package.
func command(t *testing.T, c *rediskit.Client, key, name string, args ...string) {
	t.Helper()
	if err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(name).Keys(key).Args(args...).Build()
	}).Error(); err != nil {
		t.Fatal(err)
	}
}
