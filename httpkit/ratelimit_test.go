package httpkit_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func fiveAnHour(name string, key httpkit.Key) httpkit.Policy {
	return httpkit.Policy{Name: name, Limit: ratelimit.SlidingWindow(5, time.Hour), Key: key}
}

// left is what a policy has left of a key, which is asked of the server.
func left(t *testing.T, l *ratelimit.Limiter, p httpkit.Policy, scope, value string) int {
	t.Helper()
	res, err := l.Peek(t.Context(), scope+"/"+value, p.Limit)
	if err != nil {
		t.Fatal(err)
	}
	return res.Remaining
}

type problem struct {
	Type, Title, Detail string
	Status              int
	Violated            []string `json:"violated-policies"`
}

func problemOf(t *testing.T, res *http.Response) (p problem) {
	t.Helper()
	equal(t, "Content-Type", res.Header.Get("Content-Type"), "application/problem+json")
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	equal(t, "the problem's status", p.Status, res.StatusCode)
	return p
}

func TestRequestsAreLetInUpToTheLimitAndThenToldToWait(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		h := limited(t, limiterOf(t, c), policies(fiveAnHour("per-user", byHeader("User"))), fine)
		for i := range 5 {
			res := get(t, h, "User", "ada")
			equal(t, "the status", res.StatusCode, 200)
			equal(t, "RateLimit-Policy", res.Header.Get("RateLimit-Policy"), `"per-user";q=5;w=3600`)
			equal(t, "RateLimit", res.Header.Get("RateLimit"), []string{
				`"per-user";r=4;t=3600`, `"per-user";r=3;t=3600`, `"per-user";r=2;t=3600`, `"per-user";r=1;t=3600`, `"per-user";r=0;t=3600`,
			}[i])
			equal(t, "Retry-After", res.Header.Get("Retry-After"), "")
		}
		for range 2 { // the second is remembered
			res := get(t, h, "User", "ada")
			equal(t, "the status", res.StatusCode, 429)
			equal(t, "RateLimit-Policy", res.Header.Get("RateLimit-Policy"), `"per-user";q=5;w=3600`)
			retry := res.Header.Get("Retry-After")
			if retry != "3600" && retry != "3599" && retry != "3598" {
				t.Errorf("Retry-After is %q", retry)
			}
			equal(t, "RateLimit", res.Header.Get("RateLimit"), `"per-user";r=0;t=`+retry)
			p := problemOf(t, res)
			equal(t, "the type", p.Type, "https://iana.org/assignments/http-problem-types#quota-exceeded")
			equal(t, "the detail", p.Detail, "Try again in "+retry+" seconds.")
			equal(t, "violated-policies", strings.Join(p.Violated, " "), "per-user")
		}
		equal(t, "the status for another", get(t, h, "User", "grace").StatusCode, 200)
	})
}

func TestOfHundredsOfRequestsAtOnceExactlyTheLimitGetsThrough(t *testing.T) {
	limit := ratelimit.SlidingWindow(100, time.Hour)
	var served atomic.Int64
	h := limited(t, onSingle(t), policies(httpkit.Policy{Name: "per-ip", Limit: limit, Key: httpkit.ByIP(httpkit.ClientIP{})}),
		func(http.ResponseWriter, *http.Request) { served.Add(1) })
	server := httptest.NewServer(h)
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	for range 400 {
		wg.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("X-Forwarded-For", time.Now().String())
			res, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			_, _ = io.Copy(io.Discard, res.Body)
			switch res.StatusCode {
			case 200:
				ok.Add(1)
			case 429:
				refused.Add(1)
			default:
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
	wg.Wait()
	equal(t, "what got through", ok.Load(), 100)
	equal(t, "what was served", served.Load(), 100)
	equal(t, "what was refused", refused.Load(), 300)
}

func TestWhatOnePolicyRefusesIsChargedByNone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		l := limiterOf(t, c)
		wide := httpkit.Policy{Name: "wide", Limit: ratelimit.GCRA(100, 24*time.Hour, 100), Key: byHeader("Org")}
		narrow := fiveAnHour("narrow", byHeader("User"))
		last := fiveAnHour("last", byHeader("Team"))
		h := limited(t, l, policies(wide, narrow, last), fine)
		for range 5 {
			equal(t, "the status", get(t, h, "Org", "acme", "User", "ada", "Team", "a").StatusCode, 200)
		}
		for range 20 {
			res := get(t, h, "Org", "acme", "User", "ada", "Team", "b")
			equal(t, "the status", res.StatusCode, 429)
			// What the headers say is what is left after the permit was given back; who was not asked says nothing.
			if got := res.Header.Get("RateLimit"); !strings.HasPrefix(got, `"wide";r=95;t=`) || !strings.Contains(got, `, "narrow";r=0;t=`) || strings.Contains(got, "last") {
				t.Errorf("RateLimit is %q", got)
			}
			equal(t, "RateLimit-Policy", res.Header.Get("RateLimit-Policy"), `"wide";q=100;w=86400, "narrow";q=5;w=3600, "last";q=5;w=3600`)
			equal(t, "violated-policies", strings.Join(problemOf(t, res).Violated, " "), "narrow")
		}
		equal(t, "what is left of the first", left(t, l, wide, "wide", "acme"), 95)
		equal(t, "what is left of the last", left(t, l, last, "last", "b"), 5)
		equal(t, "the status of a colleague", get(t, h, "Org", "acme", "User", "grace", "Team", "c").StatusCode, 200)
	})
}

