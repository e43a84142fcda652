package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// loop makes a probe of one call: every goroutine of the stand repeats it, one call after the other. op is
// told which goroutine calls and how many calls that one has made before, to choose a key without
// allocating; what op allocates beyond the call itself is counted as the call's.
//
// Each goroutine has a context of its own that can be cancelled, as a request's can.
func (s *stand) loop(op func(ctx context.Context, goroutine, n int) error) probe {
	return func(ctx context.Context, d time.Duration) (sample, error) {
		return measureWhile(ctx, s.goroutines, op, func(ctx context.Context) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
}

// measureWhile measures the calls that goroutines make, one after the other, until work returns. Each of them
// makes one at least.
func measureWhile(ctx context.Context, goroutines int, op func(ctx context.Context, goroutine, n int) error,
	work func(ctx context.Context) error) (sample, error) {

	latencies := make([]histogram, goroutines)
	errs := make([]error, goroutines+1)
	var begin time.Time
	var stop atomic.Bool
	start := make(chan struct{})
	all, cancelAll := context.WithCancel(ctx)
	defer cancelAll()
	var wg sync.WaitGroup
	for g := range goroutines {
		own, cancel := context.WithCancel(all)
		wg.Go(func() {
			defer cancel()
			<-start
			before := begin
			for n := 0; n == 0 || !stop.Load(); n++ {
				if errs[g] = op(own, g, n); errs[g] != nil {
					cancelAll()
					return
				}
				now := time.Now()
				latencies[g].record(now.Sub(before))
				before = now
			}
		})
	}
	mem := memoryNow()
	begin = time.Now()
	close(start)
	errs[goroutines] = work(all)
	stop.Store(true)
	wg.Wait()
	elapsed := time.Since(begin)
	allocs, bytes := mem.since()

	if err := firstCause(errs); err != nil {
		return sample{}, err
	}
	h := &latencies[0]
	for g := 1; g < goroutines; g++ {
		h.add(&latencies[g])
	}
	n := float64(h.total)
	return sample{
		calls:       n,
		opsPerS:     n / elapsed.Seconds(),
		p50:         h.quantile(0.50),
		p99:         h.quantile(0.99),
		allocsPerOp: allocs / n,
		bytesPerOp:  bytes / n,
	}, nil
}

// firstCause prefers an error to those that came of cancelling the others because of it.
func firstCause(errs []error) error {
	var first error
	for _, err := range errs {
		if err == nil {
			continue
		}
		if first == nil || isCancelled(first) && !isCancelled(err) {
			first = err
		}
	}
	return first
}

// memory is how much the process has allocated so far.
type memory struct{ stats runtime.MemStats }

// memoryNow collects garbage first, so that no measurement pays for the one before it.
func memoryNow() *memory {
	runtime.GC()
	m := new(memory)
	runtime.ReadMemStats(&m.stats)
	return m
}

// since returns the number and the bytes of allocations of the whole process, its background work included.
func (m *memory) since() (allocs, bytes float64) {
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return float64(now.Mallocs - m.stats.Mallocs), float64(now.TotalAlloc - m.stats.TotalAlloc)
}
