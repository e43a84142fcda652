package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// stand is where one subject is measured: an address, a number of callers, and what was opened for it.
type stand struct {
	addr       string // of the server, or of the delay before it
	goroutines int
	closers    []func()
}

// onClose has f called when all subjects have been measured, the last one given first.
func (s *stand) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *stand) close() {
	for _, f := range slices.Backward(s.closers) {
		f()
	}
	s.closers = nil
}

// rediskit connects with cfg, to the stand's address.
func (s *stand) rediskit(ctx context.Context, cfg rediskit.Config) (*rediskit.Client, error) {
	cfg.Addrs = []string{s.addr}
	c, err := rediskit.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.onClose(c.Close)
	return c, nil
}

// rueidis connects with opt, to the stand's address.
func (s *stand) rueidis(opt rueidis.ClientOption) (rueidis.Client, error) {
	opt.InitAddress = []string{s.addr}
	opt.DisableCache = true // no subject caches on its side
	c, err := rueidis.NewClient(opt)
	if err != nil {
		return nil, err
	}
	s.onClose(c.Close)
	return c, nil
}

// goRedis connects with opt, to the stand's address.
func (s *stand) goRedis(opt redis.Options) *redis.Client {
	opt.Addr = s.addr
	c := redis.NewClient(&opt)
	s.onClose(func() { c.Close() })
	return c
}

// withGoRedis are the two rows of go-redis that most operations have: as it is by default, and with a
// connection for every caller.
func withGoRedis(setup func(ctx context.Context, s *stand, c *redis.Client) (probe, error)) []subject {
	return onGoRedis("go-redis", setup)
}

// onGoRedis are these two rows of a library that works on go-redis.
func onGoRedis(name string, setup func(ctx context.Context, s *stand, c *redis.Client) (probe, error)) []subject {
	return []subject{
		{name, func(ctx context.Context, s *stand) (probe, error) {
			return setup(ctx, s, s.goRedis(redis.Options{}))
		}},
		{name + ", pool = goroutines", func(ctx context.Context, s *stand) (probe, error) {
			return setup(ctx, s, s.goRedis(redis.Options{PoolSize: s.goroutines}))
		}},
	}
}

// prepareServer empties the server and fills it for an operation.
func prepareServer(ctx context.Context, addr string, prepare func(context.Context, rueidis.Client) error) error {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Do(ctx, c.B().Flushall().Sync().Build()).Error(); err != nil {
		return fmt.Errorf("emptying the server: %w", err)
	}
	if prepare == nil {
		return nil
	}
	return prepare(ctx, c)
}

// fill sends n commands in large batches.
func fill(ctx context.Context, c rueidis.Client, n int, build func(b rueidis.Builder, i int) rueidis.Completed) error {
	const batch = 1000
	for from := 0; from < n; from += batch {
		cmds := make([]rueidis.Completed, 0, batch)
		for i := from; i < min(from+batch, n); i++ {
			cmds = append(cmds, build(c.B(), i))
		}
		for _, res := range c.DoMulti(ctx, cmds...) {
			if err := res.Error(); err != nil {
				return fmt.Errorf("filling the server: %w", err)
			}
		}
	}
	return nil
}

// names returns n keys that begin with prefix.
func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s:%d", prefix, i)
	}
	return out
}

// spread returns an index under n for a goroutine's call, so that callers neither follow one another over
// the keys nor all go over few of them.
func spread(goroutine, call, n int) int {
	return int((uint64(goroutine)*0x9E3779B97F4A7C15 + uint64(call)*7919) % uint64(n))
}

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
