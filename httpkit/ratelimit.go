package httpkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/admission"
	"github.com/tickettoken/rediskit/ratelimit"
)

// Policy is one limit on requests.
type Policy struct {
	// Name is unique in its middleware: 1 to 64 printable ASCII characters, without / and #. Clients see it in the headers.
	// The limiter's keys are the name, a slash and what Key says, so that middlewares with policies of one name share
	// their counts, and others do not. Policies that are decided together have the key of the first.
	Name string

	// Limit is how much. One on concurrency holds a place until the handler ends.
	Limit ratelimit.Limit

	// Key is on whose account.
	Key Key

	// Cost is how many permits a request takes: 0 for none, when the policy does not apply. A negative cost is a
	// mistake, see OnError. Default: 1. Limits on concurrency have none.
	Cost func(*http.Request) int
}

// RateLimitConfig configures [RateLimit].
type RateLimitConfig struct {
	// Policies are asked in order, those on concurrency last: put the one first that refuses most.
	Policies []Policy

	// OnLimit answers a request that is refused. Its headers are set: Retry-After, if there is a time to wait for,
	// RateLimit and RateLimit-Policy. Default: 429 and a problem of type quota-exceeded.
	OnLimit func(http.ResponseWriter, *http.Request, Refusal)

	// OnError answers a request about which the limiter could not decide. Default: a problem, which is 503 with a
	// Retry-After of a second if Redis is unavailable and the limiter fails closed, or if the request's context has
	// ended, and otherwise 500. What the error says is not for clients.
	OnError func(http.ResponseWriter, *http.Request, error)

	// LegacyHeaders adds X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset (seconds since 1970) of the
	// policy with the least left.
	LegacyHeaders bool
}

// Refusal says why a request is refused.
type Refusal struct {
	// Policies are the names of those that refuse, of those that were asked.
	Policies []string
	// RetryAfter is when it is worth trying again. It is 0 if the request costs more than its limit ever allows.
	RetryAfter time.Duration
	// Err is or wraps a [*ratelimit.ExceededError], or [ratelimit.ErrNever].
	Err error
}

// RateLimit makes a middleware that lets requests in as far as all policies allow it, and says in the headers of every response
// how much is left.
//
// All policies are decided before the handler runs, and a request that one of them refuses is charged by none. Policies
// with one [Key] and no Cost are decided in one script, and in one round trip. Others are asked one after the other, until one
// refuses, with a round trip each, or none for a refusal that the limiter remembers; then what those before took is given back, with
// another round trip each. In between, these permits are missing to others. Refunds have a second of their own, and a refund that
// fails costs the client its permit.
//
// With a limit on concurrency, the handler's context ends when its place is lost: when Redis cannot be reached for
// the time of the lease. The place is free when the handler has returned or panicked. A handler that hijacks its
// connection keeps its place until it returns.
//
// The ResponseWriter is passed on as it is.
func RateLimit(limiter *ratelimit.Limiter, cfg RateLimitConfig) (func(http.Handler) http.Handler, error) {
	policies := make([]admission.Policy[*http.Request], len(cfg.Policies))
	for i, p := range cfg.Policies {
		policies[i] = admission.Policy[*http.Request]{Name: p.Name, Limit: p.Limit, Cost: p.Cost}
		if p.Key.key == nil {
			continue
		}
		if p.Key.err != nil {
			return nil, fmt.Errorf("httpkit: RateLimit: Policies[%d].Key: %w", i, p.Key.err)
		}
		policies[i].Key, policies[i].Same = p.Key.of, p.Key
	}
	gate, err := admission.New(limiter, policies)
	if err != nil {
		return nil, fmt.Errorf("httpkit: RateLimit: %w", err)
	}
	m := &rateLimit{gate: gate, onLimit: cfg.OnLimit, onError: cfg.OnError, legacy: cfg.LegacyHeaders}
	if m.onLimit == nil {
		m.onLimit = refuse
	}
	if m.onError == nil {
		m.onError = fail
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, next) })
	}, nil
}

type rateLimit struct {
	gate    *admission.Gate[*http.Request]
	onLimit func(http.ResponseWriter, *http.Request, Refusal)
	onError func(http.ResponseWriter, *http.Request, error)
	legacy  bool
}

func (m *rateLimit) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	pass, err := m.gate.Enter(r.Context(), r)
	if err != nil {
		m.onError(w, r, err)
		return
	}
	// Deferred, for handlers that panic: that goes on to the server, which knows what to do.
	defer pass.Leave()
	m.setHeaders(w.Header(), pass)
	if no := pass.Refusal; no != nil {
		if no.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(admission.Seconds(no.RetryAfter), 10))
		}
		m.onLimit(w, r, Refusal{Policies: no.Policies, RetryAfter: no.RetryAfter, Err: no.Err})
		return
	}
	if pass.Holds() {
		r = r.WithContext(pass.Context)
	}
	next.ServeHTTP(w, r)
}

// setHeaders adds, because a middleware around this one may have policies of its own, and both fields are lists.
func (m *rateLimit) setHeaders(h http.Header, pass *admission.Pass) {
	policies, state := m.gate.Fields(pass)
	if policies != "" {
		h.Add("RateLimit-Policy", policies)
	}
	if state != "" {
		h.Add("RateLimit", state)
	}
	if worst, ok := pass.Worst(); ok && m.legacy {
		reset := time.Now().Add(worst.Wait + time.Second - 1).Unix()
		h.Set("X-RateLimit-Limit", strconv.Itoa(worst.Limit))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(worst.Remaining))
		h.Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
}

// refuse is the default of OnLimit.
func refuse(w http.ResponseWriter, _ *http.Request, no Refusal) {
	p := problem{
		Type:     "https://iana.org/assignments/http-problem-types#quota-exceeded",
		Title:    "Request cannot be satisfied as assigned quota has been exceeded",
		Status:   http.StatusTooManyRequests,
		Detail:   "This request costs more than its quota ever allows.",
		Violated: no.Policies,
	}
	if no.RetryAfter > 0 {
		p.Detail = "Try again in " + seconds(no.RetryAfter) + "."
	}
	p.write(w)
}

func seconds(d time.Duration) string {
	if s := admission.Seconds(d); s != 1 {
		return strconv.FormatInt(s, 10) + " seconds"
	}
	return "1 second"
}

// fail is the default of OnError.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	// A client that has gone does not see this, but a log does, and would take nothing for a success.
	if rediskit.IsUnavailable(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	problem{Title: http.StatusText(status), Status: status}.write(w)
}
