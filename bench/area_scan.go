package main

import (
	"context"
	"fmt"
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/scan"
)

// idleTime is how long GETs are measured alone, to compare with.
const idleTime = 3 * time.Second

// scanArea is walking over n keys, and over a tenth of that.
func scanArea(n int) area {
	return area{
		name: "scan",
		about: "Counting keys, in keys per second, beside a bare loop over SCAN with COUNT 1000; besides stands how much " +
			"the heap grew at most, garbage included. Deleting keys, in keys per second, while one caller does GETs in a loop, " +
			"whose latencies these are; besides stands their p99 against that of the three seconds before each walk, when " +
			"nothing was deleted. rediskit's walk keeps to its default rate.",
		operations: []operation{
			countOperation(n / 10),
			countOperation(n),
			deleteOperation(n),
		},
	}
}

func countOperation(n int) operation {
	o := operation{
		name:       fmt.Sprintf("Count, %s keys", number(float64(n))),
		goroutines: []int{1},
		prepare:    func(ctx context.Context, c rueidis.Client) error { return fillKeys(ctx, c, n) },
	}
	o.subjects = []subject{
		{baseline, func(ctx context.Context, s *stand) (probe, error) {
			c, err := s.rediskit(ctx, rediskit.Config{})
			if err != nil {
				return nil, err
			}
			walker, err := scan.New(c, scan.Config{})
			if err != nil {
				return nil, err
			}
			return countProbe(n, func(ctx context.Context) (int64, error) { return walker.Count(ctx, "*") }), nil
		}},
		{"rueidis, bare loop", func(_ context.Context, s *stand) (probe, error) {
			c, err := s.rueidis(rueidis.ClientOption{})
			if err != nil {
				return nil, err
			}
			return countProbe(n, func(ctx context.Context) (found int64, err error) {
				for cursor, first := uint64(0), true; first || cursor != 0; first = false {
					page, err := c.Do(ctx, c.B().Scan().Cursor(cursor).Match("*").Count(1000).Build()).AsScanEntry()
					if err != nil {
						return 0, err
					}
					found += int64(len(page.Elements))
					cursor = page.Cursor
				}
				return found, nil
			}), nil
		}},
		{"go-redis, bare loop", func(_ context.Context, s *stand) (probe, error) {
			c := s.goRedis(redis.Options{})
			return countProbe(n, func(ctx context.Context) (found int64, err error) {
				for cursor, first := uint64(0), true; first || cursor != 0; first = false {
					var page []string
					if page, cursor, err = c.Scan(ctx, cursor, "*", 1000).Result(); err != nil {
						return 0, err
					}
					found += int64(len(page))
				}
				return found, nil
			}), nil
		}},
	}
	return o
}

// countProbe counts once, whatever the time.
func countProbe(n int, count func(context.Context) (int64, error)) probe {
	return func(ctx context.Context, _ time.Duration) (sample, error) {
		mem := memoryNow()
		peak := watchHeap()
		begin := time.Now()
		found, err := count(ctx)
		elapsed := time.Since(begin)
		grown := peak()
		if err != nil {
			return sample{}, err
		}
		if found < int64(n) {
			return sample{}, fmt.Errorf("counted %d keys of %d", found, n)
		}
		allocs, bytes := mem.since()
		return sample{
			opsPerS:     float64(n) / elapsed.Seconds(),
			allocsPerOp: allocs / float64(n),
			bytesPerOp:  bytes / float64(n),
			value:       grown / (1 << 20),
			unit:        "MiB",
		}, nil
	}
}

// watchHeap looks at the size of the heap every millisecond until the function it returns is called, which
// says by how many bytes it was larger than in the beginning.
func watchHeap() func() float64 {
	heap := func() float64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return float64(s[0].Value.Uint64())
	}
	before := heap()
	peak := before
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				peak = max(peak, heap())
			case <-stop:
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-stopped
		return max(peak, heap()) - before
	}
}

