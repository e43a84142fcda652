package scsstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// site is an application with scs, as it was before, over a Store.
type site struct {
	*stand
	manager *scs.SessionManager
	url     string
	slow    chan chan struct{} // what a slow page waits for

	mu     sync.Mutex
	errors []error // that scs showed
}

func newSite(t *testing.T, c *rediskit.Client, cfg session.Config, change func(*scs.SessionManager)) *site {
	t.Helper()
	s := &site{stand: newStand(t, c, cfg), manager: scs.New(), slow: make(chan chan struct{})}
	m := s.manager
	m.Store = s.Store
	m.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.errors = append(s.errors, err)
		switch {
		case errors.Is(err, session.ErrLimit):
			w.WriteHeader(http.StatusConflict)
		case errors.Is(err, session.ErrNotFound): // logged out meanwhile: the page goes out without a cookie
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	change(m)
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		if err := m.RenewToken(r.Context()); err != nil {
			m.ErrorFunc(w, r, err)
			return
		}
		m.Put(r.Context(), "user", r.FormValue("user"))
	})
	mux.HandleFunc("/login-in-place", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "user", r.FormValue("user"))
	})
	mux.HandleFunc("/careful-login", func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if err := m.RenewToken(ctx); err != nil {
			t.Error(err)
		}
		m.Put(ctx, "user", r.FormValue("user"))
		if _, _, err := m.Commit(ctx); errors.Is(err, session.ErrLimit) {
			m.Remove(ctx, "user")
			io.WriteString(w, "too many")
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Destroy(r.Context()); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/logout-in-place", func(w http.ResponseWriter, r *http.Request) { m.Remove(r.Context(), "user") })
	mux.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), r.FormValue("name"), r.FormValue("value"))
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "slow", true)
		wait := make(chan struct{})
		s.slow <- wait
		<-wait
	})
	mux.HandleFunc("/slow-renewal", func(w http.ResponseWriter, r *http.Request) {
		wait := make(chan struct{})
		s.slow <- wait
		<-wait
		fmt.Fprint(w, m.RenewToken(r.Context()))
	})
	mux.HandleFunc("/others", func(w http.ResponseWriter, r *http.Request) {
		id, err := s.ID(r.Context(), m)
		if err != nil {
			fmt.Fprint(w, err)
			return
		}
		n, err := s.sessions.RevokeOthers(r.Context(), id)
		fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		for _, name := range m.Keys(r.Context()) {
			fmt.Fprintf(w, "%s=%v ", name, m.Get(r.Context(), name))
		}
	})
	server := httptest.NewServer(m.LoadAndSave(mux))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// shown returns the errors that scs has shown since it was called before.
func (s *site) shown() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := s.errors
	s.errors = nil
	return errs
}

// browser keeps cookies.
type browser struct {
	t    *testing.T
	site *site
	http *http.Client
}

func (s *site) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	ok(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, s, &http.Client{Jar: jar, Transport: transport}}
}

// keep takes over a token.
func (b *browser) keep(token string) {
	req, err := http.NewRequest("GET", b.site.url, nil)
	ok(b.t, err)
	b.http.Jar.SetCookies(req.URL, []*http.Cookie{{Name: "session", Value: token}})
}

// get returns a page and its status.
func (b *browser) get(path string) (page string, status int) {
	b.t.Helper()
	resp, err := b.http.Get(b.site.url + path)
	if err != nil {
		b.t.Error(err)
		return "", 0
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Error(err)
	}
	return strings.TrimSpace(string(all)), resp.StatusCode
}

// sees checks a page.
func (b *browser) sees(path, want string) {
	b.t.Helper()
	if page, status := b.get(path); page != want || status != http.StatusOK {
		b.t.Fatalf("%s is %d %q, want %q", path, status, page, want)
	}
}

// token is the cookie that the browser has.
func (b *browser) token() string {
	req, err := http.NewRequest("GET", b.site.url, nil)
	ok(b.t, err)
	for _, c := range b.http.Jar.Cookies(req.URL) {
		return c.Value
	}
	return ""
}

