package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/ratelimit"
)

func ExampleLimiter_Acquire() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	limiter, err := ratelimit.New(server.Client(), ratelimit.Config{Timeout: time.Second})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	// At most two exports at a time, in all processes. One that crashes blocks its place for half a minute.
	exports := ratelimit.Concurrency(2, 30*time.Second)

	first, err := limiter.Acquire(ctx, "exports", exports)
	fmt.Println("first:", first.Result().Remaining, "left,", err)
	second, err := limiter.Acquire(ctx, "exports", exports)
	fmt.Println("second:", second.Result().Remaining, "left,", err)

	_, err = limiter.Acquire(ctx, "exports", exports)
	var full *ratelimit.ExceededError
	if errors.As(err, &full) {
		fmt.Println("third:", full.Current, "of", full.Limit, "taken")
	}

	// The work gets the slot's context, which ends if the place is lost.
	export := func(ctx context.Context) error { return ctx.Err() }
	fmt.Println("export:", export(first.Context()))

	fmt.Println("released:", first.Release())
	third, err := limiter.Acquire(ctx, "exports", exports)
	fmt.Println("third:", third.Result().Remaining, "left,", err)
	second.Release()
	third.Release()
	// Output:
	// first: 1 left, <nil>
	// second: 0 left, <nil>
	// third: 2 of 2 taken
	// export: <nil>
	// released: <nil>
	// third: 0 left, <nil>
}

// Who waits for a place asks again. RetryAfter is when there were one if the holders had crashed, so it is the
// longest that waiting makes sense, and not how long to wait.
func ExampleLimiter_Acquire_wait() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	limiter, err := ratelimit.New(server.Client(), ratelimit.Config{Timeout: time.Second})
	if err != nil {
		panic(err)
	}
	wait := func(ctx context.Context, key string, limit ratelimit.Limit) (*ratelimit.Slot, error) {
		for {
			slot, err := limiter.Acquire(ctx, key, limit)
			var full *ratelimit.ExceededError
			if !errors.As(err, &full) {
				return slot, err
			}
			select {
			case <-time.After(min(full.RetryAfter, 20*time.Millisecond+rand.N(20*time.Millisecond))):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	one := ratelimit.Concurrency(1, 30*time.Second)
	holder, err := wait(ctx, "printer", one)
	if err != nil {
		panic(err)
	}
	go func() {
		fmt.Println("printing")
		holder.Release()
	}()
	next, err := wait(ctx, "printer", one)
	fmt.Println("my turn:", err)
	next.Release()
	// Output:
	// printing
	// my turn: <nil>
}
