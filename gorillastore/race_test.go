package gorillastore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/gorillastore"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// Requests save a session while it ends in one of several ways. From the moment at which the end has returned, neither its ID nor any
// that a request was given is valid, whatever is still under way, and so it stays.
func TestSoakNoSaveMakesAnEndedSessionValidAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest}, gorillastore.Config{})
		const together, rounds = 8, 42 // on three kinds of server 1,008 races
		var wg sync.WaitGroup
		for g := range together {
			wg.Go(func() {
				for i := range rounds * soak.Scale() {
					if t.Failed() {
						return
					}
					raceEnd(t, s, fmt.Sprintf("user-%d-%d", g, i), g+i)
				}
			})
		}
		wg.Wait()
	})
}

func raceEnd(t *testing.T, s *stand, user string, way int) {
	ctx := context.Background()
	b := newBrowser()
	if err := b.visit(t, s, put("user", user)); err != nil {
		t.Error(err)
		return
	}
	ways := []func() error{
		func() error { return b.copy().visit(t, s, func(g *sessions.Session) { g.Options.MaxAge = -1 }) },
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
			other, err := s.sessions.Create(ctx, user, gorillastore.Data{}, session.Device{})
			if err != nil {
				return err
			}
			_, err = s.sessions.RevokeOthers(ctx, other.ID)
			return errors.Join(err, s.sessions.Delete(ctx, other.ID))
		},
	}
	way %= len(ways)
	changes := []func(g *sessions.Session){
		put("page", "7"),
		put("page", "8"),
		func(g *sessions.Session) { g.Options.MaxAge = 7200 },
	}
	if way > 0 {
		// What a logout ends is the ID that it has; the others end the session, whatever its ID is by then.
		changes = append(changes, func(g *sessions.Session) { g.ID = "" })
	}
	browsers := make([]*browser, len(changes))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, change := range changes {
		browsers[i] = b.copy()
		r, _ := browsers[i].request(ctx)
		g, err := s.Get(r, cookieName)
		if err != nil || g.IsNew {
			t.Errorf("%v", err)
			return
		}
		wg.Go(func() {
			<-start
			change(g)
			w := httptest.NewRecorder()
			if err := g.Save(r, w); err != nil && !errors.Is(err, session.ErrNotFound) {
				t.Error(err)
			}
			browsers[i].takes(w)
		})
	}
	close(start)
	if err := ways[way](); err != nil {
		t.Error(err)
	}
	gone := func(when string, b *browser) {
		r, _ := b.request(ctx)
		if g, err := s.New(r, cookieName); err != nil || !g.IsNew {
			t.Errorf("%s (way %d) the session is valid: %v", when, way, err)
		}
	}
	gone("after the end", b)
	wg.Wait()
	for _, b := range append(browsers, b) {
		gone("after everything", b)
	}
	if n, err := s.sessions.Count(ctx, user); n != 0 || err != nil {
		t.Errorf("(way %d) %d sessions are left: %v", way, n, err)
	}
}

func TestLoginsAtOnceNeverExceedTheLimit(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for policy, want := range map[session.OnLimit]int{session.Reject: 3, session.EvictOldest: 16} {
			s := newStand(t, c, session.Config{MaxPerUser: 3, OnLimit: policy}, gorillastore.Config{})
			errs := make([]error, 16)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() { errs[i] = newBrowser().visit(t, s, put("user", "ada")) })
			}
			wg.Wait()
			admitted := 0
			for _, err := range errs {
				if err == nil {
					admitted++
				} else {
					is(t, err, session.ErrLimit)
				}
			}
			equal(t, "admitted", admitted, want)
			s.counts(t, "ada", 3)
		}
	})
}

// A page that was asked for before a login is answered after it, and does not put the old cookie back.
func TestARequestUnderWayDoesNotUndoALogin(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{}, gorillastore.Config{})
		b := newBrowser()
		b.puts(t, s, "cart", "full")
		is(t, b.visit(t, s, func(g *sessions.Session) {
			b.puts(t, s, "user", "ada")
			g.Values["cart"] = "empty"
		}), session.ErrNotFound)
		b.sees(t, s, "map[cart:full user:ada]")
		s.counts(t, "ada", 1)
	})
}

// death is what a process dies of.
type death struct{}

func TestAProcessThatDiesInALoginLocksNobodyOut(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		armed := false
		s := newStand(t, c, session.Config{OnEvent: func(_ context.Context, e session.Event) {
			if armed && e.Kind == session.EventCreated {
				armed = false
				panic(death{})
			}
		}}, gorillastore.Config{})
		b := newBrowser()
		b.puts(t, s, "cart", "full")
		armed = true
		func() {
			defer func() {
				if _, died := recover().(death); !died {
					t.Fatal("it lives")
				}
			}()
			_ = b.visit(t, s, put("user", "ada"))
		}()
		b.sees(t, s, "map[cart:full]")
		s.counts(t, "ada", 1) // nobody has its ID; it is listed, and expires
		b.puts(t, s, "user", "ada")
		b.sees(t, s, "map[cart:full user:ada]")
		n, err := s.sessions.RevokeUser(t.Context(), "ada")
		ok(t, err)
		equal(t, "revoked", n, 2)
	})
}
