package ratelimit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// leasedOf is a Leased that is closed when the test ends.
func leasedOf(t testing.TB, l *ratelimit.Limiter, limit ratelimit.Limit, cfg ratelimit.LeaseConfig) *ratelimit.Leased {
	t.Helper()
	leased := ok[*ratelimit.Leased](t)(l.Leased(limit, cfg))
	t.Cleanup(func() { leased.Close(context.Background()) })
	return leased
}

// counted counts the requests of a Leased.
func counted(leased *ratelimit.Leased) *atomic.Int64 {
	var n atomic.Int64
	leased.Through(func(take ratelimit.BatchFunc) ratelimit.BatchFunc {
		return func(ctx context.Context, call limits.BatchCall) (limits.Reply, limits.Batch, error) {
			n.Add(1)
			return take(ctx, call)
		}
	})
	return &n
}

// all takes permits one by one until there are no more.
func all(t testing.TB, leased *ratelimit.Leased, key string) (n int) {
	t.Helper()
	for {
		res := ok[ratelimit.Result](t)(leased.Allow(context.Background(), key))
		if !res.Allowed {
			return n
		}
		n++
	}
}

// mostLeased is how many of a limit of n can be leased at first: of a bucket, what runs out in a lease cannot.
func mostLeased(limit ratelimit.Limit, n int) int {
	if text := limit.String(); strings.HasPrefix(text, "gcra") || strings.HasPrefix(text, "token") {
		return n - 1
	}
	return n
}

func TestALeasedLimitIsGivenOutAndNoMore(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l := newLimiter(t, c, ratelimit.Config{Timeout: 10 * time.Second})
		for name, limit := range longLived(100) {
			leased := leasedOf(t, l, limit, ratelimit.LeaseConfig{Lease: time.Hour})
			asked, want := counted(leased), mostLeased(limit, 100)
			for i := range want {
				res := ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
				until := time.Until(res.ResetAt)
				if !res.Allowed || res.Err() != nil || res.Limit != 100 || res.RetryAfter != 0 || res.Degraded || until <= 0 || until > 800*24*time.Hour {
					t.Fatalf("%s: hit %d: %+v", name, i, res)
				}
			}
			if n := asked.Load(); n > 16 { // 1, 2, 4, 8 and then 10 at a time
				t.Errorf("%s: %d requests", name, n)
			}
			res := ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
			exceeded := new(ratelimit.ExceededError)
			if res.Allowed || res.RetryAfter < time.Second || !errors.As(res.Err(), &exceeded) || exceeded.Key != "k" || exceeded.Limit != 100 {
				t.Errorf("%s: beyond the limit: %+v", name, res)
			}
			if err := leased.Key("k").Take(t.Context()); !errors.As(err, &exceeded) {
				t.Errorf("%s: beyond the limit: %v", name, err)
			}
			if direct := ok[ratelimit.Result](t)(l.Allow(t.Context(), "k", limit)); !direct.Allowed || direct.Remaining != 99 {
				t.Errorf("%s: Allow shares the state of Leased: %+v", name, direct)
			}
		}
	}, everywhere...)
}

func TestGoroutinesAndProcessesShareALeasedLimit(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for name, limit := range longLived(1000) {
			space := ratelimit.Config{Timeout: 10 * time.Second, Keys: newLimiterKeys(t, c)}
			var wg sync.WaitGroup
			var n atomic.Int64
			var each []*ratelimit.Leased
			for range 4 {
				leased := leasedOf(t, newLimiter(t, c, space), limit, ratelimit.LeaseConfig{Lease: time.Hour})
				each = append(each, leased)
				for range 32 {
					wg.Go(func() { n.Add(int64(all(t, leased, "k"))) })
				}
			}
			wg.Wait()
			// Who was refused for the sake of another's batch finds what is left of it when that is closed.
			for _, leased := range each {
				check(t, leased.Close(t.Context()))
			}
			last := leasedOf(t, newLimiter(t, c, space), limit, ratelimit.LeaseConfig{Lease: time.Hour, Batch: 1})
			n.Add(int64(all(t, last, "k")))
			if want := int64(mostLeased(limit, 1000)); n.Load() != want {
				t.Errorf("%s: %d were allowed of %d", name, n.Load(), want)
			}
		}
	})
}

