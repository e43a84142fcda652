package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/session"
)

// Redis replicates after it has answered, so a failover loses logins and revokes. All else has to hold: nobody has more
// sessions than allowed, nothing is left without a TTL, and a revoke that is repeated is final.
func TestSoakAfterAFailoverWhatWasNotLostHolds(t *testing.T) {
	for range soak.Scale() {
		set, err := redistest.StartSentinel(redistest.SentinelConfig{})
		ok(t, err)
		failOver(t, set)
		ok(t, set.Close())
	}
}

func failOver(t *testing.T, set *redistest.Sentinel) {
	const users, limit = 32, 3
	c := connectTo(t, rediskit.Config{
		Addrs: set.Addrs(), Sentinel: rediskit.Sentinel{Master: set.MasterName()}, CommandTimeout: 20 * time.Second,
	})
	defer c.Close()
	cfg := session.Config{MaxPerUser: limit, OnLimit: session.EvictOldest, TagKey: tagKey}
	m := must(session.New[Visit](c, cfg))(t)
	ctx := context.Background()

	type user struct {
		kept, revoked []session.ID // of which the server has said so
	}
	var all [users]user
	var done, failed atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	for i := range all {
		wg.Go(func() {
			u, name := &all[i], fmt.Sprint("user-", i)
			for !stop.Load() {
				s, err := m.Create(ctx, name, ada, phone)
				if err == nil {
					u.kept = []session.ID{s.ID}
					_, err = m.Update(ctx, s.ID, func(v *Visit) error { v.Views++; return nil })
				}
				var other session.Created[Visit]
				if err == nil || errors.Is(err, session.ErrNotFound) {
					other, err = m.Create(ctx, name, ada, phone)
				}
				if err == nil {
					u.kept = append(u.kept, other.ID)
					_, err = m.Revoke(ctx, name, s.Ref)
				}
				if err == nil {
					u.kept, u.revoked = u.kept[1:], append(u.revoked, s.ID)
				}
				switch {
				case err == nil, errors.Is(err, session.ErrNotFound):
					done.Add(1)
				case rediskit.IsUnavailable(err):
					failed.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	goesOn := func(n int64) {
		from := done.Load()
		eventually(t, func() error {
			if d := done.Load() - from; d < n {
				return fmt.Errorf("%d of %d", d, n)
			}
			return nil
		})
	}
	goesOn(500)
	// What follows does not reach the replica any more.
	replica, err := set.Replica()
	ok(t, err)
	for _, setting := range [][2]string{{"masterauth", "x"}, {"masteruser", "nobody"}} {
		_, err = replica.Do("CONFIG", "SET", setting[0], setting[1])
		ok(t, err)
	}
	primary, err := set.Primary()
	ok(t, err)
	_, err = primary.Do("CLIENT", "KILL", "TYPE", "replica")
	ok(t, err)
	goesOn(200)
	old, err := set.KillPrimary()
	ok(t, err)
	_, err = set.WaitPromoted(old)
	ok(t, err)
	goesOn(1) // and no more, for new logins would evict what has come back
	stop.Store(true)
	wg.Wait()

	lost, undone, kept, revoked := 0, 0, 0, 0
	for i := range all {
		name := fmt.Sprint("user-", i)
		for _, id := range all[i].kept {
			kept++
			if _, err := m.Get(ctx, id); err != nil {
				lost++
				if !errors.Is(err, session.ErrNotFound) {
					t.Error(err)
				}
			}
		}
		for _, id := range all[i].revoked {
			revoked++
			if _, err := m.Get(ctx, id); err == nil {
				undone++
			}
			must(m.Revoke(ctx, name, id.Ref()))(t)
			gone(t, m, id)
		}
		if n := must(m.Count(ctx, name))(t); n > limit {
			t.Errorf("%s has %d sessions", name, n)
		}
		s := must(m.Create(ctx, name, ada, phone))(t)
		must(m.Get(ctx, s.ID))(t)
	}
	consistent(t, c, m.Keys(), 24*time.Hour)
	if lost+undone == 0 {
		t.Error("the failover lost nothing, so this has shown nothing")
	}
	t.Logf("%d rounds, %d interrupted; the failover lost %d of the latest %d logins, and %d of %d revokes", done.Load(), failed.Load(), lost, kept, undone, revoked)
}
