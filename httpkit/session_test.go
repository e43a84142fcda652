package httpkit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
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

func count(_ http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) { s.Data.Views++ }

func show(w http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
	fmt.Fprintf(w, "%q %q %d %v", s.UserID(), s.Data.Name, s.Data.Views, s.Data.Cart)
}

func login(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
	created, err := s.Login(r.Context(), r.FormValue("user"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	fmt.Fprintf(w, "%d sessions, %d evicted", created.Count, len(created.Evicted))
}

func logout(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
	if err := s.Logout(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

func TestAVisitorLogsInAndOutAndTheDataStayUntilThen(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{
			"/count": count, "/show": show, "/login": login, "/logout": logout,
			"/buy": func(_ http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
				if s.Data.Cart == nil {
					s.Data.Cart = map[string]int{}
				}
				s.Data.Cart["tea"]++
			},
		})
		server := s.serve(t, false)
		b := browser(t, server)
		for _, step := range []struct{ method, path, form, want string }{
			{"GET", "/show", "", `"" "" 0 map[]`},
			{"GET", "/count", "", ``},
			{"POST", "/buy", "", ``},
			{"POST", "/buy", "", ``},
			{"GET", "/show", "", `"" "" 1 map[tea:2]`},
			{"POST", "/login", "user=ada", `1 sessions, 0 evicted`},
			{"GET", "/count", "", ``},
			{"GET", "/show", "", `"ada" "" 2 map[tea:2]`},
			{"POST", "/logout", "", ``},
			{"GET", "/show", "", `"" "" 0 map[]`},
			{"GET", "/count", "", ``},
			{"GET", "/show", "", `"" "" 1 map[]`},
		} {
			res, got := open(t, b, step.method, server.URL+step.path, step.form)
			if res.StatusCode != 200 || got != step.want {
				t.Fatalf("%s: %d %s, want %s", step.path, res.StatusCode, got, step.want)
			}
		}
		equal(t, "ada's sessions", must(s.m.Count(t.Context(), "ada"))(t), 0)
	})
}

func TestReadingCreatesNothing(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/show": show,
		"/empty": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			s.Data.Cart = map[string]int{} // and puts nothing into it
			messages, err := s.Flashes(r.Context())
			if len(messages) != 0 || err != nil {
				t.Errorf("%q, %v", messages, err)
			}
		},
	})
	wantNoCookie(t, s.visit(t, "GET", "/show"))
	wantNoCookie(t, s.visit(t, "GET", "/empty"))
	_, cookie := s.login(t, "ada", Visit{Name: "Ada"})
	res := s.visit(t, "GET", "/show", cookie)
	wantNoCookie(t, res)
	equal(t, "the page", bodyOf(t, res), `"ada" "Ada" 0 map[]`)
	equal(t, "the version", s.loaded(t, cookie).Version, 1)
}

func TestWhoPresentsNoIDOrAMalformedOneCostsNoRoundTrip(t *testing.T) {
	redis := rediskittest.Server(t)
	s := siteOf(t, managerOf[Visit](t, impatient(t, redis.Addr()), session.Config{}), httpkit.SessionConfig{}, pages{"/show": show})
	_, cookie := s.login(t, "ada", Visit{})
	redis.Kill()

	for _, value := range []string{"", "x", "a.b.c", cookie.Value[1:], cookie.Value + ".", strings.Repeat("x", 4000)} {
		res := s.visit(t, "GET", "/show", &http.Cookie{Name: cookieName, Value: value})
		equal(t, "the status of "+value, res.StatusCode, 200)
		wantNoCookie(t, res)
	}
	equal(t, "the status without", s.visit(t, "GET", "/show").StatusCode, 200)
	equal(t, "the status with an ID", s.visit(t, "GET", "/show", cookie).StatusCode, 503)
}

