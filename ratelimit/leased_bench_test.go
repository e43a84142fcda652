package ratelimit_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// endless is a limit that no benchmark reaches.
var endless = ratelimit.SlidingCounter(1_000_000_000, time.Hour)

// BenchmarkAtomicAdd is what a leased permit is compared with.
func BenchmarkAtomicAdd(b *testing.B) {
	var n atomic.Int64
	for b.Loop() {
		n.Add(-1)
	}
}

// BenchmarkLeased is one permit that is at hand.
func BenchmarkLeased(b *testing.B) {
	l, ctx := newLimiter(b, rediskittest.Connect(b, rediskittest.OnSingle), ratelimit.Config{}), context.Background()
	leased := leasedOf(b, l, endless, ratelimit.LeaseConfig{})
	k := leased.Key("user:1234567")
	for name, use := range map[string]func() bool{
		"LeasedKey.Take":  func() bool { return k.Take(ctx) == nil },
		"LeasedKey.Allow": func() bool { r, _ := k.Allow(ctx); return r.Allowed },
		"Allow":           func() bool { r, _ := leased.Allow(ctx, "user:1234567"); return r.Allowed },
		"AllowN":          func() bool { r, _ := leased.AllowN(ctx, "user:1234567", 3); return r.Allowed },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !use() {
					b.Fatal("refused")
				}
			}
		})
	}
	full := leasedOf(b, l, ratelimit.SlidingWindow(1, time.Hour), ratelimit.LeaseConfig{Lease: time.Second})
	b.Run("refused", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			full.Allow(ctx, "k")
		}
	})
}

// BenchmarkGoroutines is 128 goroutines, on one key and on a thousand.
func BenchmarkGoroutines(b *testing.B) {
	l, ctx := newLimiter(b, rediskittest.Connect(b, rediskittest.OnSingle), ratelimit.Config{}), context.Background()
	leased := leasedOf(b, l, endless, ratelimit.LeaseConfig{})
	names := make([]string, 1000)
	for i := range names {
		names[i] = "user:" + strconv.Itoa(i)
	}
	for name, use := range map[string]func(key string) bool{
		"Leased":  func(key string) bool { r, _ := leased.Allow(ctx, key); return r.Allowed },
		"Limiter": func(key string) bool { r, _ := l.Allow(ctx, key, endless); return r.Allowed },
	} {
		for _, keys := range []int{1, len(names)} {
			b.Run(name+"/keys="+strconv.Itoa(keys), func(b *testing.B) {
				var goroutines atomic.Int64
				b.SetParallelism(64) // of each processor
				b.RunParallel(func(pb *testing.PB) {
					for i := int(goroutines.Add(101)); pb.Next(); i++ {
						if !use(names[i%keys]) {
							b.Error("refused")
							return
						}
					}
				})
			})
		}
	}
}
