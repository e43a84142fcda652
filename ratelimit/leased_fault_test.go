package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/ratelimit"
)

// leasedSum is how many permits of a sliding window Redis has as taken.
func leasedSum(t testing.TB, c *rediskit.Client, k *ratelimit.LeasedKey) int {
	t.Helper()
	n, err := c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
		return b.Lindex().Key(k.State()).Index(0).Build()
	}).AsInt64()
	if rueidis.IsRedisNil(err) {
		return 0
	}
	check(t, err)
	return int(n)
}

func TestABatchWhoseReplyIsLostIsChargedAndNotUsed(t *testing.T) {
	_, proxy, through, around := faulty(t)
	l := newLimiterOn(t, through, around, ratelimit.Config{Timeout: 200 * time.Millisecond})
	leased := leasedOf(t, l, ratelimit.SlidingWindow(100, time.Hour), ratelimit.LeaseConfig{Lease: time.Hour})
	k := leased.Key("k")
	check(t, k.Take(t.Context()))
	proxy.BlackHoleReplies()
	res, err := leased.AllowN(t.Context(), "k", 20)
	if !rediskit.MayHaveApplied(err) || res.Allowed {
		t.Fatalf("%+v, %v", res, err)
	}
	check(t, proxy.Resume())
	eventually(t, func() error {
		if n := leasedSum(t, around, k); n != 21 {
			return fmt.Errorf("%d are taken, want 21", n)
		}
		return nil
	})
	// The connection needs a while to come back.
	n := 0
	eventually(t, func() error {
		res, err := leased.Allow(t.Context(), "k")
		if res.Allowed {
			n++
		}
		return err
	})
	n += all(t, leased, "k")
	check(t, leased.Close(t.Context()))
	// A request whose reply is lost in the meantime takes others.
	if sum := leasedSum(t, around, k); sum < 100 || n > 79 {
		t.Errorf("%d used, and %d taken", n, sum)
	}
}

// newLimiterOn is newLimiter for a client that may not get through in the end.
func newLimiterOn(t testing.TB, through, around *rediskit.Client, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	cfg.Keys = newLimiterKeys(t, around)
	return ok[*ratelimit.Limiter](t)(ratelimit.New(through, cfg))
}

func TestWhatIsHeldOutlivesAnOutageAndThenThePolicyAnswers(t *testing.T) {
	for name, policy := range map[string]ratelimit.Outage{"closed": ratelimit.FailClosed, "open": ratelimit.FailOpen(), "local": ratelimit.FailLocal(50)} {
		s, c := startServer(t)
		l := ok[*ratelimit.Limiter](t)(ratelimit.New(c, ratelimit.Config{OnOutage: policy}))
		leased := leasedOf(t, l, ratelimit.SlidingWindow(1000, time.Hour), ratelimit.LeaseConfig{Lease: time.Hour})
		k := leased.Key("k")
		for k.Held() < 50 {
			check(t, k.Take(t.Context()))
		}
		// The next request would be sent when an eighth of the batch is left.
		s.Kill()
		for held := k.Held(); held > 0; held-- {
			if res, err := k.Allow(t.Context()); err != nil || !res.Allowed || res.Degraded || res.Remaining != held-1 {
				t.Fatalf("%s: with %d held: %+v, %v", name, held, res, err)
			}
		}
		for i := range 30 {
			res, err := leased.Allow(t.Context(), "k")
			if !res.Degraded {
				t.Fatalf("%s: %+v, %v", name, res, err)
			}
			takes := k.Take(t.Context())
			switch name {
			case "closed":
				if !rediskit.IsUnavailable(err) || res.Allowed || !rediskit.IsUnavailable(takes) {
					t.Fatalf("%s: %+v, %v, %v", name, res, err, takes)
				}
			case "open":
				if err != nil || !res.Allowed || takes != nil {
					t.Fatalf("%s: %+v, %v, %v", name, res, err, takes)
				}
			case "local": // 20 of its own
				if err != nil || res.Allowed != (i < 10) || (takes == nil) != (i < 10) {
					t.Fatalf("%s, %d: %+v, %v, %v", name, i, res, err, takes)
				}
			}
		}
		check(t, s.Restart())
		eventually(t, func() error {
			res, err := leased.Allow(t.Context(), "k")
			if err == nil && res.Degraded {
				err = errors.New("still degraded")
			}
			return err
		})
	}
}

func TestClosingInAnOutageSaysWhy(t *testing.T) {
	s, c := startServer(t)
	l := ok[*ratelimit.Limiter](t)(ratelimit.New(c, ratelimit.Config{}))
	leased := leasedOf(t, l, ratelimit.SlidingWindow(1000, time.Hour), ratelimit.LeaseConfig{Lease: time.Hour})
	for leased.Key("k").Held() == 0 {
		check(t, leased.Key("k").Take(t.Context()))
	}
	s.Kill()
	if err := leased.Close(t.Context()); !rediskit.IsUnavailable(err) || !strings.HasPrefix(err.Error(), "ratelimit.Leased.Close") {
		t.Error(err)
	}
	check(t, leased.Close(t.Context()))
	if err := leased.Key("k").Take(t.Context()); !errors.Is(err, ratelimit.ErrClosed) {
		t.Error(err)
	}
}

// Connections are cut while requests are under way: what was handed out is never more than what Redis knows of.
func TestSoakCutConnectionsNeverHandOutWhatIsNotCharged(t *testing.T) {
	_, proxy, through, around := faulty(t)
	l := newLimiterOn(t, through, around, ratelimit.Config{Timeout: 50 * time.Millisecond})
	leased := leasedOf(t, l, ratelimit.SlidingWindow(1_000_000, time.Hour), ratelimit.LeaseConfig{Lease: time.Hour, Batch: 20})
	k := leased.Key("k")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	used := 0
	for range 16 {
		wg.Go(func() {
			mine := 0
			defer func() {
				mu.Lock()
				used += mine
				mu.Unlock()
			}()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if res, _ := k.AllowN(context.Background(), 1+mine%3); res.Allowed {
					mine += 1 + mine%3
				}
			}
		})
	}
	for range 30 {
		before := leasedSum(t, around, k)
		eventually(t, func() error {
			if leasedSum(t, around, k) < before+500 {
				return errors.New("it does not go on")
			}
			return nil
		})
		proxy.Cut()
	}
	close(stop)
	wg.Wait()
	if sum := leasedSum(t, around, k); sum < used {
		t.Errorf("%d used, and %d charged", used, sum)
	} else {
		t.Logf("%d used, %d charged, %d of them held", used, sum, k.Held())
	}
}
