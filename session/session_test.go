package session_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

var ada = Visit{Name: "Ada", Email: "ada@example.com", Views: 3, Cart: map[string]int{"tea": 2}, Roles: []string{"admin"}}

var phone = session.Device{IP: "192.0.2.1", UserAgent: "Phone/1.0", Name: "Ada's phone", Extra: map[string]string{"os": "x", "app": "7"}}

// same checks that two are the same session in the same state.
func same(t testing.TB, got, want session.Session[Visit]) {
	t.Helper()
	if !got.ID.Equal(want.ID) {
		t.Fatalf("the ID is %v, want %v", got.ID, want.ID)
	}
	if got.ID = want.ID; !reflect.DeepEqual(got, want) {
		t.Fatalf("the session is\n%+v, want\n%+v", got, want)
	}
}

func TestASessionComesBackAsItWasCreated(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		created := must(m.Create(t.Context(), "ada", ada, phone))(t)
		id := must(session.ParseID(created.ID.Reveal()))(t)
		got := must(m.Get(t.Context(), id))(t)
		same(t, got, created.Session)
		equal(t, "count", created.Count, 1)
		equal(t, "evicted", len(created.Evicted), 0)
		if got.UserID != "ada" || got.Version != 1 || got.Ref != id.Ref() || !reflect.DeepEqual(got.Data, ada) || !reflect.DeepEqual(got.Device, phone) {
			t.Fatalf("got %+v", got)
		}
		equal(t, "idle time", got.ExpiresAt.Sub(got.LastSeenAt), session.DefaultTTL)
		equal(t, "last seen", got.LastSeenAt, got.CreatedAt)
	})
}

func TestAnUpdateIsSeenByEverybody(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		id := must(m.Create(t.Context(), "ada", ada, phone))(t).ID
		updated := must(m.Update(t.Context(), id, func(v *Visit) error {
			v.Name, v.Email = "Ada L.", ""
			v.Cart["tea"]++
			return nil
		}))(t)
		got := must(m.Get(t.Context(), id))(t)
		same(t, got, updated)
		if got.Version != 2 || got.Data.Name != "Ada L." || got.Data.Email != "" || got.Data.Cart["tea"] != 3 || got.Data.Views != 3 {
			t.Fatalf("got %+v", got)
		}
		if _, err := m.Stored(t.Context(), id, "email"); err == nil {
			t.Fatal("a field that is omitted is there still")
		}
	})
}

func TestAnUpdateWritesOnlyWhatChanged(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	m := manager(t, c, session.Config{})
	ctx := t.Context()
	id := must(m.Create(ctx, "ada", ada, phone))(t).ID
	key := m.SessionKey(id)
	// Another version of the service writes a field that this one does not know, and one in a spelling of its own.
	ok(t, raw(c, "HSET", key, "theme", "dark", "views", "+3", "cart", `{ "tea" : 2 }`).Error())
	must(m.Update(ctx, id, func(v *Visit) error { v.Name = "Ada L."; return nil }))(t)
	stored := must(raw(c, "HGETALL", key).AsStrMap())(t)
	for field, want := range map[string]string{"theme": "dark", "views": "+3", "cart": `{ "tea" : 2 }`, "name": "Ada L."} {
		equal(t, field, stored[field], want)
	}

	before := must(m.Get(ctx, id))(t)
	ok(t, raw(c, "PEXPIRE", key, "1790000").Error())
	s := must(m.Update(ctx, id, func(v *Visit) error { v.Name = "Ada L."; return nil }))(t)
	equal(t, "version after nothing changed", s.Version, before.Version)
	must(m.Update(ctx, id, func(v *Visit) error { v.Name = "A."; return nil }))(t)
	if left := must(raw(c, "PTTL", key).AsInt64())(t); left > 1_790_000 {
		t.Fatalf("an update made the data live for %d ms", left)
	}
}

