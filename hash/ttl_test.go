package hash_test

import (
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// views are both views on hashes, with the same fields.
type views struct {
	structs func(string) error
	maps    func(string) error
}

func TestEveryWriteSetsTheTTLAnew(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		h := structs[user](t, c, time.Hour)
		kept := structs[user](t, c, rediskit.NoTTL)
		m := mapsOf[string](t, c, time.Hour)
		keptMap := mapsOf[string](t, c, rediskit.NoTTL)
		second := func(_ any, err error) error { return err }

		for name, write := range map[string]views{
			"Set": {
				func(k string) error { return h.Set(ctx, k, ada) },
				func(k string) error { return m.Set(ctx, k, "f", "v") },
			},
			"SetFields, SetMany": {
				func(k string) error { return h.SetFields(ctx, k, ada, "name") },
				func(k string) error { return m.SetMany(ctx, k, map[string]string{"f": "v", "g": "w"}) },
			},
			"Replace": {
				func(k string) error { return h.Replace(ctx, k, ada) },
				func(k string) error { return m.Replace(ctx, k, map[string]string{"f": "v"}) },
			},
			"SetNX": {
				func(k string) error { return second(h.SetNX(ctx, k, ada, "email")) },
				func(k string) error { return second(m.SetNX(ctx, k, "email", "v")) },
			},
			"Incr": {
				func(k string) error { return second(h.Incr(ctx, k, "visits", 1)) },
				func(k string) error { return second(m.Incr(ctx, k, "visits", 1)) },
			},
			"IncrFloat": {
				func(k string) error { return second(h.IncrFloat(ctx, k, "score", 1)) },
				func(k string) error { return second(m.IncrFloat(ctx, k, "score", 1)) },
			},
		} {
			for i, f := range []func(string) error{write.structs, write.maps} {
				k := key(name) + []string{"/struct", "/map"}[i]
				ok(t, f(k))
				wantTTL(t, c, k, name+" of a new key", time.Hour)
				raw(t, c, "HSET", k, "visits", "1", "score", "1")
				raw(t, c, "HDEL", k, "email")
				for _, before := range []string{"7200000", "60000"} {
					raw(t, c, "PEXPIRE", k, before)
					raw(t, c, "HDEL", k, "email")
					ok(t, f(k))
					wantTTL(t, c, k, name+" of an old key", time.Hour)
				}
			}
		}

		for name, f := range map[string]func(k string) error{
			"Update":       func(k string) error { return second(h.Update(ctx, k, ada)) },
			"UpdateFields": func(k string) error { return second(h.UpdateFields(ctx, k, ada, "name")) },
			"DelFields":    func(k string) error { return second(h.DelFields(ctx, k, "name")) },
			"Map.DelFields": func(k string) error {
				return second(m.DelFields(ctx, k, "name"))
			},
		} {
			ok(t, kept.Set(ctx, key(name), ada))
			ok(t, f(key(name)))
			wantTTL(t, c, key(name), name, time.Hour)
		}

		for name, f := range map[string]func(k string) error{
			"Set":          func(k string) error { return kept.Set(ctx, k, user{}) },
			"SetFields":    func(k string) error { return kept.SetFields(ctx, k, user{}, "email", "name") },
			"Update":       func(k string) error { return second(kept.Update(ctx, k, user{})) },
			"UpdateFields": func(k string) error { return second(kept.UpdateFields(ctx, k, user{}, "name")) },
			"Replace":      func(k string) error { return kept.Replace(ctx, k, user{}) },
			"Map.Replace":  func(k string) error { return keptMap.Replace(ctx, k, map[string]string{"f": "v"}) },
			"Incr":         func(k string) error { return second(kept.Incr(ctx, k, "visits", -1)) },
			"IncrFloat":    func(k string) error { return second(kept.IncrFloat(ctx, k, "score", 1)) },
			"DelFields":    func(k string) error { return second(kept.DelFields(ctx, k, "name")) },
		} {
			k := key("kept " + name)
			ok(t, h.Set(ctx, k, ada))
			raw(t, c, "PEXPIRE", k, "7200000")
			ok(t, f(k))
			wantTTL(t, c, k, name+" with NoTTL", 2*time.Hour)
		}
	})
}

func TestACallThatFindsNothingToDoLeavesTheTTLAlone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		h := structs[user](t, c, time.Hour)
		ok(t, h.Set(ctx, key, user{Name: "Ada"}))
		raw(t, c, "PEXPIRE", key, "7200000")

		created, err := h.Create(ctx, key, ada)
		ok(t, err)
		set, err := h.SetNX(ctx, key, ada, "name")
		ok(t, err)
		removed, err := h.DelFields(ctx, key, "email", "age")
		ok(t, err)
		if created || set || removed != 0 {
			t.Fatalf("created %v, set %v, removed %d", created, set, removed)
		}
		wantTTL(t, c, key, "the TTL", 2*time.Hour)
	})
}

func TestTheTTLOfAKeyCanBeReadAndChanged(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		h := structs[user](t, c, time.Hour)
		ok(t, h.Set(ctx, key, ada))
		done, err := h.Expire(ctx, key, 2*time.Hour)
		ok(t, err)
		equal(t, "Expire", done, true)
		ttl, found, err := h.TTL(ctx, key)
		ok(t, err)
		if !found || ttl > 2*time.Hour || ttl < 119*time.Minute {
			t.Fatalf("TTL %v, %v", ttl, found)
		}
		for _, want := range []bool{true, false} {
			done, err = h.Persist(ctx, key)
			ok(t, err)
			equal(t, "Persist", done, want)
		}
		ttl, found, err = h.TTL(ctx, key)
		ok(t, err)
		if !found || ttl != rediskit.NoTTL {
			t.Fatalf("TTL %v, %v", ttl, found)
		}
		n, err := h.Delete(ctx, key)
		ok(t, err)
		equal(t, "deleted", n, 1)
	})
}

// wantTTL allows a minute for a slow test.
func wantTTL(t *testing.T, c *rediskit.Client, key, what string, want time.Duration) {
	t.Helper()
	ms, err := raw(t, c, "PTTL", key).AsInt64()
	ok(t, err)
	if got := time.Duration(ms) * time.Millisecond; got > want || got < want-time.Minute {
		t.Fatalf("%s: the key has %v left, want %v", what, got, want)
	}
}