func TestTheCookieIsForThisHostAloneAndForNoScript(t *testing.T) {
	for _, row := range []struct {
		cfg  httpkit.SessionConfig
		want string // with ID in place of the value
	}{
		{httpkit.SessionConfig{}, "__Host-session=ID; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{httpkit.SessionConfig{Insecure: true}, "session=ID; Path=/; HttpOnly; SameSite=Lax"},
		{httpkit.SessionConfig{CookieName: "__Host-id", SameSite: http.SameSiteStrictMode, MaxAge: 1500 * time.Millisecond},
			"__Host-id=ID; Path=/; Max-Age=2; HttpOnly; Secure; SameSite=Strict"},
		{httpkit.SessionConfig{SameSite: http.SameSiteNoneMode, MaxAge: 24 * time.Hour},
			"__Host-session=ID; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=None"},
	} {
		s := embeddedSite(t, row.cfg, pages{"/count": count, "/logout": logout})
		res := s.visit(t, "GET", "/count")
		c := newCookie(t, res)
		equal(t, "the cookie", strings.Replace(res.Header.Get("Set-Cookie"), c.Value, "ID", 1), row.want)
		equal(t, "the views", s.loaded(t, c).Data.Views, 1)

		// It is deleted by one with the same attributes.
		res = s.visit(t, "POST", "/logout", c)
		want, _, _ := strings.Cut(row.want, "ID;")
		rest := strings.NewReplacer(want, "", "ID; ", "", "Max-Age=2; ", "", "Max-Age=86400; ", "", "Path=/; ", "Path=/; Max-Age=0; ")
		equal(t, "the deletion", res.Header.Get("Set-Cookie"), want+"; "+rest.Replace(row.want))
	}
}

func TestAnIDThatWasNotIssuedIsNeverTakenOver(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{"/show": show, "/count": count, "/login": login})
		issued, _ := s.login(t, "eve", Visit{Name: "Eve"})
		guessed := must(session.JoinID(issued.ID.Public(), bytes.Repeat([]byte("x"), 32)))(t)
		other := must(session.JoinID(strings.Repeat("A", 22)+"."+strings.Repeat("A", 16), bytes.Repeat([]byte("x"), 32)))(t)
		for _, id := range []session.ID{guessed, other} {
			planted := &http.Cookie{Name: cookieName, Value: id.Reveal()}
			res := s.visit(t, "GET", "/show", planted)
			equal(t, "the page", bodyOf(t, res), `"" "" 0 map[]`)
			wantDeleted(t, res)
			for _, path := range []string{"/count", "/login?user=ada"} {
				got := idOf(t, newCookie(t, s.visit(t, "POST", path, planted)))
				if got.Equal(id) || got.Ref() == id.Ref() {
					t.Errorf("%s went on with the planted ID", path)
				}
			}
			if _, err := s.m.Peek(t.Context(), id); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("the planted ID became valid: %v", err)
			}
		}
	})
}

func TestALoginMakesTheIDBeforeItWorthless(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{"/show": show, "/count": count, "/login": login})
		visitor := newCookie(t, s.visit(t, "GET", "/count"))
		user := newCookie(t, s.visit(t, "POST", "/login?user=ada", visitor))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", user)), `"ada" "" 1 map[]`)
		res := s.visit(t, "GET", "/show", visitor)
		equal(t, "the page of the ID before", bodyOf(t, res), `"" "" 0 map[]`)
		wantDeleted(t, res)

		// The same user again: the place is exchanged, the data stay. Another one: nothing is carried over.
		again := newCookie(t, s.visit(t, "POST", "/login?user=ada", user))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", again)), `"ada" "" 1 map[]`)
		equal(t, "ada's sessions", must(s.m.Count(t.Context(), "ada"))(t), 1)
		bob := newCookie(t, s.visit(t, "POST", "/login?user=bob", again))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", bob)), `"bob" "" 0 map[]`)
		equal(t, "ada's sessions", must(s.m.Count(t.Context(), "ada"))(t), 0)
	})
}

func TestDataThatAreSetAroundALoginAreSaved(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/login": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			s.Data.Name = "Ada"
			created, err := s.Login(r.Context(), "ada")
			ok(t, err)
			equal(t, "LoggedIn", s.LoggedIn(), true)
			equal(t, "the ref", s.Session().Ref, created.Ref)
			s.Data.Email = "ada@example.org"
		},
	})
	c := newCookie(t, s.visit(t, "POST", "/login"))
	got := s.loaded(t, c)
	equal(t, "the data", fmt.Sprint(got.Data), fmt.Sprint(Visit{Name: "Ada", Email: "ada@example.org"}))
}

