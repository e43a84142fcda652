package session_test

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// Structs of two releases of one service: a field came, one went, and one has another name in Go.
type (
	release1 struct {
		Name  string `redis:"name"`
		Views int32  `redis:"views"`
		Promo string `redis:"promo,omitempty"`
	}
	release2 struct {
		FullName string    `redis:"name"`
		Views    int64     `redis:"views"`
		Locale   string    `redis:"locale,omitempty"`
		Birthday time.Time `redis:"birthday"`
		Limit    *int      `redis:"limit"`
	}
)

func releases(t *testing.T, c *rediskit.Client) (*session.Manager[release1], *session.Manager[release2]) {
	t.Helper()
	old := managerOf[release1](t, c, session.Config{})
	return old, managerOf[release2](t, c, session.Config{Keys: old.Keys()})
}

func TestSessionsFromBeforeAChangeOfTheStructAreReadAfterIt(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		old, now := releases(t, c)
		s := must(old.Create(t.Context(), "ada", release1{"Ada", 3, "spring"}, phone))(t)
		// What is new is zero, and a nil pointer tells that it was never there.
		equal(t, "data", must(now.Get(t.Context(), s.ID))(t).Data, release2{FullName: "Ada", Views: 3})
	})
}

func TestTwoReleasesShareASessionAndKeepEachOthersFields(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		old, now := releases(t, c)
		id := must(old.Create(ctx, "ada", release1{"Ada", 1, "spring"}, phone))(t).ID
		for range 3 {
			must(now.Update(ctx, id, func(v *release2) error { v.Locale, v.Views = "en", v.Views+1; return nil }))(t)
			must(old.Update(ctx, id, func(v *release1) error { v.Views++; return nil }))(t)
			must(now.Incr(ctx, id, "views", 1))(t)
			draft := must(old.Draft(must(old.Get(ctx, id))(t)))(t)
			draft.Session.Data.Name += "!"
			must(draft.Save(ctx))(t)
		}
		equal(t, "as the old release has it", must(old.Get(ctx, id))(t).Data, release1{"Ada!!!", 10, "spring"})
		equal(t, "as the new one has it", must(now.Get(ctx, id))(t).Data, release2{FullName: "Ada!!!", Views: 10, Locale: "en"})
	})
}

func TestALoginCarriesOverOnlyWhatItsReleaseKnows(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		old, now := releases(t, c)
		visit := must(now.Anonymous(ctx, release2{FullName: "Ada", Locale: "en"}, phone))(t)
		s := must(old.Login(ctx, visit.ID, "ada", nil, phone))(t)
		equal(t, "data", must(now.Get(ctx, s.ID))(t).Data, release2{FullName: "Ada"})
	})
}

// What a field was written as, and what can read it.
func TestAFieldMayChangeItsTypeToOneThatReadsWhatIsThere(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		type before struct {
			Small  int8            `redis:"small"`
			Number int64           `redis:"number"`
			Flag   bool            `redis:"flag"`
			When   time.Time       `redis:"when"`
			Always string          `redis:"always"`
			Inner  struct{ A int } `redis:"inner"`
		}
		type after struct {
			Small  int64              `redis:"small"`
			Number string             `redis:"number"`
			Flag   string             `redis:"flag"`
			When   string             `redis:"when"`
			Always *string            `redis:"always"`
			Inner  struct{ A, B int } `redis:"inner"`
		}
		ctx := t.Context()
		old := managerOf[before](t, c, session.Config{})
		now := managerOf[after](t, c, session.Config{Keys: old.Keys()})
		v := before{Small: 7, Number: -42, Flag: true, When: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Always: "x"}
		v.Inner.A = 5
		s := must(old.Create(ctx, "ada", v, phone))(t)
		got := must(now.Get(ctx, s.ID))(t).Data
		if got.Small != 7 || got.Number != "-42" || got.Flag != "true" || got.When != "2026-03-01T12:00:00Z" || *got.Always != "x" ||
			got.Inner.A != 5 || got.Inner.B != 0 {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestAFieldThatTheNewTypeCannotReadIsCorrupt(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		type before struct {
			Plan string `redis:"plan"`
		}
		type after struct {
			Plan int `redis:"plan"`
		}
		ctx := t.Context()
		old := managerOf[before](t, c, session.Config{})
		now := managerOf[after](t, c, session.Config{Keys: old.Keys()})
		s := must(old.Create(ctx, "ada", before{"gold"}, phone))(t)
		if _, err := now.Get(ctx, s.ID); !errors.Is(err, codec.ErrCorrupt) || errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
		equal(t, "data for the old release", must(old.Get(ctx, s.ID))(t).Data, before{"gold"})
		login := must(now.Login(ctx, s.ID, "ada", nil, phone))(t)
		equal(t, "data after a login", login.Data, after{})
		equal(t, "sessions after a login", login.Count, 1)
		gone(t, now, s.ID)
	})
}

// settings is what docs/session.md says to do for a field that gets another name or a type that cannot read the old one.
type settings struct {
	Plan  string `redis:"plan,omitempty"`
	Level int    `redis:"level,omitempty"`
}

func (s *settings) level() int {
	if s.Level == 0 && s.Plan == "gold" {
		return 3
	}
	return s.Level
}

func (s *settings) setLevel(n int) {
	s.Level, s.Plan = n, ""
	if n == 3 {
		s.Plan = "gold"
	}
}

func TestAFieldMovesToAnotherNameWhileBothReleasesRun(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		type before struct {
			Plan string `redis:"plan,omitempty"`
		}
		ctx := t.Context()
		old := managerOf[before](t, c, session.Config{})
		now := managerOf[settings](t, c, session.Config{Keys: old.Keys()})
		s := must(old.Create(ctx, "ada", before{"gold"}, phone))(t)
		got := must(now.Get(ctx, s.ID))(t)
		equal(t, "level", got.Data.level(), 3)
		must(now.Update(ctx, s.ID, func(v *settings) error { v.setLevel(1); return nil }))(t)
		equal(t, "plan for the old release", must(old.Get(ctx, s.ID))(t).Data.Plan, "")
		must(now.Update(ctx, s.ID, func(v *settings) error { v.setLevel(3); return nil }))(t)
		equal(t, "plan for the old release", must(old.Get(ctx, s.ID))(t).Data.Plan, "gold")
	})
}

func TestEverySessionHasASecretOf256BitsOfItsOwn(t *testing.T) {
	c := rediskittest.Embedded(t)
	m := manager(t, c, session.Config{MaxPerUser: -1})
	seen := map[string]bool{}
	for range 500 {
		s := must(m.Create(t.Context(), "ada", ada, phone))(t)
		rotated := must(m.Rotate(t.Context(), s.ID, 0))(t)
		for _, id := range []session.ID{s.ID, rotated} {
			secret := must(base64.RawURLEncoding.DecodeString(id.Secret()))(t)
			equal(t, "bytes of the secret", len(secret), 32)
			if seen[string(secret)] {
				t.Fatal("a secret came twice")
			}
			seen[string(secret)] = true
		}
		if seen[s.Ref] {
			t.Fatal("a ref came twice")
		}
		seen[s.Ref] = true
	}
}
