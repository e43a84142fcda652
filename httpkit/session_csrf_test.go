package httpkit_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestAnotherOriginsRequestIsRefusedBeforeRedisIsAsked(t *testing.T) {
	redis := rediskittest.Server(t)
	m := managerOf[Visit](t, impatient(t, redis.Addr()), session.Config{})
	own := http.NewCrossOriginProtection()
	ok(t, own.AddTrustedOrigin("https://partner.example"))
	own.AddInsecureBypassPattern("POST /hook")
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	p := pages{"/": func(http.ResponseWriter, *http.Request, *httpkit.RequestSession[Visit]) {}}
	usual, special := siteOf(t, m, httpkit.SessionConfig{}, p), siteOf(t, m, httpkit.SessionConfig{CrossOrigin: own}, p)
	_, cookie := usual.login(t, "ada", Visit{})
	redis.Kill() // what reaches Redis from here on is 503
	for _, row := range []struct {
		s                           *site
		method, path, fetch, origin string
		want                        int
	}{
		{usual, "POST", "/", "cross-site", "", 403},
		{usual, "POST", "/", "same-site", "", 403},
		{usual, "DELETE", "/", "", "https://evil.example", 403},
		{usual, "POST", "/", "same-origin", "", 503},
		{usual, "POST", "/", "", "", 503},
		{usual, "GET", "/", "cross-site", "", 503},
		{special, "POST", "/", "cross-site", "https://evil.example", 418},
		{special, "POST", "/", "cross-site", "https://partner.example", 503},
		{special, "POST", "/hook", "cross-site", "https://evil.example", 503},
	} {
		r := request(t, row.method, row.path, cookie)
		if row.fetch != "" {
			r.Header.Set("Sec-Fetch-Site", row.fetch)
		}
		if row.origin != "" {
			r.Header.Set("Origin", row.origin)
		}
		res := ask(row.s, r)
		equal(t, fmt.Sprint(row.method, row.path, row.fetch, row.origin), res.StatusCode, row.want)
		if row.want == 403 {
			equal(t, "Content-Type", res.Header.Get("Content-Type"), "application/problem+json")
		}
	}
}

// tokenSite answers with tokens, and echoes the bodies of what it lets in.
func tokenSite(t testing.TB, m *session.Manager[Visit]) *site {
	return siteOf(t, m, httpkit.SessionConfig{CSRFTokens: true, OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		if err != httpkit.ErrCSRFToken {
			t.Error(err)
		}
		w.WriteHeader(http.StatusForbidden)
	}}, pages{
		"GET /token": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			token, err := s.CSRFToken(r.Context())
			check(t, err)
			_, _ = io.WriteString(w, token)
		},
		"/echo": func(w http.ResponseWriter, r *http.Request, _ *httpkit.RequestSession[Visit]) {
			_, _ = io.Copy(w, r.Body)
		},
		"/rotate": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			check(t, s.Rotate(r.Context()))
		},
		"/login": login,
	})
}

func (s *site) token(t testing.TB, cookies ...*http.Cookie) string {
	t.Helper()
	return bodyOf(t, s.visit(t, "GET", "/token", cookies...))
}

// post sends a body, with a token in the header if there is one.
func (s *site) post(t testing.TB, path, token, kind, body string, cookies ...*http.Cookie) *http.Response {
	t.Helper()
	r := request(t, "POST", path, cookies...)
	r.Body = io.NopCloser(strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("X-CSRF-Token", token)
	}
	return ask(s, r)
}

const (
	urlencoded = "application/x-www-form-urlencoded"
	text       = "text/plain"
)

func TestARequestNeedsTheTokenOfItsSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := tokenSite(t, managerOf[Visit](t, c, session.Config{}))
		_, ada := s.login(t, "ada", Visit{})
		_, again := s.login(t, "ada", Visit{})
		token, other := s.token(t, ada), s.token(t, ada)
		if token == other || len(token) != 86 {
			t.Errorf("the tokens %q and %q", token, other)
		}
		for _, row := range []struct {
			name, token string
			cookie      *http.Cookie
			want        int
		}{
			{"its own", token, ada, 200},
			{"its own, written differently", other, ada, 200},
			{"none", "", ada, 403},
			{"another session's", s.token(t, again), ada, 403},
			{"one cut short", token[:85], ada, 403},
			{"one too long", token + "AA", ada, 403},
			{"two halves that are the same", strings.Repeat("A", 86), ada, 403},
			{"junk", "junk", ada, 403},
			{"none, and no session", "", &http.Cookie{Name: "x", Value: "y"}, 200},
		} {
			equal(t, row.name, s.post(t, "/echo", row.token, text, "", row.cookie).StatusCode, row.want)
		}
		equal(t, "a safe request", s.visit(t, "GET", "/echo", ada).StatusCode, 200)
		equal(t, "a DELETE", s.visit(t, "DELETE", "/echo", ada).StatusCode, 403)

		// It lives as long as the session: over a rotation, but not over a login.
		rotated := newCookie(t, s.post(t, "/rotate", token, text, "", ada))
		equal(t, "after a rotation", s.post(t, "/echo", token, text, "", rotated).StatusCode, 200)
		res := s.post(t, "/login?user=ada", token, text, "", rotated)
		equal(t, "after a login", s.post(t, "/echo", token, text, "", newCookie(t, res)).StatusCode, 403)
	})
}

func TestAVisitorsFormHasATokenToo(t *testing.T) {
	s := tokenSite(t, managerOf[Visit](t, rediskittest.Embedded(t), session.Config{}))
	res := s.visit(t, "GET", "/token")
	visitor, token := newCookie(t, res), bodyOf(t, res)
	equal(t, "the user", s.loaded(t, visitor).UserID, "")
	equal(t, "with it", s.post(t, "/login?user=ada", token, text, "", visitor).StatusCode, 200)
	visitor = newCookie(t, s.visit(t, "GET", "/token"))
	equal(t, "without it", s.post(t, "/login?user=ada", "", text, "", visitor).StatusCode, 403)
}

func TestATokenInAFormLeavesTheBodyForTheHandler(t *testing.T) {
	s := tokenSite(t, managerOf[Visit](t, rediskittest.Embedded(t), session.Config{}))
	_, cookie := s.login(t, "ada", Visit{})
	token := s.token(t, cookie)
	multi := func(fields ...string) (kind, body string) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i < len(fields); i += 2 {
			part := must(w.CreateFormField(fields[i]))(t)
			_ = must(io.WriteString(part, fields[i+1]))(t)
		}
		ok(t, w.Close())
		return w.FormDataContentType(), b.String()
	}
	form := func(fields string) (string, string) { return urlencoded, fields }
	large := strings.Repeat("x", 1<<20)
	for name, row := range map[string]struct {
		kind, body string
		want       int
	}{
		"a form":                      row(form("a=b&csrf_token=" + token + "&c=d"))(200),
		"a form with an escape":       row(form("%63srf_token=" + token))(200),
		"a large form":                row(form("csrf_token=" + token + "&a=" + large))(200),
		"a form, behind its bound":    row(form("a=" + large + "&csrf_token=" + token))(403),
		"a form without":              row(form("a=b"))(403),
		"a form with a wrong one":     row(form("csrf_token=x&csrf_token=" + token))(403),
		"a form with one cut off":     row(form("a=" + strings.Repeat("x", 64<<10-20) + "&csrf_token=" + token))(403),
		"multipart":                   row(multi("a", "b", "csrf_token", token, "file", large))(200),
		"multipart, behind its bound": row(multi("file", large, "csrf_token", token))(403),
		"multipart without":           row(multi("a", "b"))(403),
		"multipart without boundary":  {"multipart/form-data", "x", 403},
		"no form":                     {text, "csrf_token=" + token, 403},
		"no type":                     {"", "csrf_token=" + token, 403},
		"a malformed type":            {"a/b/c;;", "csrf_token=" + token, 403},
	} {
		res := s.post(t, "/echo", "", row.kind, row.body, cookie)
		equal(t, name, res.StatusCode, row.want)
		if got := bodyOf(t, res); row.want == 200 && got != row.body {
			t.Errorf("%s: the handler reads %d bytes of %d", name, len(got), len(row.body))
		}
	}
	// With a token in the header the body is not looked at.
	r := request(t, "POST", "/echo", cookie)
	r.Header.Set("Content-Type", urlencoded)
	r.Header.Set("X-CSRF-Token", "wrong")
	r.Body = io.NopCloser(untouchable{t})
	equal(t, "a wrong header", ask(s, r).StatusCode, 403)
}

