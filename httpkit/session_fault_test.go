package httpkit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestASessionThatIsRevokedMeanwhileIsNotBroughtBack(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := managerOf[Visit](t, c, session.Config{})
		s := siteOf(t, m, httpkit.SessionConfig{}, pages{
			"/{$}": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				_, err := m.RevokeUser(r.Context(), "ada") // by an administrator, on another machine
				ok(t, err)
				s.Data.Name = "Ada"
				s.Flash("saved")
				_, _ = io.WriteString(w, "done")
				s.Data.Name = "Bob"
				if err := s.Save(r.Context()); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("a late save: %v", err)
				}
				if _, err := s.CSRFToken(r.Context()); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("a token: %v", err)
				}
				equal(t, "LoggedIn", s.LoggedIn(), false)
			},
			"/show": show,
			"/login": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Data.Name = "Ada"
				_, err := m.RevokeUser(r.Context(), "ada")
				ok(t, err)
				for _, name := range []string{"Ada", "", "Ada"} {
					s.Data.Name = name
					if err := s.Save(r.Context()); !errors.Is(err, session.ErrNotFound) {
						t.Errorf("a save of %q: %v", name, err)
					}
				}
				if _, err := s.CSRFToken(r.Context()); !errors.Is(err, session.ErrNotFound) {
					t.Errorf("a token: %v", err)
				}
				_, err = s.Login(r.Context(), "bob")
				ok(t, err)
			},
			"/rotate": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				ok(t, s.Rotate(r.Context()))
				s.Data.Name = "Ada"
				_, err := m.RevokeUser(r.Context(), "ada")
				ok(t, err)
			},
		})
		_, cookie := s.login(t, "ada", Visit{})
		res := s.visit(t, "POST", "/", cookie)
		equal(t, "the page", bodyOf(t, res), "done")
		wantNoCookie(t, res)
		if _, err := m.Peek(t.Context(), idOf(t, cookie)); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("it is valid: %v", err)
		}
		wantDeleted(t, s.visit(t, "GET", "/show", cookie))

		_, cookie = s.login(t, "ada", Visit{})
		equal(t, "bob's data", s.loaded(t, newCookie(t, s.visit(t, "POST", "/login", cookie))).Data.Name, "")
		_, cookie = s.login(t, "ada", Visit{})
		wantNoCookie(t, s.visit(t, "POST", "/rotate", cookie))
		equal(t, "failures", len(s.failures()), 0)
	})
}

func TestSoakARevokeThatRacesASaveIsFinal(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		var turn atomic.Int64
		m := managerOf[Visit](t, c, session.Config{TouchFraction: -1})
		s := siteOf(t, m, httpkit.SessionConfig{}, pages{
			"/change": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				if !s.LoggedIn() {
					return // the revoke was first
				}
				s.Data.Views = turn.Add(1)
				s.Flash("changed")
				if s.Data.Views%3 == 0 {
					_ = s.Rotate(r.Context()) // fails if it comes too late
				}
			},
		})
		for i := range 1000 / 4 * soak.Scale() { // on four kinds of servers
			user := fmt.Sprint("user", i)
			created, cookie := s.login(t, user, Visit{})
			var done sync.WaitGroup
			issued := make(chan *http.Cookie, 2)
			for range cap(issued) {
				done.Go(func() {
					if c := cookieOf(t, s.visit(t, "POST", "/change", cookie)); c != nil && c.MaxAge >= 0 {
						issued <- c
					}
				})
			}
			if _, err := m.Revoke(t.Context(), user, created.Ref); err != nil {
				t.Fatal(err)
			}
			check := func(when string, c *http.Cookie) {
				if _, err := m.Get(t.Context(), idOf(t, c)); !errors.Is(err, session.ErrNotFound) {
					t.Fatalf("round %d, %s: %v", i, when, err)
				}
			}
			check("after the revoke", cookie)
			done.Wait()
			close(issued)
			check("after the requests", cookie)
			for c := range issued {
				check("what a request was given", c)
			}
			if n := must(m.Count(t.Context(), user))(t); n != 0 {
				t.Fatalf("round %d: %d sessions", i, n)
			}
		}
		for _, err := range s.failures() {
			t.Error(err)
		}
	})
}

func TestTwoHundredRequestsOfOneSessionAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		type Wide struct {
			A, B, C, D, E, F, G, H int64
			Cart                   map[string]int
		}
		m := managerOf[Wide](t, c, session.Config{})
		mw := must(httpkit.Session(m, httpkit.SessionConfig{}))(t)
		h := mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := httpkit.SessionOf[Wide](r)
			s.Data.Cart["looked"]++ // in the request's own map
			delete(s.Data.Cart, "looked")
			for i, field := range []*int64{&s.Data.A, &s.Data.B, &s.Data.C, &s.Data.D, &s.Data.E, &s.Data.F, &s.Data.G, &s.Data.H} {
				if r.URL.Path == fmt.Sprint("/", i) {
					*field = 1
				}
			}
			s.Flash(r.URL.Path)
			_, _ = io.WriteString(w, s.UserID())
		}))
		created := must(m.Create(t.Context(), "ada", Wide{Cart: map[string]int{"tea": 1}}, session.Device{}))(t)
		cookie := &http.Cookie{Name: cookieName, Value: created.ID.Reveal()}
		var done sync.WaitGroup
		for i := range 200 {
			done.Go(func() {
				res := ask(h, request(t, "POST", fmt.Sprint("/", i%8), cookie))
				wantNoCookie(t, res)
				equal(t, "the page", bodyOf(t, res), "ada")
			})
		}
		done.Wait()
		got := must(m.Get(t.Context(), created.ID))(t)
		equal(t, "the data", fmt.Sprint(got.Data), fmt.Sprint(Wide{1, 1, 1, 1, 1, 1, 1, 1, map[string]int{"tea": 1}}))
		equal(t, "the messages", len(must(m.PopFlashes(t.Context(), created.ID))(t)), 200)
	})
}

func TestWithoutRedisTheHandlerIsNotCalledAndTheClientMayTryAgain(t *testing.T) {
	redis := rediskittest.Server(t)
	m := managerOf[Visit](t, impatient(t, redis.Addr()), session.Config{})
	called := 0
	mw := must(httpkit.Session(m, httpkit.SessionConfig{}))(t) // with the answers it gives by itself
	h := mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called++
		httpkit.SessionOf[Visit](r).Data.Views++
	}))
	created := must(m.Create(t.Context(), "ada", Visit{}, session.Device{}))(t)
	cookie := &http.Cookie{Name: cookieName, Value: created.ID.Reveal()}
	equal(t, "the status", ask(h, request(t, "GET", "/", cookie)).StatusCode, 200)
	redis.Kill()
	for _, cookies := range [][]*http.Cookie{{cookie}, nil} { // it cannot be loaded, and a new one cannot be made
		res := ask(h, request(t, "GET", "/", cookies...))
		equal(t, "the status", res.StatusCode, http.StatusServiceUnavailable)
		equal(t, "Retry-After", res.Header.Get("Retry-After"), "1")
		equal(t, "Content-Type", res.Header.Get("Content-Type"), "application/problem+json")
		equal(t, "the body", bodyOf(t, res), `{"title":"Service Unavailable","status":503}`+"\n")
		wantNoCookie(t, res)
	}
	equal(t, "how often the handler was called", called, 2)
}

// impatient is a client that gives up soon.
func impatient(t testing.TB, addr string) *rediskit.Client {
	t.Helper()
	c := must(rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{addr}, CommandTimeout: 500 * time.Millisecond}))(t)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestWhatCannotBeSavedIsNotAnsweredAsIfItWere(t *testing.T) {
	for name, fault := range map[string]func(*redistest.FaultProxy){
		"the network swallows everything":  (*redistest.FaultProxy).BlackHole,
		"the network swallows the replies": (*redistest.FaultProxy).BlackHoleReplies,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cannotBeSaved(t, fault)
		})
	}
}

