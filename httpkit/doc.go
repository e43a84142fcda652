// Package httpkit has middleware for net/http over rediskit's managers.
//
//	[RateLimit]   how often, and how many at a time: 429, Retry-After, RateLimit, RateLimit-Policy
//	[ClientIP]    whom a request comes from, behind proxies
//
// A middleware is a func(http.Handler) http.Handler, made once at start-up:
//
//	limit, err := httpkit.RateLimit(limiter, httpkit.RateLimitConfig{Policies: []httpkit.Policy{
//		{Name: "per-ip", Limit: ratelimit.SlidingWindow(100, time.Minute), Key: httpkit.ByIP(httpkit.ClientIP{})},
//	}})
//	...
//	mux.Handle("GET /search", limit(search))
//
// # What it guarantees
//
// A request that one policy refuses is charged by none. No header of a client is believed, unless a proxy that was said
// to be trusted wrote it. The response writer is the server's own, so that flushing, hijacking and
// [http.ResponseController] work. Panics pass through.
//
// # What it does not
//
// Policies with different keys are decided one after the other, and what was taken for a request that is then refused is
// missing to others for a moment. If the process dies in that moment, it is missing until it runs out.
//
// The headers are those of draft-ietf-httpapi-ratelimit-headers-10 and may change when that does.
package httpkit
