package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislimiter/rueidislimiter"
	"github.com/throttled/throttled/v2"
	goredisstore "github.com/throttled/throttled/v2/store/goredisstore.v9"
	ululelimiter "github.com/ulule/limiter/v3"
	ululestore "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/ratelimit"
)

// A limit that nobody reaches while it is measured, and whose state outlives the measurements: of GCRA, as many a minute
// with as much room as this.
const (
	plentyPerMinute = 1_000
	plenty          = 100_000_000
)

// rateLimitArea decides limits, each kind beside the libraries that have it.
func rateLimitArea() area {
	const window = time.Minute
	gcra := ratelimit.GCRA(plentyPerMinute, time.Minute, plenty)
	fixed := ratelimit.FixedWindow(plenty, window)

	var operations []operation
	for _, keys := range []struct {
		what  string
		names []string
	}{{"1,000 keys", names("user", 1_000)}, {"one key", names("user", 1)}} {
		operations = append(operations,
			operation{name: "GCRA, " + keys.what, subjects: slices.Concat(
				limiting(baseline, ratelimit.Config{}, gcra, keys.names, true),
				redisRate(redis_rate.Limit{Rate: plentyPerMinute, Period: time.Minute, Burst: plenty}, keys.names, true),
				throttledGCRA(throttled.RateQuota{MaxRate: throttled.PerMin(plentyPerMinute), MaxBurst: plenty - 1}, keys.names, true),
			)},
			operation{name: "fixed window, " + keys.what, subjects: slices.Concat(
				limiting(baseline, ratelimit.Config{}, fixed, keys.names, true),
				ulule(ululelimiter.Rate{Period: window, Limit: plenty}, keys.names, true),
				rueidisLimiter(plenty, window, keys.names, true),
			)},
			operation{name: "algorithms, " + keys.what, subjects: slices.Concat(
				limiting(baseline, ratelimit.Config{}, gcra, keys.names, true),
				limiting("rediskit, token bucket", ratelimit.Config{}, ratelimit.TokenBucket(plenty, 16), keys.names, true),
				limiting("rediskit, fixed window", ratelimit.Config{}, fixed, keys.names, true),
				limiting("rediskit, sliding counter", ratelimit.Config{}, ratelimit.SlidingCounter(plenty, window), keys.names, true),
				limiting("rediskit, sliding window", ratelimit.Config{}, ratelimit.SlidingWindow(1_000_000, time.Second), keys.names, true),
			)})
	}
	keys := names("user", 1_000)
	operations = append(operations,
		operation{
			name: "GCRA, beside redis-benchmark", goroutines: []int{128, 800}, loopbackOnly: true, subjects: slices.Concat(
				limiting(baseline, ratelimit.Config{}, gcra, keys, true),
				redisBenchmark(gcra, len(keys)),
			),
		},
		operation{name: "refused, 1,000 keys", subjects: slices.Concat(
			limiting(baseline, ratelimit.Config{}, ratelimit.GCRA(1, time.Hour, 1), keys, false),
			limiting("rediskit, no deny cache", ratelimit.Config{DenyCache: -1}, ratelimit.GCRA(1, time.Hour, 1), keys, false),
			redisRate(redis_rate.Limit{Rate: 1, Period: time.Hour, Burst: 1}, keys, false),
			throttledGCRA(throttled.RateQuota{MaxRate: throttled.PerHour(1)}, keys, false),
			ulule(ululelimiter.Rate{Period: time.Hour, Limit: 1}, keys, false),
			rueidisLimiter(1, time.Hour, keys, false),
		)})
	return area{
		name: "ratelimit",
		about: "Decisions about one of 1,000 keys, or all about one: to allow, and in the end to refuse. Peers are those with the same " +
			"algorithm; throttled reads and then writes if nothing has changed, up to ten times; rueidislimiter is that of rueidis v1.0.55, " +
			"on today's client. redis-benchmark sends the very command that rediskit sends, in pipelines of 16 on 50 connections. " +
			"Calls that fail are not counted; besides stands how many, if any did. A remembered refusal sends nothing, and so is measured " +
			"a hundred at a time. Memory is what MEMORY USAGE says of all keys of a user with a name of ten letters.",
		operations: append(append(operations, localOperations()...), limitMemory()...),
	}
}

