// Package ratelimit limits how often something happens, across all processes that share a Redis. Every decision is
// one script on the server's clock and one round trip, shared with those of other goroutines.
//
//	limiter, err := ratelimit.New(client, ratelimit.Config{})
//	perUser := ratelimit.SlidingWindow(100, time.Minute)
//	...
//	res, err := limiter.Allow(ctx, "user:42", perUser)
//	if err != nil { ... }        // Redis is away
//	if !res.Allowed { ... }      // res.RetryAfter says how long
//
// # Which algorithm
//
//	[SlidingWindow]   exact in any window; keeps each hit, 10 bytes of it
//	[SlidingCounter]  the same within a few percent for even traffic, in 100 bytes at any n
//	[FixedWindow]     so many from the first hit on; up to twice as many around the end of a window
//	[TokenBucket]     so many a second, with bursts
//	[GCRA]            the same, given as a rate per period
//	[Concurrency]     so many at a time, see [Limiter.Acquire]
//
// # What it guarantees
//
// A decision is atomic, and several limits can be decided together ([Limiter.AllowAll]). Time is the server's, in
// microseconds; it never runs backwards inside a key, so that a server clock that is set back makes limits stricter until
// it has caught up, never looser. A refusal writes nothing, except for a penalty that was asked for and a TTL that was
// lost. Every key expires when its state makes no more difference.
//
// # What it does not
//
// Redis replicates after it has answered. A failover loses the last permits that were taken, and so allows as
// many more; a lost lock would be worse, a lost count is safe. A server clock that jumps forward, as at a failover to
// a machine whose clock is ahead, lets time pass that did not. A decision whose reply is lost is not repeated,
// so it took its permit once or not at all.
package ratelimit