func TestPoliciesWithOneKeyAreDecidedTogether(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		l, user := limiterOf(t, c), byHeader("User")
		for _, limit := range []ratelimit.Limit{
			ratelimit.SlidingWindow(100, 24*time.Hour), ratelimit.GCRA(100, 24*time.Hour, 100), ratelimit.FixedWindow(100, 24*time.Hour),
		} {
			many := httpkit.Policy{Name: "many " + limit.String()[:4], Limit: limit, Key: user}
			few, fewer := fiveAnHour("few", user), fiveAnHour("fewer", user)
			few.Name, fewer.Name = few.Name+limit.String()[:4], fewer.Name+limit.String()[:4]
			fewer.Limit = ratelimit.FixedWindow(5, 30*time.Hour)
			h := limited(t, l, policies(many, few, fewer), fine)
			for range 5 {
				equal(t, "the status", get(t, h, "User", "ada").StatusCode, 200)
			}
			for range 3 {
				res := get(t, h, "User", "ada")
				equal(t, "the status", res.StatusCode, 429)
				if got := res.Header.Get("RateLimit"); !strings.HasPrefix(got, `"`+many.Name+`";r=95;t=`) {
					t.Errorf("RateLimit is %q", got)
				}
				// Of two that refuse, the longer wait counts.
				if retry := res.Header.Get("Retry-After"); len(retry) != 6 {
					t.Errorf("Retry-After is %q", retry)
				}
				equal(t, "violated-policies", strings.Join(problemOf(t, res).Violated, " "), few.Name+" "+fewer.Name)
			}
			equal(t, "what is left", left(t, l, many, many.Name, "ada"), 95)
		}
	})
}

func TestACostOfMoreThanOneIsTakenAndGivenBackAsAWhole(t *testing.T) {
	l := onSingle(t)
	byteCost := fiveAnHour("bytes", byHeader("User"))
	byteCost.Limit = ratelimit.TokenBucket(1000, 0.001)
	byteCost.Cost = func(r *http.Request) int { return int(r.ContentLength) }
	calls := fiveAnHour("calls", byHeader("User"))
	h := limited(t, l, policies(byteCost, calls), fine)
	send := func(n int) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", n)))
		r.Header.Set("User", "ada")
		return ask(h, r)
	}
	for range 5 {
		equal(t, "the status", send(100).StatusCode, 200)
	}
	equal(t, "the status of a sixth", send(100).StatusCode, 429)
	equal(t, "what is left", left(t, l, byteCost, "bytes", "ada"), 500)
}

func TestACostOfNothingIsNoMatterForThePolicy(t *testing.T) {
	p := fiveAnHour("p", byHeader("User"))
	p.Cost = func(*http.Request) int { return 0 }
	h := limited(t, onSingle(t), policies(p), fine)
	for range 10 {
		res := get(t, h, "User", "ada")
		equal(t, "the status", res.StatusCode, 200)
		equal(t, "the number of headers", len(res.Header), 1) // Content-Type
	}
}

