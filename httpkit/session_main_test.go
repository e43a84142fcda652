package httpkit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// Visit is the data of most tests.
type Visit struct {
	Name  string         `redis:"name"`
	Email string         `redis:"email,omitempty"`
	Views int64          `redis:"views,omitempty"`
	Cart  map[string]int `redis:"cart,omitempty"`
}

const cookieName = "__Host-session"

func managerOf[T any](t testing.TB, c *rediskit.Client, cfg session.Config) *session.Manager[T] {
	t.Helper()
	cfg.TagKey = bytes.Repeat([]byte("k"), session.MinTagKey)
	if cfg.Keys == (keys.Builder{}) {
		names, err := keys.New(rand.Text())
		ok(t, err)
		cfg.Keys = names
	}
	m, err := session.New[T](c, cfg)
	ok(t, err)
	return m
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check is ok for handlers, which a server runs in goroutines of its own.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func must[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		ok(t, err)
		return v
	}
}

// pages are handlers by path, with the session of their request.
type pages map[string]func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit])

// site is a handler behind the middleware.
type site struct {
	http.Handler
	m   *session.Manager[Visit]
	log *lines

	mu     sync.Mutex
	errors []error // that OnError got
}

func siteOf(t testing.TB, m *session.Manager[Visit], cfg httpkit.SessionConfig, p pages) *site {
	t.Helper()
	s := &site{m: m, log: &lines{}}
	cfg.Logger = slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.OnError == nil {
		cfg.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
			s.mu.Lock()
			s.errors = append(s.errors, err)
			s.mu.Unlock()
			http.Error(w, "no session", http.StatusServiceUnavailable)
		}
	}
	mw, err := httpkit.Session(m, cfg)
	ok(t, err)
	mux := http.NewServeMux()
	for path, page := range p {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { page(w, r, httpkit.SessionOf[Visit](r)) })
	}
	s.Handler = mw(mux)
	return s
}

// embeddedSite is for what does not depend on the server.
func embeddedSite(t testing.TB, cfg httpkit.SessionConfig, p pages) *site {
	t.Helper()
	return siteOf(t, managerOf[Visit](t, rediskittest.Embedded(t), session.Config{}), cfg, p)
}

func (s *site) failures() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.errors)
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// login makes a session of a user and returns what its browser presents.
func (s *site) login(t testing.TB, user string, d Visit) (session.Session[Visit], *http.Cookie) {
	t.Helper()
	created := must(s.m.Create(context.WithoutCancel(t.Context()), user, d, session.Device{}))(t)
	return created.Session, &http.Cookie{Name: cookieName, Value: created.ID.Reveal()}
}

// visit asks for a page, with cookies, over no network.
func (s *site) visit(t testing.TB, method, path string, cookies ...*http.Cookie) *http.Response {
	t.Helper()
	return ask(s, request(t, method, path, cookies...))
}

func request(t testing.TB, method, path string, cookies ...*http.Cookie) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// cookieOf is the one cookie that a response sets, or nil.
func cookieOf(t testing.TB, res *http.Response) *http.Cookie {
	t.Helper()
	switch all := res.Cookies(); len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		t.Fatalf("%d cookies: %v", len(all), all)
		return nil
	}
}

// newCookie is the cookie of a new session that a response must set.
func newCookie(t testing.TB, res *http.Response) *http.Cookie {
	t.Helper()
	c := cookieOf(t, res)
	if c == nil || c.MaxAge < 0 || c.Value == "" {
		t.Fatalf("no new cookie: %v", c)
	}
	return c
}

func wantNoCookie(t testing.TB, res *http.Response) {
	t.Helper()
	if c := res.Header.Values("Set-Cookie"); len(c) > 0 {
		t.Errorf("the response sets %q", c)
	}
}

func wantDeleted(t testing.TB, res *http.Response) {
	t.Helper()
	if c := cookieOf(t, res); c == nil || c.Name != cookieName || c.MaxAge >= 0 || c.Value != "" || c.Path != "/" || !c.Secure {
		t.Errorf("the cookie is not deleted: %v", c)
	}
}

func bodyOf(t testing.TB, res *http.Response) string {
	t.Helper()
	b := must(io.ReadAll(res.Body))(t)
	ok(t, res.Body.Close())
	return string(b)
}

// idOf is the ID in a cookie.
func idOf(t testing.TB, c *http.Cookie) session.ID {
	t.Helper()
	return must(session.ParseID(c.Value))(t)
}

// loaded is the session of a cookie, as Redis has it.
func (s *site) loaded(t testing.TB, c *http.Cookie) session.Session[Visit] {
	t.Helper()
	return must(s.m.Peek(t.Context(), idOf(t, c)))(t)
}

// serve serves a site over TLS, with HTTP/2 if that is said.
func (s *site) serve(t testing.TB, http2 bool) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(func() {
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return server
}

// browser is a client with cookies of its own.
func browser(t testing.TB, server *httptest.Server) *http.Client {
	t.Helper()
	return &http.Client{
		Transport: server.Client().Transport,
		Jar:       must(cookiejar.New(nil))(t),
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// open asks for a page and reads it.
func open(t testing.TB, b *http.Client, method, url, form string) (*http.Response, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form)))(t)
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res := must(b.Do(r))(t)
	return res, bodyOf(t, res)
}

// eventually polls until there is no error.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
