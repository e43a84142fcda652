package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/ratelimit"
)

// notStarving is how many callers of what needs no server leave time for the replies of it that are needed now and
// then: those have to be there in a tenth of a second.
var notStarving = []int{1, 2}

// localOperations are answers that need no server, beside what any such answer costs.
func localOperations() []operation {
	keys := names("user", 100) // each is asked about anew every second
	used := ratelimit.GCRA(1, time.Hour, 1)
	return []operation{
		{name: "remembered refusal", goroutines: notStarving, loopbackOnly: true, subjects: []subject{
			{baseline, func(ctx context.Context, s *stand) (probe, error) {
				l, err := s.limiter(ctx, ratelimit.Config{})
				if err != nil {
					return nil, err
				}
				for _, key := range keys {
					if _, err := l.Allow(ctx, key, used); err != nil {
						return nil, err
					}
				}
				return s.hundreds(func(ctx context.Context, g, n int) error {
					r, err := l.Allow(ctx, keys[spread(g, n, len(keys))], used)
					if err == nil && r.Allowed {
						err = errWrongAnswer
					}
					return err
				}), nil
			}},
			{"map with a mutex", func(_ context.Context, s *stand) (probe, error) {
				var mu sync.Mutex
				refusedUntil := make(map[string]time.Time)
				for _, key := range keys {
					refusedUntil[key] = time.Now()
				}
				return s.hundreds(func(_ context.Context, g, n int) error {
					mu.Lock()
					until := refusedUntil[keys[spread(g, n, len(keys))]]
					mu.Unlock()
					if until.IsZero() {
						return errWrongAnswer
					}
					return nil
				}), nil
			}},
		}},
	}
}

// hundreds is loop for calls that are quick beside reading the clock: it times a hundred at once, and so knows
// no latencies.
func (s *stand) hundreds(op func(ctx context.Context, goroutine, n int) error) probe {
	const times = 100
	all := s.loop(func(ctx context.Context, g, n int) error {
		for i := range times {
			if err := op(ctx, g, n*times+i); err != nil {
				return err
			}
		}
		return nil
	})
	return func(ctx context.Context, d time.Duration) (sample, error) {
		m, err := all(ctx, d)
		m.calls *= times
		m.opsPerS *= times
		m.allocsPerOp /= times
		m.bytesPerOp /= times
		m.p50, m.p99 = 0, 0
		return m, err
	}
}

// redisBenchmark is the server's own load generator with the command that a limiter sends. There is no such subject
// where it is not installed.
func redisBenchmark(limit ratelimit.Limit, keys int) []subject {
	const (
		program = "redis-benchmark"
		random  = "__rand_int__" // in a key, it becomes a number
	)
	if _, err := exec.LookPath(program); err != nil {
		return nil
	}
	return []subject{{program + " -P 16 -c 50", func(ctx context.Context, s *stand) (probe, error) {
		l, err := s.limiter(ctx, ratelimit.Config{})
		if err != nil {
			return nil, err
		}
		command, err := s.overhear(ctx, random, func() error { _, err := l.Allow(ctx, random, limit); return err })
		if err != nil {
			return nil, err
		}
		host, port, err := net.SplitHostPort(s.addr)
		if err != nil {
			return nil, err
		}
		perS := 10_000.0
		return func(ctx context.Context, d time.Duration) (sample, error) {
			n := max(int(perS*d.Seconds()), 1_000)
			args := append([]string{"-h", host, "-p", port, "-P", "16", "-c", "50", "-r", strconv.Itoa(keys),
				"-n", strconv.Itoa(n), "--csv"}, command...)
			out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
			if err != nil {
				return sample{}, fmt.Errorf("%s: %w: %s", program, err, out)
			}
			m, err := parseRedisBenchmark(string(out))
			if err != nil {
				return sample{}, err
			}
			perS = m.opsPerS
			return m, nil
		}, nil
	}}}
}

// overhear returns the command with which call sends a word to the server.
func (s *stand) overhear(ctx context.Context, word string, call func() error) ([]string, error) {
	c, err := s.rueidis(rueidis.ClientOption{})
	if err != nil {
		return nil, err
	}
	const setting = "slowlog-log-slower-than"
	before, err := c.Do(ctx, c.B().ConfigGet().Parameter(setting).Build()).AsStrMap()
	if err != nil {
		return nil, err
	}
	set := func(value string) error {
		return c.Do(ctx, c.B().ConfigSet().ParameterValue().ParameterValue(setting, value).Build()).Error()
	}
	if err := set("0"); err != nil {
		return nil, err
	}
	err = errors.Join(call(), set(before[setting]))
	if err != nil {
		return nil, err
	}
	entries, err := c.Do(ctx, c.B().SlowlogGet().Count(10).Build()).ToArray()
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		fields, err := entry.ToArray() // id, time, duration, command, ...
		if err != nil || len(fields) < 4 {
			return nil, fmt.Errorf("an entry of the slow log: %v: %w", entry, err)
		}
		command, err := fields[3].AsStrSlice()
		if err != nil {
			return nil, err
		}
		if command[0] == "EVALSHA" && strings.Contains(strings.Join(command, " "), word) {
			return command, nil
		}
	}
	return nil, fmt.Errorf("nothing was sent with %s", word)
}

// parseRedisBenchmark reads a head and a line of a command, calls a second, and milliseconds: average, minimum,
// median, 95%, 99% and maximum.
func parseRedisBenchmark(out string) (sample, error) {
	at := strings.Index(out, `"test"`)
	records, err := csv.NewReader(strings.NewReader(out[max(at, 0):])).ReadAll()
	if at < 0 || err != nil || len(records) < 2 || len(records[1]) < 7 {
		return sample{}, fmt.Errorf("not what redis-benchmark --csv prints: %q", out)
	}
	var f [3]float64
	for i, column := range []int{1, 4, 6} {
		if f[i], err = strconv.ParseFloat(records[1][column], 64); err != nil {
			return sample{}, err
		}
	}
	return sample{opsPerS: f[0], p50: time.Duration(f[1] * 1e6), p99: time.Duration(f[2] * 1e6)}, nil
}
