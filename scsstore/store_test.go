package scsstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scsstore"
	"github.com/tickettoken/rediskit/session"
)

// What the stores of scs are tested for, of both families of methods.
func TestItIsAStoreAsScsWantsIt(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{})
		ctx := t.Context()
		for name, store := range map[string]struct {
			find   func(token string) ([]byte, bool, error)
			commit func(token string, b []byte, expiry time.Time) error
			remove func(token string) error
		}{
			"plain": {s.Find, s.Commit, s.Delete},
			"ctx": {
				func(token string) ([]byte, bool, error) { return s.FindCtx(ctx, token) },
				func(token string, b []byte, expiry time.Time) error { return s.CommitCtx(ctx, token, b, expiry) },
				func(token string) error { return s.DeleteCtx(ctx, token) },
			},
		} {
			t.Run(name, func(t *testing.T) {
				none := func(token string) {
					t.Helper()
					if b, found, err := store.find(token); b != nil || found || err != nil {
						t.Fatalf("found %q, %v, %v", b, found, err)
					}
				}
				some := func(token string, want []byte) {
					t.Helper()
					if b, found, err := store.find(token); string(b) != string(want) || !found || err != nil {
						t.Fatalf("found %q, %v, %v: want %q", b, found, err, want)
					}
				}
				token := name + " token"
				none("missing")
				none("")
				none("mal\x00formed\xff")
				ok(t, store.remove("missing"))
				ok(t, store.remove(""))

				first, second := values(t, "a", "1"), values(t, "a", "2", "user", "ada")
				ok(t, store.commit(token, first, inAnHour()))
				some(token, first)
				ok(t, store.commit(token, second, inAnHour()))
				some(token, second)
				none(token + " ")
				ok(t, store.remove(token))
				none(token)
				ok(t, store.commit(name+" visitor's", first, inAnHour()))
				ok(t, store.remove(name+" visitor's"))
				ok(t, store.remove(name+" visitor's"))

				ok(t, store.commit(name+" short", first, time.Now().Add(200*time.Millisecond)))
				eventually(t, "it does not expire", func() bool {
					_, found, err := store.find(name + " short")
					ok(t, err)
					return !found
				})
				ok(t, store.commit(name+" past", first, time.Now().Add(-time.Second)))
				none(name + " past")
				ok(t, store.commit(name+" past", first, inAnHour()))
				some(name+" past", first)
				ok(t, store.commit(name+" past", first, time.Time{}))
				none(name + " past")
			})
		}
		s.counts(t, "ada", 0)
	})
}

func TestASessionEndsWhenScsSaysAndNotWhenItIsRead(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{TTL: time.Second, AbsoluteTTL: time.Second, TouchFraction: -1})
		b := values(t, "user", "ada")
		for _, d := range []time.Duration{time.Hour, 30 * 24 * time.Hour, time.Minute, time.Hour} {
			expiry := time.Now().Add(d)
			ok(t, s.Commit("token", b, expiry))
			was := s.only(t, "ada")
			if late := was.ExpiresAt.Sub(expiry); late < -time.Millisecond || late > 30*time.Second {
				t.Fatalf("%v: it ends %v late", d, late)
			}
			s.finds(t, "token", b)
			now := s.only(t, "ada")
			equal(t, "last seen", now.LastSeenAt, was.LastSeenAt)
			equal(t, "ends", now.ExpiresAt, was.ExpiresAt)
		}
		ok(t, s.Commit("token", b, time.Now().Add(100*365*24*time.Hour)))
		ok(t, s.Commit("far", values(t), time.Now().Add(100*365*24*time.Hour)))
		s.finds(t, "token", b)
	})
}

func TestTheAliasOfATokenOutlivesItsSessionByADay(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := newStand(t, c, session.Config{})
	ok(t, s.Commit("token", values(t), time.Now().Add(10*time.Hour)))
	alias := keysOf(t, c, s.names, "scs:")
	equal(t, "aliases", len(alias), 1)
	lives := func(atLeast, atMost time.Duration) {
		t.Helper()
		if d := left(t, c, alias[0]); d < atLeast || d > atMost {
			t.Fatalf("the alias lives %v", d)
		}
	}
	lives(33*time.Hour, 34*time.Hour)
	ok(t, s.Commit("token", values(t), time.Now().Add(time.Hour)))
	lives(33*time.Hour, 34*time.Hour)
	ok(t, s.Commit("token", values(t), time.Now().Add(48*time.Hour)))
	lives(71*time.Hour, 72*time.Hour)
	ok(t, s.Delete("token"))
	lives(71*time.Hour, 72*time.Hour)
}

