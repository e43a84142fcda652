package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/session"
)

func startCluster(t *testing.T) (*redistest.Cluster, *rediskit.Client) {
	t.Helper()
	cl, err := redistest.StartCluster(redistest.ClusterConfig{})
	ok(t, err)
	t.Cleanup(func() { cl.Close() })
	return cl, connectTo(t, rediskit.Config{Addrs: cl.Addrs(), Cluster: true, CommandTimeout: 20 * time.Second})
}

func connectTo(t *testing.T, cfg rediskit.Config) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(t.Context(), cfg)
	ok(t, err)
	t.Cleanup(c.Close)
	return c
}

// away is a master that does not serve a slot.
func away(t *testing.T, cl *redistest.Cluster, slot int) *redistest.Server {
	t.Helper()
	owner, err := cl.NodeForSlot(slot)
	ok(t, err)
	masters, err := cl.Masters()
	ok(t, err)
	for _, m := range masters {
		if m != owner {
			return m
		}
	}
	t.Fatal("there is one master only")
	return nil
}

// While a user's slot moves, the index may be on one node and the data on another, and be moved while they are used. Nothing
// needs both in one step, so no request fails.
func TestSoakNoRequestFailsWhileSlotsMove(t *testing.T) {
	cl, c := startCluster(t)
	m := manager(t, c, session.Config{MaxPerUser: 100, TouchFraction: -1})
	ctx := t.Context()
	const users = 4
	var indexes []string
	for i := range users {
		s := must(m.Create(ctx, user(i), ada, phone))(t)
		indexes = append(indexes, m.IndexKey(s.ID))
		ok(t, m.Delete(ctx, s.ID))
	}
	l := startLoad(t, m, users, func(string, error) bool { return true })
	limit(t, manager(t, c, session.Config{MaxPerUser: crowdLimit, OnLimit: session.EvictOldest}), users)
	for range 3 * soak.Scale() {
		for _, index := range indexes {
			slot, err := cl.SlotOf(index)
			ok(t, err)
			move, err := cl.BeginMigrate(slot, away(t, cl, slot))
			ok(t, err)
			l.goesOn(t, 100)
			ok(t, move.MoveKeys(index))
			l.goesOn(t, 100)
			ok(t, move.Finish())
			l.goesOn(t, 50)
		}
	}
	l.end(t)
	consistent(t, c, m.Keys(), 24*time.Hour)
}

// limit lets users log in twice at a time, until the test ends, and finds none of them with more sessions than allowed. Their
// keys are in the slots of the same users elsewhere.
func limit(t *testing.T, m *session.Manager[Visit], users int) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	for i := range 2 * users {
		wg.Go(func() {
			for ctx.Err() == nil {
				s, err := m.Create(context.Background(), user(i%users), ada, phone)
				if err != nil || s.Count > crowdLimit {
					t.Errorf("a login: %d sessions, %v", s.Count, err)
				}
				if n, err := m.Count(context.Background(), user(i%users)); err != nil || n > crowdLimit {
					t.Errorf("%s has %d sessions, %v", user(i%users), n, err)
				}
			}
		})
	}
}

// Revoking is as final while the slot moves as otherwise.
func TestASessionThatIsRevokedWhileItsSlotMovesIsGone(t *testing.T) {
	cl, c := startCluster(t)
	ctx := context.Background()
	m := manager(t, c, session.Config{})
	for _, first := range []string{"nothing", "the index", "the data"} {
		s, other := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		slot, err := cl.SlotOf(m.IndexKey(s.ID))
		ok(t, err)
		move, err := cl.BeginMigrate(slot, away(t, cl, slot))
		ok(t, err)
		switch first {
		case "the index":
			ok(t, move.MoveKeys(m.IndexKey(s.ID)))
		case "the data":
			ok(t, move.MoveKeys(m.SessionKey(s.ID)))
		}
		same(t, must(m.Touch(ctx, s.ID))(t), must(m.Get(ctx, s.ID))(t))
		id := must(m.Rotate(ctx, s.ID, 0))(t)
		must(m.Update(ctx, id, func(v *Visit) error { v.Views++; return nil }))(t)
		must(m.Incr(ctx, id, "views", 1))(t)
		equal(t, "views", must(m.Get(ctx, id))(t).Data.Views, ada.Views+2)
		equal(t, "revoked", must(m.Revoke(ctx, "ada", s.Ref))(t), true)
		for use, err := range uses(ctx, m, id) {
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("with %s moved, %s: %v", first, use, err)
			}
		}
		equal(t, "count", must(m.Create(ctx, "ada", ada, phone))(t).Count, 2)
		ok(t, move.Finish())
		gone(t, m, id)
		must(m.Get(ctx, other.ID))(t)
		equal(t, "revoked", must(m.RevokeUser(ctx, "ada"))(t), 2)
	}
}
