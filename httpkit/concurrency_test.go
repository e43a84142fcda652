package httpkit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func atATime(n int, lease time.Duration) httpkit.Policy {
	return httpkit.Policy{Name: "at-a-time", Limit: ratelimit.Concurrency(n, lease), Key: byHeader("User")}
}

func TestSoManyRequestsAtATimeAndNoMore(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		l := limiterOf(t, c)
		first := fiveAnHour("first", byHeader("User"))
		inside, leave := make(chan struct{}, 2), make(chan struct{})
		h := limited(t, l, policies(atATime(2, time.Minute), first), func(w http.ResponseWriter, r *http.Request) {
			inside <- struct{}{}
			<-leave
			fine(w, r)
		})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { equal(t, "the status of one inside", get(t, h, "User", "ada").StatusCode, 200) })
		}
		<-inside
		<-inside
		for range 10 {
			res := get(t, h, "User", "ada")
			equal(t, "the status of a third", res.StatusCode, 429)
			equal(t, "Retry-After", res.Header.Get("Retry-After"), "1")
			equal(t, "RateLimit-Policy", res.Header.Get("RateLimit-Policy"), `"at-a-time";q=2;qu="concurrent-requests", "first";q=5;w=3600`)
			if got := res.Header.Get("RateLimit"); !strings.HasPrefix(got, `"first";r=3;t=`) || !strings.HasSuffix(got, `, "at-a-time";r=0`) {
				t.Errorf("RateLimit is %q", got)
			}
			equal(t, "violated-policies", strings.Join(problemOf(t, res).Violated, " "), "at-a-time")
		}
		equal(t, "what is left of the other policy", left(t, l, first, "first", "ada"), 3)
		close(leave)
		wg.Wait()
		res := get(t, h, "User", "ada")
		equal(t, "the status when there is a place", res.StatusCode, 200)
		if got := res.Header.Get("RateLimit"); !strings.HasSuffix(got, `, "at-a-time";r=1`) {
			t.Errorf("RateLimit is %q", got)
		}
	})
}

func TestAPanicPassesThroughAndFreesThePlace(t *testing.T) {
	what := http.ErrAbortHandler
	h := limited(t, onSingle(t), policies(atATime(1, time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Panic") != "" {
			panic(what)
		}
		fine(w, r)
	})
	for range 3 {
		func() {
			defer func() {
				if got := recover(); got != any(what) {
					t.Errorf("recovered %v", got)
				}
			}()
			get(t, h, "User", "ada", "Panic", "yes")
			t.Error("it returned")
		}()
	}
	equal(t, "the status after it", get(t, h, "User", "ada").StatusCode, 200)

	// The server sees it, too, and ends the connection without a word.
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for range 3 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User", "ada")
		r.Header.Set("Panic", "yes")
		if res, err := server.Client().Do(r); err == nil {
			t.Errorf("status %d", res.StatusCode)
			_ = res.Body.Close()
		}
	}
	equal(t, "the status after that", get(t, h, "User", "ada").StatusCode, 200)
}

func TestAPlaceIsFreeThoughTheClientHasGone(t *testing.T) {
	h := limited(t, onSingle(t), policies(atATime(1, time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		if leave, ok := r.Context().Value(leaveKey{}).(context.CancelFunc); ok {
			leave()
			<-r.Context().Done()
		}
		fine(w, r)
	})
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(context.WithValue(ctx, leaveKey{}, cancel), http.MethodGet, "/", nil)
		r.Header.Set("User", "ada")
		equal(t, "the status", ask(h, r).StatusCode, 200)
		cancel()
	}
	equal(t, "the status after them", get(t, h, "User", "ada").StatusCode, 200)
}

type leaveKey struct{}

func TestTheHandlersContextEndsWhenItsPlaceIsLost(t *testing.T) {
	server := rediskittest.Server(t)
	h := limited(t, limiterOf(t, server.Client()), policies(atATime(1, time.Second)), func(w http.ResponseWriter, r *http.Request) {
		server.Kill()
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
			t.Error("the context goes on")
		}
		if cause := context.Cause(r.Context()); !errors.Is(cause, ratelimit.ErrLost) {
			t.Errorf("it ended by %v", cause)
		}
		fine(w, r)
	})
	equal(t, "the status", get(t, h, "User", "ada").StatusCode, 200)
}

func TestOneOfTwoLimitsOnConcurrencyIsFreedWhenTheOtherIsFull(t *testing.T) {
	l := onSingle(t)
	per := httpkit.Policy{Name: "per-user", Limit: ratelimit.Concurrency(2, time.Hour), Key: byHeader("User")}
	all := httpkit.Policy{Name: "all", Limit: ratelimit.Concurrency(1, time.Hour), Key: httpkit.ByFunc(func(*http.Request) string { return "all" })}
	h := limited(t, l, policies(per, all), fine)
	slot, err := l.Acquire(t.Context(), "all/all", all.Limit)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		res := get(t, h, "User", "ada")
		equal(t, "the status", res.StatusCode, 429)
		equal(t, "violated-policies", strings.Join(problemOf(t, res).Violated, " "), "all")
	}
	if err := slot.Release(); err != nil {
		t.Fatal(err)
	}
	equal(t, "the status with a place", get(t, h, "User", "ada").StatusCode, 200)
}

func TestAPlaceIsFreeWhenTheNextPolicyCannotBeDecided(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	names, err := keys.New(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	l, err := ratelimit.New(c, ratelimit.Config{Keys: names, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	first, second := atATime(3, time.Hour), atATime(3, time.Hour)
	first.Name, second.Name = "first", "second"
	h := limited(t, l, policies(first, second), fine)
	spec, err := limits.Parse(second.Limit.String())
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else's key is where the second policy's state should be.
	foreign := c.Redis().B().Set().Key(names.RateLimit(spec.Name(), "second/ada").String()).Value("foreign").ExSeconds(60).Build()
	if err := c.Redis().Do(t.Context(), foreign).Error(); err != nil {
		t.Fatal(err)
	}
	res := get(t, h, "User", "ada")
	equal(t, "the status", res.StatusCode, 500)
	equal(t, "the places left", left(t, l, first, "first", "ada"), 3)
}
