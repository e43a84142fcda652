package session_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestADraftWritesOnlyTheFieldsThatChanged(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", Visit{Name: "Ada", Email: "a@example.com", Cart: map[string]int{"tea": 1}}, phone))(t).Session
		one, other := must(m.Draft(s))(t), must(m.Draft(s))(t)
		one.Session.Data.Cart["milk"] = 2 // in place: it is the same map as that of s
		one.Session.Data.Email = ""
		other.Session.Data.Name = "Ada L."
		other.Session.Data.Cart = map[string]int{"tea": 1}
		for _, d := range []*session.Draft[Visit]{one, other} {
			equal(t, "changed", must(d.Changed())(t), true)
			equal(t, "saved", must(d.Save(ctx))(t), true)
			equal(t, "changed", must(d.Changed())(t), false)
			equal(t, "saved again", must(d.Save(ctx))(t), false)
		}
		got := must(m.Get(ctx, s.ID))(t)
		if want := (Visit{Name: "Ada L.", Cart: map[string]int{"tea": 1, "milk": 2}}); !reflect.DeepEqual(got.Data, want) {
			t.Fatalf("got %+v, want %+v", got.Data, want)
		}
		equal(t, "version", got.Version, 3)
		equal(t, "version of the draft", other.Session.Version, 3)
	})
}

func TestADraftOfARevokedSessionSavesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t).Session
		d := must(m.Draft(s))(t)
		must(m.Revoke(ctx, "ada", s.Ref))(t)
		d.Session.Data.Name = "late"
		if saved, err := d.Save(ctx); saved || !errors.Is(err, session.ErrNotFound) {
			t.Fatal(saved, err)
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
	})
}

func TestADraftThatIsTooLargeChangesNothing(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{MaxData: 100})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", Visit{Name: "Ada"}, phone))(t).Session
	d := must(m.Draft(s))(t)
	d.Session.Data.Email = string(make([]byte, 100))
	if _, err := d.Changed(); !errors.Is(err, session.ErrTooLarge) {
		t.Fatal(err)
	}
	if saved, err := d.Save(ctx); saved || !errors.Is(err, session.ErrTooLarge) {
		t.Fatal(saved, err)
	}
	same(t, must(m.Get(ctx, s.ID))(t), s)
}

func TestADraftOfNoSessionIsNotSaved(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	d := must(m.Draft(session.Session[Visit]{}))(t)
	d.Session.Data.Name = "nobody"
	if _, err := d.Save(t.Context()); !errors.Is(err, session.ErrInvalidID) {
		t.Fatal(err)
	}
}

func TestTheVersionOfADraftConflictsWithAnUpdate(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t).Session
	d := must(m.Draft(s))(t)
	d.Session.Data.Name = "new"
	calls := 0
	got := must(m.Update(ctx, s.ID, func(v *Visit) error {
		if calls++; calls == 1 {
			must(d.Save(ctx))(t)
		}
		v.Name += "er"
		return nil
	}))(t)
	equal(t, "calls", calls, 2)
	equal(t, "name", got.Data.Name, "newer")
}

func TestTokensAreOfOneSessionAndOnePurpose(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	s, other := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
	token := string(m.Token(s.ID, "csrf"))
	equal(t, "bytes", len(token), 32)
	equal(t, "after a rotation", string(m.Token(must(m.Rotate(ctx, s.ID, 0))(t), "csrf")), token)
	another := manager(t, rediskittest.Embedded(t), session.Config{TagKey: []byte("another key of thirty-two bytes..")})
	for what, is := range map[string]string{
		"another session": string(m.Token(other.ID, "csrf")),
		"another purpose": string(m.Token(s.ID, "csrF")),
		"another key":     string(another.Token(s.ID, "csrf")),
	} {
		if is == token {
			t.Errorf("%s has the same token", what)
		}
	}
	equal(t, "token of none", len(m.Token(session.ID{}, "csrf")), 0)
}

func TestPeekingMarksNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second, TouchFraction: -1})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(50 * time.Second)
		same(t, must(m.Peek(ctx, s.ID))(t), s.Session)
		clock.advance(51 * time.Second)
		if _, err := m.Peek(ctx, s.ID); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

