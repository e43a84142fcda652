package gorillastore_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/gorillastore"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestAnApplicationOfGorillaWorksAsBefore(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		b.sees(t, s, "map[]")
		b.puts(t, s, "cart", "full")
		b.sees(t, s, "map[cart:full]")
		visitor := b.copy()
		b.puts(t, s, "page", "7")
		equal(t, "the ID of a session that was changed", b.cookies[cookieName], visitor.cookies[cookieName])

		b.puts(t, s, "user", "ada")
		if b.cookies[cookieName] == visitor.cookies[cookieName] {
			t.Fatal("the ID is the one from before the login")
		}
		visitor.sees(t, s, "map[]")
		b.sees(t, s, "map[cart:full page:7 user:ada]")
		equal(t, "device", s.only(t, "ada").Device.UserAgent, "Browser/1")
		equal(t, "IP", s.only(t, "ada").Device.IP, "192.0.2.1")

		was := b.copy()
		ok(t, b.visit(t, s, func(g *sessions.Session) { g.Options.MaxAge = -1 }))
		equal(t, "cookies", len(b.cookies), 0)
		was.sees(t, s, "map[]")
		s.counts(t, "ada", 0)
		equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 0)
	})
}

func TestAnotherUserHasAnotherSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		b.puts(t, s, "user", "ada")
		adas := b.copy()
		b.puts(t, s, "user", "bob")
		b.sees(t, s, "map[user:bob]")
		adas.sees(t, s, "map[]")
		s.counts(t, "ada", 0)
		s.counts(t, "bob", 1)

		bobs := b.copy()
		ok(t, b.visit(t, s, func(g *sessions.Session) {
			delete(g.Values, "user")
			g.Values["cart"] = "full"
		}))
		b.sees(t, s, "map[cart:full]")
		bobs.sees(t, s, "map[]")
		s.counts(t, "bob", 0)
		equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 1)
	})
}

func TestTheCookieIsSetAsTheOptionsSay(t *testing.T) {
	for _, test := range []struct {
		options *sessions.Options
		name    string
		want    string
	}{
		{nil, "__Host-id", "Path=/; HttpOnly; Secure; SameSite=Lax"},
		{&sessions.Options{Path: "/shop", Domain: "example.com"}, "id", "Path=/shop; Domain=example.com"},
		{&sessions.Options{Path: "/", Secure: true, Partitioned: true, SameSite: http.SameSiteNoneMode, MaxAge: 60}, "id",
			"Path=/; Expires=; Max-Age=60; Secure; SameSite=None; Partitioned"},
	} {
		s := newStand(t, rediskittest.Embedded(t), session.Config{}, gorillastore.Config{Options: test.options})
		r, w := newBrowser().request(t.Context())
		g, err := s.New(r, test.name)
		ok(t, err)
		ok(t, s.Save(r, w, g))
		cookie, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
		ok(t, err)
		equal(t, "value", cookie.Value, g.ID)
		cookie.Value, cookie.Expires = "x", time.Time{}
		equal(t, test.name, cookie.String(), test.name+"=x; "+strings.ReplaceAll(test.want, "Expires=; ", ""))
		if expires := strings.Contains(w.Header().Get("Set-Cookie"), "Expires"); expires != strings.Contains(test.want, "Expires") {
			t.Errorf("Expires is there: %v", expires)
		}
	}
}

func TestASessionHasOptionsOfItsOwn(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{}, gorillastore.Config{})
	r, w := newBrowser().request(t.Context())
	g, err := s.New(r, cookieName)
	ok(t, err)
	g.Options.Path = "/changed"
	other, err := s.New(r, cookieName)
	ok(t, err)
	equal(t, "path", other.Options.Path, "/")
	other.Options = nil
	ok(t, s.Save(r, w, other))
	if !strings.Contains(w.Header().Get("Set-Cookie"), "HttpOnly") {
		t.Error("a session without options has none")
	}
}