// A user's session, and how it can end.
func TestACommitBringsNoSessionBackThatHasEnded(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for how, end := range map[string]func(s *stand) error{
			"logged out": func(s *stand) error { return s.Delete("token") },
			"expired by scs": func(s *stand) error {
				return s.Commit("token", values(t, "user", "ada"), time.Now().Add(-time.Second))
			},
			"logged out in place": func(s *stand) error { return s.Commit("token", values(t, "cart", "full"), inAnHour()) },
			"expired": func(s *stand) error {
				err := s.Commit("token", values(t, "user", "ada"), time.Now().Add(time.Millisecond))
				eventually(t, "it does not expire", func() bool {
					n, err := s.sessions.Count(ctx, "ada")
					return n == 0 && err == nil
				})
				return err
			},
			"revoked": func(s *stand) error {
				_, err := s.sessions.Revoke(ctx, "ada", s.only(t, "ada").Ref)
				return err
			},
			"all revoked": func(s *stand) error {
				_, err := s.sessions.RevokeUser(ctx, "ada")
				return err
			},
			"others revoked": func(s *stand) error {
				other, err := s.sessions.Create(ctx, "ada", scsstore.Data{}, session.Device{})
				ok(t, err)
				_, err = s.sessions.RevokeOthers(ctx, other.ID)
				ok(t, err)
				return s.sessions.Delete(ctx, other.ID)
			},
			"evicted": func(s *stand) error {
				ok(t, s.Commit("second", values(t, "user", "ada"), inAnHour()))
				ok(t, s.Commit("third", values(t, "user", "ada"), inAnHour()))
				ok(t, s.Delete("second"))
				return s.Delete("third")
			},
		} {
			t.Run(how, func(t *testing.T) {
				s := newStand(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest})
				b := values(t, "user", "ada")
				ok(t, s.Commit("token", b, inAnHour()))
				s.finds(t, "token", b)
				ok(t, end(s))
				for _, late := range [][]byte{b, values(t), values(t, "user", "bob")} {
					is(t, s.Commit("token", late, inAnHour()), session.ErrNotFound)
					s.findsNone(t, "token")
				}
				is(t, s.Delete("token"), session.ErrNotFound)
				is(t, s.Commit("token", b, time.Now().Add(-time.Hour)), session.ErrNotFound)
				is(t, s.Commit("token", b, inAnHour()), session.ErrNotFound)
				s.counts(t, "ada", 0)
				s.counts(t, "bob", 0)
				equal(t, "sessions that are left", len(keysOf(t, c, s.names, "/session:")), 0)
			})
		}
	})
}

func TestTheLimitComesOutOfACommit(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{MaxPerUser: 2})
		b := values(t, "user", "ada")
		ok(t, s.Commit("phone", b, inAnHour()))
		ok(t, s.Commit("laptop", b, inAnHour()))
		ok(t, s.Commit("tablet", values(t, "cart", "full"), inAnHour()))
		for _, token := range []string{"tablet", "new"} {
			err := s.Commit(token, b, inAnHour())
			var limit *session.LimitError
			if !errors.Is(err, session.ErrLimit) || !errors.As(err, &limit) || limit.Limit != 2 || limit.Count != 2 {
				t.Fatal(err)
			}
		}
		s.findsNone(t, "new")
		s.finds(t, "phone", b)
		if _, found, err := s.Find("tablet"); !found || err != nil {
			t.Fatalf("the visitor's session is lost: %v, %v", found, err)
		}
		// What scs does if the handler takes the user out again, or the user logs out elsewhere.
		ok(t, s.Commit("new", values(t), inAnHour()))
		ok(t, s.Commit("phone", b, inAnHour()))
		ok(t, s.Delete("phone"))
		ok(t, s.Commit("tablet", b, inAnHour()))
		s.finds(t, "tablet", b)
		s.counts(t, "ada", 2)
	})
}

func TestALoginInPlaceMovesASessionToItsUser(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{})
		ok(t, s.Commit("token", values(t, "cart", "full"), inAnHour()))
		s.counts(t, "ada", 0)
		b := values(t, "cart", "full", "user", "ada")
		ctx := scsstore.WithDevice(t.Context(), session.Device{Name: "phone", IP: "192.0.2.1"})
		ok(t, s.CommitCtx(ctx, "token", b, inAnHour()))
		s.finds(t, "token", b)
		equal(t, "device", s.only(t, "ada").Device.Name, "phone")
		equal(t, "sessions", len(keysOf(t, c, s.names, "/session:")), 1)
		equal(t, "indexes", len(keysOf(t, c, s.names, "/user:sessions:")), 1)

		was := s.only(t, "ada")
		is(t, s.Commit("token", values(t, "user", "bob"), inAnHour()), scsstore.ErrOtherUser)
		s.finds(t, "token", b)
		equal(t, "ref", s.only(t, "ada").Ref, was.Ref)
		s.counts(t, "bob", 0)
	})
}

