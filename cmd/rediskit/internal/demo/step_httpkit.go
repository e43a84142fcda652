package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/ratelimit"
)

func stepHttpkit(ctx context.Context, t *tour) error {
	client, namespace := t.client, t.namespace

	t.show("A handler that each address may call twice in a minute.")
	limiter, err := ratelimit.New(client, ratelimit.Config{Keys: namespace, Timeout: time.Second})
	if err != nil {
		return err
	}
	twice := ratelimit.FixedWindow(2, time.Minute)
	limit, err := httpkit.RateLimit(limiter, httpkit.RateLimitConfig{Policies: []httpkit.Policy{
		{Name: "per-ip", Limit: twice, Key: httpkit.ByIP(httpkit.ClientIP{})},
	}})
	if err != nil {
		return err
	}
	search := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "found") }
	server := httptest.NewServer(limit(http.HandlerFunc(search)))
	defer server.Close()
	text := ""
	for range 3 {
		res, err := server.Client().Get(server.URL)
		if err != nil {
			return err
		}
		res.Body.Close()
		text += fmt.Sprintf("%s  RateLimit: %s\n", res.Status, res.Header.Get("RateLimit"))
	}
	t.result("%s", text)

	t.show("A refusal says in headers and as a problem (RFC 9457) what to do.")
	res, err := server.Client().Get(server.URL)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	problem, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	t.result("RateLimit-Policy: %s\nRetry-After: %s\n%s", res.Header.Get("RateLimit-Policy"), res.Header.Get("Retry-After"),
		strings.ReplaceAll(string(problem), `,"`, ",\n \""))
	return limiter.Reset(ctx, "per-ip/127.0.0.1", twice)
}