func TestUpdatesAtTheSameTimeAllCount(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		id := must(m.Create(ctx, "ada", Visit{Cart: map[string]int{"tea": 0}}, phone))(t).ID
		var wg sync.WaitGroup
		errs := make([]error, 12)
		for i := range errs {
			wg.Go(func() {
				for errs[i] = session.ErrConflict; errors.Is(errs[i], session.ErrConflict); {
					_, errs[i] = m.Update(ctx, id, func(v *Visit) error { v.Cart["tea"]++; return nil })
				}
			})
			wg.Go(func() {
				if _, err := m.Incr(ctx, id, "views", 2); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		ok(t, errors.Join(errs...))
		s := must(m.Get(ctx, id))(t)
		equal(t, "tea", s.Data.Cart["tea"], len(errs))
		equal(t, "views", s.Data.Views, int64(2*len(errs)))
		equal(t, "version", s.Version, int64(1+len(errs)))
	})
}

func TestAnUpdateGivesUpWhenOthersAreAlwaysFaster(t *testing.T) {
	m := manager(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	other := manager(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{Keys: m.Keys()})
	calls := 0
	_, err := m.Update(ctx, s.ID, func(v *Visit) error {
		calls++
		equal(t, "name", v.Name, must(other.Get(ctx, s.ID))(t).Data.Name)
		must(other.Update(ctx, s.ID, func(v *Visit) error { v.Name += "!"; return nil }))(t)
		v.Email = "lost"
		return nil
	})
	if !errors.Is(err, session.ErrConflict) || calls != 8 {
		t.Fatalf("%v after %d calls", err, calls)
	}
	equal(t, "email", must(m.Get(ctx, s.ID))(t).Data.Email, ada.Email)
}

func TestAnErrorOfTheCallersComesBackAsItIsAndWritesNothing(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	id := must(m.Create(ctx, "ada", ada, phone))(t).ID
	for _, want := range []error{errors.New("no"), fmt.Errorf("mine: %w", session.ErrConflict)} {
		calls := 0
		_, err := m.Update(ctx, id, func(v *Visit) error { calls++; v.Name = "x"; return want })
		if err != want || calls != 1 {
			t.Fatalf("got %v after %d calls, want %v", err, calls, want)
		}
	}
	equal(t, "name", must(m.Get(ctx, id))(t).Data.Name, "Ada")
}

func TestSaveWritesOnlyOverTheVersionThatWasRead(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t).Session
		s.Data.Name = "Ada L."
		saved := must(m.Save(ctx, s.ID, s.Version, s.Data))(t)
		equal(t, "version", saved.Version, 2)
		if _, err := m.Save(ctx, s.ID, s.Version, Visit{}); !errors.Is(err, session.ErrConflict) {
			t.Fatal(err)
		}
		same(t, must(m.Get(ctx, s.ID))(t), saved)
		ok(t, m.Delete(ctx, s.ID))
		if _, err := m.Save(ctx, s.ID, 2, s.Data); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestIncrCountsWithoutChangingTheVersion(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		id := must(m.Create(ctx, "ada", ada, phone))(t).ID
		equal(t, "sum", must(m.Incr(ctx, id, "views", 1<<60))(t), 1<<60+3)
		equal(t, "sum", must(m.Incr(ctx, id, "views", -(1<<60)-4))(t), -1)
		s := must(m.Get(ctx, id))(t)
		equal(t, "views", s.Data.Views, -1)
		equal(t, "version", s.Version, 1)
		ok(t, m.RevokeHalf(ctx, id))
		if _, err := m.Incr(ctx, id, "views", 1); !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("a revoked session, whose data are there still: %v", err)
		}
	})
}

func TestAnOverflowIsTheServersErrorAndChangesNothing(t *testing.T) {
	m := manager(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{})
	ctx := t.Context()
	id := must(m.Create(ctx, "ada", ada, phone))(t).ID
	if n, err := m.Incr(ctx, id, "views", math.MaxInt64); err == nil {
		t.Fatalf("the sum is %d", n)
	}
	equal(t, "views", must(m.Get(ctx, id))(t).Data.Views, 3)
}

