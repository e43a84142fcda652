package geo_test

import (
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/geo"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
}

var everywhere = []rediskittest.Kind{
	rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded,
}

func open[M any](t testing.TB, c *rediskit.Client, ttl time.Duration) *geo.Set[M] {
	t.Helper()
	s, err := geo.New(c, geo.Config[M]{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// both runs a test on sets that are written by scripts and on sets that are written by plain commands.
func both(t *testing.T, c *rediskit.Client, test func(t *testing.T, s *geo.Set[string])) {
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

// at is short for a location.
func at(member string, lon, lat float64) geo.Location[string] {
	return geo.Location[string]{Member: member, Point: geo.Point{Lon: lon, Lat: lat}}
}

// names returns the members of matches, in order.
func names(matches []geo.Match[string]) []string {
	out := []string{}
	for _, m := range matches {
		out = append(out, m.Member)
	}
	return out
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