func TestCostsAreTakenWholeOrNotAtAll(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l := newLimiter(t, c, ratelimit.Config{Timeout: 10 * time.Second})
		for name, limit := range longLived(20) {
			leased, n := leasedOf(t, l, limit, ratelimit.LeaseConfig{Lease: time.Hour}), mostLeased(limit, 20)
			for _, step := range []struct {
				cost    int
				allowed bool
			}{{7, true}, {n, false}, {7, true}, {7, false}, {n - 15, true}, {2, false}, {1, true}, {1, false}} {
				res := ok[ratelimit.Result](t)(leased.AllowN(t.Context(), "k", step.cost))
				if res.Allowed != step.allowed {
					t.Errorf("%s: a cost of %d: %+v", name, step.cost, res)
				}
			}
			for _, cost := range []int{21, math.MaxInt} {
				if _, err := leased.AllowN(t.Context(), "other", cost); !errors.Is(err, ratelimit.ErrNever) {
					t.Errorf("%s: a cost of %d: %v", name, cost, err)
				}
			}
			for _, cost := range []int{0, -1, math.MinInt} {
				if res, err := leased.AllowN(t.Context(), "other", cost); err == nil || res.Allowed {
					t.Errorf("%s: a cost of %d: %+v", name, cost, res)
				}
			}
		}
	}, everywhere...)
}

func TestWhatIsUnusedGoesBackWithCloseAndWithTheNextRequest(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for name, limit := range longLived(100) {
			space := ratelimit.Config{Timeout: 10 * time.Second, Keys: newLimiterKeys(t, c)}
			one := leasedOf(t, newLimiter(t, c, space), limit, ratelimit.LeaseConfig{Lease: time.Hour, Batch: 64})
			two := leasedOf(t, newLimiter(t, c, space), limit, ratelimit.LeaseConfig{Lease: time.Hour, Batch: 64})
			used := 0
			for one.Key("k").Held() < 10 {
				if !ok[ratelimit.Result](t)(one.Allow(t.Context(), "k")).Allowed {
					t.Fatalf("%s: nothing is held after %d", name, used)
				}
				used++
			}
			// It holds h, and needs one more. So that goes back.
			h := one.Key("k").Held()
			if !ok[ratelimit.Result](t)(one.AllowN(t.Context(), "k", h+1)).Allowed {
				t.Fatalf("%s: a cost above what is held is refused", name)
			}
			used += h + 1
			for one.Key("k").Held() == 0 {
				check(t, one.Key("k").Take(t.Context()))
				used++
			}
			check(t, one.Close(t.Context()))
			if got, want := all(t, two, "k"), mostLeased(limit, 100)-used; got != want {
				t.Errorf("%s: %d were left for another, want %d", name, got, want)
			}
		}
	})
}

// newLimiterKeys is a namespace of the test's own.
func newLimiterKeys(t testing.TB, c *rediskit.Client) keys.Builder {
	t.Helper()
	b := keys.MustNew("t" + rand.Text())
	t.Cleanup(func() { leavesNothingForEver(t, c, b) })
	return b
}

func TestAClosedLeasedAllowsNothing(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l := newLimiter(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen()})
	leased := leasedOf(t, l, ratelimit.SlidingWindow(1000, time.Hour), ratelimit.LeaseConfig{Batch: 100})
	k := leased.Key("pinned")
	for range 20 {
		ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
		check(t, k.Take(t.Context()))
	}
	for range 2 {
		check(t, leased.Close(t.Context()))
	}
	for _, key := range []string{"k", "pinned", "new"} {
		if res, err := leased.Allow(t.Context(), key); !errors.Is(err, ratelimit.ErrClosed) || res.Allowed {
			t.Errorf("%s: %+v, %v", key, res, err)
		}
	}
	if err := k.Take(t.Context()); !errors.Is(err, ratelimit.ErrClosed) || !strings.Contains(err.Error(), `ratelimit.Leased.Allow "pinned"`) {
		t.Error(err)
	}
	if res, err := l.Allow(t.Context(), "k", ratelimit.SlidingWindow(1000, time.Hour)); err != nil || !res.Allowed {
		t.Errorf("the Limiter goes on: %+v, %v", res, err)
	}
}

func TestCloseGivesBackThoughItsContextIsCancelled(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		space := ratelimit.Config{Timeout: 10 * time.Second, Keys: newLimiterKeys(t, c)}
		limit := ratelimit.SlidingWindow(100, time.Hour)
		leased := leasedOf(t, newLimiter(t, c, space), limit, ratelimit.LeaseConfig{Batch: 100})
		for range 70 {
			ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, leased.Close(cancelled))
		if got := all(t, leasedOf(t, newLimiter(t, c, space), limit, ratelimit.LeaseConfig{}), "k"); got != 30 {
			t.Errorf("%d were left, want 30", got)
		}
	})
}

// With a thousand keys sent together, a cancelled context cuts the second thousand short.
func TestCloseSaysWhatItCouldNotGiveBack(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnCluster)
	leased := leasedOf(t, newLimiter(t, c, patient), ratelimit.SlidingWindow(100, time.Hour), ratelimit.LeaseConfig{})
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 25 {
				key := fmt.Sprint(g, ".", i)
				for leased.Key(key).Held() == 0 {
					ok[ratelimit.Result](t)(leased.Allow(context.Background(), key))
				}
			}
		})
	}
	wg.Wait()
	asked := counted(leased)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	err := leased.Close(cancelled)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "600 keys") || asked.Load() != 1000 {
		t.Errorf("%v, %d keys given back", err, asked.Load())
	}
	check(t, leased.Close(t.Context()))
}