func cannotBeSaved(t *testing.T, fault func(*redistest.FaultProxy)) {
	redis := must(redistest.StartServer(redistest.ServerConfig{}))(t)
	t.Cleanup(func() { check(t, redis.Close()) })
	proxy := must(redistest.StartProxy(redis.Addr()))(t)
	t.Cleanup(func() { check(t, proxy.Close()) })
	m := managerOf[Visit](t, impatient(t, proxy.Addr()), session.Config{})
	s := siteOf(t, m, httpkit.SessionConfig{}, pages{
		"/name": func(w http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
			s.Data.Name = "Ada"
			w.Header().Set("Location", "/thanks")
			fault(proxy)
			w.WriteHeader(http.StatusSeeOther)
		},
		"/stream": func(w http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
			_, _ = io.WriteString(w, "begun")
			s.Data.Name = "Bob"
			fault(proxy)
		},
		"/rotate": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			check(t, s.Rotate(r.Context()))
			s.Data.Name = "Eve"
			fault(proxy)
			_, _ = io.WriteString(w, "done")
		},
		"/logout": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			fault(proxy)
			logout(w, r, s)
		},
	})
	_, cookie := s.login(t, "ada", Visit{})
	visit := func(path string, c *http.Cookie) *http.Response {
		res := s.visit(t, "POST", path, c)
		check(t, proxy.Resume())
		eventually(t, func() error {
			_, err := m.Count(t.Context(), "nobody")
			return err
		})
		return res
	}
	res := visit("/name", cookie)
	equal(t, "the status", res.StatusCode, http.StatusServiceUnavailable)
	equal(t, "the location", res.Header.Get("Location"), "")
	equal(t, "failures", len(s.failures()), 1)

	res = visit("/stream", cookie)
	equal(t, "the status of what had begun", res.StatusCode, 200)
	equal(t, "the body of what had begun", bodyOf(t, res), "begun")
	if !strings.Contains(s.log.String(), "after the response had begun is lost") {
		t.Errorf("the log is %s", s.log)
	}

	// The old cookie is worth nothing soon, so the new one has to be told though the rest failed.
	res = visit("/rotate", cookie)
	equal(t, "the status of a rotation", res.StatusCode, http.StatusServiceUnavailable)
	rotated := newCookie(t, res)
	equal(t, "the user", s.loaded(t, rotated).UserID, "ada")

	// Whoever logs out on a shared computer must not be told to come again.
	res = visit("/logout", rotated)
	equal(t, "the status of a logout", res.StatusCode, http.StatusServiceUnavailable)
	wantDeleted(t, res)
}

func TestDataThatAreTooLargeAreAnErrorOfTheServer(t *testing.T) {
	m := managerOf[Visit](t, rediskittest.Embedded(t), session.Config{MaxData: 100})
	mw := must(httpkit.Session(m, httpkit.SessionConfig{}))(t)
	h := mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpkit.SessionOf[Visit](r).Data.Name = strings.Repeat("x", 200)
		_, _ = io.WriteString(w, "done")
	}))
	res := ask(h, request(t, "GET", "/"))
	equal(t, "the status", res.StatusCode, http.StatusInternalServerError)
	equal(t, "the body", bodyOf(t, res), `{"title":"Internal Server Error","status":500}`+"\n")
	wantNoCookie(t, res)
}

func TestAHandlerWhoseResponseWasDroppedSavesNothingMore(t *testing.T) {
	m := managerOf[Visit](t, rediskittest.Embedded(t), session.Config{MaxData: 100})
	s := siteOf(t, m, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
		s.Data.Name = strings.Repeat("x", 200)
		_, errWrite := w.Write([]byte("done"))
		_, errString := io.WriteString(w, "done")
		_, errRead := io.Copy(w, struct{ io.Reader }{strings.NewReader("done")})
		w.WriteHeader(http.StatusTeapot)
		for _, err := range []error{errWrite, errString, errRead, http.NewResponseController(w).Flush()} {
			if !errors.Is(err, session.ErrTooLarge) {
				t.Error(err)
			}
		}
		s.Data.Name = "Ada"
	}})
	_, cookie := s.login(t, "ada", Visit{})
	res := s.visit(t, "GET", "/", cookie)
	equal(t, "the status", res.StatusCode, http.StatusServiceUnavailable)
	equal(t, "the body", bodyOf(t, res), "no session\n")
	equal(t, "the name", s.loaded(t, cookie).Data.Name, "")
}

