package hash_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
)

// faulty starts a server of the test's own and connects to it through a proxy.
func faulty(t *testing.T, args ...string) (*redistest.Server, *redistest.FaultProxy, *rediskit.Client) {
	t.Helper()
	s, err := redistest.StartServer(redistest.ServerConfig{Args: args})
	ok(t, err)
	t.Cleanup(func() { s.Close() })
	p, err := redistest.StartProxy(s.Addr())
	ok(t, err)
	t.Cleanup(func() { p.Close() })
	c, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{p.Addr()}})
	ok(t, err)
	t.Cleanup(c.Close)
	return s, p, c
}

func TestALostReplyNeverCountsTwice(t *testing.T) {
	s, p, c := faulty(t)
	ctx := t.Context()
	for name, ttl := range map[string]time.Duration{"script": time.Hour, "command": rediskit.NoTTL} {
		h := structs[user](t, c, ttl)
		m := mapsOf[int64](t, c, ttl)
		for field, incr := range map[string]func(key string) error{
			"visits": func(key string) error { _, err := h.Incr(ctx, key, "visits", 1); return err },
			"score":  func(key string) error { _, err := h.IncrFloat(ctx, key, "score", 1); return err },
			"map":    func(key string) error { _, err := m.Incr(ctx, key, "map", 1); return err },
		} {
			key := name + field
			ok(t, incr(key)) // the script is known now, so that the next reply is that of the increment
			const lost = 20
			for i := range lost {
				// Connections are made anew after each cut. Their greeting must pass.
				_, err := h.Len(ctx, key)
				ok(t, err)
				p.CutAfterReplyBytes(0)
				err = incr(key)
				if !rediskit.MayHaveApplied(err) {
					t.Fatalf("call %d: a lost reply gave %v", i, err)
				}
			}
			got, err := s.Do("HGET", key, field)
			ok(t, err)
			equal(t, key, got.(string), fmt.Sprint(1+lost))
		}
	}
}

func TestALostReplyOfAWriteThatMayBeRepeatedIsNotSeen(t *testing.T) {
	_, p, c := faulty(t)
	ctx := t.Context()
	for name, ttl := range map[string]time.Duration{"script": time.Hour, "command": rediskit.NoTTL} {
		h := structs[user](t, c, ttl)
		ok(t, h.Set(ctx, name, user{}))
		for _, write := range []func() error{
			func() error { return h.Set(ctx, name, ada) },
			func() error { return h.SetFields(ctx, name, ada, "name") },
			func() error { return h.Replace(ctx, name, ada) },
		} {
			p.CutAfterReplyBytes(0)
			ok(t, write())
			got, found, err := h.Get(ctx, name)
			ok(t, err)
			if !found || !same(got, ada) {
				t.Fatalf("got %+v, %v", got, found)
			}
		}
	}
}

func TestALostReplyOfAConditionalWriteIsReported(t *testing.T) {
	_, p, c := faulty(t)
	ctx := t.Context()
	h := structs[user](t, c, time.Hour)
	second := func(_ any, err error) error { return err }
	for name, write := range map[string]func() error{
		"Create":       func() error { return second(h.Create(ctx, "create", ada)) },
		"Update":       func() error { return second(h.Update(ctx, "k", ada)) },
		"UpdateFields": func() error { return second(h.UpdateFields(ctx, "k", ada, "name")) },
		"SetNX":        func() error { return second(h.SetNX(ctx, "k", ada, "age")) },
		"DelFields":    func() error { return second(h.DelFields(ctx, "k", "email")) },
		"Delete":       func() error { return second(h.Delete(ctx, "gone")) },
		"Persist":      func() error { return second(h.Persist(ctx, "k")) },
	} {
		ok(t, write()) // the script is known now
		p.CutAfterReplyBytes(0)
		err := write()
		if !rediskit.MayHaveApplied(err) {
			t.Fatalf("%s: a lost reply gave %v", name, err)
		}
	}
}

func TestAWalkOverAHashMissesNothingWhenItsServerRestarts(t *testing.T) {
	// The server comes back with the same data in another order.
	s, _, c := faulty(t, "--appendonly", "yes")
	m := mapsOf[int](t, c, rediskit.NoTTL)
	const fields = 5000
	values := make(map[string]int, fields)
	for i := range fields {
		values[fmt.Sprint("field", i)] = i
	}
	ok(t, m.SetMany(t.Context(), "k", values))
	seen := make(map[string]int, fields)
	n := 0
	for e, err := range m.All(t.Context(), "k") {
		ok(t, err)
		seen[e.Field] = e.Value
		if n++; n == fields/2 {
			ok(t, s.Restart())
		}
	}
	equal(t, "fields seen", len(seen), fields)
}