func TestADeletedSessionIsGone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		a, b := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		ok(t, m.Delete(ctx, a.ID))
		gone(t, m, a.ID)
		equal(t, "version of the other", must(m.Get(ctx, b.ID))(t).Version, 1)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
		ok(t, m.Delete(ctx, a.ID))
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 2)
	})
}

func TestARevokedSessionIsGone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		equal(t, "revoked from another user", must(m.Revoke(ctx, "eve", s.Ref))(t), false)
		must(m.Get(ctx, s.ID))(t)
		equal(t, "revoked", must(m.Revoke(ctx, "ada", s.Ref))(t), true)
		gone(t, m, s.ID)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 0)
		equal(t, "revoked again", must(m.Revoke(ctx, "ada", s.Ref))(t), false)
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
	})
}

func TestRevokeOthersLeavesOne(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		a, b, d := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		bob := must(m.Create(ctx, "bob", ada, phone))(t)
		equal(t, "revoked", must(m.RevokeOthers(ctx, b.ID))(t), 2)
		gone(t, m, a.ID)
		gone(t, m, d.ID)
		must(m.Get(ctx, b.ID))(t)
		must(m.Get(ctx, bob.ID))(t)
		equal(t, "revoked again", must(m.RevokeOthers(ctx, b.ID))(t), 0)
		if _, err := m.RevokeOthers(ctx, a.ID); !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("a session that is gone revokes others: %v", err)
		}
		ok(t, m.RevokeHalf(ctx, b.ID))
		e := must(m.Create(ctx, "ada", ada, phone))(t)
		if _, err := m.RevokeOthers(ctx, b.ID); !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("a revoked session, whose data are there still, revokes others: %v", err)
		}
		must(m.Get(ctx, e.ID))(t)
	})
}

func TestRevokeUserLeavesNone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		equal(t, "revoked from nobody", must(m.RevokeUser(ctx, "ada"))(t), 0)
		var ids []session.ID
		for range 4 {
			ids = append(ids, must(m.Create(ctx, "ada", ada, phone))(t).ID)
		}
		bob := must(m.Create(ctx, "bob", ada, phone))(t)
		equal(t, "revoked", must(m.RevokeUser(ctx, "ada"))(t), 4)
		for _, id := range ids {
			gone(t, m, id)
		}
		must(m.Get(ctx, bob.ID))(t)
		equal(t, "keys, which are Bob's", len(keysOf(t, c, m.Keys())), 2)
	})
}

func TestARotationChangesTheSecretAndNothingElse(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t).Session
		next := must(m.Rotate(ctx, s.ID, 0))(t)
		gone(t, m, s.ID)
		want := s
		want.ID = next
		same(t, must(m.Get(ctx, next))(t), want)
		equal(t, "public part", next.Public(), s.ID.Public())
		if next.Secret() == s.ID.Secret() {
			t.Fatal("the same secret")
		}
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
		if _, err := m.Rotate(ctx, s.ID, 0); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
		ok(t, m.RevokeHalf(ctx, next))
		if _, err := m.Rotate(ctx, next, 0); !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("a revoked session, whose data are there still: %v", err)
		}
	})
}

func TestARotatedSecretIsValidForItsGrace(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: time.Hour})
		m := clock.m
		ctx := t.Context()
		first := must(m.Create(ctx, "ada", ada, phone))(t).ID
		second := must(m.Rotate(ctx, first, time.Minute))(t)
		clock.advance(50 * time.Second)
		must(m.Get(ctx, first))(t)
		must(m.Touch(ctx, first))(t)
		must(m.Update(ctx, first, func(v *Visit) error { v.Views++; return nil }))(t)
		must(m.Incr(ctx, first, "views", 1))(t)
		equal(t, "views", must(m.Get(ctx, second))(t).Data.Views, ada.Views+2)
		if _, err := m.Rotate(ctx, first, time.Minute); !errors.Is(err, session.ErrConflict) {
			t.Fatalf("two requests rotate: %v", err)
		}
		clock.advance(15 * time.Second)
		gone(t, m, first)
		if _, err := m.Incr(ctx, first, "views", 1); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := m.Rotate(ctx, first, time.Minute); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
		ok(t, m.Delete(ctx, first))
		must(m.Get(ctx, second))(t)

		third := must(m.Rotate(ctx, second, time.Hour))(t)
		fourth := must(m.Rotate(ctx, third, 0))(t)
		gone(t, m, second) // a rotation without a grace ends all others
		gone(t, m, third)
		ok(t, m.Delete(ctx, fourth))
		gone(t, m, fourth)
	})
}

