package httpkit_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

func everywhere(t *testing.T, test func(t *testing.T, c *rediskit.Client)) {
	t.Helper()
	rediskittest.Each(t, test,
		rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

// limiterOf is a patient limiter with keys of the test's own.
func limiterOf(t *testing.T, c *rediskit.Client) *ratelimit.Limiter {
	t.Helper()
	return limiterWith(t, c, ratelimit.Config{Timeout: 10 * time.Second})
}

func limiterWith(t *testing.T, c *rediskit.Client, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	var err error
	if cfg.Keys, err = keys.New(rand.Text()); err != nil {
		t.Fatal(err)
	}
	l, err := ratelimit.New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func onSingle(t *testing.T) *ratelimit.Limiter {
	t.Helper()
	return limiterOf(t, rediskittest.Connect(t, rediskittest.OnSingle))
}

// limited is a handler behind a middleware.
func limited(t *testing.T, l *ratelimit.Limiter, cfg httpkit.RateLimitConfig, next http.HandlerFunc) http.Handler {
	t.Helper()
	mw, err := httpkit.RateLimit(l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return mw(next)
}

func policies(p ...httpkit.Policy) httpkit.RateLimitConfig {
	return httpkit.RateLimitConfig{Policies: p}
}

func fine(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("fine")) }

// get asks h, with headers given as name, value, name, value.
func get(t *testing.T, h http.Handler, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return ask(h, r)
}

func ask(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func byHeader(name string) httpkit.Key {
	return httpkit.ByFunc(func(r *http.Request) string { return r.Header.Get(name) })
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
