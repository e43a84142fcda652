package httpkit_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/ratelimit"
)

// item is one of a structured field's list (RFC 9651): a string with parameters.
type item struct {
	name   string
	params map[string]string // strings with their quotes
}

// parseList reads as much of RFC 9651 as the two fields may use, and fails at anything else.
func parseList(t *testing.T, s string) (list []item) {
	t.Helper()
	next := func(allowed func(byte) bool) (token string) {
		for s != "" && allowed(s[0]) {
			token, s = token+s[:1], s[1:]
		}
		return token
	}
	take := func(c byte) {
		if s == "" || s[0] != c {
			t.Fatalf("%q: want %q", s, c)
		}
		s = s[1:]
	}
	text := func() (v string) {
		take('"')
		for {
			v += next(func(c byte) bool { return c >= ' ' && c <= '~' && c != '"' && c != '\\' })
			if s == "" || s[0] == '"' {
				take('"')
				return v
			}
			take('\\')
			if s == "" || s[0] != '"' && s[0] != '\\' {
				t.Fatalf("%q after a backslash", s)
			}
			v, s = v+s[:1], s[1:]
		}
	}
	for {
		it := item{text(), map[string]string{}}
		for s != "" && s[0] == ';' {
			take(';')
			key := next(func(c byte) bool { return c >= 'a' && c <= 'z' })
			take('=')
			if s != "" && s[0] == '"' {
				it.params[key] = strconv.Quote(text())
				continue
			}
			value := next(func(c byte) bool { return c >= '0' && c <= '9' })
			if key == "" || value == "" || len(value) > 15 || it.params[key] != "" {
				t.Fatalf("parameter %q is %q", key, value)
			}
			it.params[key] = value
		}
		list = append(list, it)
		if s == "" {
			return list
		}
		take(',')
		take(' ')
	}
}

func TestTheHeadersAreStructuredFieldsOfTheDraft(t *testing.T) {
	name := `a "b" \c; d=1, !~`
	h := limited(t, onSingle(t), policies(
		httpkit.Policy{Name: name, Limit: ratelimit.FixedWindow(1_000_000_000, 1500*time.Millisecond), Key: byHeader("User")},
		httpkit.Policy{Name: "gcra", Limit: ratelimit.GCRA(3, time.Second, 10), Key: byHeader("User")},
		httpkit.Policy{Name: "short", Limit: ratelimit.SlidingWindow(1000, time.Millisecond), Key: byHeader("Org")},
		httpkit.Policy{Name: "slots", Limit: ratelimit.Concurrency(7, time.Minute), Key: byHeader("Org")},
	), fine)
	res := get(t, h, "User", "ada", "Org", "acme")
	equal(t, "the status", res.StatusCode, 200)
	policy, state := parseList(t, res.Header.Get("RateLimit-Policy")), parseList(t, res.Header.Get("RateLimit"))
	if len(policy) != 4 || len(state) != 4 {
		t.Fatalf("%v and %v", policy, state)
	}
	// Half seconds are rounded up, and so is what comes back within less than one.
	for i, want := range []struct{ name, q, w, qu, r, t string }{
		{name, "1000000000", "2", "", "999999999", "2"},
		{"gcra", "10", "4", "", "9", "1"},
		{"short", "1000", "1", "", "999", ""},
		{"slots", "7", "", `"concurrent-requests"`, "6", ""},
	} {
		p, s := policy[i], state[i]
		equal(t, "the policy's name", p.name, want.name)
		equal(t, "q", p.params["q"], want.q)
		equal(t, "w", p.params["w"], want.w)
		equal(t, "qu", p.params["qu"], want.qu)
		equal(t, "the state's name", s.name, want.name)
		equal(t, "r", s.params["r"], want.r)
		if want.name != "short" { // whose one hit may have left its window by now
			equal(t, "t", s.params["t"], want.t)
		}
	}
}

func TestAWaitBelowASecondIsASecond(t *testing.T) {
	h := limited(t, onSingle(t), policies(httpkit.Policy{Name: "p", Limit: ratelimit.FixedWindow(1, 900*time.Millisecond), Key: byHeader("User")}), fine)
	deadline := time.Now().Add(30 * time.Second)
	for {
		res := get(t, h, "User", "ada")
		if res.StatusCode == 429 {
			equal(t, "Retry-After", res.Header.Get("Retry-After"), "1")
			equal(t, "RateLimit", res.Header.Get("RateLimit"), `"p";r=0;t=1`)
			equal(t, "the detail", problemOf(t, res).Detail, "Try again in 1 second.")
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was refused")
		}
	}
}

func TestHeadersAreThereBeforeTheHandlerWrites(t *testing.T) {
	h := limited(t, onSingle(t), policies(fiveAnHour("p", byHeader("User"))), func(w http.ResponseWriter, _ *http.Request) {
		equal(t, "RateLimit", w.Header().Get("RateLimit"), `"p";r=4;t=3600`)
		equal(t, "RateLimit-Policy", w.Header().Get("RateLimit-Policy"), `"p";q=5;w=3600`)
		w.Header().Del("RateLimit")
	})
	equal(t, "RateLimit, deleted", get(t, h, "User", "ada").Header.Get("RateLimit"), "")
}

func TestLegacyHeadersAreOfThePolicyWithTheLeastLeft(t *testing.T) {
	cfg := policies(
		httpkit.Policy{Name: "wide", Limit: ratelimit.FixedWindow(100, 2*time.Hour), Key: byHeader("Org")},
		httpkit.Policy{Name: "narrow", Limit: ratelimit.FixedWindow(2, time.Hour), Key: byHeader("User")},
	)
	l := onSingle(t)
	without := get(t, limited(t, l, cfg, fine), "Org", "acme", "User", "grace")
	equal(t, "without the option", without.Header.Get("X-RateLimit-Limit"), "")
	cfg.LegacyHeaders = true
	h := limited(t, l, cfg, fine)
	legacy := func(res *http.Response) string {
		reset, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if in := time.Until(time.Unix(reset, 0)); in > time.Hour+2*time.Second || in < 59*time.Minute {
			t.Errorf("it resets in %v", in)
		}
		return res.Header.Get("X-RateLimit-Limit") + " " + res.Header.Get("X-RateLimit-Remaining")
	}
	equal(t, "the first", legacy(get(t, h, "Org", "acme", "User", "ada")), "2 1")
	equal(t, "the second", legacy(get(t, h, "Org", "acme", "User", "ada")), "2 0")
	refused := get(t, h, "Org", "acme", "User", "ada")
	equal(t, "the status of the third", refused.StatusCode, 429)
	equal(t, "the third", legacy(refused), "2 0")
	if strings.Contains(refused.Header.Get("RateLimit"), `"wide";r=96`) {
		t.Errorf("the refusal is charged: %v", refused.Header)
	}
}

func TestAHeadRequestGetsNoBody(t *testing.T) {
	h := limited(t, onSingle(t), policies(httpkit.Policy{Name: "p", Limit: ratelimit.FixedWindow(1, time.Hour), Key: byHeader("User")}), fine)
	server := httptest.NewServer(h)
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for _, want := range []int{200, 429} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User", "ada")
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		equal(t, "the status", res.StatusCode, want)
	}
}
