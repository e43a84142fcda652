package session_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// A login, an update, a save, a rotation, a touch, a count, other time-outs and reads are under way while the session is revoked in one of
// five ways. From the moment at which the revoke has returned, no ID of the session is valid, whatever is still under
// way, and what began before changes nothing about it afterwards.
func TestSoakNothingMakesARevokedSessionValidAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 3, OnLimit: session.EvictOldest, TouchFraction: -1})
		const together = 8
		var wg sync.WaitGroup
		for g := range together {
			wg.Go(func() {
				for i := range 50 * soak.Scale() {
					if t.Failed() {
						return
					}
					raceRevoke(t, m, user(g), (g+i)%5)
				}
			})
		}
		wg.Wait()
	}, rediskittest.OnSingle, rediskittest.OnCluster)
}

func raceRevoke(t *testing.T, m *session.Manager[Visit], userID string, way int) {
	ctx := context.Background()
	s, err := m.Create(ctx, userID, ada, phone)
	if err != nil {
		t.Error(err)
		return
	}
	other, err := m.Create(ctx, userID, ada, phone)
	if err != nil {
		t.Error(err)
		return
	}
	var mu sync.Mutex
	ids := []session.ID{s.ID}
	known := func() []session.ID {
		mu.Lock()
		defer mu.Unlock()
		return append([]session.ID(nil), ids...)
	}
	expect := func(err error) {
		if err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrConflict) {
			t.Error(err)
		}
	}
	actions := []func(id session.ID){
		func(id session.ID) { _, err := m.Get(ctx, id); expect(err) },
		func(id session.ID) { _, err := m.Touch(ctx, id); expect(err) },
		func(id session.ID) {
			_, err := m.Update(ctx, id, func(v *Visit) error { v.Views++; return nil })
			expect(err)
		},
		func(id session.ID) { _, err := m.Save(ctx, id, 1, Visit{Name: "saved"}); expect(err) },
		func(id session.ID) { _, err := m.Incr(ctx, id, "views", 1); expect(err) },
		func(id session.ID) { _, err := m.SetTimeouts(ctx, id, time.Hour, 0); expect(err) },
		func(id session.ID) { expect(saveDraft(ctx, m, id)) },
		func(id session.ID) { expect(m.AddFlash(ctx, id, "hello")) },
		func(id session.ID) { _, err := m.Login(ctx, id, userID, nil, phone); expect(err) },
		func(id session.ID) {
			next, err := m.Rotate(ctx, id, time.Duration(rand.IntN(2))*time.Minute)
			expect(err)
			if err == nil {
				mu.Lock()
				ids = append(ids, next)
				mu.Unlock()
			}
		},
		func(session.ID) { _, err := m.Create(ctx, userID, ada, phone); expect(err) },
	}
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, action := range actions {
		wg.Go(func() {
			<-begin
			for range 1 + rand.IntN(2) {
				id := known()
				action(id[rand.IntN(len(id))])
			}
		})
	}
	invalid := func(when string) {
		for _, id := range known() {
			if _, err := m.Get(ctx, id); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s (way %d) the session is valid: %v", when, way, err)
			}
			if _, err := m.Touch(ctx, id); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s (way %d) the session can be touched: %v", when, way, err)
			}
		}
	}
	close(begin)
	switch way {
	case 0:
		_, err = m.Revoke(ctx, userID, s.Ref)
	case 1:
		_, err = m.RevokeUser(ctx, userID)
	case 2:
		// The other session may have been evicted by a login: then there is nobody to ask for it.
		if _, err = m.RevokeOthers(ctx, other.ID); errors.Is(err, session.ErrNotFound) {
			_, err = m.Revoke(ctx, userID, s.Ref)
		}
	case 3:
		_, err = m.Login(ctx, other.ID, userID, nil, phone)
		if err == nil {
			_, err = m.Revoke(ctx, userID, s.Ref)
		}
	case 4:
		// A rotation may have made another ID than this.
		if err = m.Delete(ctx, s.ID); err == nil {
			_, err = m.Revoke(ctx, userID, s.Ref)
		}
	}
	if err != nil {
		t.Error(err)
	}
	invalid("after the revoke")
	wg.Wait()
	invalid("after everything")
	if n, err := m.Count(ctx, userID); err != nil || n > 3 {
		t.Errorf("%d sessions, %v", n, err)
	}
}