func TestTheOldSecretInItsGraceEndsTheSession(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	for name, end := range map[string]func(id session.ID) error{
		"Delete":     func(id session.ID) error { return m.Delete(ctx, id) },
		"RevokeUser": func(session.ID) error { _, err := m.RevokeUser(ctx, "ada"); return err },
	} {
		first := must(m.Create(ctx, "ada", ada, phone))(t).ID
		second := must(m.Rotate(ctx, first, time.Minute))(t)
		t.Log(name)
		ok(t, end(first))
		gone(t, m, first)
		gone(t, m, second)
	}
}

func TestASessionEndsWhenItIsIdle(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(95 * time.Second)
		got := must(m.Get(ctx, s.ID))(t)
		if d := got.LastSeenAt.Sub(s.LastSeenAt); d < 95*time.Second || got.ExpiresAt.Sub(got.LastSeenAt) != 100*time.Second {
			t.Fatalf("seen %v later, expires %v after that", d, got.ExpiresAt.Sub(got.LastSeenAt))
		}
		clock.advance(95 * time.Second)
		same(t, must(m.Touch(ctx, s.ID))(t), must(m.Get(ctx, s.ID))(t))
		clock.advance(100 * time.Second)
		gone(t, m, s.ID)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 0)
		equal(t, "list", len(must(m.List(ctx, "ada"))(t)), 0)
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
	})
}

func TestASessionEndsWhenItIsTooOldHoweverMuchItIsUsed(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second, AbsoluteTTL: 250 * time.Second})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		for range 3 {
			clock.advance(80 * time.Second)
			got := must(m.Touch(ctx, s.ID))(t)
			if most := s.CreatedAt.Add(250 * time.Second); got.ExpiresAt.After(most) {
				t.Fatalf("expires at %v, later than %v", got.ExpiresAt, most)
			}
		}
		clock.advance(10 * time.Second)
		gone(t, m, s.ID)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 0)
	})
}

func TestASessionHasTimeoutsOfItsOwn(t *testing.T) {
	clock := newClock(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{TTL: 100 * time.Second, AbsoluteTTL: 1000 * time.Second})
	m, ctx := clock.m, t.Context()
	usual := must(m.Create(ctx, "ada", ada, phone))(t)
	remembered := must(m.Create(ctx, "ada", ada, phone, session.WithTimeouts(10_000*time.Second, -1)))(t)
	older := must(m.Create(ctx, "ada", ada, phone, session.WithTimeouts(0, 50*time.Second)))(t)
	used := must(m.Create(ctx, "ada", ada, phone, session.WithTimeouts(-1, 0)))(t)
	for s, want := range map[*session.Created[Visit]]time.Duration{&usual: 100 * time.Second, &remembered: 10_000 * time.Second, &older: 50 * time.Second, &used: 1000 * time.Second} {
		equal(t, "lifetime", s.ExpiresAt.Sub(s.CreatedAt), want)
	}
	clock.advance(70 * time.Second)
	gone(t, m, older.ID)
	clock.advance(70 * time.Second)
	gone(t, m, usual.ID)
	must(m.Get(ctx, used.ID))(t)
	clock.advance(5000 * time.Second)
	gone(t, m, used.ID)
	got := must(m.Get(ctx, remembered.ID))(t)
	equal(t, "lifetime", got.ExpiresAt.Sub(got.LastSeenAt), 10_000*time.Second)
	clock.advance(9000 * time.Second)
	must(m.Get(ctx, remembered.ID))(t)
}