func TestACostThatNeverFitsIsRefusedWithoutATime(t *testing.T) {
	l := onSingle(t)
	calls, dear := fiveAnHour("calls", byHeader("User")), fiveAnHour("dear", byHeader("User"))
	dear.Cost = func(*http.Request) int { return 6 }
	cfg := policies(calls, dear)
	h := limited(t, l, cfg, fine)
	res := get(t, h, "User", "ada")
	equal(t, "the status", res.StatusCode, 429)
	equal(t, "Retry-After", res.Header.Get("Retry-After"), "")
	p := problemOf(t, res)
	equal(t, "the detail", p.Detail, "This request costs more than its quota ever allows.")
	equal(t, "violated-policies", strings.Join(p.Violated, " "), "dear")
	equal(t, "what is left", left(t, l, calls, "calls", "ada"), 5)

	cfg.OnLimit = func(w http.ResponseWriter, _ *http.Request, no httpkit.Refusal) {
		if no.RetryAfter != 0 || !errors.Is(no.Err, ratelimit.ErrNever) {
			t.Errorf("%+v", no)
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}
	equal(t, "the status by OnLimit", get(t, limited(t, l, cfg, fine), "User", "ada").StatusCode, 413)
}

func TestOnLimitAnswersInPlaceOfTheProblem(t *testing.T) {
	cfg := policies(fiveAnHour("p", byHeader("User")))
	cfg.OnLimit = func(w http.ResponseWriter, _ *http.Request, no httpkit.Refusal) {
		var exceeded *ratelimit.ExceededError
		if !errors.As(no.Err, &exceeded) || exceeded.Key != "p/ada" || exceeded.RetryAfter != no.RetryAfter || no.RetryAfter <= 0 {
			t.Errorf("%+v", no)
		}
		if w.Header().Get("Retry-After") == "" || w.Header().Get("RateLimit") == "" {
			t.Errorf("headers %v", w.Header())
		}
		w.WriteHeader(http.StatusTeapot)
	}
	h := limited(t, onSingle(t), cfg, fine)
	for range 5 {
		get(t, h, "User", "ada")
	}
	equal(t, "the status", get(t, h, "User", "ada").StatusCode, http.StatusTeapot)
}

func TestAMistakeOfTheCallerIsA500AndTakesNothing(t *testing.T) {
	l := onSingle(t)
	first, wrong := fiveAnHour("first", byHeader("User")), fiveAnHour("wrong", byHeader("User"))
	wrong.Cost = func(*http.Request) int { return -1 }
	cfg := policies(first, wrong)
	res := get(t, limited(t, l, cfg, fine), "User", "ada")
	equal(t, "the status", res.StatusCode, 500)
	equal(t, "the title", problemOf(t, res).Title, "Internal Server Error")
	equal(t, "what is left", left(t, l, first, "first", "ada"), 5)

	var got error
	cfg.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
		got = err
		w.WriteHeader(http.StatusTeapot)
	}
	equal(t, "the status by OnError", get(t, limited(t, l, cfg, fine), "User", "ada").StatusCode, http.StatusTeapot)
	if got == nil || !strings.Contains(got.Error(), "cost is -1") {
		t.Errorf("OnError got %v", got)
	}
}

func TestARequestThatHasEndedIsNotCountedAndNotServed(t *testing.T) {
	l := onSingle(t)
	p := fiveAnHour("p", byHeader("User"))
	h := limited(t, l, policies(p), fine)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.Header.Set("User", "ada")
	equal(t, "the status", ask(h, r).StatusCode, 503)
	equal(t, "what is left", left(t, l, p, "p", "ada"), 5)
}

// leaving is a context that ends when somebody looks at it once too often.
type leaving struct {
	context.Context
	end   context.CancelFunc
	looks atomic.Int32
}

func (l *leaving) Err() error {
	if l.looks.Add(-1) < 0 {
		l.end()
	}
	return l.Context.Err()
}