func TestRevokingASessionThatIsWantedByManyEndsItOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		var d diary
		m := manager(t, c, session.Config{OnEvent: d.note})
		for range 20 {
			s := must(m.Create(t.Context(), "ada", ada, session.Device{Name: "a"}))(t)
			d.take()
			var wg sync.WaitGroup
			var ended [8]bool
			for i := range ended {
				wg.Go(func() {
					var err error
					if ended[i], err = m.Revoke(t.Context(), "ada", s.Ref); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			n := 0
			for _, e := range ended {
				if e {
					n++
				}
			}
			equal(t, "revokes that ended it", n, 1)
			d.told(t, "revoked revoked ada a")
		}
	})
}

// The same, when replies are lost all the time: what is repeated then, by whomever, comes late, and what is taken back was
// never there.
func TestSoakLostRepliesMakeNoRevokedSessionValidAgain(t *testing.T) {
	m, direct, proxy, c := lossy(t, session.Config{MaxPerUser: 3, OnLimit: session.EvictOldest, TouchFraction: -1})
	ctx := context.Background()
	end := make(chan struct{})
	var cutter sync.WaitGroup
	cutter.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond):
				proxy.CutAfterReplyBytes(rand.Int64N(600))
			}
		}
	})
	var interrupted atomic.Int64
	for range 20 * soak.Scale() {
		s := must(direct.Create(ctx, "ada", ada, phone))(t)
		var mu sync.Mutex
		ids := []session.ID{s.ID}
		known := func() session.ID {
			mu.Lock()
			defer mu.Unlock()
			return ids[rand.IntN(len(ids))]
		}
		expect := func(err error) {
			switch {
			case rediskit.IsUnavailable(err):
				interrupted.Add(1)
			case err != nil && !errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrConflict):
				t.Error(err)
			}
		}
		var wg sync.WaitGroup
		for _, action := range []func(){
			func() { expect(second(m.Get(ctx, known()))) },
			func() { expect(second(m.Touch(ctx, known()))) },
			func() { expect(second(m.SetTimeouts(ctx, known(), time.Hour, 0))) },
			func() {
				expect(second(m.Update(ctx, known(), func(v *Visit) error { v.Views++; return nil })))
			},
			func() { expect(second(m.Incr(ctx, known(), "views", 1))) },
			func() { expect(m.AddFlash(ctx, known(), "hello")) },
			func() {
				next, err := m.Rotate(ctx, known(), time.Minute)
				if expect(err); err == nil {
					mu.Lock()
					defer mu.Unlock()
					ids = append(ids, next)
				}
			},
			func() { expect(second(m.Create(ctx, "ada", ada, phone))) },
			func() { expect(second(m.Login(ctx, s.ID, "ada", nil, phone))) },
		} {
			wg.Go(action)
		}
		var err error
		if rand.IntN(2) == 0 {
			_, err = direct.Revoke(ctx, "ada", s.Ref)
		} else {
			for _, err = m.Revoke(ctx, "ada", s.Ref); rediskit.IsUnavailable(err); _, err = m.Revoke(ctx, "ada", s.Ref) {
				interrupted.Add(1)
			}
		}
		ok(t, err)
		gone(t, direct, s.ID)
		wg.Wait()
		for _, id := range ids {
			gone(t, direct, id)
		}
		if n := must(direct.Count(ctx, "ada"))(t); n > 3 {
			t.Errorf("there are %d sessions", n)
		}
	}
	close(end)
	cutter.Wait()
	consistent(t, c, direct.Keys(), 24*time.Hour)
	t.Logf("%d calls were interrupted", interrupted.Load())
}
