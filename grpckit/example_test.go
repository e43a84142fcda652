package grpckit_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/grpckit"
	"github.com/tickettoken/rediskit/ratelimit"
)

func ExampleRateLimit() {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer redis.Close()
	limiter, err := ratelimit.New(redis.Client(), ratelimit.Config{Timeout: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	limits, err := grpckit.RateLimit(limiter, grpckit.RateLimitConfig{Policies: []grpckit.Policy{
		{Name: "per-method", Limit: ratelimit.FixedWindow(2, time.Minute), Key: grpckit.ByMethod()},
	}})
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(limits.Unary), grpc.StreamInterceptor(limits.Stream))
	defer server.Stop()

	// What the server does with a call:
	handler := func(ctx context.Context, request any) (any, error) { return "found", nil }
	for range 3 {
		response, err := limits.Unary(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/shop.Search/Find"}, handler)
		fmt.Println(response, status.Code(err))
	}
	// Output:
	// found OK
	// found OK
	// <nil> ResourceExhausted
}
