package httpkit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/httpkit"
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
	limit, err := httpkit.RateLimit(limiter, httpkit.RateLimitConfig{Policies: []httpkit.Policy{
		{Name: "per-ip", Limit: ratelimit.FixedWindow(2, time.Minute), Key: httpkit.ByIP(httpkit.ClientIP{})},
	}})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /search", limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintln(w, "found")
	})))

	for range 3 {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", "/search", nil))
		fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Header().Get("RateLimit-Policy"))
	}
	// Output:
	// 200 text/plain "per-ip";q=2;w=60
	// 200 text/plain "per-ip";q=2;w=60
	// 429 application/problem+json "per-ip";q=2;w=60
}

// A login is limited by account and by network, and who guesses on is shut out for a while. Both limits on the network have one
// Key, and so are decided in one script.
func ExampleRateLimit_login() {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer redis.Close()
	limiter, err := ratelimit.New(redis.Client(), ratelimit.Config{Timeout: 5 * time.Second})
	if err != nil {
		panic(err)
	}
	network := httpkit.ByIP(httpkit.ClientIP{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	account := httpkit.ByFunc(func(r *http.Request) string { return r.FormValue("account") })
	limit, err := httpkit.RateLimit(limiter, httpkit.RateLimitConfig{Policies: []httpkit.Policy{
		{Name: "account", Limit: ratelimit.FixedWindow(3, time.Hour).WithPenalty(2 * time.Hour), Key: account},
		{Name: "network", Limit: ratelimit.SlidingWindow(20, time.Minute), Key: network},
		{Name: "network a day", Limit: ratelimit.SlidingCounter(500, 24*time.Hour), Key: network},
	}})
	if err != nil {
		panic(err)
	}
	login := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "wrong password", http.StatusUnauthorized)
	}))

	for range 4 {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, httptest.NewRequest("POST", "/login?account=ada", nil))
		fmt.Printf("%d, again in %q seconds\n", w.Code, w.Header().Get("Retry-After"))
	}
	// Output:
	// 401, again in "" seconds
	// 401, again in "" seconds
	// 401, again in "" seconds
	// 429, again in "7200" seconds
}

func ExampleClientIP_Addr() {
	behind := httpkit.ClientIP{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.2")

	r.RemoteAddr = "10.0.0.1:4711"
	fmt.Println("from our proxy:", behind.Addr(r))
	r.RemoteAddr = "198.51.100.7:4711"
	fmt.Println("from a stranger:", behind.Addr(r))
	// Output:
	// from our proxy: 203.0.113.9
	// from a stranger: 198.51.100.7
}