func TestABadDeviceIsAnErrorAndNoSession(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{})
	ctx := scsstore.WithDevice(t.Context(), session.Device{IP: strings.Repeat("1", session.MaxIP+1)})
	if err := s.CommitCtx(ctx, "token", values(t), inAnHour()); err == nil || !strings.Contains(err.Error(), "Device.IP") {
		t.Fatal(err)
	}
	s.findsNone(t, "token")
}

func TestDataThatAreTooLargeAreRefused(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{MaxData: 300})
	large := values(t, "user", "ada", "essay", strings.Repeat("x", 300))
	is(t, s.Commit("token", large, inAnHour()), session.ErrTooLarge)
	s.findsNone(t, "token")
	small := values(t, "user", "ada")
	ok(t, s.Commit("token", small, inAnHour()))
	is(t, s.Commit("token", large, inAnHour()), session.ErrTooLarge)
	s.finds(t, "token", small)
}

// jsonCodec is a Codec of an application's own.
type jsonCodec struct{}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{"values": values})
}

func (jsonCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var all struct{ Values map[string]any }
	return time.Time{}, all.Values, json.Unmarshal(b, &all)
}

func TestTheUserIsFoundByTheApplicationsCodec(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{})
	store, err := scsstore.New(s.c, s.sessions, scsstore.Config{User: userOf, Keys: s.names, Codec: jsonCodec{}})
	ok(t, err)
	b, err := jsonCodec{}.Encode(time.Time{}, map[string]any{"user": "ada"})
	ok(t, err)
	ok(t, store.Commit("token", b, inAnHour()))
	s.counts(t, "ada", 1)
	s.finds(t, "token", b)
}

func TestWhatCannotBeDecodedIsNotStored(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{})
	if err := s.Commit("token", []byte("no gob"), inAnHour()); err == nil || !strings.Contains(err.Error(), "Config.Codec") {
		t.Fatal(err)
	}
	equal(t, "keys", len(keysOf(t, s.c, s.names)), 0)
}

func TestAnAliasThatCannotBeReadIsAnError(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{})
	ok(t, s.Commit("token", values(t), inAnHour()))
	key := keysOf(t, s.c, s.names, "scs:")[0]
	ok(t, s.c.Redis().Do(t.Context(), s.c.Redis().B().Set().Key(key).Value("?").ExSeconds(60).Build()).Error())
	_, _, err := s.Find("token")
	is(t, err, codec.ErrCorrupt)
	is(t, s.Commit("token", values(t), inAnHour()), codec.ErrCorrupt)
	is(t, s.Delete("token"), codec.ErrCorrupt)
}

func TestBadArgumentsAreNamed(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := newStand(t, c, session.Config{})
	cfg := scsstore.Config{User: userOf}
	for want, err := range map[string]error{
		"client is nil":      second(scsstore.New(nil, s.sessions, cfg)),
		"sessions is nil":    second(scsstore.New(c, nil, cfg)),
		"Config.User is nil": second(scsstore.New(c, s.sessions, scsstore.Config{})),
		"empty token":        s.Commit("", values(t), inAnHour()),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "scsstore") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func second(_ *scsstore.Store, err error) error { return err }

func TestWithoutADeadlineOrWithAnEndedContextErrorsAreRedis(t *testing.T) {
	server := rediskittest.Server(t)
	s := newStand(t, server.Client(), session.Config{})
	ok(t, s.Commit("token", values(t), inAnHour()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, found, err := s.FindCtx(ctx, "token")
	is(t, err, context.Canceled)
	equal(t, "found", found, false)
	is(t, s.CommitCtx(ctx, "token", values(t), inAnHour()), context.Canceled)
	is(t, s.DeleteCtx(ctx, "token"), context.Canceled)
	_, found, err = s.Find("token")
	ok(t, err)
	equal(t, "found", found, true)

	dead := newStand(t, stopped(t), session.Config{Keys: s.names})
	for what, err := range map[string]error{
		"find":   third(dead.Find("token")),
		"commit": dead.Commit("token", values(t), inAnHour()),
		"delete": dead.Delete("token"),
	} {
		if !rediskit.IsUnavailable(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func third(_ []byte, _ bool, err error) error { return err }

// stopped is a client of a server that is gone.
func stopped(t *testing.T) *rediskit.Client {
	t.Helper()
	server := rediskittest.Server(t)
	cfg := server.Config()
	cfg.CommandTimeout = 200 * time.Millisecond
	c, err := rediskit.Connect(t.Context(), cfg)
	ok(t, err)
	t.Cleanup(c.Close)
	server.Kill()
	return c
}

func TestItDoesNotIterateAsItHasNoTokens(t *testing.T) {
	s := newStand(t, rediskittest.Embedded(t), session.Config{})
	var store any = s.Store
	if _, iterates := store.(scs.IterableStore); iterates {
		t.Error("an IterableStore")
	}
	if _, iterates := store.(scs.IterableCtxStore); iterates {
		t.Error("an IterableCtxStore")
	}
}