func TestWhatCannotBeLeasedIsRefused(t *testing.T) {
	c := rediskittest.Embedded(t)
	l := limiterOf(t, c, ratelimit.Config{})
	window, bucket := ratelimit.SlidingWindow(100, time.Second), ratelimit.TokenBucket(100, 100)
	for _, row := range []struct {
		limit ratelimit.Limit
		cfg   ratelimit.LeaseConfig
		want  string
	}{
		{ratelimit.Limit{}, ratelimit.LeaseConfig{}, "zero Limit"},
		{ratelimit.SlidingWindow(0, time.Second), ratelimit.LeaseConfig{}, "n is 0"},
		{ratelimit.Concurrency(5, time.Minute), ratelimit.LeaseConfig{}, "limit for Acquire"},
		{window.WithPenalty(time.Second), ratelimit.LeaseConfig{}, "has a penalty"},
		{window, ratelimit.LeaseConfig{Lease: time.Microsecond}, "LeaseConfig.Lease is 1µs: want 1ms to 1s"},
		{window, ratelimit.LeaseConfig{Lease: -time.Second}, "LeaseConfig.Lease is -1s"},
		{window, ratelimit.LeaseConfig{Lease: 2 * time.Second}, "LeaseConfig.Lease is 2s: want 1ms to 1s"},
		{window, ratelimit.LeaseConfig{Batch: -1}, "LeaseConfig.Batch is -1"},
		{window, ratelimit.LeaseConfig{Batch: 101}, "LeaseConfig.Batch is 101: want at most 100"},
		{window, ratelimit.LeaseConfig{Keys: -1}, "LeaseConfig.Keys is -1"},
		{window, ratelimit.LeaseConfig{Keys: 1 << 30}, "LeaseConfig.Keys is 1073741824"},
		{bucket, ratelimit.LeaseConfig{Lease: 500 * time.Millisecond, Batch: 51}, "LeaseConfig.Batch is 51: want at most 50"},
		{bucket, ratelimit.LeaseConfig{Lease: time.Second}, "no room for a permit"},
		{bucket, ratelimit.LeaseConfig{Lease: 1001 * time.Millisecond}, "LeaseConfig.Lease is 1.001s"},
		{ratelimit.TokenBucket(1, 10), ratelimit.LeaseConfig{}, "no room for a permit"},
		{ratelimit.GCRA(3_000_000, time.Second, 100), ratelimit.LeaseConfig{}, "no room for a permit"},
	} {
		if _, err := l.Leased(row.limit, row.cfg); err == nil || !strings.HasPrefix(err.Error(), "ratelimit: ") || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v, %+v: %v, want %q", row.limit, row.cfg, err, row.want)
		}
	}
	for _, row := range []struct {
		limit ratelimit.Limit
		cfg   ratelimit.LeaseConfig
	}{
		{bucket, ratelimit.LeaseConfig{Lease: 500 * time.Millisecond, Batch: 50}},
		{bucket, ratelimit.LeaseConfig{Lease: 990 * time.Millisecond}},
		{ratelimit.TokenBucket(2, 10), ratelimit.LeaseConfig{}},
		{ratelimit.SlidingWindow(1, time.Millisecond), ratelimit.LeaseConfig{}},
		{ratelimit.FixedWindow(1_000_000_000, 366*24*time.Hour), ratelimit.LeaseConfig{Lease: 366 * 24 * time.Hour}},
	} {
		ok[*ratelimit.Leased](t)(l.Leased(row.limit, row.cfg))
	}
	leased := leasedOf(t, l, bucket, ratelimit.LeaseConfig{Lease: 500 * time.Millisecond})
	if _, err := leased.AllowN(t.Context(), "k", 51); !errors.Is(err, ratelimit.ErrNever) || !strings.Contains(err.Error(), "51 of the 50") {
		t.Errorf("a cost for which there is never room: %v", err)
	}
	if _, err := leased.Allow(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "empty key") {
		t.Errorf("no key: %v", err)
	}
}

func TestLeasedKeysMayHoldAnything(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l := newLimiter(t, c, patient)
		leased := leasedOf(t, l, ratelimit.FixedWindow(3, time.Hour), ratelimit.LeaseConfig{})
		for _, key := range []string{"}", "{", "}{", "{}", "a}b{c", ":", "*", "?[a-z]", "\\", "%", "%7D", "\x00", "\xff\xfe", " ", "\r\n", "ü", strings.Repeat("long", 4096)} {
			if n := all(t, leased, key); n != 3 {
				t.Errorf("%.20q: %d of 3", key, n)
			}
		}
	}, everywhere...)
}

