// Package grpckit has interceptors for gRPC servers. It is a module of its own, so that who does not use gRPC does not get
// its dependencies.
//
//	limits, err := grpckit.RateLimit(limiter, grpckit.RateLimitConfig{Policies: []grpckit.Policy{
//		{Name: "per-peer", Limit: ratelimit.GCRA(50, time.Second, 100), Key: grpckit.ByPeer()},
//	}})
//	...
//	server := grpc.NewServer(grpc.UnaryInterceptor(limits.Unary), grpc.StreamInterceptor(limits.Stream))
//
// A call beyond its limits ends with codes.ResourceExhausted, with the details RetryInfo and QuotaFailure, before its handler
// has seen it. What is guaranteed and what is not is said at [RateLimit].
package grpckit
