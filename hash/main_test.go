package hash_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/hash"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
}

// everywhere runs a test on every kind of server, the embedded one among them.
func everywhere(t *testing.T, test func(t *testing.T, c *rediskit.Client)) {
	t.Helper()
	rediskittest.Each(t, test,
		rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

func structs[T any](t *testing.T, c *rediskit.Client, ttl time.Duration) *hash.Hash[T] {
	t.Helper()
	h, err := hash.New[T](c, hash.Config{TTL: ttl})
	ok(t, err)
	return h
}

func mapsOf[V any](t *testing.T, c *rediskit.Client, ttl time.Duration) *hash.Map[V] {
	t.Helper()
	m, err := hash.NewMap(c, hash.MapConfig[V]{TTL: ttl})
	ok(t, err)
	return m
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// refused checks that err is the error of an operation and says what is wrong.
func refused(t *testing.T, err error, op string, says ...string) {
	t.Helper()
	var oe *rediskit.OpError
	if !errors.As(err, &oe) || oe.Op != op {
		t.Fatalf("got %T %v, want an OpError of %s", err, err, op)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Fatalf("error %q does not say %q", err, text)
		}
	}
}

// raw runs a command beside the package.
func raw(t *testing.T, c *rediskit.Client, command, key string, args ...string) rueidis.RedisResult {
	t.Helper()
	res := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command).Keys(key).Args(args...).Build()
	})
	if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatal(err)
	}
	return res
}

// content returns the hash as Redis has it.
func content(t *testing.T, c *rediskit.Client, key string) map[string]string {
	t.Helper()
	all, err := raw(t, c, "HGETALL", key).AsStrMap()
	ok(t, err)
	return all
}