func TestALoginTellsOfTheLimitAndOfWhoWasEvicted(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for policy, want := range map[session.OnLimit]string{
			session.EvictOldest: "1 sessions, 1 evicted",
			session.Reject:      "session.Login",
		} {
			m := managerOf[Visit](t, c, session.Config{MaxPerUser: 1, OnLimit: policy})
			s := siteOf(t, m, httpkit.SessionConfig{}, pages{"/login": login, "/show": show, "/count": count})
			s.login(t, "ada", Visit{})
			visitor := newCookie(t, s.visit(t, "GET", "/count"))
			res := s.visit(t, "POST", "/login?user=ada", visitor)
			if got := bodyOf(t, res); !strings.HasPrefix(got, want) {
				t.Errorf("policy %d: %s", policy, got)
			}
			if policy == session.Reject {
				equal(t, "the status", res.StatusCode, http.StatusConflict)
				wantNoCookie(t, res)
				equal(t, "the visitor's page", bodyOf(t, s.visit(t, "GET", "/show", visitor)), `"" "" 1 map[]`)
			}
		}
	})
}

func TestALogoutEndsTheSessionForEverybodyWhoHasItsCookie(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/show": show, "/logout": logout,
		"/bye": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			logout(w, r, s)
			equal(t, "LoggedIn", s.LoggedIn(), false)
			equal(t, "the name", s.Data.Name, "")
			s.Flash("Good bye.")
		},
	})
	_, cookie := s.login(t, "ada", Visit{Name: "Ada"})
	wantDeleted(t, s.visit(t, "POST", "/logout", cookie))
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", cookie)), `"" "" 0 map[]`)
	wantNoCookie(t, s.visit(t, "POST", "/logout"))

	// What comes after it is a visitor's.
	_, cookie = s.login(t, "ada", Visit{Name: "Ada"})
	visitor := newCookie(t, s.visit(t, "POST", "/bye", cookie))
	got := s.loaded(t, visitor)
	if got.UserID != "" || got.Data.Name != "" || !got.Flashes {
		t.Errorf("%+v", got)
	}
}

func TestTheCookieBeforeARotationWorksInItsGraceAndOverwritesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		p := pages{
			"/show": show, "/count": count,
			"/rotate": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Data.Name = "Ada"
				if err := s.Rotate(r.Context()); err != nil {
					http.Error(w, err.Error(), http.StatusConflict)
				}
			},
		}
		m := managerOf[Visit](t, c, session.Config{})
		s := siteOf(t, m, httpkit.SessionConfig{MaxAge: time.Hour}, p)
		_, before := s.login(t, "ada", Visit{})
		after := newCookie(t, s.visit(t, "POST", "/rotate", before))
		if after.Value == before.Value || idOf(t, after).Ref() != idOf(t, before).Ref() {
			t.Errorf("%v, %v", idOf(t, after), idOf(t, before))
		}
		res := s.visit(t, "GET", "/count", before)
		wantNoCookie(t, res)
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", before)), `"ada" "Ada" 1 map[]`)
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", after)), `"ada" "Ada" 1 map[]`)
		// Two requests rotate at once: one does, and the other leaves its cookie alone.
		res = s.visit(t, "POST", "/rotate", before)
		equal(t, "the status", res.StatusCode, http.StatusConflict)
		wantNoCookie(t, res)

		strict := siteOf(t, m, httpkit.SessionConfig{RotationGrace: -1}, p)
		last := newCookie(t, strict.visit(t, "POST", "/rotate", after))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", after)), `"" "" 0 map[]`)
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", last)), `"ada" "Ada" 1 map[]`)
	})
}

func TestASlowRequestDoesNotDeleteTheCookieOfARotationMeanwhile(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/slow": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			_, err := managerIn(r).Rotate(r.Context(), s.Session().ID, 0) // by another request, whose grace is over
			ok(t, err)
			s.Data.Views++
		},
	})
	_, cookie := s.login(t, "ada", Visit{})
	r := request(t, "GET", "/slow", cookie)
	res := ask(s, r.WithContext(context.WithValue(r.Context(), managerKey{}, s.m)))
	equal(t, "the status", res.StatusCode, 200)
	wantNoCookie(t, res)
}

type managerKey struct{}

func managerIn(r *http.Request) *session.Manager[Visit] {
	return r.Context().Value(managerKey{}).(*session.Manager[Visit])
}