func TestARequestThatEndsBetweenTwoPoliciesIsChargedByNone(t *testing.T) {
	l := onSingle(t)
	all := []httpkit.Policy{
		fiveAnHour("first", byHeader("User")), fiveAnHour("second", byHeader("Same")),
		{Name: "third", Limit: ratelimit.Concurrency(5, time.Hour), Key: byHeader("User")},
		{Name: "fourth", Limit: ratelimit.Concurrency(5, time.Hour), Key: byHeader("User")},
	}
	h := limited(t, l, policies(all...), fine)
	unserved := 0
	for looks := range int32(12) {
		ctx, cancel := context.WithCancel(t.Context())
		watched := &leaving{Context: ctx, end: cancel}
		watched.looks.Store(looks)
		user := "user " + strconv.Itoa(int(looks))
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(watched)
		r.Header.Set("User", user)
		r.Header.Set("Same", user)
		want := 5
		if res := ask(h, r); res.StatusCode != 200 {
			equal(t, "the status", res.StatusCode, 503)
			unserved++
		} else {
			want = 4
		}
		cancel()
		equal(t, "what is left of the first for "+user, left(t, l, all[0], "first", user), want)
		equal(t, "what is left of the second for "+user, left(t, l, all[1], "second", user), want)
		equal(t, "what is left of the third for "+user, left(t, l, all[2], "third", user), 5)
		equal(t, "what is left of the fourth for "+user, left(t, l, all[3], "fourth", user), 5)
	}
	if unserved < 3 {
		t.Errorf("%d requests ended early, want one before each of the first three policies", unserved)
	}
}

func TestWithoutRedisTheOutagePolicyAnswers(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	p := fiveAnHour("p", byHeader("User"))
	asked := func(outage ratelimit.Outage) http.Handler {
		return limited(t, limiterWith(t, c, ratelimit.Config{OnOutage: outage}), policies(p), fine)
	}
	server.Kill()

	closed := asked(ratelimit.FailClosed)
	for range 10 { // of which the breaker answers some
		res := get(t, closed, "User", "ada")
		equal(t, "the status if closed", res.StatusCode, 503)
		equal(t, "Retry-After", res.Header.Get("Retry-After"), "1")
		equal(t, "RateLimit", res.Header.Get("RateLimit"), "")
		p := problemOf(t, res)
		equal(t, "the title", p.Title, "Service Unavailable")
		equal(t, "the detail", p.Detail, "")
	}
	open := asked(ratelimit.FailOpen())
	for range 10 {
		res := get(t, open, "User", "ada")
		equal(t, "the status if open", res.StatusCode, 200)
		equal(t, "RateLimit", res.Header.Get("RateLimit"), "")
		equal(t, "RateLimit-Policy", res.Header.Get("RateLimit-Policy"), `"p";q=5;w=3600`)
	}
	local := asked(ratelimit.FailLocal(5))
	equal(t, "the status of the first of one", get(t, local, "User", "ada").StatusCode, 200)
	res := get(t, local, "User", "ada")
	equal(t, "the status of the second of one", res.StatusCode, 429)
	if retry := res.Header.Get("Retry-After"); len(retry) != 4 {
		t.Errorf("Retry-After is %q", retry)
	}
}

func TestMiddlewaresAroundOneAnotherAllSpeak(t *testing.T) {
	l := onSingle(t)
	inner := limited(t, l, policies(fiveAnHour("inner", byHeader("User"))), fine)
	outer := limited(t, l, policies(fiveAnHour("outer", byHeader("User"))), inner.ServeHTTP)
	res := get(t, outer, "User", "ada")
	equal(t, "RateLimit-Policy", strings.Join(res.Header.Values("RateLimit-Policy"), " + "), `"outer";q=5;w=3600 + "inner";q=5;w=3600`)
	equal(t, "RateLimit", strings.Join(res.Header.Values("RateLimit"), " + "), `"outer";r=4;t=3600 + "inner";r=4;t=3600`)
}

func TestPoliciesOfDifferentNamesDoNotShareTheirCounts(t *testing.T) {
	l := onSingle(t)
	one := limited(t, l, policies(fiveAnHour("one", byHeader("User"))), fine)
	two := limited(t, l, policies(fiveAnHour("two", byHeader("User"))), fine)
	again := limited(t, l, policies(fiveAnHour("one", byHeader("User"))), fine)
	get(t, one, "User", "ada")
	equal(t, "the other", get(t, two, "User", "ada").Header.Get("RateLimit"), `"two";r=4;t=3600`)
	equal(t, "the same", get(t, again, "User", "ada").Header.Get("RateLimit"), `"one";r=3;t=3600`)
}

