package ratelimit_test

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/internal/limits/batchmodel"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/ratelimit"
)

// simulated is a server in a bubble of synctest, with a network before it.
type simulated struct {
	mu      sync.Mutex
	model   *batchmodel.Model
	rand    *rand.Rand
	delay   func(*rand.Rand) time.Duration // of each way
	lost    float64                        // of each way
	windows map[int64]bool                 // that there were, by their ends or indices
	asked   int                            // how often
}

func simulate(seed uint64, delay func(*rand.Rand) time.Duration, lost float64) *simulated {
	return &simulated{model: batchmodel.New(), rand: rand.New(rand.NewPCG(seed, seed)), delay: delay, lost: lost, windows: map[int64]bool{}}
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }

// way is one way through the network.
func (s *simulated) way(ctx context.Context) bool {
	s.mu.Lock()
	delay, lost := s.delay(s.rand), s.rand.Float64() < s.lost
	s.mu.Unlock()
	if lost {
		<-ctx.Done()
		return false
	}
	select {
	case <-time.After(delay):
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *simulated) take(ctx context.Context, call limits.BatchCall) (r limits.Reply, b limits.Batch, err error) {
	lost := &rediskit.ConnectionError{Sent: true, Err: io.EOF}
	if !s.way(ctx) {
		return r, b, lost
	}
	s.mu.Lock()
	r, b = s.model.Take(time.Now().UnixMicro(), call)
	s.asked++
	if b.Permits > 0 {
		s.windows[b.Name[0]] = true
	}
	s.mu.Unlock()
	if !s.way(ctx) {
		return r, b, lost
	}
	return r, b, nil
}

// process is a Leased of its own.
func (s *simulated) process(t testing.TB, limit ratelimit.Limit, cfg ratelimit.Config, lease ratelimit.LeaseConfig) *ratelimit.Leased {
	l := ok[*ratelimit.Limiter](t)(ratelimit.New(&rediskit.Client{}, cfg))
	leased := ok[*ratelimit.Leased](t)(l.Leased(limit, lease))
	leased.Through(func(ratelimit.BatchFunc) ratelimit.BatchFunc { return s.take })
	return leased
}

// leasedLimits are limits with short windows, of every algorithm and with remainders.
var leasedLimits = []string{
	"sliding-window:100/200ms", "sliding-window:13/50ms", "fixed-window:100/200ms", "sliding-counter:100/200ms",
	"token-bucket:500/1s,burst=100", "gcra:7/31ms,burst=30",
}

// The code that serves requests, on a clock that only goes on when nothing is left to do: processes that use permits at random,
// over a network that delays, reorders and loses.
func TestSoakProcessesWithLeasesNeverUseMoreThanTheLimit(t *testing.T) {
	for _, text := range leasedLimits {
		t.Run(text, func(t *testing.T) {
			for seed := range uint64(20 * soak.Scale()) {
				synctest.Test(t, func(t *testing.T) {
					random := rand.New(rand.NewPCG(seed, 1))
					delays := []func(*rand.Rand) time.Duration{
						func(r *rand.Rand) time.Duration { return upTo(r, time.Millisecond) },
						func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(20*time.Millisecond)) },
						func(*rand.Rand) time.Duration { return 0 },
					}
					s := simulate(seed, delays[random.IntN(len(delays))], []float64{0, 0.1}[random.IntN(2)])
					limit := ok[ratelimit.Limit](t)(ratelimit.ParseLimit(text))
					uses := hammerLeased(t, s, limit, random)
					checkLeased(t, limit, s.windows, uses)
				})
			}
		})
	}
}

func hammerLeased(t *testing.T, s *simulated, limit ratelimit.Limit, random *rand.Rand) *batchmodel.Uses {
	uses := &batchmodel.Uses{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	end := time.Now().Add(5 * limit.Window())
	for range 3 {
		leased := s.process(t, limit, ratelimit.Config{DenyCache: []int{0, -1}[random.IntN(2)]}, ratelimit.LeaseConfig{
			Lease: []time.Duration{0, time.Millisecond, limit.Window() / 4}[random.IntN(3)],
		})
		var users sync.WaitGroup
		pause := time.Duration(random.ExpFloat64() * float64(10*time.Millisecond))
		for range 1 + random.IntN(6) {
			random := rand.New(rand.NewPCG(random.Uint64(), 2))
			users.Go(func() {
				for time.Now().Before(end) {
					cost, since := 1, time.Now()
					var res ratelimit.Result
					var err error
					switch random.IntN(6) {
					case 0:
						cost = 1 + random.IntN(4)
						res, err = leased.AllowN(t.Context(), "k", cost)
					case 1:
						ctx, cancel := context.WithTimeout(t.Context(), upTo(random, 2*time.Millisecond))
						res, err = leased.Allow(ctx, "k")
						cancel()
					case 2:
						res.Allowed = leased.Key("k").Take(t.Context()) == nil
					default:
						res, err = leased.Allow(t.Context(), "k")
					}
					if err == nil && res.Allowed {
						mu.Lock()
						uses.Add(cost, since, time.Now())
						mu.Unlock()
					}
					time.Sleep(upTo(random, 2*pause))
				}
			})
		}
		wg.Go(func() {
			users.Wait()
			if err := leased.Close(context.Background()); err != nil && !rediskit.IsUnavailable(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return uses
}

// checkLeased checks what was used against the limit, and the windows that there were.
func checkLeased(t testing.TB, limit ratelimit.Limit, windows map[int64]bool, uses *batchmodel.Uses) {
	t.Helper()
	spec := ok[*limits.Spec](t)(limits.Parse(limit.String()))
	if err := uses.Check(spec); err != nil {
		t.Errorf("%v: %v", limit, err)
	}
	for name := range windows {
		var from time.Time
		switch spec.Kind {
		case limits.FixedWindow:
			from = time.UnixMicro(name).Add(-spec.Window)
		case limits.SlidingCounter:
			from = time.UnixMicro(name * spec.Window.Microseconds())
		default:
			return
		}
		if n := uses.Between(from, from.Add(spec.Window)); n > limit.Permits() {
			t.Errorf("%v: %d in the window from %v on", limit, n, from)
		}
	}
}
