package session_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/session"
)

var ada = Visit{Name: "Ada", Email: "ada@example.com", Views: 3, Cart: map[string]int{"tea": 2}, Roles: []string{"admin"}}

var phone = session.Device{IP: "192.0.2.1", UserAgent: "Phone/1.0", Name: "Ada's phone", Extra: map[string]string{"os": "x", "app": "7"}}

func TestASessionComesBackAsItWasCreated(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		created := must(m.Create(t.Context(), "ada", ada, phone))(t)
		id := must(session.ParseID(created.ID.Reveal()))(t)
		got := must(m.Get(t.Context(), id))(t)
		if !got.ID.Equal(created.ID) {
			t.Fatal("another ID")
		}
		got.ID = created.ID
		if !reflect.DeepEqual(got, created.Session) {
			t.Fatalf("created %+v, got %+v", created.Session, got)
		}
		equal(t, "count", created.Count, 1)
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
		if got.ID = updated.ID; !reflect.DeepEqual(got, updated) {
			t.Fatalf("updated to %+v, got %+v", updated, got)
		}
		if got.Version != 2 || got.Data.Name != "Ada L." || got.Data.Email != "" || got.Data.Cart["tea"] != 3 || got.Data.Views != 3 {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestARevokedSessionIsGone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		equal(t, "revoked", must(m.Revoke(ctx, "ada", s.Ref))(t), true)
		gone(t, m, s.ID)
		if _, err := m.Update(ctx, s.ID, func(*Visit) error { return nil }); !errors.Is(err, session.ErrNotFound) {
			t.Fatal(err)
		}
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 0)
		equal(t, "revoked again", must(m.Revoke(ctx, "ada", s.Ref))(t), false)
	})
}
