package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/stream"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
}

var everywhere = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded}

func open[T any](t testing.TB, c *rediskit.Client, ttl time.Duration) *stream.Stream[T] {
	t.Helper()
	s, err := stream.New(c, stream.Config[T]{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// both runs a test on a stream that is written with scripts and on one that is written with plain commands.
func both(t *testing.T, c *rediskit.Client, test func(t *testing.T, s *stream.Stream[string])) {
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

func connect(t *testing.T, cfg rediskit.Config) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
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

// values are those of entries.
func values[T any](entries []stream.Entry[T]) []T {
	var out []T
	for _, e := range entries {
		out = append(out, e.Value)
	}
	return out
}

// ids are those of entries.
func ids[T any](entries []stream.Entry[T]) []stream.ID {
	var out []stream.ID
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

// ttl returns what PTTL says: -1 for none, -2 for no key.
func ttl(t *testing.T, c *rediskit.Client, key string) time.Duration {
	t.Helper()
	n, err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed { return b.Pttl().Key(key).Build() }).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Millisecond
}

// eventually calls f until it returns nil.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func startServer(t *testing.T) *redistest.Server {
	t.Helper()
	s, err := redistest.StartServer(redistest.ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// wantWaiting returns nil if n calls wait at the server.
func wantWaiting(s *redistest.Server, n int) error {
	text, err := s.Do("INFO", "clients")
	if err != nil {
		return err
	}
	if !strings.Contains(text.(string), fmt.Sprintf("\nblocked_clients:%d\r", n)) {
		return errors.New("another number of calls waits")
	}
	return nil
}
