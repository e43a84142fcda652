package ratelimit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// gone is a client whose server has been killed.
func gone(t *testing.T) (*rediskit.Client, *rediskittest.RedisServer) {
	server := rediskittest.Server(t)
	c := server.Client()
	if _, err := c.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	return c, server
}

func TestInAnOutageThePolicyAnswers(t *testing.T) {
	c, _ := gone(t)
	limit, key := ratelimit.SlidingWindow(10, time.Hour), "k"
	for range 2 {
		closed := limiterOf(t, c, ratelimit.Config{})
		open := limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen()})
		local := limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailLocal(5)})
		for range 8 {
			res, err := closed.Allow(t.Context(), key, limit)
			if !rediskit.IsUnavailable(err) || res.Allowed || !res.Degraded {
				t.Fatalf("closed: %+v, %v", res, err)
			}
			res, err = open.Allow(t.Context(), key, limit)
			if err != nil || !res.Allowed || !res.Degraded || res.Limit != 10 || res.RetryAfter != 0 {
				t.Fatalf("open: %+v, %v", res, err)
			}
			if err := open.Refund(t.Context(), res); err != nil {
				t.Fatalf("nothing was taken, so there is nothing to give back: %v", err)
			}
		}
		for i := range 4 {
			res, err := local.Allow(t.Context(), key, limit)
			if err != nil || res.Allowed != (i < 2) || !res.Degraded {
				t.Fatalf("local, hit %d: %+v, %v", i, res, err)
			}
		}
		if res, err := local.AllowN(t.Context(), "another", limit, 10); err != nil || !res.Allowed {
			t.Fatalf("a cost above the share: %+v, %v", res, err)
		}
		all, err := local.AllowAll(t.Context(), "third", limit, ratelimit.TokenBucket(10, 0.001))
		if err != nil || !all.Allowed || !all.Degraded || len(all.Each) != 2 {
			t.Fatalf("all: %+v, %v", all, err)
		}
		many, err := open.AllowMany(t.Context(), []ratelimit.Request{{Key: "a", Limit: limit}, {Key: "b", Limit: limit}})
		if err != nil || !many[0].Allowed || !many[1].Degraded {
			t.Fatalf("many: %+v, %v", many, err)
		}
		many, err = closed.AllowMany(t.Context(), []ratelimit.Request{{Key: "a", Limit: limit}, {Key: "b", Limit: limit}})
		if err == nil || many[0].Allowed || many[1].Allowed {
			t.Fatalf("many, closed: %+v, %v", many, err)
		}
		if r, err := open.Reserve(t.Context(), "a", ratelimit.TokenBucket(1, 0.01), 1, time.Hour); err != nil || !r.Allowed || r.Delay != 0 {
			t.Fatalf("reserve: %+v, %v", r, err)
		}
		if _, err := open.Peek(t.Context(), key, limit); err == nil {
			t.Fatal("Peek made something up")
		}
	}
}

func TestAfterAnOutageTheServerIsAskedAgain(t *testing.T) {
	c, server := gone(t)
	l, limit := limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen()}), ratelimit.SlidingWindow(1_000_000, time.Hour)
	for range 20 {
		if res := ok[ratelimit.Result](t)(l.Allow(t.Context(), "k", limit)); !res.Degraded {
			t.Fatal("answered by a server that is gone")
		}
	}
	server.Restart()
	for deadline := time.Now().Add(time.Minute); ; {
		if res := ok[ratelimit.Result](t)(l.Allow(t.Context(), "k", limit)); !res.Degraded {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("still degraded a minute after the restart")
		}
	}
}

func TestACallersOwnErrorsAreNoOutage(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	l, key := limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen(), Timeout: 10 * time.Second}), rediskittest.Keys(t)("k")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	limit := ratelimit.FixedWindow(1, time.Hour)
	if res, err := l.Allow(ctx, key, limit); !errors.Is(err, context.Canceled) || res.Allowed {
		t.Errorf("cancelled: %+v, %v", res, err)
	}
	if res := ok[ratelimit.Result](t)(l.Allow(t.Context(), key, limit)); !res.Allowed || res.Degraded {
		t.Errorf("the cancelled call took a permit, or tripped the breaker: %+v", res)
	}
}