func TestAPageWithoutMessagesDoesNotAskForThem(t *testing.T) {
	redis := rediskittest.Server(t)
	m := managerOf[Visit](t, impatient(t, redis.Addr()), session.Config{})
	s := siteOf(t, m, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		redis.Kill()
		hear(w, r, s)
	}})
	_, cookie := s.login(t, "ada", Visit{})
	res := s.visit(t, "GET", "/", cookie)
	equal(t, "the status", res.StatusCode, 200)
	equal(t, "the page", bodyOf(t, res), "[]")
}

func TestNoErrorAndNoLogShowsASecret(t *testing.T) {
	redis := rediskittest.Server(t)
	m := managerOf[Visit](t, impatient(t, redis.Addr()), session.Config{})
	var texts []string
	s := siteOf(t, m, httpkit.SessionConfig{CSRFTokens: true}, pages{"/": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		redis.Kill()
		s.Data.Name = "Ada"
		_, errLogin := s.Login(ctx, "ada")
		_, errOthers := s.RevokeOthers(ctx)
		texts = append(texts, fmt.Sprintf("%v %+v %#v", s, s, s), fmt.Sprint(s.Session()),
			fmt.Sprint(errLogin, errOthers, s.Rotate(ctx), s.Save(ctx)))
		if err := s.Logout(ctx); err != nil {
			texts = append(texts, err.Error())
		}
	}})
	_, cookie := s.login(t, "ada", Visit{})
	equal(t, "the status without a token", s.visit(t, "POST", "/", cookie).StatusCode, http.StatusServiceUnavailable)
	s.visit(t, "GET", "/", cookie)
	s.visit(t, "GET", "/", cookie) // which cannot be loaded
	for _, err := range s.failures() {
		texts = append(texts, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
	texts = append(texts, s.log.String())
	equal(t, "how much was seen", len(texts) > 6 && s.log.String() != "", true)
	secret := cookie.Value[strings.LastIndexByte(cookie.Value, '.')+1:]
	for _, text := range texts {
		if strings.Contains(text, secret) {
			t.Errorf("it shows the secret: %s", text)
		}
	}
}

// Whatever clients send for a cookie, nobody is logged in by it but who has an ID that was issued.
func FuzzTheCookie(f *testing.F) {
	m := managerOf[Visit](f, rediskittest.Embedded(f), session.Config{})
	s := siteOf(f, m, httpkit.SessionConfig{}, pages{"/": show})
	created := must(m.Create(context.Background(), "ada", Visit{}, session.Device{}))(f)
	public := created.ID.Public()
	for _, seed := range []string{
		"", ";", "=", cookieName, cookieName + "=", cookieName + "=" + public, cookieName + "=" + public + ".",
		cookieName + "=" + public + "." + strings.Repeat("A", 43), cookieName + `="` + public + "." + strings.Repeat("A", 43) + `"`,
		"a=b; " + cookieName + "=x;" + cookieName + "=y", cookieName + "=" + strings.Repeat(".", 83), strings.Repeat(cookieName+"=x; ", 200),
		cookieName + "=\x00\xff", cookieName + " = " + public, strings.ToLower(cookieName) + "=" + public,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, created.ID.Reveal()) {
			return // guessed
		}
		r := request(t, "GET", "/")
		r.Header["Cookie"] = []string{line, line}
		res := ask(s, r)
		equal(t, "the status", res.StatusCode, 200)
		equal(t, "the page", bodyOf(t, res), `"" "" 0 map[]`)
		if c := cookieOf(t, res); c != nil && c.MaxAge >= 0 {
			t.Errorf("a cookie was set: %v", c)
		}
	})
}