func TestACookieOfASessionThatEndedIsDeletedByNavigationsAlone(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/show": show})
	_, cookie := s.login(t, "ada", Visit{})
	must(s.m.RevokeUser(t.Context(), "ada"))(t)
	for mode, deleted := range map[string]bool{"": true, "navigate": true, "cors": false, "no-cors": false, "same-origin": false, "websocket": false} {
		r := request(t, "GET", "/show", cookie)
		if mode != "" {
			r.Header.Set("Sec-Fetch-Mode", mode)
		}
		res := ask(s, r)
		if deleted {
			wantDeleted(t, res)
		} else {
			wantNoCookie(t, res)
		}
	}
}

func TestOfSeveralCookiesTheFirstOfTheRightFormIsTheOne(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/show": show})
	_, ada := s.login(t, "ada", Visit{})
	_, bob := s.login(t, "bob", Visit{})
	junk := &http.Cookie{Name: cookieName, Value: "junk"}
	other := &http.Cookie{Name: "other", Value: bob.Value}
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", other, junk, ada, bob)), `"ada" "" 0 map[]`)
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", junk, bob, ada)), `"bob" "" 0 map[]`)
}

func TestASessionSeesWhereItWasMade(t *testing.T) {
	network := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's
	s := embeddedSite(t, httpkit.SessionConfig{ClientIP: httpkit.ClientIP{Trusted: network},
		Device: func(r *http.Request) session.Device { return session.Device{Name: r.FormValue("name")} },
	}, pages{"/login": login, "/count": count})
	r := request(t, "POST", "/login?user=ada&name=phone")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("User-Agent", "curl")
	res := ask(s, r)
	newCookie(t, res)
	list := must(s.m.List(t.Context(), "ada"))(t)
	equal(t, "the device", fmt.Sprint(list[0].Device), fmt.Sprint(session.Device{IP: "203.0.113.9", UserAgent: "curl", Name: "phone"}))

	own := session.Device{IP: "the moon", UserAgent: "tv", Name: "Ada's"}
	known := embeddedSite(t, httpkit.SessionConfig{Device: func(*http.Request) session.Device { return own }}, pages{"/count": count})
	equal(t, "the device", fmt.Sprint(known.loaded(t, newCookie(t, known.visit(t, "GET", "/count"))).Device), fmt.Sprint(own))

	plain := embeddedSite(t, httpkit.SessionConfig{}, pages{"/count": count})
	r = request(t, "GET", "/count")
	r.Header.Set("X-Forwarded-For", "203.0.113.9") // which anybody can send
	c := newCookie(t, ask(plain, r))
	equal(t, "the device's IP", plain.loaded(t, c).Device.IP, "192.0.2.1")
}

func TestARequestThatIsPassiveKeepsNoSessionAlive(t *testing.T) {
	m := managerOf[Visit](t, rediskittest.Embedded(t), session.Config{TouchFraction: -1})
	s := siteOf(t, m, httpkit.SessionConfig{Passive: func(r *http.Request) bool { return r.URL.Path == "/poll" }}, pages{"/show": show, "/poll": show})
	created, cookie := s.login(t, "ada", Visit{Name: "Ada"})
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/poll", cookie)), `"ada" "Ada" 0 map[]`)
	equal(t, "seen", s.loaded(t, cookie).LastSeenAt, created.LastSeenAt)
	s.visit(t, "GET", "/show", cookie)
	if !s.loaded(t, cookie).LastSeenAt.After(created.LastSeenAt) {
		t.Error("a request that is not did not, either")
	}
}

func TestOthersAreLoggedOutAndThisOneStays(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/show": show,
		"/others": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			n, err := s.RevokeOthers(r.Context())
			fmt.Fprint(w, n, " ", err)
		},
	})
	_, phone := s.login(t, "ada", Visit{})
	_, laptop := s.login(t, "ada", Visit{})
	equal(t, "the page", bodyOf(t, s.visit(t, "POST", "/others", phone)), "1 <nil>")
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", laptop)), `"" "" 0 map[]`)
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", phone)), `"ada" "" 0 map[]`)
	if got := bodyOf(t, s.visit(t, "POST", "/others")); !strings.Contains(got, session.ErrNotFound.Error()) {
		t.Errorf("without a session: %s", got)
	}
}