// managers are ways to set up scs.
var managers = map[string]func(*scs.SessionManager){
	"as it comes":   func(*scs.SessionManager) {},
	"hashed tokens": func(m *scs.SessionManager) { m.HashTokenInStore = true },
	"idle time-out": func(m *scs.SessionManager) { m.IdleTimeout = 20 * time.Minute },
	"both": func(m *scs.SessionManager) {
		m.HashTokenInStore, m.IdleTimeout = true, 20*time.Minute
	},
}

// withManagers runs a test with every way to set up scs on a real server, and with the last one everywhere.
func withManagers(t *testing.T, cfg session.Config, test func(t *testing.T, s *site)) {
	t.Helper()
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	for name, change := range managers {
		t.Run(name, func(t *testing.T) { test(t, newSite(t, c, cfg, change)) })
	}
	everywhere(t, func(t *testing.T, c *rediskit.Client) { test(t, newSite(t, c, cfg, managers["both"])) })
}

func TestAnApplicationOfScsWorksAsBefore(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		b := s.browser(t)
		b.sees("/", "")
		equal(t, "token before anything is put", b.token(), "")
		b.sees("/put?name=cart&value=full", "")
		visitor := b.token()
		b.sees("/", "cart=full")
		b.sees("/login?user=ada", "")
		if b.token() == visitor || b.token() == "" {
			t.Fatal("the token is not renewed")
		}
		b.sees("/", "cart=full user=ada")
		b.sees("/put?name=page&value=7", "")
		b.sees("/", "cart=full page=7 user=ada")
		s.counts(t, "ada", 1)
		b.sees("/logout", "")
		equal(t, "token after the logout", b.token(), "")
		b.sees("/", "")
		s.counts(t, "ada", 0)
		equal(t, "errors", fmt.Sprint(s.shown()), "[]")
	})
}

func TestAnApplicationThatRenewsNoTokenHasUsersToo(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		b := s.browser(t)
		b.sees("/put?name=cart&value=full", "")
		token := b.token()
		b.sees("/login-in-place?user=ada", "")
		equal(t, "token", b.token(), token)
		b.sees("/", "cart=full user=ada")
		s.counts(t, "ada", 1)
		b.sees("/logout-in-place", "")
		s.counts(t, "ada", 0)
		b.sees("/", "")
		b.sees("/login-in-place?user=ada", "")
		b.sees("/", "user=ada")
		if b.token() == token {
			t.Fatal("the token of an ended session lives again")
		}
		equal(t, "errors", fmt.Sprint(s.shown()), "[]")
	})
}

func TestATokenThatWasNotIssuedIsWorthNothing(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		b := s.browser(t)
		planted := "planted-by-somebody-else-planted-by-somebod"
		b.keep(planted)
		b.sees("/login-in-place?user=ada", "")
		if b.token() == planted {
			t.Fatal("the planted token was taken over")
		}
		b.sees("/", "user=ada")
		s.findsNone(t, planted)
	})
}

func TestTheLimitOfAUserIsShownByScs(t *testing.T) {
	withManagers(t, session.Config{MaxPerUser: 1}, func(t *testing.T, s *site) {
		phone, laptop := s.browser(t), s.browser(t)
		phone.sees("/login?user=ada", "")
		if _, status := laptop.get("/login?user=ada"); status != http.StatusConflict {
			t.Fatalf("the second login is %d", status)
		}
		if errs := s.shown(); len(errs) != 1 || !errors.Is(errs[0], session.ErrLimit) {
			t.Fatal(errs)
		}
		laptop.sees("/", "")
		laptop.sees("/careful-login?user=ada", "too many")
		laptop.sees("/", "")
		phone.sees("/", "user=ada")
		phone.sees("/logout", "")
		laptop.sees("/careful-login?user=ada", "")
		laptop.sees("/", "user=ada")
		equal(t, "errors", fmt.Sprint(s.shown()), "[]")
	})
}