func TestUsingASessionWritesNothingBeforeAFractionOfItsIdleTime(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for fraction, due := range map[float64]time.Duration{0: 100 * time.Second, 0.5: 500 * time.Second, -1: 0} {
			clock := newClock(t, c, session.Config{TTL: 1000 * time.Second, TouchFraction: fraction})
			m, ctx := clock.m, t.Context()
			s := must(m.Create(ctx, "ada", ada, phone))(t)
			if due > 0 {
				clock.advance(due - 10*time.Second)
				equal(t, "last seen", must(m.Get(ctx, s.ID))(t).LastSeenAt, s.LastSeenAt)
				clock.advance(10 * time.Second)
			}
			got := must(m.Get(ctx, s.ID))(t)
			if !got.LastSeenAt.After(s.LastSeenAt) {
				t.Fatalf("with a fraction of %v it is not marked as seen after %v", fraction, due)
			}
			equal(t, "last seen by the list", must(m.List(ctx, "ada"))(t)[0].LastSeenAt, got.LastSeenAt)
		}
	})
}

func TestListTellsTheLastSeenFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 1000 * time.Second})
		m, ctx := clock.m, t.Context()
		var refs []string
		var ids []session.ID
		for i := range 3 {
			s := must(m.Create(ctx, "ada", ada, session.Device{Name: user(i)}))(t)
			refs, ids = append(refs, s.Ref), append(ids, s.ID)
			clock.advance(100 * time.Second)
		}
		must(m.Touch(ctx, ids[0]))(t)
		list := must(m.List(ctx, "ada"))(t)
		var got []string
		for _, info := range list {
			got = append(got, info.Ref)
		}
		if want := []string{refs[0], refs[2], refs[1]}; !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		equal(t, "device", list[1].Device.Name, user(2))
		s := must(m.Get(ctx, ids[0]))(t)
		want := session.Info{Ref: s.Ref, Device: s.Device, CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt}
		if !reflect.DeepEqual(list[0], want) {
			t.Fatalf("got %+v, want %+v", list[0], want)
		}
		equal(t, "sessions of nobody", len(must(m.List(ctx, "nobody"))(t)), 0)
	})
}

func TestInspectShowsWhatIsStoredButNoSecret(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", Visit{Name: "Ada", Views: 1}, phone))(t)
		ok(t, raw(c, "HSET", m.SessionKey(s.ID), "theme", "dark").Error())
		must(m.Rotate(ctx, s.ID, time.Minute))(t)
		info, values, err := m.Inspect(ctx, "ada", s.Ref)
		ok(t, err)
		if want := map[string]string{"name": "Ada", "views": "1", "theme": "dark"}; !maps.Equal(values, want) {
			t.Fatalf("got %v", values)
		}
		equal(t, "name", info.Device.Name, phone.Name)
		for _, who := range [][2]string{{"eve", s.Ref}, {"ada", strings.Repeat("A", 16)}, {"ada", "../"}} {
			if _, _, err := m.Inspect(ctx, who[0], who[1]); !errors.Is(err, session.ErrNotFound) {
				t.Fatalf("%v: %v", who, err)
			}
		}
	})
}

func TestAnAnonymousSessionIsOnNobodysList(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 1})
		ctx := t.Context()
		a, b := must(m.Anonymous(ctx, ada, phone))(t), must(m.Anonymous(ctx, ada, phone))(t)
		same(t, must(m.Get(ctx, a.ID))(t), a)
		equal(t, "user", a.UserID, "")
		ok(t, m.Delete(ctx, a.ID))
		gone(t, m, a.ID)
		must(m.Get(ctx, b.ID))(t)
	})
}