type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func row(kind, body string) func(want int) struct {
	kind, body string
	want       int
} {
	return func(want int) (r struct {
		kind, body string
		want       int
	}) {
		r.kind, r.body, r.want = kind, body, want
		return r
	}
}

func TestAFormIsParsedByTheHandlerAfterItsTokenWasFound(t *testing.T) {
	m := managerOf[Visit](t, rediskittest.Embedded(t), session.Config{})
	s := siteOf(t, m, httpkit.SessionConfig{CSRFTokens: true}, pages{"/": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		if r.Method == http.MethodGet {
			token, err := s.CSRFToken(r.Context())
			check(t, err)
			_, _ = io.WriteString(w, token)
			return
		}
		_, _ = io.WriteString(w, r.FormValue("name"))
	}})
	for _, http2 := range []bool{false, true} {
		server := s.serve(t, http2)
		b := browser(t, server)
		_, token := open(t, b, http.MethodGet, server.URL, "")
		res, body := open(t, b, http.MethodPost, server.URL, url.Values{"name": {"Ada & Bob"}, "csrf_token": {token}}.Encode())
		equal(t, "the status", res.StatusCode, 200)
		equal(t, "the name", body, "Ada & Bob")
		res, _ = open(t, b, http.MethodPost, server.URL, "name=Eve")
		equal(t, "the status without", res.StatusCode, http.StatusServiceUnavailable)
	}

	// What the middleware answers by itself.
	mw := must(httpkit.Session(m, httpkit.SessionConfig{CSRFTokens: true}))(t)
	_, cookie := s.login(t, "ada", Visit{})
	res := ask(mw(http.HandlerFunc(fine)), request(t, "POST", "/", cookie))
	equal(t, "the status", res.StatusCode, http.StatusForbidden)
	equal(t, "the body", bodyOf(t, res), `{"title":"Forbidden","status":403}`+"\n")
}

// Whatever a form looks like, its token is found or not, and the handler gets every byte of it.
func FuzzTheFormOfAToken(f *testing.F) {
	s := tokenSite(f, managerOf[Visit](f, rediskittest.Embedded(f), session.Config{}))
	_, cookie := s.login(f, "ada", Visit{})
	token := s.token(f, cookie)
	f.Add(urlencoded, "a=b&csrf_token=", "&c=d")
	f.Add(urlencoded, "%63srf_token=", "")
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\n", "\r\n--x--\r\n")
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\n", "")
	f.Add("multipart/form-data", "--\r\n\r\n", "")
	f.Add("", "csrf_token=", "")
	f.Fuzz(func(t *testing.T, kind, before, after string) {
		for _, body := range []string{before + after, before + token + after} {
			res := s.post(t, "/echo", "", kind, body, cookie)
			switch got := bodyOf(t, res); {
			case res.StatusCode == http.StatusOK && got != body:
				t.Errorf("the handler reads %q of %q", got, body)
			case res.StatusCode == http.StatusOK && !strings.Contains(body, token):
				t.Errorf("let in without a token: %q", body)
			}
		}
	})
}