// counting is a MeterProvider that keeps what one counter is given.
type counting struct {
	noop.MeterProvider
	mu   sync.Mutex
	seen map[string]int64
}

func (c *counting) Meter(string, ...metric.MeterOption) metric.Meter { return meterOf{counter: c} }

type meterOf struct {
	noop.Meter
	counter *counting
}

func (m meterOf) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counterOf{name: name, of: m.counter}, nil
}

type counterOf struct {
	noop.Int64Counter
	name string
	of   *counting
}

func (c counterOf) Enabled(context.Context) bool { return true }

func (c counterOf) Add(_ context.Context, n int64, options ...metric.AddOption) {
	set := metric.NewAddConfig(options).Attributes()
	name := c.name
	for _, kv := range set.ToSlice() {
		name += " " + kv.Value.AsString()
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.seen[name] += n
}

func TestDecisionsAreCounted(t *testing.T) {
	meter := &counting{seen: map[string]int64{}}
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	key, limit := rediskittest.Keys(t)("k"), ratelimit.FixedWindow(2, time.Hour)
	l := limiterOf(t, c, ratelimit.Config{MeterProvider: meter, Timeout: 10 * time.Second})
	for range 4 {
		ok[ratelimit.Result](t)(l.Allow(t.Context(), key, limit))
	}
	away, _ := gone(t)
	open := limiterOf(t, away, ratelimit.Config{MeterProvider: meter, OnOutage: ratelimit.FailOpen()})
	ok[ratelimit.Result](t)(open.Allow(t.Context(), key, limit))
	closed := limiterOf(t, away, ratelimit.Config{MeterProvider: meter})
	if _, err := closed.Allow(t.Context(), key, limit); err == nil {
		t.Fatal("a server that is gone answered")
	}
	for what, want := range map[string]int64{
		"fixed-window allowed server": 2,
		"fixed-window refused server": 1,
		"fixed-window refused cache":  1,
		"fixed-window allowed outage": 1,
		"fixed-window failed outage":  1,
	} {
		if got := meter.seen["rediskit.ratelimit.decisions "+what]; got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
}

func TestFailLocalCountsOnWhenALimitIsLoweredBelowTheProcesses(t *testing.T) {
	c, _ := gone(t)
	for name, limit := range map[string]func(int) ratelimit.Limit{
		"sliding window":  func(n int) ratelimit.Limit { return ratelimit.SlidingWindow(n, time.Minute) },
		"sliding counter": func(n int) ratelimit.Limit { return ratelimit.SlidingCounter(n, time.Minute) },
		"fixed window":    func(n int) ratelimit.Limit { return ratelimit.FixedWindow(n, time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			l := limiterOf(t, c, ratelimit.Config{OnOutage: ratelimit.FailLocal(5)})
			if res := ok[ratelimit.Result](t)(l.Allow(t.Context(), "k", limit(10))); !res.Allowed {
				t.Fatalf("%+v", res)
			}
			var res ratelimit.Result
			for range 2 { // one in three minutes
				res = ok[ratelimit.Result](t)(l.Allow(t.Context(), "k", limit(2)))
			}
			if res.Allowed || res.RetryAfter > 6*time.Minute {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestACancelledCallTellsWhatItTookHoweverNearItsDeadlineIs(t *testing.T) {
	_, proxy, through, around := faulty(t)
	broken, sound := askers(t, through, around, ratelimit.Config{Timeout: time.Hour})
	limit := ratelimit.SlidingWindow(100, time.Hour)
	proxy.SetDelay(200 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const calls = 10 // one by itself would not look at its context
	go func() {      // cancels between the server's decisions and their arrival
		defer cancel()
		for taken(t, sound, "k", limit) < calls && ctx.Err() == nil {
		}
	}()
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if r, err := broken.Allow(ctx, "k", limit); err != nil || !r.Allowed || r.Degraded {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	wg.Wait()
}
