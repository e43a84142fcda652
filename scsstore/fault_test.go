package scsstore_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scsstore"
	"github.com/tickettoken/rediskit/session"
)

// death is what a process dies of.
type death struct{}

// dying calls what dies of it.
func dying(t *testing.T, call func()) {
	t.Helper()
	defer func() {
		if _, died := recover().(death); !died {
			t.Fatal("it lives")
		}
	}()
	call()
}

func TestAProcessThatDiesBetweenTheTwoKeysLeavesWhatNobodyCanUseUntilItExpires(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s, arm := during(t, c, session.Config{}, func(*stand) { panic(death{}) })
		b := values(t, "user", "ada")
		arm()
		dying(t, func() { _ = s.Commit("new", b, inAnHour()) })
		s.findsNone(t, "new")
		s.counts(t, "ada", 1)

		cart := values(t, "cart", "full")
		ok(t, s.Commit("visitor", cart, inAnHour()))
		arm()
		dying(t, func() { _ = s.Commit("visitor", b, inAnHour()) })
		s.finds(t, "visitor", cart)
		s.counts(t, "ada", 2)

		// Nobody is locked out: the same request may come again, and what is left can be listed and revoked.
		ok(t, s.Commit("visitor", b, inAnHour()))
		s.finds(t, "visitor", b)
		n, err := s.sessions.RevokeUser(t.Context(), "ada")
		ok(t, err)
		equal(t, "revoked", n, 3)
		s.findsNone(t, "visitor")
	})
}

func TestALogoutThatFailsHalfWayHasEndedTheTokenAndMayBeRepeated(t *testing.T) {
	dead := newStand(t, stopped(t), session.Config{Keys: keys.MustNew("unused")})
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{})
		b := values(t, "user", "ada")
		ok(t, s.Commit("token", b, inAnHour()))
		half, err := scsstore.New(c, dead.sessions, scsstore.Config{User: userOf, Keys: s.names})
		ok(t, err)
		if err := half.Delete("token"); !rediskit.IsUnavailable(err) {
			t.Fatal(err)
		}
		s.findsNone(t, "token")
		is(t, s.Commit("token", b, inAnHour()), session.ErrNotFound)
		s.counts(t, "ada", 1)
		ok(t, s.Delete("token"))
		s.counts(t, "ada", 0)
	})
}

// Whatever reply is lost, and at whatever byte, the user has the session that the token finds, or none.
func TestLostRepliesLeaveATokenAndItsUserOfOneMind(t *testing.T) {
	server := rediskittest.Server(t)
	proxy := rediskittest.FaultProxy(t, server.Addr())
	through, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{proxy.Addr()}})
	ok(t, err)
	t.Cleanup(through.Close)
	direct := newStand(t, server.Client(), session.Config{})
	s := newStand(t, through, session.Config{Keys: direct.names})
	const nobody, ada, past, deleted = "", "ada", "past", "deleted" // what a token is, and becomes
	for _, test := range []struct{ name, begin, end string }{
		{"a new token", deleted, ada},
		{"a login in place", nobody, ada},
		{"a change", ada, ada},
		{"a logout in place", ada, nobody},
		{"a logout", ada, deleted},
		{"a commit in the past", ada, past},
	} {
		t.Run(test.name, func(t *testing.T) {
			failed := 0
			for n := int64(0); n < 600; n += 20 {
				user := fmt.Sprintf("ada, %s, %d", test.name, n)
				token := "token of " + user
				become := func(s *stand, what string) (b []byte, err error) {
					b, expiry := values(t), inAnHour()
					switch what {
					case deleted:
						return nil, s.Delete(token)
					case ada:
						b = values(t, "user", user)
					case past:
						b, expiry = values(t, "user", user), time.Now().Add(-time.Hour)
					}
					return b, s.Commit(token, b, expiry)
				}
				_, err := become(direct, test.begin)
				ok(t, err)
				// A read is repeated: after it there is a connection, and no cut to come.
				_, _, err = s.Find(token)
				ok(t, err)
				proxy.CutAfterReplyBytes(n)
				want, err := become(s, test.end)
				if err != nil {
					failed++
					if !rediskit.IsUnavailable(err) || !rediskit.MayHaveApplied(err) {
						t.Fatalf("after %d bytes: %v", n, err)
					}
				}
				b, found, errFind := direct.Find(token)
				ok(t, errFind)
				if err == nil && (found != (test.end == ada) || found && !bytes.Equal(b, want)) {
					t.Fatalf("after %d bytes: found %v %q", n, found, b)
				}
				sessions := 0
				if found {
					_, all, err := scs.GobCodec{}.Decode(b)
					ok(t, err)
					sessions = len(all) // only a user's has a value
				}
				direct.counts(t, user, sessions)
			}
			t.Log(failed, "failed")
		})
	}
}