func TestWhatBrowsersRefuseIsRefusedBeforeAnythingIsStored(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{}, gorillastore.Config{})
	for want, test := range map[string]struct {
		name    string
		options sessions.Options
	}{
		"Options.Secure is not set": {"__Host-id", sessions.Options{Path: "/"}},
		"Options.Path is":           {"__Host-id", sessions.Options{Path: "/shop", Secure: true}},
		"Domain \"example.com\"":    {"__hOST-id", sessions.Options{Path: "/", Domain: "example.com", Secure: true}},
		"the name \"__Secure-id\"":  {"__Secure-id", sessions.Options{}},
		"SameSite is None":          {"id", sessions.Options{SameSite: http.SameSiteNoneMode}},
		"the cookie \"a b\"":        {"a b", sessions.Options{}},
		"the cookie \"id\"":         {"id", sessions.Options{Path: "/;"}},
		"Options.MaxAge is":         {"id", sessions.Options{MaxAge: 1 << 30}},
	} {
		r, w := newBrowser().request(t.Context())
		g, err := s.New(r, test.name)
		ok(t, err)
		g.Options = &test.options
		if err := s.Save(r, w, g); err == nil || !strings.Contains(err.Error(), want) || len(w.Header()) > 0 {
			t.Errorf("%s: %v, %v", want, err, w.Header())
		}
	}
	equal(t, "keys", len(keysOf(t, s.c, s.names)), 0)
}

func TestBadConfigurationsAreNamed(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := newStand(t, c, session.Config{}, gorillastore.Config{})
	for want, err := range map[string]error{
		"manager is nil":          second(gorillastore.New(nil, gorillastore.Config{User: userOf})),
		"Config.User is nil":      second(gorillastore.New(s.sessions, gorillastore.Config{})),
		"Config.Options.MaxAge":   second(gorillastore.New(s.sessions, gorillastore.Config{User: userOf, Options: &sessions.Options{MaxAge: -1}})),
		"Config.Options.SameSite": second(gorillastore.New(s.sessions, gorillastore.Config{User: userOf, Options: &sessions.Options{SameSite: http.SameSiteNoneMode}})),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "gorillastore: "+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func second(_ *gorillastore.Store, err error) error { return err }

func TestNoRoundTripIsMadeForWhatIsNoID(t *testing.T) {
	s := newStand(t, stopped(t), session.Config{Keys: keys.MustNew("unused")}, gorillastore.Config{})
	b := newBrowser()
	for _, value := range []string{"", "x", strings.Repeat("x", 83), "a.b.c", strings.Repeat("-", 10)} {
		if value != "" {
			b.cookies[cookieName] = value
		}
		b.sees(t, s, "map[]")
	}
}

func TestAnIDThatWasNotIssuedIsNotAccepted(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		b.puts(t, s, "user", "ada")
		mine := b.cookies[cookieName]
		id, err := session.ParseID(mine)
		ok(t, err)
		guessed, err := session.JoinID(id.Public(), bytes.Repeat([]byte("g"), 32))
		ok(t, err)
		thief := newBrowser()
		thief.cookies[cookieName] = guessed.Reveal()
		thief.sees(t, s, "map[]")
		thief.puts(t, s, "user", "eve")
		if thief.cookies[cookieName] == guessed.Reveal() {
			t.Fatal("an ID of the client's was taken over")
		}
		b.sees(t, s, "map[user:ada]")

		// Nor one that the application sets.
		for _, forged := range []string{guessed.Reveal(), "mine"} {
			err := newBrowser().visit(t, s, func(g *sessions.Session) { g.ID = forged })
			is(t, err, session.ErrNotFound)
		}
	})
}

func TestTheSessionOfOneCookieIsNotThatOfAnother(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		r, w := b.request(t.Context())
		g, err := s.Get(r, "settings")
		ok(t, err)
		g.Values["user"] = "admin"
		ok(t, g.Save(r, w))
		b.takes(w)
		b.cookies[cookieName] = b.cookies["settings"]
		b.sees(t, s, "map[]")
		is(t, b.visit(t, s, func(other *sessions.Session) { other.ID = g.ID }), session.ErrNotFound)
	})
}