func TestALoginCarriesTheVisitorsDataOverAndEndsTheVisit(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		visit := must(m.Anonymous(ctx, ada, phone))(t)
		s := must(m.Login(ctx, visit.ID, "ada", nil, phone))(t)
		if !reflect.DeepEqual(s.Data, ada) || s.UserID != "ada" {
			t.Fatalf("got %+v", s)
		}
		gone(t, m, visit.ID)
		same(t, must(m.Get(ctx, s.ID))(t), s.Session)

		visit = must(m.Anonymous(ctx, ada, phone))(t)
		s = must(m.Login(ctx, visit.ID, "ada", func(v Visit) Visit { return Visit{Cart: v.Cart} }, phone))(t)
		if !reflect.DeepEqual(s.Data, Visit{Cart: ada.Cart}) {
			t.Fatalf("got %+v", s)
		}
		// A visit that is gone, or never was, keeps nobody from logging in.
		for _, id := range []session.ID{visit.ID, {}} {
			s = must(m.Login(ctx, id, "ada", func(v Visit) Visit { v.Name += "new"; return v }, phone))(t)
			if !reflect.DeepEqual(s.Data, Visit{Name: "new"}) {
				t.Fatalf("got %+v", s)
			}
		}
		equal(t, "count", s.Count, 4)
	})
}

func TestALoginOnASessionOfTheSameUserTakesItsPlace(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 2})
		ctx := t.Context()
		a, b := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		s := must(m.Login(ctx, a.ID, "ada", nil, phone))(t)
		equal(t, "count", s.Count, 2)
		equal(t, "name", s.Data.Name, ada.Name)
		gone(t, m, a.ID)
		must(m.Get(ctx, b.ID))(t)
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 3)
		if _, err := m.Login(ctx, session.ID{}, "ada", nil, phone); !errors.Is(err, session.ErrLimit) {
			t.Fatal(err)
		}
	})
}

func TestALoginOnAnotherUsersSessionEndsItAndCarriesNothingOver(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	eve := must(m.Create(ctx, "eve", ada, phone))(t)
	s := must(m.Login(ctx, eve.ID, "ada", nil, phone))(t)
	if !reflect.DeepEqual(s.Data, Visit{}) {
		t.Fatalf("got %+v", s)
	}
	gone(t, m, eve.ID)
}

func TestARefusedLoginLeavesTheVisitAsItIs(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{MaxPerUser: 1})
	ctx := t.Context()
	must(m.Create(ctx, "ada", ada, phone))(t)
	visit := must(m.Anonymous(ctx, ada, phone))(t)
	if _, err := m.Login(ctx, visit.ID, "ada", nil, phone); !errors.Is(err, session.ErrLimit) {
		t.Fatal(err)
	}
	same(t, must(m.Get(ctx, visit.ID))(t), visit)
}

func TestACallerMayChooseTheSecret(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		for n := 16; n <= 64; n += 16 {
			secret := []byte(strings.Repeat("\x00\xff", n/2))
			s := must(m.Create(ctx, "ada", ada, phone, session.WithSecret(secret)))(t)
			id := must(session.JoinID(s.ID.Public(), secret))(t)
			same(t, must(m.Get(ctx, id))(t), s.Session)
			secret[0]++
			gone(t, m, must(session.JoinID(s.ID.Public(), secret))(t))
		}
	})
}

func TestNoRefIsTakenForAFlag(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{MaxPerUser: -1})
	for range 500 {
		if s := must(m.Create(t.Context(), "ada", ada, phone))(t); s.Ref[0] == '-' {
			t.Fatal(s.Ref)
		}
	}
}

func TestAnotherSecretIsAsGoodAsNone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for _, rotated := range []bool{false, true} {
			anotherSecret(t, c, rotated)
		}
	})
}

// anotherSecret tries a guess on a session that may just have been rotated, with a grace for the secret before.
func anotherSecret(t *testing.T, c *rediskit.Client, rotated bool) {
	m := manager(t, c, session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t).Session
	if rotated {
		s.ID = must(m.Rotate(ctx, s.ID, time.Minute))(t)
	}
	guess := must(session.JoinID(s.ID.Public(), []byte(strings.Repeat("x", 32))))(t)
	_, err := m.Get(ctx, guess)
	notFound := []error{err}
	_, err = m.Touch(ctx, guess)
	notFound = append(notFound, err)
	_, err = m.Update(ctx, guess, func(*Visit) error { t.Error("called"); return nil })
	notFound = append(notFound, err)
	_, err = m.Save(ctx, guess, 1, Visit{})
	notFound = append(notFound, err)
	_, err = m.Incr(ctx, guess, "views", 1)
	notFound = append(notFound, err)
	_, err = m.Rotate(ctx, guess, time.Minute)
	notFound = append(notFound, err)
	_, err = m.RevokeOthers(ctx, guess)
	notFound = append(notFound, err)
	for i, err := range notFound {
		if !errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrInvalidID) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	ok(t, m.Delete(ctx, guess))
	login := must(m.Login(ctx, guess, "ada", nil, phone))(t)
	if !reflect.DeepEqual(login.Data, Visit{}) {
		t.Errorf("a guess carries data over: %+v", login.Data)
	}
	same(t, must(m.Get(ctx, s.ID))(t), s)
}

func TestDataOverTheLimitAreRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxData: 100})
		ctx := t.Context()
		fits := Visit{Name: strings.Repeat("x", 100-len("name")-len("views0"))}
		s := must(m.Create(ctx, "ada", fits, phone))(t)
		big := Visit{Name: fits.Name + "x"}
		before := len(keysOf(t, c, m.Keys()))
		if _, err := m.Create(ctx, "ada", big, phone); !errors.Is(err, session.ErrTooLarge) {
			t.Fatal(err)
		}
		if _, err := m.Anonymous(ctx, big, phone); !errors.Is(err, session.ErrTooLarge) {
			t.Fatal(err)
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), before)
		if _, err := m.Update(ctx, s.ID, func(v *Visit) error { v.Email = "x"; return nil }); !errors.Is(err, session.ErrTooLarge) {
			t.Fatal(err)
		}
		same(t, must(m.Get(ctx, s.ID))(t), s.Session)
		huge := manager(t, c, session.Config{MaxData: -1})
		s = must(huge.Create(ctx, "ada", Visit{Name: strings.Repeat("x", 1<<20)}, phone))(t)
		equal(t, "length", len(must(huge.Get(ctx, s.ID))(t).Data.Name), 1<<20)
	})
}

func TestAStructOfAThousandFieldsIsKept(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := managerOf[wide](t, c, session.Config{})
		ctx := t.Context()
		var v wide
		v.set(7)
		s := must(m.Create(ctx, "ada", v, phone))(t)
		equal(t, "data", must(m.Get(ctx, s.ID))(t).Data, v)
		must(m.Update(ctx, s.ID, func(v *wide) error { v.set(8); return nil }))(t)
		v.set(8)
		equal(t, "data", must(m.Get(ctx, s.ID))(t).Data, v)
	})
}

func TestAFieldOfAnotherTypeIsCorruptAndSaysWhich(t *testing.T) {
	c := rediskittest.Embedded(t)
	m := manager(t, c, session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	ok(t, raw(c, "HSET", m.SessionKey(s.ID), "views", "many").Error())
	_, err := m.Get(ctx, s.ID)
	if !errors.Is(err, codec.ErrCorrupt) || errors.Is(err, session.ErrNotFound) || !strings.Contains(err.Error(), `"views"`) {
		t.Fatal(err)
	}
	ok(t, m.Delete(ctx, s.ID)) // it can be ended nevertheless
	gone(t, m, s.ID)

	visit := must(m.Anonymous(ctx, ada, phone))(t)
	ok(t, raw(c, "HSET", m.SessionKey(visit.ID), "views", "many").Error())
	login := must(m.Login(ctx, visit.ID, "ada", nil, phone))(t) // and keeps nobody from logging in
	if !reflect.DeepEqual(login.Data, Visit{}) {
		t.Fatalf("got %+v", login.Data)
	}
	gone(t, m, visit.ID)
}

func TestASessionThatCannotBeReadMakesRoomForTheLoginInItsPlace(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 1})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		ok(t, raw(c, "HSET", m.SessionKey(s.ID), "views", "many").Error())
		next := must(m.Login(ctx, s.ID, "ada", nil, phone))(t)
		equal(t, "count", next.Count, 1)
		gone(t, m, s.ID)
		must(m.Get(ctx, next.ID))(t)
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 2)
	})
}
