package hash_test

import (
	"math"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/rediskittest"
)

func TestArgumentsAreCheckedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	h := structs[user](t, c, time.Hour)
	c.Close() // what reaches the network fails otherwise
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	third := func(_, _ any, err error) error { return err }

	for op, err := range map[string]error{
		"hash.Set":          h.Set(ctx, "", ada),
		"hash.SetFields":    h.SetFields(ctx, "", ada, "name"),
		"hash.Create":       second(h.Create(ctx, "", ada)),
		"hash.Update":       second(h.Update(ctx, "", ada)),
		"hash.UpdateFields": second(h.UpdateFields(ctx, "", ada, "name")),
		"hash.Replace":      h.Replace(ctx, "", ada),
		"hash.SetNX":        second(h.SetNX(ctx, "", ada, "name")),
		"hash.Get":          third(h.Get(ctx, "")),
		"hash.GetFields":    third(h.GetFields(ctx, "", "name")),
		"hash.GetMany":      second(h.GetMany(ctx, "a", "")),
		"hash.Incr":         second(h.Incr(ctx, "", "visits", 1)),
		"hash.IncrFloat":    second(h.IncrFloat(ctx, "", "score", 1)),
		"hash.DelFields":    second(h.DelFields(ctx, "")),
		"hash.Exists":       second(h.Exists(ctx, "", "name")),
		"hash.Len":          second(h.Len(ctx, "")),
		"hash.Fields":       second(h.Fields(ctx, "")),
		"hash.Delete":       second(h.Delete(ctx, "a", "")),
		"hash.TTL":          third(h.TTL(ctx, "")),
		"hash.Expire":       second(h.Expire(ctx, "", time.Hour)),
		"hash.Persist":      second(h.Persist(ctx, "")),
	} {
		refused(t, err, op, "empty key")
	}
	for op, err := range map[string]error{
		"hash.SetFields":    h.SetFields(ctx, "k", ada, "name", "nmae"),
		"hash.UpdateFields": second(h.UpdateFields(ctx, "k", ada, "nmae")),
		"hash.SetNX":        second(h.SetNX(ctx, "k", ada, "nmae")),
		"hash.GetFields":    third(h.GetFields(ctx, "k", "nmae")),
		"hash.Incr":         second(h.Incr(ctx, "k", "nmae", 1)),
		"hash.IncrFloat":    second(h.IncrFloat(ctx, "k", "nmae", 1)),
		"hash.DelFields":    second(h.DelFields(ctx, "k", "nmae")),
		"hash.Exists":       second(h.Exists(ctx, "k", "nmae")),
	} {
		refused(t, err, op, `user has no field "nmae"`)
	}
	refused(t, second(h.Incr(ctx, "k", "score", 1)), "hash.Incr", "Score is not an integer")
	refused(t, second(h.IncrFloat(ctx, "k", "visits", 1)), "hash.IncrFloat", "Visits is not a float")
	for _, by := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		refused(t, second(h.IncrFloat(ctx, "k", "score", by)), "hash.IncrFloat", "increment is")
	}
	for _, ttl := range []time.Duration{0, -1, time.Microsecond} {
		refused(t, second(h.Expire(ctx, "k", ttl)), "hash.Expire", "at least 1ms")
	}
	refused(t, second(h.UpdateFields(ctx, "k", ada)), "hash.UpdateFields", "no fields")
	refused(t, third(h.GetFields(ctx, "k")), "hash.GetFields", "no fields")
}

func TestNothingToDoSendsNothing(t *testing.T) {
	c := rediskittest.Embedded(t)
	h := structs[user](t, c, time.Hour)
	c.Close()
	ctx := t.Context()
	ok(t, h.SetFields(ctx, "k", ada))
	n, err := h.DelFields(ctx, "k")
	ok(t, err)
	equal(t, "removed", n, 0)
	n, err = h.Delete(ctx)
	ok(t, err)
	equal(t, "deleted", n, 0)
	got, err := h.GetMany(ctx)
	ok(t, err)
	equal(t, "found", len(got), 0)
}