func TestSeveralSessionsOfARequestAreSavedTogether(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		r, w := b.request(t.Context())
		for _, name := range []string{"one", "two"} {
			g, err := s.Get(r, name)
			ok(t, err)
			g.Values["name"] = name
			g.AddFlash("hello " + name)
		}
		ok(t, sessions.Save(r, w))
		equal(t, "cookies", b.takes(w), 2)
		r, w = b.request(t.Context())
		for _, name := range []string{"one", "two"} {
			g, err := s.Get(r, name)
			ok(t, err)
			equal(t, "name", g.Values["name"], any(name))
			equal(t, "flashes", fmt.Sprint(g.Flashes()), "[hello "+name+"]")
			again, err := s.Get(r, name)
			ok(t, err)
			equal(t, "the session that was got again", again, g)
		}
		ok(t, sessions.Save(r, w))
		r, _ = b.request(t.Context())
		g, err := s.Get(r, "one")
		ok(t, err)
		equal(t, "flashes", len(g.Flashes()), 0)
	})
}

func TestASessionIsSavedTwiceInARequest(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{}, gorillastore.Config{})
	b := newBrowser()
	r, w := b.request(t.Context())
	g, err := s.Get(r, cookieName)
	ok(t, err)
	for i, pairs := range [][]string{{"cart", "full"}, {"user", "ada"}, {"page", "7"}} {
		put(pairs...)(g)
		ok(t, g.Save(r, w))
		equal(t, "sessions", len(keysOf(t, s.c, s.names, "/session:")), 1)
		equal(t, "Set-Cookie", len(w.Header().Values("Set-Cookie")), i+1)
	}
	b.takes(w)
	b.sees(t, s, "map[cart:full page:7 user:ada]")
}

func TestTheLimitComesOutOfSave(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{MaxPerUser: 1}, gorillastore.Config{})
		phone, laptop := newBrowser(), newBrowser()
		phone.puts(t, s, "user", "ada")
		laptop.puts(t, s, "cart", "full")
		var limit *session.LimitError
		if err := laptop.visit(t, s, put("user", "ada")); !errors.As(err, &limit) || limit.Limit != 1 {
			t.Fatal(err)
		}
		is(t, newBrowser().visit(t, s, put("user", "ada")), session.ErrLimit)
		laptop.sees(t, s, "map[cart:full]")
		phone.puts(t, s, "page", "7") // is no login
		ok(t, phone.visit(t, s, func(g *sessions.Session) { g.Options.MaxAge = -1 }))
		laptop.puts(t, s, "user", "ada")
		laptop.sees(t, s, "map[cart:full user:ada]")
	})
}

func TestTheSessionThatWasNotSeenForTheLongestTimeGivesWay(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest, TouchFraction: -1}, gorillastore.Config{})
		phone, laptop, tablet := newBrowser(), newBrowser(), newBrowser()
		phone.puts(t, s, "user", "ada")
		laptop.puts(t, s, "user", "ada")
		phone.sees(t, s, "map[user:ada]")
		tablet.puts(t, s, "user", "ada")
		phone.sees(t, s, "map[user:ada]")
		laptop.sees(t, s, "map[]")
	})
}

func TestASessionThatHasEndedIsNotSaved(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for how, end := range map[string]func(s *stand, b *browser) error{
			"revoked": func(s *stand, _ *browser) error {
				_, err := s.sessions.Revoke(ctx, "ada", s.only(t, "ada").Ref)
				return err
			},
			"all revoked": func(s *stand, _ *browser) error { _, err := s.sessions.RevokeUser(ctx, "ada"); return err },
			"logged out": func(s *stand, b *browser) error {
				return b.copy().visit(t, s, func(g *sessions.Session) { g.Options.MaxAge = -1 })
			},
			"evicted": func(s *stand, _ *browser) error {
				other := newBrowser()
				ok(t, other.visit(t, s, put("user", "ada")))
				return other.visit(t, s, func(g *sessions.Session) { g.Options.MaxAge = -1 })
			},
		} {
			for what, change := range map[string]func(g *sessions.Session){
				"nothing":        func(*sessions.Session) {},
				"data":           put("page", "8"),
				"the user":       put("user", "bob"),
				"a logout":       func(g *sessions.Session) { delete(g.Values, "user") },
				"another ID":     func(g *sessions.Session) { g.ID = "" },
				"other time-out": func(g *sessions.Session) { g.Options.MaxAge = 60 },
			} {
				s := newStand(t, c, session.Config{MaxPerUser: 1, OnLimit: session.EvictOldest}, gorillastore.Config{})
				b := newBrowser()
				b.puts(t, s, "user", "ada")
				err := b.visit(t, s, func(g *sessions.Session) {
					ok(t, end(s, b))
					change(g)
				})
				if !errors.Is(err, session.ErrNotFound) {
					t.Errorf("%s, then %s is saved: %v", how, what, err)
				}
				b.sees(t, s, "map[]")
				s.counts(t, "ada", 0)
				s.counts(t, "bob", 0)
				equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 0)
			}
		}
	})
}

