package hash_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/hash"
	"github.com/tickettoken/rediskit/rediskittest"
)

// hostile are field names and values that might be taken for something else.
var hostile = map[string]string{
	"": "", "\x00": "\xff", "\r\n": "$-1\r\n", "nx": "replace", "0": "0", "{a}": "*", " ": "\t",
	"large": strings.Repeat("\x00\r\n", 1<<20/3), strings.Repeat("f", 1<<20): "",
}

func TestAMapComesBackAsItWasSet(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			m := mapsOf[string](t, c, ttl)
			ok(t, m.SetMany(ctx, key, hostile))
			all, err := m.GetAll(ctx, key)
			ok(t, err)
			equal(t, "all are equal", maps.Equal(all, hostile), true)

			for field, want := range hostile {
				got, found, err := m.Get(ctx, key, field)
				ok(t, err)
				if !found || got != want {
					t.Fatalf("field %.20q is %.20q, %v", field, got, found)
				}
			}
			many, err := m.GetMany(ctx, key, "", "nx", "none", "nx")
			ok(t, err)
			equal(t, "GetMany", maps.Equal(many, map[string]string{"": "", "nx": "replace"}), true)

			fields, err := m.Fields(ctx, key)
			ok(t, err)
			slices.Sort(fields)
			equal(t, "Fields", slices.Equal(fields, slices.Sorted(maps.Keys(hostile))), true)
			values, err := m.Values(ctx, key)
			ok(t, err)
			slices.Sort(values)
			equal(t, "Values", slices.Equal(values, slices.Sorted(maps.Values(hostile))), true)
			walked := make(map[string]string)
			for e, err := range m.All(ctx, key) {
				ok(t, err)
				walked[e.Field] = e.Value
			}
			equal(t, "All", maps.Equal(walked, hostile), true)

			n, err := m.DelFields(ctx, key, "", "nx", "none")
			ok(t, err)
			equal(t, "removed", n, 2)
			found, err := m.Exists(ctx, key, "nx")
			ok(t, err)
			equal(t, "exists", found, false)
			n, err = m.Len(ctx, key)
			ok(t, err)
			equal(t, "length", n, int64(len(hostile)-2))
		}
	})
}

func TestOneCallMayCarryMoreThanAScriptUnpacks(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		m := mapsOf[int](t, c, time.Hour)
		want := make(map[string]int)
		for i := range 5_003 {
			want[fmt.Sprint("field", i)] = i
		}
		for _, write := range []func() error{
			func() error { return m.SetMany(ctx, key, want) },
			func() error { return m.Replace(ctx, key, want) },
		} {
			ok(t, write())
			got, err := m.GetAll(ctx, key)
			ok(t, err)
			equal(t, "all are equal", maps.Equal(got, want), true)
			got, err = m.GetMany(ctx, key, slices.Collect(maps.Keys(want))...)
			ok(t, err)
			equal(t, "GetMany", maps.Equal(got, want), true)
			walked := make(map[string]int)
			for e, err := range m.All(ctx, key) {
				ok(t, err)
				walked[e.Field] = e.Value
			}
			equal(t, "All", maps.Equal(walked, want), true)
			n, err := m.DelFields(ctx, key, slices.Collect(maps.Keys(want))...)
			ok(t, err)
			equal(t, "removed", n, int64(len(want)))
		}
	})
}

func TestAWalkMayBeLeft(t *testing.T) {
	c := rediskittest.Embedded(t)
	m := mapsOf[string](t, c, time.Hour)
	ok(t, m.SetMany(t.Context(), "k", map[string]string{"a": "1", "b": "2"}))
	n := 0
	for range m.All(t.Context(), "k") {
		n++
		break
	}
	equal(t, "entries", n, 1)
	for range m.All(t.Context(), "none") {
		t.Fatal("a hash that is not there has a field")
	}
}

func TestAMapsValuesPassThroughItsCodec(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		m, err := hash.NewMap(c, hash.MapConfig[point]{TTL: time.Hour, Codec: codec.MessagePack[point]()})
		ok(t, err)
		ok(t, m.Set(ctx, key, "p", point{1, 2}))
		raw(t, c, "HSET", key, "bad", "\xc1")
		got, found, err := m.Get(ctx, key, "p")
		ok(t, err)
		if !found || got != (point{1, 2}) {
			t.Fatalf("got %v, %v", got, found)
		}
		_, _, getErr := m.Get(ctx, key, "bad")
		_, manyErr := m.GetMany(ctx, key, "p", "bad")
		_, allErr := m.GetAll(ctx, key)
		_, valuesErr := m.Values(ctx, key)
		var walkErr error
		for _, err := range m.All(ctx, key) {
			walkErr = errors.Join(walkErr, err)
		}
		for op, err := range map[string]error{"Get": getErr, "GetMany": manyErr, "GetAll": allErr, "All": walkErr} {
			refused(t, err, "hash."+op, `field "bad"`)
		}
		for _, err := range []error{getErr, manyErr, allErr, valuesErr, walkErr} {
			if !errors.Is(err, codec.ErrCorrupt) {
				t.Fatalf("%v is not ErrCorrupt", err)
			}
		}
	})
}