func deleteOperation(n int) operation {
	return operation{
		name:       fmt.Sprintf("Delete, %s keys", number(float64(n))),
		goroutines: []int{1},
		prepare: func(ctx context.Context, c rueidis.Client) error {
			return c.Do(ctx, c.B().Set().Key("kept").Value("value").Build()).Error()
		},
		cold:         true,
		loopbackOnly: true,
		subjects: []subject{
			{baseline, deleteWith(n, scan.Config{})},
			{"rediskit, no rate", deleteWith(n, scan.Config{Rate: -1})},
			{"go-redis, SCAN and UNLINK", func(_ context.Context, s *stand) (probe, error) {
				c := s.goRedis(redis.Options{})
				return deleteProbe(s, n, func(ctx context.Context) (gone int64, err error) {
					for cursor, first := uint64(0), true; first || cursor != 0; first = false {
						var page []string
						if page, cursor, err = c.Scan(ctx, cursor, "key:*", 1000).Result(); err != nil {
							return gone, err
						}
						if len(page) == 0 {
							continue
						}
						deleted, err := c.Unlink(ctx, page...).Result()
						if err != nil {
							return gone, err
						}
						gone += deleted
					}
					return gone, nil
				})
			}},
			{"nothing deleted", func(_ context.Context, s *stand) (probe, error) {
				c, err := s.rueidis(rueidis.ClientOption{})
				if err != nil {
					return nil, err
				}
				return func(ctx context.Context, _ time.Duration) (sample, error) {
					out, err := s.loop(getLoop(c))(ctx, idleTime)
					return sample{p50: out.p50, p99: out.p99}, err
				}, nil
			}},
		},
	}
}

func deleteWith(n int, cfg scan.Config) func(context.Context, *stand) (probe, error) {
	return func(ctx context.Context, s *stand) (probe, error) {
		c, err := s.rediskit(ctx, rediskit.Config{})
		if err != nil {
			return nil, err
		}
		walker, err := scan.New(c, cfg)
		if err != nil {
			return nil, err
		}
		return deleteProbe(s, n, func(ctx context.Context) (int64, error) { return walker.Delete(ctx, "key:*") })
	}
}

// deleteProbe fills the server, measures GETs while nothing is deleted, and then while everything is.
func deleteProbe(s *stand, n int, del func(context.Context) (int64, error)) (probe, error) {
	server, err := s.rueidis(rueidis.ClientOption{})
	if err != nil {
		return nil, err
	}
	get := getLoop(server)
	return func(ctx context.Context, _ time.Duration) (sample, error) {
		if err := fillKeys(ctx, server, n); err != nil {
			return sample{}, err
		}
		idle, err := s.loop(get)(ctx, idleTime)
		if err != nil {
			return sample{}, err
		}
		var elapsed time.Duration
		busy, err := measureWhile(ctx, s.goroutines, get, func(ctx context.Context) error {
			begin := time.Now()
			gone, err := del(ctx)
			elapsed = time.Since(begin)
			if err == nil && gone != int64(n) {
				err = fmt.Errorf("deleted %d keys of %d", gone, n)
			}
			return err
		})
		return sample{
			opsPerS: float64(n) / elapsed.Seconds(),
			p50:     busy.p50,
			p99:     busy.p99,
			value:   float64(busy.p99) / float64(idle.p99),
			unit:    "× the p99 of before",
		}, err
	}, nil
}

// getLoop reads a key that no walk here deletes.
func getLoop(c rueidis.Client) func(context.Context, int, int) error {
	return func(ctx context.Context, _, _ int) error {
		return c.Do(ctx, c.B().Get().Key("kept").Build()).Error()
	}
}

func fillKeys(ctx context.Context, c rueidis.Client, n int) error {
	return fill(ctx, c, n, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Set().Key("key:" + strconv.Itoa(i)).Value("value").Build()
	})
}