func TestASessionWhoseDataChangedTheirTypeIsNoneAndEndsWithTheNextLogin(t *testing.T) {
	c := rediskittest.Embedded(t)
	type Before struct {
		Views map[string]int `redis:"views"`
	}
	names := must(keys.New("typed"))(t)
	old := managerOf[Before](t, c, session.Config{Keys: names})
	created := must(old.Create(t.Context(), "ada", Before{map[string]int{"a": 1}}, session.Device{}))(t)
	cookie := &http.Cookie{Name: cookieName, Value: created.ID.Reveal()}

	m := managerOf[Visit](t, c, session.Config{Keys: names})
	s := siteOf(t, m, httpkit.SessionConfig{}, pages{"/show": show, "/login": login})
	res := s.visit(t, "GET", "/show", cookie)
	equal(t, "the page", bodyOf(t, res), `"" "" 0 map[]`)
	wantNoCookie(t, res)
	if !strings.Contains(s.log.String(), "cannot be read") {
		t.Errorf("the log is %s", s.log)
	}
	newCookie(t, s.visit(t, "POST", "/login?user=ada", cookie))
	if _, err := old.Peek(t.Context(), created.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the old session: %v", err)
	}
}

func TestRequestsThatChangeDifferentFieldsOverwriteNothingOfEachOther(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		var both sync.WaitGroup
		both.Add(2)
		change := func(f func(*Visit)) func(http.ResponseWriter, *http.Request, *httpkit.RequestSession[Visit]) {
			return func(_ http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
				both.Done()
				both.Wait() // until both have loaded
				f(&s.Data)
			}
		}
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{
			"/name": change(func(v *Visit) { v.Name = "Ada" }),
			"/cart": change(func(v *Visit) { v.Cart["tea"] = 1 }),
		})
		_, cookie := s.login(t, "ada", Visit{Email: "a@example.org", Cart: map[string]int{"cup": 1}})
		var done sync.WaitGroup
		for _, path := range []string{"/name", "/cart"} {
			done.Go(func() { equal(t, "the status", s.visit(t, "GET", path, cookie).StatusCode, 200) })
		}
		done.Wait()
		equal(t, "the data", fmt.Sprint(s.loaded(t, cookie).Data),
			fmt.Sprint(Visit{Name: "Ada", Email: "a@example.org", Cart: map[string]int{"cup": 1, "tea": 1}}))
	})
}

func TestSessionOfFindsTheInnermostOfItsTypeAndPanicsWithoutOne(t *testing.T) {
	c := rediskittest.Embedded(t)
	type Other struct{ Views int64 }
	visits, others := managerOf[Visit](t, c, session.Config{}), managerOf[Other](t, c, session.Config{})
	outer := must(httpkit.Session(visits, httpkit.SessionConfig{CookieName: "__Host-outer"}))(t)
	inner := must(httpkit.Session(visits, httpkit.SessionConfig{CookieName: "__Host-inner"}))(t)
	other := must(httpkit.Session(others, httpkit.SessionConfig{CookieName: "__Host-other"}))(t)
	h := outer(other(inner(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		httpkit.SessionOf[Visit](r).Data.Views++
		httpkit.SessionOf[Other](r).Data.Views++
	}))))
	var names []string
	for _, c := range ask(h, request(t, "GET", "/")).Cookies() {
		names = append(names, c.Name)
	}
	equal(t, "the cookies", fmt.Sprint(names), "[__Host-inner __Host-other]")

	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "httpkit: SessionOf: no Session[httpkit_test.Visit]") {
			t.Errorf("recovered %s", got)
		}
	}()
	httpkit.SessionOf[Visit](request(t, "GET", "/"))
}

