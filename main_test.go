package rediskit_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/internal/redistest"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
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

func startServer(t *testing.T, cfg redistest.ServerConfig) *redistest.Server {
	t.Helper()
	s, err := redistest.StartServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func startProxy(t *testing.T, addr string) *redistest.FaultProxy {
	t.Helper()
	p, err := redistest.StartProxy(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func get(c *rediskit.Client, ctx context.Context, key string) (string, error) {
	return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key(key).Build() }).ToString()
}

func set(c *rediskit.Client, ctx context.Context, key, value string) error {
	return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key(key).Value(value).Build().ToRetryable()
	}).Error()
}

func incr(c *rediskit.Client, ctx context.Context, key string) (int64, error) {
	return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Incr().Key(key).Build() }).AsInt64()
}

// serverValue reads a key beside the client under test.
func serverValue(t *testing.T, s *redistest.Server, key string) string {
	t.Helper()
	v, err := s.Do("GET", key)
	if err != nil {
		t.Fatal(err)
	}
	if v == nil {
		return ""
	}
	return v.(string)
}

// eventually calls f until it returns nil.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within 30s: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func wantConnectionError(t *testing.T, err error, sent bool) {
	t.Helper()
	var ce *rediskit.ConnectionError
	if !errors.As(err, &ce) {
		t.Fatalf("got %T %v, want a ConnectionError", err, err)
	}
	if rediskit.MayHaveApplied(err) != sent {
		t.Fatalf("MayHaveApplied is %s: %v", strconv.FormatBool(!sent), err)
	}
}
