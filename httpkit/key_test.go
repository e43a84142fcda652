package httpkit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/ratelimit"
)

// countsOf sends the requests and returns what each has left afterwards: 4 for the first on an account, "" if no policy applies.
func countsOf(t *testing.T, h http.Handler, requests ...*http.Request) (counts []string) {
	t.Helper()
	for _, r := range requests {
		res := ask(h, r.WithContext(t.Context()))
		equal(t, "the status", res.StatusCode, 200)
		state := res.Header.Get("RateLimit")
		if state != "" {
			state = strings.TrimPrefix(strings.Split(state, ";")[1], "r=")
		}
		counts = append(counts, state)
	}
	return counts
}

func TestAnIPv6CustomerIsAWholeNetwork(t *testing.T) {
	l := onSingle(t)
	for _, row := range []struct {
		bits int
		want string
	}{{0, "4 3 2 4 4 4 4 3"}, {-1, "4 4 4 4 4 4 4 3"}, {48, "4 3 2 1 4 4 4 3"}, {128, "4 4 4 4 4 4 4 3"}} {
		key := httpkit.ByIP(httpkit.ClientIP{IPv6Bits: row.bits})
		h := limited(t, l, policies(fiveAnHour(fmt.Sprint("bits ", row.bits), key)), fine)
		got := countsOf(t, h, from("[2001:db8:1:1::1]:1"), from("[2001:db8:1:1::2]:2"), from("[2001:db8:1:1:ffff::]:3"), from("[2001:db8:1:2::1]:1"),
			from("[2001:db8:2::1]:1"), from("203.0.113.9:1"), from("203.0.113.10:1"), from("[::ffff:203.0.113.9]:1"))
		equal(t, "what each has left", strings.Join(got, " "), row.want)
	}
}

func TestWhoHasNoAddressSharesOneAccount(t *testing.T) {
	h := limited(t, onSingle(t), policies(fiveAnHour("p", httpkit.ByIP(httpkit.ClientIP{}))), fine)
	got := countsOf(t, h, from("@"), from(""), from("@", "X-Forwarded-For: 1.1.1.1"))
	equal(t, "what each has left", strings.Join(got, " "), "4 3 2")
}

func TestAPolicyWithoutAKeyDoesNotApply(t *testing.T) {
	h := limited(t, onSingle(t), policies(fiveAnHour("p", byHeader("User"))), fine)
	got := countsOf(t, h, from("1.1.1.1:1"), from("1.1.1.1:1", "User: ada"), from("1.1.1.1:1"))
	equal(t, "what each has left", strings.Join(got, ","), ",4,")
	res := get(t, h)
	if len(res.Header) != 1 { // Content-Type
		t.Errorf("headers %v", res.Header)
	}
	both := limited(t, onSingle(t), policies(fiveAnHour("p", byHeader("User")), fiveAnHour("q", byHeader("Org"))), fine)
	equal(t, "RateLimit-Policy", get(t, both, "Org", "acme").Header.Get("RateLimit-Policy"), `"q";q=5;w=3600`)
}

func TestARouteIsAPatternAndNotWhatTheClientMakesOfIt(t *testing.T) {
	mw, err := httpkit.RateLimit(onSingle(t), policies(fiveAnHour("per-route", httpkit.ByRoute())))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/users/{id}", mw(http.HandlerFunc(fine)))
	mux.Handle("GET /orders/", mw(http.HandlerFunc(fine)))
	request := func(method, path string) *http.Request { return httptest.NewRequest(method, path, nil) }
	got := countsOf(t, mux, request("GET", "/users/1"), request("GET", "/users/2"), request("MADEUP", "/users/1?x=y"),
		request("GET", "/orders/"), request("HEAD", "/orders/1"))
	equal(t, "what each has left", strings.Join(got, " "), "4 3 2 4 3")

	around := mw(mux)
	res := ask(around, request("GET", "/nowhere"))
	equal(t, "RateLimit around the mux", res.Header.Get("RateLimit"), `"per-route";r=4;t=3600`)
	res = ask(around, request("GET", "/elsewhere"))
	equal(t, "RateLimit around the mux", res.Header.Get("RateLimit"), `"per-route";r=3;t=3600`)
}

func TestJoinedKeysDoNotRunIntoOneAnother(t *testing.T) {
	h := limited(t, onSingle(t), policies(fiveAnHour("p", httpkit.Join(byHeader("A"), byHeader("B")))), fine)
	got := countsOf(t, h, from("", "A: x|y", "B: z"), from("", "A: x", "B: y|z"), from("", `A: x\`, "B: |z"), from("", `A: x\|`, "B: z"),
		from("", "A: x|y", "B: z"), from("", "A: x"), from("", "B: x"))
	equal(t, "what each has left", strings.Join(got, ","), "4,4,4,4,3,,")
}

func TestALongKeyIsKeptShort(t *testing.T) {
	l := onSingle(t)
	p := fiveAnHour("p", byHeader("User"))
	long := strings.Repeat("x", 201)
	get(t, limited(t, l, policies(p), fine), "User", long)
	get(t, limited(t, l, policies(p), fine), "User", long[:200])
	sum := sha256.Sum256([]byte(long))
	for _, key := range []string{"p#" + hex.EncodeToString(sum[:]), "p/" + long[:200]} {
		res, err := l.Peek(t.Context(), key, p.Limit)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "what is left of "+key, res.Remaining, 4)
	}
}

func TestAKeyMayHaveAnyBytes(t *testing.T) {
	h := limited(t, onSingle(t), policies(fiveAnHour("p", byHeader("User"))), fine)
	for _, user := range []string{"}", "{", "}{", "a:b", "*", "\x00\xff", " ", "/", "#", "a\r\nb"} {
		r := from("1.1.1.1:1")
		r.Header["User"] = []string{user}
		got := countsOf(t, h, r, r)
		equal(t, "what "+user+" has left", strings.Join(got, " "), "4 3")
	}
}

func TestAPanicOfAKeyTakesNothing(t *testing.T) {
	l := onSingle(t)
	first := fiveAnHour("first", byHeader("User"))
	bad := httpkit.Policy{Name: "bad", Limit: ratelimit.GCRA(1, 1e9, 1), Key: httpkit.ByFunc(func(*http.Request) string { panic("oops") })}
	h := limited(t, l, policies(first, bad), fine)
	func() {
		defer func() { equal(t, "the panic", recover(), any("oops")) }()
		get(t, h, "User", "ada")
	}()
	equal(t, "what is left", left(t, l, first, "first", "ada"), 5)
}