func TestABadSessionConfigIsRefusedByName(t *testing.T) {
	m := managerOf[Visit](t, rediskittest.Embedded(t), session.Config{})
	for want, cfg := range map[string]httpkit.SessionConfig{
		"CookieName":              {CookieName: "a b"},
		"with Insecure":           {CookieName: "__Host-a", Insecure: true},
		"SameSite is None":        {SameSite: http.SameSiteNoneMode, Insecure: true},
		"SameSite is 1":           {SameSite: http.SameSiteDefaultMode},
		"MaxAge is -":             {MaxAge: -1},
		"MaxAge is 1µs":           {MaxAge: time.Microsecond},
		"MaxAge is 87601h":        {MaxAge: session.MaxTTL + time.Hour},
		"RotationGrace is":        {RotationGrace: time.Microsecond},
		"RotationGrace is 87601h": {RotationGrace: session.MaxTTL + time.Hour},
		"ClientIP.Header":         {ClientIP: httpkit.ClientIP{Header: "Forwarded"}},
	} {
		_, err := httpkit.Session(m, cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "httpkit: SessionConfig.") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := httpkit.Session[Visit](nil, httpkit.SessionConfig{}); err == nil || err.Error() != "httpkit: Session: the manager is nil" {
		t.Error(err)
	}
}

func TestAResponseThatIsOneClientsSaysSoToCaches(t *testing.T) {
	public := func(w http.ResponseWriter) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.Header().Set("CDN-Cache-Control", "max-age=3600")
		w.Header().Set("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")
	}
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/show": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			public(w)
			show(w, r, s)
		},
		"/count": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			public(w)
			w.Header().Add("Vary", "Accept, cookie")
			count(w, r, s)
		},
	})
	res := s.visit(t, "GET", "/show")
	equal(t, "Vary", fmt.Sprint(res.Header.Values("Vary")), "[Cookie]")
	equal(t, "Cache-Control", res.Header.Get("Cache-Control"), "public, max-age=3600")
	res = s.visit(t, "GET", "/count")
	newCookie(t, res)
	equal(t, "Vary", fmt.Sprint(res.Header.Values("Vary")), "[Accept, cookie]")
	equal(t, "Cache-Control", res.Header.Get("Cache-Control"), "no-store")
	equal(t, "CDN-Cache-Control", res.Header.Get("CDN-Cache-Control"), "")
	equal(t, "Expires", res.Header.Get("Expires"), "")

	// Who never looks at the session is cached for all.
	mw := must(httpkit.Session(s.m, httpkit.SessionConfig{}))(t)
	_, cookie := s.login(t, "ada", Visit{})
	res = ask(mw(http.HandlerFunc(fine)), request(t, "GET", "/", cookie))
	equal(t, "Vary", res.Header.Get("Vary"), "")
}

func TestFlashesAreReadOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{
			"/tell": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Flash("one")
				s.Flash("two", "three")
				http.Redirect(w, r, "/hear", http.StatusSeeOther)
			},
			"/hear":  hear,
			"/login": login,
			"/tell-login": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Flash("for the one before")
				login(w, r, s)
			},
			"/both": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Flash("four")
				hear(w, r, s)
			},
		})
		visitor := newCookie(t, s.visit(t, "POST", "/tell"))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/both", visitor)), `["one" "two" "three" "four"]`)
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/hear", visitor)), `[]`)

		// They come along with a login.
		s.visit(t, "POST", "/tell", visitor)
		user := newCookie(t, s.visit(t, "POST", "/login?user=ada", visitor))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/hear", user)), `["one" "two" "three"]`)
		// But not to another user.
		s.visit(t, "POST", "/tell", user)
		bob := newCookie(t, s.visit(t, "POST", "/login?user=bob", user))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/hear", bob)), `[]`)

		user = newCookie(t, s.visit(t, "POST", "/login?user=ada", bob))
		bob = newCookie(t, s.visit(t, "POST", "/tell-login?user=bob", user))
		equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/hear", bob)), `[]`)

		// Of many requests one gets them.
		s.visit(t, "POST", "/tell", bob)
		var done sync.WaitGroup
		heard := make(chan string, 20)
		for range cap(heard) {
			done.Go(func() {
				if got := bodyOf(t, s.visit(t, "GET", "/hear", bob)); got != "[]" {
					heard <- got
				}
			})
		}
		done.Wait()
		close(heard)
		equal(t, "how many heard", len(heard), 1)
		equal(t, "what", <-heard, `["one" "two" "three"]`)
	})
}

func hear(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
	messages, err := s.Flashes(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintf(w, "%q", messages)
}

func TestFlashesThatFindNoRoomAreDroppedAndLogged(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/tell": func(w http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
			s.Data.Name = "Ada"
			s.Flash(strings.Repeat("x", session.MaxFlashes/2))
			_, _ = io.WriteString(w, "told")
		},
		"/hear": hear,
	})
	_, cookie := s.login(t, "ada", Visit{})
	for range 3 {
		equal(t, "the page", bodyOf(t, s.visit(t, "POST", "/tell", cookie)), "told")
	}
	if !strings.Contains(s.log.String(), "messages of a session were dropped") {
		t.Errorf("the log is %s", s.log)
	}
	equal(t, "the name", s.loaded(t, cookie).Data.Name, "Ada")
	equal(t, "how long the page is", len(bodyOf(t, s.visit(t, "GET", "/hear", cookie))), session.MaxFlashes/2+4)
}