func TestTheOldestSessionGivesWayToALogin(t *testing.T) {
	withManagers(t, session.Config{MaxPerUser: 1, OnLimit: session.EvictOldest}, func(t *testing.T, s *site) {
		phone, laptop := s.browser(t), s.browser(t)
		phone.sees("/login?user=ada", "")
		laptop.sees("/login?user=ada", "")
		phone.sees("/", "")
		laptop.sees("/", "user=ada")
		s.counts(t, "ada", 1)
	})
}

func TestAUserEndsTheOthersOfTheirSessions(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		phone, laptop := s.browser(t), s.browser(t)
		phone.sees("/others", "scsstore.ID: no such session")
		phone.sees("/login?user=ada", "")
		laptop.sees("/login?user=ada", "")
		laptop.sees("/others", "1 <nil>")
		phone.sees("/", "")
		laptop.sees("/", "user=ada")
		token := laptop.token()
		laptop.sees("/logout", "")
		ctx, err := s.manager.Load(t.Context(), token)
		ok(t, err)
		_, err = s.ID(ctx, s.manager)
		is(t, err, session.ErrNotFound)
	})
}

func TestSessionsAreMerged(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		b := s.browser(t)
		b.sees("/put?name=cart&value=full", "")
		ctx, err := s.manager.Load(t.Context(), "")
		ok(t, err)
		s.manager.Put(ctx, "user", "ada")
		ok(t, s.manager.MergeSession(ctx, b.token()))
		_, _, err = s.manager.Commit(ctx)
		ok(t, err)
		equal(t, "cart", s.manager.GetString(ctx, "cart"), "full")
		s.counts(t, "ada", 1)
		b.sees("/", "")
	})
}

// A page that was asked for before the session ended answers after that. It neither brings the session back nor takes the cookie of
// a login that came meanwhile.
func TestARequestUnderWayDoesNotUndoALogoutNorALogin(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		for what, meanwhile := range map[string]func(b *browser) (now string){
			"revoked": func(*browser) string {
				_, err := s.sessions.RevokeUser(t.Context(), "ada")
				ok(t, err)
				return ""
			},
			"logged out": func(b *browser) string {
				b.sees("/logout", "")
				return ""
			},
			"logged in again": func(b *browser) string {
				b.sees("/login?user=ada", "")
				return "user=ada"
			},
		} {
			b := s.browser(t)
			b.sees("/login?user=ada", "")
			token := b.token()
			answered := make(chan int, 1)
			go func() {
				_, status := b.get("/slow")
				answered <- status
			}()
			wait := <-s.slow
			now := meanwhile(b)
			close(wait)
			equal(t, what, <-answered, http.StatusOK)
			b.sees("/", now)
			if errs := s.shown(); len(errs) != 1 || !errors.Is(errs[0], session.ErrNotFound) {
				t.Fatalf("%s: %v", what, errs)
			}
			if token == b.token() && now != "" {
				t.Fatalf("%s: the old token is back", what)
			}
			_, err := s.sessions.RevokeUser(t.Context(), "ada")
			ok(t, err)
		}
	})
}

// A request can be held up by whoever sends it, until after the logout. Then it asks for a new token.
func TestARequestUnderWayRenewsNoTokenOfAUserWhoWasLoggedOut(t *testing.T) {
	withManagers(t, session.Config{}, func(t *testing.T, s *site) {
		for what, logout := range map[string]func(b *browser){
			"revoked":    func(*browser) { _, err := s.sessions.RevokeUser(t.Context(), "ada"); ok(t, err) },
			"logged out": func(b *browser) { b.sees("/logout", "") },
		} {
			b := s.browser(t)
			b.sees("/login?user=ada", "")
			thief := s.browser(t)
			thief.keep(b.token())
			answered := make(chan string, 1)
			go func() {
				page, _ := thief.get("/slow-renewal")
				answered <- page
			}()
			wait := <-s.slow
			logout(b)
			close(wait)
			if page := <-answered; !strings.Contains(page, "no such session") {
				t.Fatalf("%s: the token was renewed: %s", what, page)
			}
			thief.sees("/", "")
			s.counts(t, "ada", 0)
		}
		// Of a visitor there is nothing to protect: who logs in meanwhile does so by a password.
		b := s.browser(t)
		b.sees("/put?name=cart&value=full", "")
		ctx, err := s.manager.Load(t.Context(), b.token())
		ok(t, err)
		b.sees("/logout", "")
		ok(t, s.manager.RenewToken(ctx))
	})
}

