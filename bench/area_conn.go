package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/script"
)

const (
	connKeys   = 10_000
	connValue  = 100 // bytes
	connScript = `
local n = redis.call('INCRBY', KEYS[1], ARGV[1])
if n == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return n`
)

// connArea is the connection itself: the measurement behind the default flush delay and behind having one
// connection to a node.
func connArea() area {
	keys := names("conn", connKeys)
	count := script.New(connScript, script.Once)
	rueidisCount := rueidis.NewLuaScript(connScript)
	goRedisCount := redis.NewScript(connScript)
	args := []string{"1", "3600000"}
	return area{
		name: "conn",
		about: "A GET of 100 bytes and a script that counts (INCRBY, and PEXPIRE the first time), with other flush delays " +
			"and connections than rediskit's defaults (20 µs, one connection) beside them.",
		operations: []operation{
			{
				name: "GET",
				prepare: func(ctx context.Context, c rueidis.Client) error {
					value := strings.Repeat("x", connValue)
					return fill(ctx, c, connKeys, func(b rueidis.Builder, i int) rueidis.Completed {
						return b.Set().Key(keys[i]).Value(value).ExSeconds(3600).Build()
					})
				},
				subjects: connSubjects(keys,
					func(ctx context.Context, c *rediskit.Client, key string) error {
						return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key(key).Build() }).Error()
					},
					func(ctx context.Context, c rueidis.Client, key string) error {
						return c.Do(ctx, c.B().Get().Key(key).Build()).Error()
					},
					func(ctx context.Context, c redis.Cmdable, key string) error { return c.Get(ctx, key).Err() }),
			},
			{
				name: "EVALSHA",
				subjects: connSubjects(keys,
					func(ctx context.Context, c *rediskit.Client, key string) error {
						return count.Exec(ctx, c, []string{key}, args).Error()
					},
					func(ctx context.Context, c rueidis.Client, key string) error {
						return rueidisCount.Exec(ctx, c, []string{key}, args).Error()
					},
					func(ctx context.Context, c redis.Cmdable, key string) error {
						return goRedisCount.Run(ctx, c, []string{key}, 1, 3600000).Err()
					}),
			},
		},
	}
}

// connSubjects makes subjects of a command on one of the keys, given for each library.
func connSubjects(keys []string,
	kit func(context.Context, *rediskit.Client, string) error,
	raw func(context.Context, rueidis.Client, string) error,
	peer func(context.Context, redis.Cmdable, string) error) []subject {

	withConfig := func(name string, cfg rediskit.Config) subject {
		return subject{name, func(ctx context.Context, s *stand) (probe, error) {
			c, err := s.rediskit(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return connProbe(s, keys, c, kit), nil
		}}
	}
	subjects := []subject{withConfig(baseline, rediskit.Config{})}
	for _, d := range []time.Duration{-1, 10 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond} {
		name := fmt.Sprintf("rediskit, flush delay %v", max(d, 0))
		subjects = append(subjects, withConfig(name, rediskit.Config{FlushDelay: d}))
	}
	subjects = append(subjects,
		subject{"rediskit, 2 connections", func(_ context.Context, s *stand) (probe, error) {
			// What Connect sets, but for the number.
			c, err := s.rueidis(rueidis.ClientOption{
				MaxFlushDelay:       rediskit.DefaultFlushDelay,
				PipelineMultiplex:   1, // 2^1
				ReadBufferEachConn:  64 << 10,
				WriteBufferEachConn: 64 << 10,
				ConnWriteTimeout:    rediskit.DefaultCommandTimeout,
				DisableRetry:        true,
			})
			if err != nil {
				return nil, err
			}
			return connProbe(s, keys, rediskit.Wrap(c), kit), nil
		}},
		subject{"rueidis", func(_ context.Context, s *stand) (probe, error) {
			c, err := s.rueidis(rueidis.ClientOption{})
			if err != nil {
				return nil, err
			}
			return connProbe(s, keys, c, raw), nil
		}})
	subjects = append(subjects, withGoRedis(func(_ context.Context, s *stand, c *redis.Client) (probe, error) {
		return connProbe[redis.Cmdable](s, keys, c, peer), nil
	})...)
	return append(subjects, subject{"go-redis, AutoPipeline", func(_ context.Context, s *stand) (probe, error) {
		ap, err := s.goRedis(redis.Options{}).AutoPipeline()
		if err != nil {
			return nil, err
		}
		return connProbe[redis.Cmdable](s, keys, ap, peer), nil
	}})
}

func connProbe[C any](s *stand, keys []string, c C, call func(context.Context, C, string) error) probe {
	return s.loop(func(ctx context.Context, g, n int) error { return call(ctx, c, keys[spread(g, n, len(keys))]) })
}
