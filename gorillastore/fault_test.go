package gorillastore_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/gorillastore"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// Whatever reply is lost, and at whatever byte, a user has the session whose cookie was set, or, if none was, none more than before.
func TestLostRepliesLeaveACookieAndItsUserOfOneMind(t *testing.T) {
	server := rediskittest.Server(t)
	proxy := rediskittest.FaultProxy(t, server.Addr())
	through, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{proxy.Addr()}})
	ok(t, err)
	t.Cleanup(through.Close)
	direct := newStand(t, server.Client(), session.Config{}, gorillastore.Config{})
	s := newStand(t, through, session.Config{Keys: direct.names}, gorillastore.Config{})
	logout := func(g *sessions.Session) { g.Options.MaxAge = -1 }
	for _, test := range []struct {
		name      string
		begin     []string // what is put before
		loggedIn  bool     // then
		change    func(user string) func(g *sessions.Session)
		successes int // sessions of the user after a success
	}{
		{"a first login", nil, false, func(user string) func(*sessions.Session) { return put("user", user) }, 1},
		{"a visitor's login", []string{"cart", "full"}, false, func(user string) func(*sessions.Session) { return put("user", user) }, 1},
		{"a change", nil, true, func(string) func(*sessions.Session) { return put("page", "7") }, 1},
		{"another ID", nil, true, func(string) func(*sessions.Session) { return func(g *sessions.Session) { g.ID = "" } }, 1},
		{"a logout", nil, true, func(string) func(*sessions.Session) { return logout }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			failed := 0
			for n := int64(0); n < 900; n += 30 {
				user := fmt.Sprintf("ada, %s, %d", test.name, n)
				b := newBrowser()
				if test.begin != nil {
					b.puts(t, direct, test.begin...)
				}
				if test.loggedIn {
					b.puts(t, direct, "user", user)
				}
				before, err := direct.sessions.Count(t.Context(), user)
				ok(t, err)
				// A read is repeated: after it there is a connection, and no cut to come.
				r, _ := b.request(context.Background())
				g, err := s.Get(r, cookieName)
				ok(t, err)
				_, err = s.sessions.Count(t.Context(), user)
				ok(t, err)
				proxy.CutAfterReplyBytes(n)
				test.change(user)(g)
				w := httptest.NewRecorder()
				err = g.Save(r, w)
				set := b.takes(w)
				want := test.successes
				if err != nil {
					failed++
					want = before
					if !rediskit.IsUnavailable(err) || !rediskit.MayHaveApplied(err) {
						t.Fatalf("after %d bytes: %v", n, err)
					}
				} else if set != 1 {
					t.Fatalf("after %d bytes no cookie is set", n)
				}
				direct.counts(t, user, want)
				r, _ = b.request(context.Background())
				found, err := direct.New(r, cookieName)
				ok(t, err)
				equal(t, "logged in", userOf(found.Values) == user, want == 1)
			}
			t.Log(failed, "failed")
		})
	}
}
