package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/ratelimit"
)

// A partner may call a thousand times a minute, whichever process he comes to. Each of them takes a few permits at a time.
func ExampleLimiter_Leased() {
	ctx := context.Background()
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	limiter, err := ratelimit.New(server.Client(), ratelimit.Config{Timeout: time.Second})
	if err != nil {
		panic(err)
	}
	perPartner, err := limiter.Leased(ratelimit.SlidingWindow(1000, time.Minute), ratelimit.LeaseConfig{Lease: 2 * time.Second})
	if err != nil {
		panic(err)
	}
	defer perPartner.Close(ctx) // gives back what is unused

	allowed := 0
	for range 1200 {
		res, err := perPartner.Allow(ctx, "acme")
		if err != nil {
			panic(err) // Redis is away
		}
		if res.Allowed {
			allowed++
		}
	}
	fmt.Println(allowed, "of 1200 calls")

	// Who uses one key again and again need not look for it each time.
	globex := perPartner.Key("globex")
	if err := globex.Take(ctx); err == nil {
		fmt.Println("globex has not called before")
	}
	// Output:
	// 1000 of 1200 calls
	// globex has not called before
}