func TestTimeoutsThatChangeHoldFromNowOn(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second, AbsoluteTTL: 1000 * time.Second})
		m, ctx := clock.m, t.Context()
		longer, shorter, older := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(50 * time.Second)
		s := must(m.SetTimeouts(ctx, longer.ID, 5000*time.Second, -1))(t)
		equal(t, "lifetime", s.ExpiresAt.Sub(s.LastSeenAt), 5000*time.Second)
		equal(t, "age", s.LastSeenAt.Sub(s.CreatedAt).Round(10*time.Second), 50*time.Second)
		s = must(m.SetTimeouts(ctx, shorter.ID, 20*time.Second, 0))(t)
		equal(t, "lifetime", s.ExpiresAt.Sub(s.LastSeenAt), 20*time.Second)
		equal(t, "device", s.Device.Name, phone.Name)
		must(m.SetTimeouts(ctx, older.ID, 0, 40*time.Second))(t)
		gone(t, m, older.ID)
		equal(t, "sessions", must(m.Count(ctx, "ada"))(t), 2)
		same(t, must(m.Get(ctx, shorter.ID))(t), s)
		clock.advance(21 * time.Second)
		gone(t, m, shorter.ID) // though its data are there
		equal(t, "sessions", must(m.Count(ctx, "ada"))(t), 1)
		clock.advance(3000 * time.Second)
		must(m.Get(ctx, longer.ID))(t)
		clock.advance(4000 * time.Second)
		must(m.Get(ctx, longer.ID))(t)
	})
}

func TestASessionWhoseTimeoutsWereShortenedIsNobodysForAnyCall(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second})
		m, ctx := clock.m, t.Context()
		s, other := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		for _, id := range []session.ID{s.ID, other.ID} {
			must(m.SetTimeouts(ctx, id, 5000*time.Second, 0))(t)
			must(m.SetTimeouts(ctx, id, 20*time.Second, 0))(t)
		}
		clock.advance(30 * time.Second)
		gone(t, m, other.ID)
		third, live := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		must(m.SetTimeouts(ctx, third.ID, 20*time.Second, 0))(t)
		clock.advance(30 * time.Second)
		if _, err := m.RevokeOthers(ctx, third.ID); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("RevokeOthers: %v", err)
		}
		must(m.Get(ctx, live.ID))(t)
		for use, err := range uses(ctx, m, s.ID) {
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s: %v", use, err)
			}
		}
	})
}

func TestATouchThatIsLateDoesNotShortenASession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		calls := 0
		m.OnStep(func(place string) {
			if place != "touch: marked" {
				return
			}
			if calls++; calls == 1 {
				must(m.SetTimeouts(ctx, s.ID, 5000*time.Second, 0))(t)
			}
		})
		must(m.Touch(ctx, s.ID))(t)
		equal(t, "calls", calls, 2)
		clock.advance(4000 * time.Second)
		must(m.Peek(ctx, s.ID))(t)
	})
}

func TestDataOfASessionWhoseTimeoutsWereShortenedGoWhenTheyAreMet(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for name, meet := range map[string]func(m *session.Manager[Visit], id session.ID) error{
			"Get":    func(m *session.Manager[Visit], id session.ID) error { return second(m.Get(t.Context(), id)) },
			"Peek":   func(m *session.Manager[Visit], id session.ID) error { return second(m.Peek(t.Context(), id)) },
			"Rotate": func(m *session.Manager[Visit], id session.ID) error { return second(m.Rotate(t.Context(), id, 0)) },
		} {
			clock := newClock(t, c, session.Config{TTL: 100 * time.Second})
			s := must(clock.m.Create(t.Context(), "ada", ada, phone))(t)
			must(clock.m.SetTimeouts(t.Context(), s.ID, 20*time.Second, 0))(t)
			clock.advance(30 * time.Second)
			if err := meet(clock.m, s.ID); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if n, err := raw(c, "EXISTS", clock.m.SessionKey(s.ID)).AsInt64(); n != 0 || err != nil {
				t.Errorf("after %s the data are there still, %v", name, err)
			}
		}
	})
}

func TestTimeoutsThatAreNoneAreRefused(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	for _, d := range [][2]time.Duration{{-1, -1}, {time.Microsecond, 0}, {0, time.Microsecond}, {2 * session.MaxTTL, 0}} {
		if _, err := m.SetTimeouts(ctx, s.ID, d[0], d[1]); err == nil {
			t.Errorf("%v is accepted", d)
		}
	}
	if _, err := m.SetTimeouts(ctx, session.ID{}, time.Hour, 0); !errors.Is(err, session.ErrInvalidID) {
		t.Error(err)
	}
	same(t, must(m.Get(ctx, s.ID))(t), s.Session)
}