func TestTheResponseWriterIsTheServersOwn(t *testing.T) {
	w := httptest.NewRecorder()
	h := limited(t, onSingle(t), policies(
		fiveAnHour("p", byHeader("User")),
		httpkit.Policy{Name: "c", Limit: ratelimit.Concurrency(1, time.Minute), Key: byHeader("User")},
	), func(got http.ResponseWriter, _ *http.Request) {
		if got != http.ResponseWriter(w) {
			t.Errorf("it is a %T", got)
		}
		if err := http.NewResponseController(got).Flush(); err != nil {
			t.Error(err)
		}
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("User", "ada")
	h.ServeHTTP(w, r)
	equal(t, "whether it was flushed", w.Flushed, true)
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	l := onSingle(t)
	hour, user := ratelimit.SlidingWindow(5, time.Hour), byHeader("User")
	cost := func(*http.Request) int { return 1 }
	for want, cfg := range map[string]httpkit.RateLimitConfig{
		"no Policies":                                         {},
		"Policies[0].Name is empty":                           policies(httpkit.Policy{Limit: hour, Key: user}),
		"Policies[0].Name has 65 bytes":                       policies(httpkit.Policy{Name: strings.Repeat("x", 65), Limit: hour, Key: user}),
		`Policies[0].Name is "a/b"`:                           policies(httpkit.Policy{Name: "a/b", Limit: hour, Key: user}),
		`Policies[0].Name is "ü"`:                             policies(httpkit.Policy{Name: "ü", Limit: hour, Key: user}),
		`Policies[0].Name is "a\nb"`:                          policies(httpkit.Policy{Name: "a\nb", Limit: hour, Key: user}),
		`Policies[1].Name is "a" like that of`:                policies(httpkit.Policy{Name: "a", Limit: hour, Key: user}, httpkit.Policy{Name: "a", Limit: hour, Key: user}),
		"Policies[0].Limit: ratelimit: the zero":              policies(httpkit.Policy{Name: "a", Key: user}),
		"Policies[0].Limit: ratelimit: SlidingWindow: n is 0": policies(httpkit.Policy{Name: "a", Limit: ratelimit.SlidingWindow(0, time.Hour), Key: user}),
		"Policies[0].Key is missing":                          policies(httpkit.Policy{Name: "a", Limit: hour}),
		"Policies[0].Key: the function is nil":                policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.ByFunc(nil)}),
		"Policies[0].Key: Join of no keys":                    policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.Join()}),
		"Policies[0].Key: Join: key 1 is the zero Key":        policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.Join(user, httpkit.Key{})}),
		"Policies[0].Key: ClientIP.Trusted[0] is not valid": policies(httpkit.Policy{Name: "a", Limit: hour,
			Key: httpkit.Join(user, httpkit.ByIP(httpkit.ClientIP{Trusted: []netip.Prefix{{}}}))}),
		"Policies[0].Key: ClientIP.Trusted[1] is 0.0.0.0/0":         policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.ByIP(httpkit.ClientIP{Trusted: prefixes("10.0.0.0/8", "0.0.0.0/0")})}),
		"Policies[0].Key: ClientIP.Trusted[0] is ::ffff:10.0.0.0/1": policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.ByIP(httpkit.ClientIP{Trusted: prefixes("::ffff:10.0.0.0/104")})}),
		"Policies[0].Key: ClientIP.Header is set":                   policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.ByIP(httpkit.ClientIP{Header: "X-Real-IP"})}),
		"Policies[0].Key: ClientIP.IPv6Bits is 129":                 policies(httpkit.Policy{Name: "a", Limit: hour, Key: httpkit.ByIP(httpkit.ClientIP{IPv6Bits: 129})}),
		"Policies[0].Cost: a request takes one place":               policies(httpkit.Policy{Name: "a", Limit: ratelimit.Concurrency(5, time.Minute), Key: user, Cost: cost}),
		"Policies[1].Limit is sliding-window:9/1h, which counts the same as sliding-window:5/1h of Policies[0]": policies(
			httpkit.Policy{Name: "a", Limit: hour, Key: user}, httpkit.Policy{Name: "b", Limit: ratelimit.SlidingWindow(9, time.Hour), Key: user}),
	} {
		_, err := httpkit.RateLimit(l, cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "httpkit: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, err := httpkit.RateLimit(nil, policies(fiveAnHour("a", user))); err == nil || err.Error() != "httpkit: RateLimit: the limiter is nil" {
		t.Errorf("without a limiter: %v", err)
	}
}