func TestRequestsOfManyBrowsersAtOnce(t *testing.T) {
	withManagers(t, session.Config{MaxPerUser: 3, OnLimit: session.EvictOldest}, func(t *testing.T, s *site) {
		var wg sync.WaitGroup
		var seen atomic.Int64
		for i := range 8 {
			b := s.browser(t)
			user := fmt.Sprint("user-", i%2)
			wg.Go(func() {
				for range 2 {
					b.get("/login?user=" + user)
					var tabs sync.WaitGroup
					for tab := range 3 {
						tabs.Go(func() {
							b.get(fmt.Sprintf("/put?name=tab&value=%d", tab))
							if page, _ := b.get("/"); strings.Contains(page, "user="+user) {
								seen.Add(1)
							} else if strings.Contains(page, "user=") {
								t.Errorf("%s sees %q", user, page)
							}
						})
					}
					tabs.Wait()
				}
			})
		}
		wg.Wait()
		s.counts(t, "user-0", 3)
		s.counts(t, "user-1", 3)
		if seen.Load() == 0 {
			t.Error("nobody was ever logged in")
		}
		for _, err := range s.shown() {
			if !errors.Is(err, session.ErrNotFound) {
				t.Error(err)
			}
		}
	})
}

func TestNeitherRedisNorLogsNorErrorsHaveATokenOrASecret(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	var log bytes.Buffer
	s := newStand(t, c, session.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnEvent: func(_ context.Context, e session.Event) {
		fmt.Fprintf(&log, "%+v\n", e)
	}})
	const token = "a-token-that-nobody-but-the-browser-may-know"
	secret := sha256.Sum256([]byte("secret " + token))
	hashed := sha256.Sum256([]byte(token))
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	note(s.Commit(token, values(t, "user", "ada"), inAnHour()))
	note(third(s.Find(token)))
	note(s.Commit(token, values(t, "user", "bob"), inAnHour()))
	dump := dumpOf(t, server)
	note(s.Delete(token))
	note(s.Commit(token, values(t), inAnHour()))
	dump += dumpOf(t, server)
	note(third(newStand(t, stopped(t), session.Config{Keys: s.names}).Find(token)))
	for _, err := range errs {
		fmt.Fprintln(&log, err)
	}
	for _, hidden := range []string{token, string(secret[:]), base64.RawURLEncoding.EncodeToString(secret[:]), string(hashed[:])} {
		if strings.Contains(dump, hidden) || strings.Contains(log.String(), hidden) {
			t.Errorf("%q is to be seen", hidden)
		}
	}
	if !strings.Contains(dump, "scs:") || !strings.Contains(log.String(), "no such session") {
		t.Error("the test sees nothing")
	}
}

// dumpOf is all that a server has, as text.
func dumpOf(t *testing.T, server *rediskittest.RedisServer) string {
	t.Helper()
	var all strings.Builder
	list, isList := server.Do("KEYS", "*").([]any)
	if !isList {
		t.Fatal("no keys")
	}
	for _, key := range list {
		text, _ := key.(string)
		command := "GET"
		if server.Do("TYPE", text) == "hash" {
			command = "HGETALL"
		}
		fmt.Fprintln(&all, text, server.Do(command, text))
	}
	return all.String()
}