// decide asks whether something is allowed.
type decide func(ctx context.Context, key string) (bool, error)

var errWrongAnswer = errors.New("the answer is not the one that is to be measured")

// decisions makes a probe of questions that are answered with want. Those that fail are not counted, and what
// part of all they are is noted.
func decisions(ctx context.Context, s *stand, keys []string, want bool, ask decide) (probe, error) {
	if !want {
		for _, key := range keys {
			if _, err := ask(ctx, key); err != nil {
				return nil, err
			}
		}
	}
	var failed atomic.Int64
	all := s.loop(func(ctx context.Context, g, n int) error {
		switch ok, err := ask(ctx, keys[spread(g, n, len(keys))]); {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			failed.Add(1)
		case ok != want:
			return errWrongAnswer
		}
		return nil
	})
	return func(ctx context.Context, d time.Duration) (sample, error) {
		failed.Store(0)
		m, err := all(ctx, d)
		if n := float64(failed.Load()); err == nil && n > 0 {
			part := n / m.calls
			m.opsPerS *= 1 - part
			m.value, m.unit = 100*part, "% failed"
		}
		return m, err
	}, nil
}

func limiting(name string, cfg ratelimit.Config, limit ratelimit.Limit, keys []string, want bool) []subject {
	return []subject{{name, func(ctx context.Context, s *stand) (probe, error) {
		l, err := s.limiter(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return decisions(ctx, s, keys, want, func(ctx context.Context, key string) (bool, error) {
			r, err := l.Allow(ctx, key, limit)
			return r.Allowed, err
		})
	}}}
}

func (s *stand) limiter(ctx context.Context, cfg ratelimit.Config) (*ratelimit.Limiter, error) {
	c, err := s.rediskit(ctx, rediskit.Config{})
	if err != nil {
		return nil, err
	}
	l, err := ratelimit.New(c, cfg)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func redisRate(limit redis_rate.Limit, keys []string, want bool) []subject {
	return onGoRedis("redis_rate", func(ctx context.Context, s *stand, c *redis.Client) (probe, error) {
		l := redis_rate.NewLimiter(c)
		return decisions(ctx, s, keys, want, func(ctx context.Context, key string) (bool, error) {
			r, err := l.Allow(ctx, key, limit)
			return err == nil && r.Allowed == 1, err
		})
	})
}

func throttledGCRA(quota throttled.RateQuota, keys []string, want bool) []subject {
	return onGoRedis("throttled", func(ctx context.Context, s *stand, c *redis.Client) (probe, error) {
		store, err := goredisstore.NewCtx(c, "throttled:")
		if err != nil {
			return nil, err
		}
		l, err := throttled.NewGCRARateLimiterCtx(store, quota)
		if err != nil {
			return nil, err
		}
		return decisions(ctx, s, keys, want, func(ctx context.Context, key string) (bool, error) {
			limited, _, err := l.RateLimitCtx(ctx, key, 1)
			return !limited, err
		})
	})
}

func ulule(rate ululelimiter.Rate, keys []string, want bool) []subject {
	return onGoRedis("ulule/limiter", func(ctx context.Context, s *stand, c *redis.Client) (probe, error) {
		store, err := ululestore.NewStore(c)
		if err != nil {
			return nil, err
		}
		l := ululelimiter.New(store, rate)
		return decisions(ctx, s, keys, want, func(ctx context.Context, key string) (bool, error) {
			r, err := l.Get(ctx, key)
			return !r.Reached, err
		})
	})
}

func rueidisLimiter(n int, window time.Duration, keys []string, want bool) []subject {
	return []subject{{"rueidislimiter", func(ctx context.Context, s *stand) (probe, error) {
		l, err := s.rueidisLimiter(n, window)
		if err != nil {
			return nil, err
		}
		return decisions(ctx, s, keys, want, func(ctx context.Context, key string) (bool, error) {
			r, err := l.Allow(ctx, key)
			return r.Allowed, err
		})
	}}}
}

func (s *stand) rueidisLimiter(n int, window time.Duration) (rueidislimiter.RateLimiterClient, error) {
	return rueidislimiter.NewRateLimiter(rueidislimiter.RateLimiterOption{
		ClientBuilder: func(opt rueidis.ClientOption) (rueidis.Client, error) { return s.rueidis(opt) },
		Limit:         n,
		Window:        window,
	})
}

// limitMemory is how much the server keeps for a key.
func limitMemory() []operation {
	const user = "8f3c-user2"
	cell := func(name string, subjects ...[]subject) operation {
		return operation{
			name: name, goroutines: []int{1}, loopbackOnly: true, cold: true,
			subjects: slices.Concat(subjects...),
		}
	}
	kit := func(name string, limit ratelimit.Limit, permits int) []subject {
		return memoryAfter(name, permits, func(ctx context.Context, s *stand) (func(context.Context) error, error) {
			l, err := s.limiter(ctx, ratelimit.Config{})
			return func(ctx context.Context) error {
				_, err := l.Allow(ctx, user, limit)
				return err
			}, err
		})
	}
	return []operation{
		cell("memory, 1 permit",
			kit(baseline, ratelimit.GCRA(1_000, time.Hour, 1_000), 1),
			kit("rediskit, 7 an hour", ratelimit.GCRA(7, time.Hour, 7), 1),
			kit("rediskit, token bucket", ratelimit.TokenBucket(1_000, 0.25), 1),
			kit("rediskit, fixed window", ratelimit.FixedWindow(1_000, time.Hour), 1),
			kit("rediskit, sliding counter", ratelimit.SlidingCounter(1_000, time.Hour), 1),
			kit("rediskit, sliding window", ratelimit.SlidingWindow(1_000, time.Hour), 1),
			memoryAfter("redis_rate", 1, func(_ context.Context, s *stand) (func(context.Context) error, error) {
				l := redis_rate.NewLimiter(s.goRedis(redis.Options{}))
				return func(ctx context.Context) error {
					_, err := l.Allow(ctx, user, redis_rate.PerHour(1_000))
					return err
				}, nil
			}),
			memoryAfter("throttled", 1, func(_ context.Context, s *stand) (func(context.Context) error, error) {
				store, err := goredisstore.NewCtx(s.goRedis(redis.Options{}), "throttled:")
				if err != nil {
					return nil, err
				}
				l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{MaxRate: throttled.PerHour(1_000), MaxBurst: 999})
				return func(ctx context.Context) error {
					_, _, err := l.RateLimitCtx(ctx, user, 1)
					return err
				}, err
			}),
			memoryAfter("ulule/limiter", 1, func(_ context.Context, s *stand) (func(context.Context) error, error) {
				store, err := ululestore.NewStore(s.goRedis(redis.Options{}))
				return func(ctx context.Context) error {
					_, err := store.Get(ctx, user, ululelimiter.Rate{Period: time.Hour, Limit: 1_000})
					return err
				}, err
			}),
			memoryAfter("rueidislimiter", 1, func(_ context.Context, s *stand) (func(context.Context) error, error) {
				l, err := s.rueidisLimiter(1_000, time.Hour)
				return func(ctx context.Context) error {
					_, err := l.Allow(ctx, user)
					return err
				}, err
			}),
		),
		cell("memory, 1,000 permits",
			kit(baseline, ratelimit.SlidingWindow(1_000, time.Hour), 1_000),
			memoryAfter("a ZSET, by hand", 1_000, func(_ context.Context, s *stand) (func(context.Context) error, error) {
				c, err := s.rueidis(rueidis.ClientOption{})
				return func(ctx context.Context) error {
					at := time.Now()
					member := at.Format("150405.000000") + "-" + strconv.FormatInt(at.UnixNano()%1e9, 36)
					return c.Do(ctx, c.B().Zadd().Key("rl:log:{"+user+"}").ScoreMember().ScoreMember(float64(at.UnixMicro()), member).Build()).Error()
				}, err
			}),
		),
	}
}

// memoryAfter takes permits on a server that is empty, and adds up what it has kept.
func memoryAfter(name string, permits int, setup func(ctx context.Context, s *stand) (func(context.Context) error, error)) []subject {
	return []subject{{name, func(ctx context.Context, s *stand) (probe, error) {
		take, err := setup(ctx, s)
		if err != nil {
			return nil, err
		}
		server, err := s.rueidis(rueidis.ClientOption{})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, _ time.Duration) (sample, error) {
			total, err := memoryOf(ctx, server, permits, func(int) error { return take(ctx) })
			return sample{value: total, unit: "bytes"}, err
		}, nil
	}}}
}
