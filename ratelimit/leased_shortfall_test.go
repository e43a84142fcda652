package ratelimit_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/ratelimit"
)

// load is how processes use permits: each of their goroutines pauses before each.
type load struct {
	name       string
	goroutines int // of each process
	pause      func(r *rand.Rand, now time.Time) time.Duration
}

const (
	loadPermits   = 500 // a second
	loadProcesses = 8
)

// random is a load of so many times the limit at random moments.
func random(name string, times float64) load {
	const goroutines = 8
	mean := float64(time.Second) * loadProcesses * goroutines / loadPermits / times
	return load{name, goroutines, func(r *rand.Rand, _ time.Time) time.Duration { return time.Duration(r.ExpFloat64() * mean) }}
}

var loads = []load{
	random("4 x the limit", 4),
	random("steady, 90 % of it", 0.9),
	random("steady, 10 % of it", 0.1),
	{"90 % of it, all in a tenth of each second", 8, func(r *rand.Rand, now time.Time) time.Duration {
		if into := time.Duration(now.Nanosecond()); into > time.Second/10 {
			return time.Second - into
		}
		return time.Duration(r.ExpFloat64() * float64(time.Second) / 10 / 6) // 6 after the first, of 64 goroutines
	}},
	{"idle, 1 a second in each process", 1, func(r *rand.Rand, _ time.Time) time.Duration {
		return time.Duration(r.ExpFloat64() * float64(time.Second))
	}},
}

// With leases, as much is allowed as by a limit that is stricter by the lease, but for what processes hold. The log has the table
// of the guide: go test -v -run Shortfall, and with REDISKIT_SOAK=10 steadier numbers.
func TestSoakTheShortfallOfLeases(t *testing.T) {
	length := 5*time.Second*time.Duration(soak.Scale()) + time.Second/2
	for _, limit := range []ratelimit.Limit{
		ratelimit.SlidingWindow(loadPermits, time.Second), ratelimit.FixedWindow(loadPermits, time.Second),
		ratelimit.SlidingCounter(loadPermits, time.Second), ratelimit.TokenBucket(loadPermits, loadPermits),
	} {
		for _, lease := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond} {
			for _, load := range loads {
				synctest.Test(t, func(t *testing.T) {
					s := simulate(1, func(r *rand.Rand) time.Duration { return upTo(r, 100*time.Microsecond) + 200*time.Microsecond }, 0)
					f := fall(t, s, limit, lease, load, length)
					t.Logf("%v | %v | %s | %d | %d | %d | %d | %.1f %% | %.3f", limit, lease, load.name, f.calls, f.ideal, f.stricter,
						f.allowed, 100*float64(f.ideal-f.allowed)/float64(f.ideal), float64(s.asked)/float64(f.calls))
					if held := int(length/time.Second+1) * loadProcesses * loadPermits / 10; f.allowed < f.stricter-held {
						t.Errorf("%v, lease %v, %s: %d were allowed, want %d but for %d that are held", limit, lease, load.name, f.allowed, f.stricter, held)
					}
				})
			}
		}
	}
}

// shortfall is how many calls there were, how many were allowed, and would have been if each had asked the server: for the same
// limit, and for one that is stricter by the lease.
type shortfall struct{ calls, allowed, ideal, stricter int }

func fall(t *testing.T, s *simulated, limit ratelimit.Limit, lease time.Duration, load load, length time.Duration) (f shortfall) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var calls []time.Time
	end := time.Now().Add(length)
	var all []*ratelimit.Leased
	for p := range loadProcesses {
		leased := s.process(t, limit, ratelimit.Config{}, ratelimit.LeaseConfig{Lease: lease})
		all = append(all, leased)
		for g := range load.goroutines {
			random := rand.New(rand.NewPCG(uint64(p), uint64(g)))
			wg.Go(func() {
				time.Sleep(load.pause(random, time.Now()))
				for time.Now().Before(end) {
					now := time.Now()
					res, err := leased.Allow(t.Context(), "k")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					calls = append(calls, now)
					if res.Allowed {
						f.allowed++
					}
					mu.Unlock()
					time.Sleep(load.pause(random, time.Now()))
				}
			})
		}
	}
	wg.Wait()
	for _, leased := range all {
		check(t, leased.Close(t.Context()))
	}
	slices.SortFunc(calls, time.Time.Compare)
	f.calls = len(calls)
	stricter := limit
	switch spec := ok[*limits.Spec](t)(limits.Parse(limit.String())); spec.Kind {
	case limits.SlidingWindow:
		stricter = ratelimit.SlidingWindow(loadPermits, time.Second+lease)
	case limits.TokenBucket:
		stricter = ratelimit.TokenBucket(loadPermits-int(loadPermits*lease.Seconds()), loadPermits)
	}
	f.ideal, f.stricter = allowing(t, limit, calls), allowing(t, stricter, calls)
	return f
}

// allowing is how many calls a limit allows.
func allowing(t *testing.T, limit ratelimit.Limit, calls []time.Time) (n int) {
	spec, store := ok[*limits.Spec](t)(limits.Parse(limit.String())), limits.NewStore(1)
	for _, at := range calls {
		if store.AllowAll(at.UnixMicro(), []limits.Call{{Limit: spec, Key: "k", Cost: 1}})[0].Verdict == 1 {
			n++
		}
	}
	return n
}
