// Package httpkit has middleware for net/http over rediskit's managers.
//
//	[RateLimit]   how often, and how many at a time: 429, Retry-After, RateLimit, RateLimit-Policy
//	[Session]     who is logged in, and data of the visit: a __Host- cookie, flash messages, forged requests refused
//	[SessionOf]   the session of a request, for its handler
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
// # Sessions
//
// Around a mux, or the part of it that needs sessions: each request that brings an ID costs the round trip of loading it.
//
//	withSession, err := httpkit.Session(sessions, httpkit.SessionConfig{})
//	...
//	server.Handler = withSession(mux)
//
// A handler changes Data in place, and the middleware saves what differs before the first byte of the response:
//
//	s := httpkit.SessionOf[Visit](r)
//	if !s.LoggedIn() { ... }
//	s.Data.Pages++
//	s.Flash("Saved.")
//
// [RequestSession.Login] and [RequestSession.Logout] do that, cookie included. Under an [http.TimeoutHandler] goes the
// middleware inside, so that what a handler does after its time is not saved while it does it.
//
// # What it guarantees
//
// A request that one policy refuses is charged by none. No header of a client is believed, unless a proxy that was said
// to be trusted wrote it. The response writer of [RateLimit] is the server's own, and that of [Session] has what the server's
// has, so that flushing, hijacking, sending files and [http.ResponseController] work. Panics pass through.
//
// A session is that of an ID which was issued, or none: no client chooses one, and a login makes the one before worthless. What
// could not be saved is not answered as if it were. A session that is revoked while a request of it runs stays revoked.
//
// # What it does not
//
// Policies with different keys are decided one after the other, and what was taken for a request that is then refused is
// missing to others for a moment. If the process dies in that moment, it is missing until it runs out.
//
// Two requests at once of a visitor who has no session yet make two, and the browser keeps one.
//
// A login or a rotation has happened when the response begins. If that is lost on its way, the client has not the new cookie: it logs
// in again, and until then the session that nobody has counts.
//
// The headers of [RateLimit] are those of draft-ietf-httpapi-ratelimit-headers-10 and may change when that does.
package httpkit