func TestAnApplicationThatEmptiesTheIDGetsAnotherOne(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		b.puts(t, s, "user", "ada")
		was, ref := b.copy(), s.only(t, "ada").Ref
		ok(t, b.visit(t, s, func(g *sessions.Session) { g.ID, g.Values["page"] = "", "7" }))
		was.sees(t, s, "map[]")
		b.sees(t, s, "map[page:7 user:ada]")
		equal(t, "ref", s.only(t, "ada").Ref, ref)

		was = b.copy()
		ok(t, b.visit(t, s, func(g *sessions.Session) { g.ID, g.Values["user"] = "", "bob" }))
		was.sees(t, s, "map[]")
		b.sees(t, s, "map[page:7 user:bob]")
		s.counts(t, "ada", 0)

		// There is nothing to make another ID for.
		r, w := newBrowser().request(t.Context())
		g := sessions.NewSession(s, cookieName)
		g.Options = nil
		is(t, s.Save(r, w, g), session.ErrNotFound)
	})
}

func TestMaxAgeIsATimeOutOfTheSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{TTL: 10 * time.Minute, AbsoluteTTL: 10 * time.Hour}, gorillastore.Config{})
		b := newBrowser()
		b.puts(t, s, "user", "ada")
		within(t, "the end", s.only(t, "ada").ExpiresAt, time.Now().Add(10*time.Minute))
		for _, seconds := range []int{7200, 60, 0, 86400} {
			ok(t, b.visit(t, s, func(g *sessions.Session) { g.Options.MaxAge = seconds }))
			want := time.Duration(seconds) * time.Second
			if seconds == 0 {
				want = 10 * time.Minute
			}
			within(t, "the end", s.only(t, "ada").ExpiresAt, time.Now().Add(min(want, 10*time.Hour)))
		}
		b = newBrowser()
		ok(t, b.visit(t, s, func(g *sessions.Session) { g.Options.MaxAge, g.Values["user"] = 3600, "bob" }))
		within(t, "the end", s.only(t, "bob").ExpiresAt, time.Now().Add(time.Hour))
	})
}

type cart struct{ Items map[string]int }

func TestValuesAreKeptAsTheirTypes(t *testing.T) {
	gob.Register(cart{})
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		ok(t, b.visit(t, s, func(g *sessions.Session) {
			g.Values[7] = cart{map[string]int{"ticket": 2}}
			g.Values["at"] = int64(1)
		}))
		b.sees(t, s, "map[at:1 7:{map[ticket:2]}]")
		type unknown struct{ A int }
		err := b.visit(t, s, func(g *sessions.Session) { g.Values["x"] = unknown{} })
		if err == nil || !strings.Contains(err.Error(), "Config.Serializer") {
			t.Fatal(err)
		}
	})
}

func TestDataThatAreTooLargeAreRefused(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{MaxData: 300}, gorillastore.Config{})
	b := newBrowser()
	is(t, b.visit(t, s, put("essay", strings.Repeat("x", 300))), session.ErrTooLarge)
	b.puts(t, s, "page", "7")
	is(t, b.visit(t, s, put("essay", strings.Repeat("x", 300))), session.ErrTooLarge)
	b.sees(t, s, "map[page:7]")
}

