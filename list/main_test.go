package list_test

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
	"github.com/tickettoken/rediskit/list"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
}

var everywhere = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded}

func open[T any](t testing.TB, c *rediskit.Client, ttl time.Duration) *list.List[T] {
	t.Helper()
	l, err := list.New(c, list.Config[T]{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// both runs a test on a list that writes with scripts and on one that writes with plain commands.
func both(t *testing.T, c *rediskit.Client, test func(t *testing.T, l *list.List[string])) {
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

// raw pushes an element past the codec.
func raw(t *testing.T, c *rediskit.Client, key string, elements ...string) {
	t.Helper()
	if err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Rpush().Key(key).Element(elements...).Build()
	}).Error(); err != nil {
		t.Fatal(err)
	}
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

// infoField returns a field of INFO, asked past the client under test.
func infoField(t *testing.T, s *redistest.Server, section, name string) string {
	t.Helper()
	text := must[any](t)(s.Do("INFO", section)).(string)
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("INFO %s has no %s", section, name)
	return ""
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
