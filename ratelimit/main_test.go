package ratelimit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/scan"
)

// The test binary is also the processes that use a limit together: see hammer and useLeases.
func TestMain(m *testing.M) {
	for env, role := range map[string]func(string, io.Reader, io.Writer) error{hammerEnv: hammer, leasesEnv: useLeases} {
		if orders := os.Getenv(env); orders != "" {
			if err := role(orders, os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	leaks.VerifyTestMain(m)
}

// newLimiter makes a Limiter with a namespace of its own, unless cfg has one. When the test ends, every key of
// the namespace has to have a TTL.
func newLimiter(t testing.TB, c *rediskit.Client, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	if cfg.Keys.Namespace() == "" {
		cfg.Keys = keys.MustNew("t" + rand.Text())
	}
	l, err := ratelimit.New(c, cfg)
	check(t, err)
	t.Cleanup(func() { leavesNothingForEver(t, c, cfg.Keys) })
	return l
}

// leavesNothingForEver fails the test if a key of the namespace has no TTL, and deletes them all.
func leavesNothingForEver(t testing.TB, c *rediskit.Client, namespace keys.Builder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := scan.New(c, scan.Config{Rate: -1})
	check(t, err)
	for key, err := range s.Keys(ctx, namespace.Prefix().String()) {
		check(t, err)
		ttl, err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Pttl().Key(key).Build() }).AsInt64()
		check(t, err)
		if ttl == -1 {
			t.Errorf("%s was left without a TTL", key)
		}
		check(t, c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Unlink().Key(key).Build() }).Error())
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually calls f until it returns nil.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %v", err)
		}
	}
}

// connect connects a client that is closed when the test ends.
func connect(t testing.TB, cfg rediskit.Config) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(context.Background(), cfg)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

// startServer starts a server of the test's own.
func startServer(t testing.TB, args ...string) (*redistest.Server, *rediskit.Client) {
	t.Helper()
	s, err := redistest.StartServer(redistest.ServerConfig{Args: args})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s, connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
}

// faulty starts a server of the test's own with a proxy before it. One client goes through the proxy, the other one
// around it.
func faulty(t testing.TB, args ...string) (s *redistest.Server, p *redistest.FaultProxy, through, around *rediskit.Client) {
	t.Helper()
	s, around = startServer(t, args...)
	p, err := redistest.StartProxy(s.Addr())
	check(t, err)
	t.Cleanup(func() { p.Close() })
	return s, p, connect(t, rediskit.Config{Addrs: []string{p.Addr()}}), around
}

// taken asks how many permits of a key are taken.
func taken(t testing.TB, l *ratelimit.Limiter, key string, limit ratelimit.Limit) int {
	t.Helper()
	r, err := l.Peek(context.Background(), key, limit)
	check(t, err)
	return r.Limit - r.Remaining
}

// longLived are limits of n of every algorithm that give nothing back while a test runs.
func longLived(n int) map[string]ratelimit.Limit {
	const long = 24 * time.Hour
	return map[string]ratelimit.Limit{
		"sliding window":  ratelimit.SlidingWindow(n, long),
		"sliding counter": ratelimit.SlidingCounter(n, 360*long),
		"fixed window":    ratelimit.FixedWindow(n, long),
		"token bucket":    ratelimit.TokenBucket(n, 1.0/86_400),
		"GCRA":            ratelimit.GCRA(1, long, n),
	}
}

// wantTaken checks how many permits of a limit of n are gone, when some calls are known to have taken theirs and
// others may have.
func wantTaken(t testing.TB, got, known, unknown int) {
	t.Helper()
	if got < known || got > known+unknown {
		t.Errorf("%d permits are gone, of %d that were given out and %d that may have been", got, known, unknown)
	}
}

// unexpected is an error that no test wants: one that is neither a clean refusal nor an outage.
func unexpected(err error) bool {
	return err != nil && !rediskit.IsUnavailable(err) && !errors.Is(err, ratelimit.ErrOpen)
}
