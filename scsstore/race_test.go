package scsstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scsstore"
	"github.com/tickettoken/rediskit/session"
)

// Requests are under way while their session ends in one of several ways. From the moment at which the end has returned, the token
// finds nothing, whatever is still under way, and so it stays.
func TestSoakNoRequestMakesAnEndedSessionValidAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest})
		visit := s.visits(t)
		const together, rounds = 8, 42 // on three kinds of server 1,008 races
		var wg sync.WaitGroup
		for g := range together {
			wg.Go(func() {
				for i := range rounds * soak.Scale() {
					if t.Failed() {
						return
					}
					raceEnd(t, s, visit, fmt.Sprintf("%d-%d", g, i), g+i)
				}
			})
		}
		wg.Wait()
	})
}

// visits returns a request to an application of scs that changes the session, and says whose it was.
func (s *stand) visits(t *testing.T) func(token string) (user string) {
	m := scs.New()
	m.Store, m.IdleTimeout = s.Store, time.Hour
	m.ErrorFunc = func(_ http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, session.ErrNotFound) {
			t.Error(err)
		}
	}
	handler := m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := m.GetString(r.Context(), "user")
		m.Put(r.Context(), "page", 1)
		io.WriteString(w, user)
	}))
	return func(token string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Body.String()
	}
}

func raceEnd(t *testing.T, s *stand, visit func(token string) (user string), name string, way int) {
	ctx := context.Background()
	token, user := "token-"+name, "user-"+name
	mine, visitors := values(t, "user", user), values(t, "cart", "full")
	begin := mine
	ways := []func() error{
		func() error { return s.Delete(token) },
		func() error { return s.Commit(token, mine, time.Now().Add(-time.Second)) },
		func() error { return s.Commit(token, visitors, inAnHour()) },
		func() error { _, err := s.sessions.RevokeUser(ctx, user); return err },
		func() error {
			all, err := s.sessions.List(ctx, user)
			for _, one := range all {
				if _, err := s.sessions.Revoke(ctx, user, one.Ref); err != nil {
					return err
				}
			}
			return err
		},
		func() error {
			other, err := s.sessions.Create(ctx, user, scsstore.Data{}, session.Device{})
			if err != nil {
				return err
			}
			_, err = s.sessions.RevokeOthers(ctx, other.ID)
			return errors.Join(err, s.sessions.Delete(ctx, other.ID))
		},
		func() error { return s.Delete(token) }, // of a visitor who is just logging in
	}
	way %= len(ways)
	if way == len(ways)-1 {
		begin = visitors
	}
	if err := s.Commit(token, begin, inAnHour()); err != nil {
		t.Error(err)
		return
	}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			<-start
			if err := s.Commit(token, mine, inAnHour()); err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			<-start
			if now := visit(token); now != user && now != "" {
				t.Errorf("%s's session was %s's", user, now)
			}
		})
	}
	close(start)
	if err := ways[way](); err != nil {
		t.Error(err)
	}
	gone := func(when string) {
		if _, found, err := s.Find(token); found || err != nil {
			t.Errorf("%s (way %d) the token is valid: %v, %v", when, way, found, err)
		}
	}
	gone("after the end")
	wg.Wait()
	gone("after everything")
	if now := visit(token); now != "" {
		t.Errorf("(way %d) the session is %s's still", way, now)
	}
	if err := s.Commit(token, mine, inAnHour()); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a late commit (way %d): %v", way, err)
	}
	if n, err := s.sessions.Count(ctx, user); n != 0 || err != nil {
		t.Errorf("(way %d) %d sessions are left: %v", way, n, err)
	}
}

func TestAllCommitsOfATokenAgreeOnOneSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for before, begin := range map[string]func(s *stand, token string){
			"none":      func(*stand, string) {},
			"a visitor": func(s *stand, token string) { ok(t, s.Commit(token, values(t, "cart", "full"), inAnHour())) },
		} {
			s := newStand(t, c, session.Config{MaxPerUser: -1})
			for round := range 10 {
				token := fmt.Sprint(before, round)
				begin(s, token)
				b := values(t, "user", token)
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						if err := s.Commit(token, b, inAnHour()); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				s.finds(t, token, b)
				s.counts(t, token, 1)
			}
			equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 10)
		}
	})
}

// during is a stand that does something once, right after it has made a session for a token.
func during(t *testing.T, c *rediskit.Client, cfg session.Config, what func(s *stand)) (s *stand, arm func()) {
	t.Helper()
	armed := false
	cfg.OnEvent = func(_ context.Context, e session.Event) {
		if armed && e.Kind == session.EventCreated {
			armed = false
			what(s)
		}
	}
	s = newStand(t, c, cfg)
	return s, func() { armed = true }
}

func TestALogoutDuringALoginWins(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s, arm := during(t, c, session.Config{}, func(s *stand) { ok(t, s.Delete("token")) })
		ok(t, s.Commit("token", values(t), inAnHour()))
		arm()
		is(t, s.Commit("token", values(t, "user", "ada"), inAnHour()), session.ErrNotFound)
		s.findsNone(t, "token")
		s.counts(t, "ada", 0)
		equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 0)
	})
}

func TestOfTwoLoginsInPlaceTheFirstDecidesWhoseTokenItIs(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		bobs := values(t, "user", "bob")
		s, arm := during(t, c, session.Config{}, func(s *stand) { ok(t, s.Commit("token", bobs, inAnHour())) })
		ok(t, s.Commit("token", values(t), inAnHour()))
		arm()
		is(t, s.Commit("token", values(t, "user", "ada"), inAnHour()), scsstore.ErrOtherUser)
		s.finds(t, "token", bobs)
		s.counts(t, "ada", 0)
		s.counts(t, "bob", 1)
		equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 1)
	})
}

func TestALoginIsNotRefusedForItsOwnTwin(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for round := range 20 {
			s := newStand(t, c, session.Config{MaxPerUser: 2})
			b := values(t, "user", "ada")
			ok(t, s.Commit("other", b, inAnHour()))
			ok(t, s.Commit("token", values(t), inAnHour()))
			var wg sync.WaitGroup
			errs := make([]error, 2)
			for i := range errs {
				wg.Go(func() { errs[i] = s.Commit("token", b, inAnHour()) })
			}
			wg.Wait()
			if errs[0] != nil && errs[1] != nil {
				t.Fatalf("round %d: both are refused: %v", round, errs)
			}
			s.finds(t, "token", b)
			s.counts(t, "ada", 2)
		}
	})
}