func TestAStructsNestedFieldsPassThroughItsCodec(t *testing.T) {
	type S struct {
		Points []point
		Extra  map[string]any
		None   []int
		Ptr    *point
	}
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for name, cdc := range map[string]codec.Codec[any]{
			"MessagePack": codec.MessagePack[any](),
			"compressed":  codec.Compress(codec.JSON[any](), codec.Compression{Threshold: 1}),
		} {
			key := rediskittest.Keys(t)(name)
			h, err := hash.New[S](c, hash.Config{TTL: time.Hour, Codec: cdc})
			ok(t, err)
			want := S{Points: slices.Repeat([]point{{1, 2}}, 100), Extra: map[string]any{"a": "b"}, Ptr: &point{3, 4}}
			ok(t, h.Set(t.Context(), key, want))
			got, _, err := h.Get(t.Context(), key)
			ok(t, err)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: got %+v", name, got)
			}
		}
		h := structs[S](t, c, time.Hour)
		refused(t, h.Set(t.Context(), "k", S{Extra: map[string]any{"a": func() {}}}), "hash.Set", `field "Extra"`, "encode")
	})
}

func TestAMapWithoutValuesIsNoHash(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			m := mapsOf[string](t, c, ttl)
			ok(t, m.Set(ctx, key, "a", "1"))
			ok(t, m.SetMany(ctx, key, nil))
			n, err := m.Len(ctx, key)
			ok(t, err)
			equal(t, "length after SetMany of nothing", n, 1)
			ok(t, m.Replace(ctx, key, nil))
			_, found, err := m.TTL(ctx, key)
			ok(t, err)
			equal(t, "found after Replace by nothing", found, false)
			all, err := m.GetAll(ctx, key)
			ok(t, err)
			if all == nil || len(all) != 0 {
				t.Fatalf("GetAll returned %v", all)
			}
		}
	})
}

func TestAMapsArgumentsAreCheckedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	m := mapsOf[float64](t, c, time.Hour)
	c.Close()
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	third := func(_, _ any, err error) error { return err }
	var walkErr error
	for _, walkErr = range m.All(ctx, "") {
	}
	for op, err := range map[string]error{
		"Set": m.Set(ctx, "", "f", 1), "SetMany": m.SetMany(ctx, "", nil), "Replace": m.Replace(ctx, "", nil),
		"SetNX": second(m.SetNX(ctx, "", "f", 1)), "Get": third(m.Get(ctx, "", "f")), "GetMany": second(m.GetMany(ctx, "", "f")),
		"GetAll": second(m.GetAll(ctx, "")), "Values": second(m.Values(ctx, "")), "All": walkErr,
		"Incr": second(m.Incr(ctx, "", "f", 1)), "IncrFloat": second(m.IncrFloat(ctx, "", "f", 1)),
		"DelFields": second(m.DelFields(ctx, "", "f")), "Exists": second(m.Exists(ctx, "", "f")), "Len": second(m.Len(ctx, "")),
		"Fields": second(m.Fields(ctx, "")), "Delete": second(m.Delete(ctx, "")), "TTL": third(m.TTL(ctx, "")),
		"Expire": second(m.Expire(ctx, "", time.Hour)), "Persist": second(m.Persist(ctx, "")),
	} {
		refused(t, err, "hash."+op, "empty key")
	}
	nan := math.NaN()
	for op, err := range map[string]error{
		"Set": m.Set(ctx, "k", "f", nan), "SetMany": m.SetMany(ctx, "k", map[string]float64{"f": nan}),
		"Replace": m.Replace(ctx, "k", map[string]float64{"f": nan}), "SetNX": second(m.SetNX(ctx, "k", "f", nan)),
	} {
		refused(t, err, "hash."+op, `field "f"`, "encode")
	}
	refused(t, second(m.IncrFloat(ctx, "k", "f", nan)), "hash.IncrFloat", "increment is NaN")

	tooMany := make([]string, 1_000_001)
	refused(t, second(m.DelFields(ctx, "k", tooMany...)), "hash.DelFields", "at most 1000000")
	refused(t, second(m.GetMany(ctx, "k", tooMany...)), "hash.GetMany", "at most 1000000")
	values := make(map[string]float64)
	for i := range 499_999 {
		values[fmt.Sprint(i)] = 0
	}
	refused(t, m.SetMany(ctx, "k", values), "hash.SetMany", "at most 1000000")

	ok(t, m.SetMany(ctx, "k", nil))
	got, err := m.GetMany(ctx, "k")
	ok(t, err)
	equal(t, "found", len(got), 0)
}