func TestScriptsThatAreForgottenAreSentAgainForBatches(t *testing.T) {
	s, c := startServer(t)
	for name, limit := range longLived(200) {
		l := newLimiter(t, c, ratelimit.Config{Timeout: 10 * time.Second})
		leased := leasedOf(t, l, limit, ratelimit.LeaseConfig{Lease: time.Hour, Batch: 10})
		n := 0
		for {
			if n%10 == 0 {
				_, err := s.Do("SCRIPT", "FLUSH")
				check(t, err)
			}
			if !ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k")).Allowed {
				break
			}
			n++
		}
		if want := mostLeased(limit, 200); n != want {
			t.Errorf("%s: %d of %d", name, n, want)
		}
	}
}

func TestALimitMayBeRaisedAndLoweredWhileItIsLeased(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l := newLimiter(t, c, patient)
	for name := range longLived(1) {
		low, high := longLived(10)[name], longLived(30)[name]
		if got, want := all(t, leasedOf(t, l, low, ratelimit.LeaseConfig{Lease: time.Hour}), "k"), mostLeased(low, 10); got != want {
			t.Errorf("%s: %d of 10", name, got)
		}
		if got := all(t, leasedOf(t, l, high, ratelimit.LeaseConfig{Lease: time.Hour}), "k"); got != 20 {
			t.Errorf("%s: %d more when the limit was raised by 20", name, got)
		}
		if got := all(t, leasedOf(t, l, low, ratelimit.LeaseConfig{Lease: time.Hour}), "k"); got != 0 {
			t.Errorf("%s: %d more when it was lowered again", name, got)
		}
	}
}

func TestMoreKeysThanHaveRoomAllWork(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l := newLimiter(t, c, patient)
	leased := leasedOf(t, l, ratelimit.SlidingWindow(100, time.Hour), ratelimit.LeaseConfig{Keys: 8, Batch: 50})
	asked := counted(leased)
	pinned := leased.Key("pinned")
	for pinned.Held() < 20 {
		check(t, pinned.Take(t.Context()))
	}
	before, held := asked.Load(), pinned.Held()
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				if !ok[ratelimit.Result](t)(leased.Allow(context.Background(), fmt.Sprint(g, ".", i))).Allowed {
					t.Error("a new key is refused")
				}
			}
		})
	}
	wg.Wait()
	if n := asked.Load() - before; n != 800 {
		t.Errorf("%d requests for a permit of each of 800 keys", n)
	}
	if !ok[ratelimit.Result](t)(leased.Allow(t.Context(), "pinned")).Allowed || pinned.Held() != held-1 || leased.Key("pinned") != pinned {
		t.Errorf("what Key returned was given up for another key")
	}
	if n := leased.Places(); n > 8 {
		t.Errorf("%d keys have a place, of 8", n)
	}
}

func TestLeasedPermitsAreNotRefunded(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l := newLimiter(t, c, patient)
	leased := leasedOf(t, l, ratelimit.SlidingWindow(5, time.Hour), ratelimit.LeaseConfig{})
	for range 5 {
		check(t, l.Refund(t.Context(), ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))))
	}
	res := ok[ratelimit.Result](t)(leased.Allow(t.Context(), "k"))
	check(t, l.Refund(t.Context(), res))
	if res.Allowed {
		t.Error("a refund gave back what was leased")
	}
	if n := ok[int64](t)(c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed { return b.Llen().Key(leased.Key("k").State()).Build() }).AsInt64()); n != 6 {
		t.Errorf("the state has %d elements, want a sum and 5 batches of 1", n)
	}
}

func TestLeasedPermitsAreCountedWhenTheirBatchIsOver(t *testing.T) {
	counts := &counting{seen: map[string]int64{}}
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l := newLimiter(t, c, ratelimit.Config{Timeout: 10 * time.Second, MeterProvider: counts})
	leased := leasedOf(t, l, ratelimit.SlidingWindow(50, time.Hour), ratelimit.LeaseConfig{})
	all(t, leased, "k")
	leased.Allow(t.Context(), "k")
	leased.Allow(t.Context(), "few")
	check(t, leased.Close(t.Context()))
	counts.mu.Lock()
	defer counts.mu.Unlock()
	t.Log(counts.seen)
	var allowed, refused int64
	for name, n := range counts.seen {
		if strings.Contains(name, "lease") && strings.Contains(name, "allowed") {
			allowed += n
		}
		if strings.Contains(name, "refused") {
			refused += n
		}
	}
	if allowed != 51 || refused != 2 {
		t.Errorf("%v", counts.seen)
	}
}