// jsonValues is a Serializer of an application's own.
type jsonValues struct{}

func (jsonValues) Serialize(src any) ([]byte, error) {
	out := map[string]any{}
	for name, value := range src.(map[any]any) {
		out[fmt.Sprint(name)] = value
	}
	return json.Marshal(out)
}

func (jsonValues) Deserialize(src []byte, dst any) error {
	var in map[string]any
	if err := json.Unmarshal(src, &in); err != nil {
		return err
	}
	for name, value := range in {
		(*dst.(*map[any]any))[name] = value
	}
	return nil
}

func TestValuesAreEncodedByTheApplicationsSerializer(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{}, gorillastore.Config{Serializer: jsonValues{}})
	b := newBrowser()
	b.puts(t, s, "user", "ada")
	b.sees(t, s, "map[user:ada]")
	_, values, err := s.sessions.Inspect(t.Context(), "ada", s.only(t, "ada").Ref)
	ok(t, err)
	equal(t, "stored", values["values"], `{"user":"ada"}`)
}

func TestWhatCannotBeReadIsAnErrorAndANewSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for field, want := range map[string]error{"values": nil, ":v": codec.ErrCorrupt} {
			s := newStand(t, c, session.Config{}, gorillastore.Config{})
			b := newBrowser()
			b.puts(t, s, "user", "ada")
			key := keysOf(t, c, s.names, "/session:")[0]
			ok(t, c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
				return b.Hset().Key(key).FieldValue().FieldValue(field, "?").Build()
			}).Error())
			r, w := b.request(t.Context())
			g, err := s.Get(r, cookieName)
			if err == nil || want != nil && !errors.Is(err, want) {
				t.Fatal(err)
			}
			equal(t, "new", g.IsNew, true)
			g.Values["user"] = "ada"
			ok(t, g.Save(r, w))
			b.takes(w)
			b.sees(t, s, "map[user:ada]")
			s.counts(t, "ada", 1)
		}
	})
}

func TestWhileRedisIsAwayGetReturnsTheErrorAndANewSession(t *testing.T) {
	server := rediskittest.Server(t)
	proxy := rediskittest.FaultProxy(t, server.Addr())
	through, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{proxy.Addr()}, CommandTimeout: 200 * time.Millisecond})
	ok(t, err)
	t.Cleanup(through.Close)
	direct := newStand(t, server.Client(), session.Config{}, gorillastore.Config{})
	s := newStand(t, through, session.Config{Keys: direct.names}, gorillastore.Config{})
	b := newBrowser()
	b.puts(t, s, "user", "ada")
	old := b.copy()

	proxy.BlackHole()
	r, w := b.request(t.Context())
	g, err := s.Get(r, cookieName)
	if !rediskit.IsUnavailable(err) || g == nil || !g.IsNew || g.ID != "" || g.Name() != cookieName {
		t.Fatalf("%v, %v", g, err)
	}
	if err := g.Save(r, w); !rediskit.IsUnavailable(err) || len(w.Header()) > 0 {
		t.Fatalf("%v, %v", err, w.Header())
	}
	out, w := b.request(t.Context())
	leaving, err := s.Get(out, cookieName)
	if !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	leaving.Options.MaxAge = -1
	if err := leaving.Save(out, w); !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	equal(t, "cookies", b.copy().takes(w), 1) // is deleted all the same

	proxy.Resume()
	g.Values["user"] = "ada"
	r, w = old.request(t.Context())
	ok(t, s.Save(r, w, g))
	b.takes(w)
	old.sees(t, direct, "map[]")
	b.sees(t, direct, "map[user:ada]")
	direct.counts(t, "ada", 1)
}

// stopped is a client of a server that is gone.
func stopped(t *testing.T) *rediskit.Client {
	t.Helper()
	server := rediskittest.Server(t)
	cfg := server.Config()
	cfg.CommandTimeout = 200 * time.Millisecond
	c, err := rediskit.Connect(context.Background(), cfg)
	ok(t, err)
	t.Cleanup(c.Close)
	server.Kill()
	return c
}
