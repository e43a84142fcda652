package rediskit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

func blpop(c *rediskit.Client, ctx context.Context, key string, wait time.Duration) rueidis.RedisResult {
	return c.Block(ctx, key, wait, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
		return b.Blpop().Key(key).Timeout(wait.Seconds()).Build()
	})
}

func rpush(c *rediskit.Client, ctx context.Context, key string, values ...string) error {
	return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Rpush().Key(key).Element(values...).Build() }).Error()
}

var everywhere = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded}

func TestBlockReturnsWhatIsThereAndWhatComes(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("list")
		if err := rpush(c, t.Context(), key, "a"); err != nil {
			t.Fatal(err)
		}
		if got, err := blpop(c, t.Context(), key, time.Minute).AsStrSlice(); err != nil || got[1] != "a" {
			t.Fatalf("%v, %v", got, err)
		}
		got := make(chan []string, 1)
		go func() {
			v, err := blpop(c, t.Context(), key, 0).AsStrSlice()
			if err != nil {
				t.Error(err)
			}
			got <- v
		}()
		if err := rpush(c, t.Context(), key, "b"); err != nil {
			t.Fatal(err)
		}
		if v := <-got; len(v) != 2 || v[1] != "b" {
			t.Fatalf("%v", v)
		}
	}, everywhere...)
}

func TestBlockEndsAfterItsWaitWithNil(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		if err := blpop(c, t.Context(), rediskittest.Keys(t)("list"), 5*time.Millisecond).Error(); !rueidis.IsRedisNil(err) {
			t.Fatal(err)
		}
	}, everywhere...)
}

func TestBlockEndsWithItsContextAndTookNothing(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("list")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := blpop(c, ctx, key, 0).Error()
		wantConnectionError(t, err, false)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if err := rpush(c, t.Context(), key, "a"); err != nil {
			t.Fatal(err)
		}
		// Nobody waits any more, or this element would go to nobody.
		if v, err := blpop(c, t.Context(), key, time.Minute).AsStrSlice(); err != nil || v[1] != "a" {
			t.Fatalf("%v, %v", v, err)
		}
	}, everywhere...)
}

func TestBlockRefusesAWaitItCannotKeep(t *testing.T) {
	c := rediskittest.Embedded(t)
	for _, wait := range []time.Duration{-1, time.Microsecond} {
		if err := blpop(c, t.Context(), "list", wait).Error(); err == nil || rueidis.IsRedisNil(err) {
			t.Errorf("%v: %v", wait, err)
		}
	}
}

func TestCloseEndsABlockingCallAndLosesNothing(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	for range 50 {
		c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
		if _, err := s.Do("DEL", "list"); err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 1)
		go func() { got <- blpop(c, t.Context(), "list", 0).Error() }()
		pushed := make(chan error, 1)
		go func() {
			_, err := s.Do("RPUSH", "list", "a")
			pushed <- err
		}()
		c.Close()
		err := <-got
		if e := <-pushed; e != nil {
			t.Fatal(e)
		}
		n, e := s.Do("LLEN", "list")
		if e != nil {
			t.Fatal(e)
		}
		switch {
		case err == nil && n == int64(0):
		case errors.Is(err, rediskit.ErrClosed) && !rediskit.MayHaveApplied(err) && n == int64(1):
		default:
			t.Fatalf("error %v, and %v left in the list", err, n)
		}
	}
}

func TestAKilledServerEndsABlockingPopWithAnOpenOutcome(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
	got := make(chan error, 1)
	go func() { got <- blpop(c, t.Context(), "list", 0).Error() }()
	eventually(t, func() error { return wantBlocked(s, "1") })
	s.Kill()
	err := <-got
	wantConnectionError(t, err, true)
	if !rediskit.IsUnavailable(err) {
		t.Error(err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return rpush(c, t.Context(), "list", "a") })
	if v, err := blpop(c, t.Context(), "list", time.Minute).AsStrSlice(); err != nil || v[1] != "a" {
		t.Fatalf("%v, %v", v, err)
	}
}

func TestAServerOutOfReachDelaysACancelledCallByTheCommandTimeoutAtMost(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: 200 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { got <- blpop(c, ctx, "list", 0).Error() }()
	eventually(t, func() error { return wantBlocked(s, "1") })
	p.BlackHole()
	cancel()
	select {
	case err := <-got:
		wantConnectionError(t, err, true)
	case <-time.After(time.Minute):
		t.Fatal("still waiting after a minute")
	}
}

// A command larger than a buffer is written in pieces, which must not be taken for the traffic of a connection
// whose server does not answer.
func TestABlockingCallOfManyKeysIsNotTakenForASilentServer(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}})
	keys := []string{"list"}
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("%0100d", i))
	}
	got := make(chan error, 1)
	go func() {
		got <- c.Block(t.Context(), "list", 0, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
			return b.Blpop().Key(keys...).Timeout(wait.Seconds()).Build()
		}).Error()
	}()
	eventually(t, func() error { return wantBlocked(s, "1") })
	// Everybody else does wait for a silent server.
	p.SetDelay(time.Second)
	impatient(t, 200, time.Second, 10*time.Millisecond, func(ctx context.Context) error {
		_ = set(c, ctx, "k", "v")
		return nil
	})
	p.SetDelay(0)
	if _, err := s.Do("RPUSH", "list", "a"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func wantBlocked(s *redistest.Server, n string) error {
	info, err := s.Do("INFO", "clients")
	if err != nil {
		return err
	}
	if !containsLine(info.(string), "blocked_clients:"+n) {
		return errors.New("not blocked yet")
	}
	return nil
}
