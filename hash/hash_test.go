package hash_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/rediskittest"
)

type user struct {
	Name   string    `redis:"name"`
	Email  string    `redis:"email,omitempty"`
	Visits int64     `redis:"visits"`
	Score  float64   `redis:"score"`
	Joined time.Time `redis:"joined"`
	Age    *int      `redis:"age"`
}

var ada = user{
	Name: "Ada", Email: "ada@example.com", Visits: 1<<53 + 1, Score: 0.1,
	Joined: time.Date(2024, 5, 17, 9, 30, 0, 123456789, time.UTC), Age: new(int),
}

func same(a, b user) bool { return reflect.DeepEqual(a, b) }

type level int

type color struct{ name string }

func (c color) MarshalText() ([]byte, error) { return []byte("#" + c.name), nil }

func (c *color) UnmarshalText(text []byte) error {
	if !strings.HasPrefix(string(text), "#") {
		return errors.New("no colour")
	}
	c.name = string(text[1:])
	return nil
}

type point struct{ X, Y int }

type base struct {
	ID    string
	point // its fields are the outer ones'
}

type everything struct {
	base
	Named    point `redis:"named"`
	Str      string
	Bytes    []byte
	Bool     bool
	Int      int
	Int8     int8
	Int64    int64
	Uint64   uint64
	Float32  float32
	Float64  float64
	Duration time.Duration
	Time     time.Time
	Level    level
	Color    color
	Big      *big.Int
	Addr     netip.Addr
	Slice    []string
	Array    [2]int
	Map      map[string]point
	PtrStr   *string
	PtrTime  *time.Time
	PtrSlice *[]int
	PtrPoint *point
	Skipped  chan int `redis:"-"`
	private  int
}

func everythingSet() everything {
	str, when, ints := "x\x00\xff", time.Unix(0, 1).UTC(), []int{1, 2}
	return everything{
		base:  base{ID: "id", point: point{1, 2}},
		Named: point{3, 4}, Str: "\xff\r\n$5", Bytes: []byte{0, 255, 13, 10}, Bool: true,
		Int: -1, Int8: -128, Int64: math.MinInt64, Uint64: math.MaxUint64,
		Float32: math.MaxFloat32, Float64: math.SmallestNonzeroFloat64, Duration: -time.Nanosecond,
		Time: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), Level: 7, Color: color{"red"},
		Big: new(big.Int).Lsh(big.NewInt(1), 200), Addr: netip.MustParseAddr("::1"),
		Slice: []string{"a", "b"}, Array: [2]int{5, 6}, Map: map[string]point{"p": {7, 8}},
		PtrStr: &str, PtrTime: &when, PtrSlice: &ints, PtrPoint: &point{9, 10},
	}
}

func TestAStructComesBackAsItWasSet(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("k")
		h := structs[everything](t, c, time.Hour)
		for _, want := range []everything{everythingSet(), {Bytes: []byte{}}} {
			ok(t, h.Set(t.Context(), key, want))
			got, found, err := h.Get(t.Context(), key)
			ok(t, err)
			equal(t, "found", found, true)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got  %+v\nwant %+v", got, want)
			}
		}
	})
}

func TestEveryTypeHasItsDocumentedFormInRedis(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("k")
		v := everythingSet()
		v.Skipped, v.private = make(chan int), 1
		ok(t, structs[everything](t, c, time.Hour).Set(t.Context(), key, v))
		want := map[string]string{
			"ID": "id", "X": "1", "Y": "2", "named": `{"X":3,"Y":4}`, "Str": "\xff\r\n$5", "Bytes": "\x00\xff\r\n",
			"Bool": "true", "Int": "-1", "Int8": "-128", "Int64": "-9223372036854775808",
			"Uint64": "18446744073709551615", "Float32": "3.4028235e+38", "Float64": "5e-324", "Duration": "-1",
			"Time": "9999-12-31T23:59:59.999999999Z", "Level": "7", "Color": "#red",
			"Big": "1606938044258990275541962092341162602522202993782792835301376", "Addr": "::1",
			"Slice": `["a","b"]`, "Array": "[5,6]", "Map": `{"p":{"X":7,"Y":8}}`, "PtrStr": "x\x00\xff",
			"PtrTime": "1970-01-01T00:00:00.000000001Z", "PtrSlice": "[1,2]", "PtrPoint": `{"X":9,"Y":10}`,
		}
		if got := content(t, c, key); !maps.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

func TestTimesAreKeptInUTC(t *testing.T) {
	c := rediskittest.Embedded(t)
	h := structs[user](t, c, time.Hour)
	there := time.Date(2024, 1, 1, 1, 0, 0, 0, time.FixedZone("east", 3600))
	ok(t, h.Set(t.Context(), "k", user{Joined: there}))
	equal(t, "stored", content(t, c, "k")["joined"], "2024-01-01T00:00:00Z")
	got, _, err := h.Get(t.Context(), "k")
	ok(t, err)
	equal(t, "read", got.Joined, there.UTC())

	refused(t, h.Set(t.Context(), "k", user{Joined: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}),
		"hash.Set", `field "joined"`, "10000")
}

func TestOmittedFieldsAreRemovedAndReadAsZero(t *testing.T) {
	type omits struct {
		Name  string         `redis:",omitempty"`
		N     int            `redis:"n,omitempty"`
		On    bool           `redis:"on,omitempty"`
		When  time.Time      `redis:"when,omitempty"`
		List  []int          `redis:"list,omitempty"`
		Map   map[string]int `redis:"map,omitempty"`
		Point point          `redis:"point,omitempty"`
		Ptr   *int           `redis:"ptr"`
		Kept  int            `redis:"kept"`
	}
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("k")
		h := structs[omits](t, c, time.Hour)
		one := 1
		full := omits{"a", 1, true, time.Unix(1, 0).UTC(), []int{1}, map[string]int{"a": 1}, point{1, 1}, &one, 1}
		ok(t, h.Set(t.Context(), key, full))
		raw(t, c, "HSET", key, "unknown", "stays")
		equal(t, "fields", len(content(t, c, key)), 10)

		// An empty list is omitted, and so is a zero time that has a zone.
		zeroTime := time.Time{}.In(time.FixedZone("east", 3600))
		ok(t, h.Set(t.Context(), key, omits{List: []int{}, Map: map[string]int{}, When: zeroTime}))
		if got := content(t, c, key); !maps.Equal(got, map[string]string{"kept": "0", "unknown": "stays"}) {
			t.Fatalf("left: %q", got)
		}
		got, found, err := h.Get(t.Context(), key)
		ok(t, err)
		if !found || !reflect.DeepEqual(got, omits{}) {
			t.Fatalf("got %+v, %v", got, found)
		}
	})
}

func TestAStructThatOmitsEverythingIsNoHash(t *testing.T) {
	type thin struct {
		A *int   `redis:"a"`
		B string `redis:"b,omitempty"`
	}
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[thin](t, c, ttl)
			ok(t, h.Set(t.Context(), key, thin{B: "b"}))
			ok(t, h.Set(t.Context(), key, thin{}))
			_, found, err := h.Get(t.Context(), key)
			ok(t, err)
			equal(t, "found", found, false)
			n, err := h.Len(t.Context(), key)
			ok(t, err)
			equal(t, "length", n, 0)
		}
	})
}

func TestWhatIsNotThereIsNotFoundAndNoError(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		h := structs[user](t, c, time.Hour)
		check := func(what string, found bool, err error) {
			t.Helper()
			ok(t, err)
			equal(t, what, found, false)
		}
		_, found, err := h.Get(ctx, key("none"))
		check("Get", found, err)
		_, found, err = h.GetFields(ctx, key("none"), "name")
		check("GetFields", found, err)
		found, err = h.Exists(ctx, key("none"), "name")
		check("Exists", found, err)
		_, found, err = h.TTL(ctx, key("none"))
		check("TTL", found, err)
		found, err = h.Expire(ctx, key("none"), time.Hour)
		check("Expire", found, err)
		found, err = h.Persist(ctx, key("none"))
		check("Persist", found, err)
		fields, err := h.Fields(ctx, key("none"))
		check("Fields", len(fields) != 0, err)
		n, err := h.DelFields(ctx, key("none"), "name", "email")
		check("DelFields", n != 0, err)
		n, err = h.Delete(ctx, key("none"))
		check("Delete", n != 0, err)

		raw(t, c, "HSET", key("others"), "unknown", "1")
		_, found, err = h.Get(ctx, key("others"))
		check("Get of a hash without fields of T", found, err)
	})
}

func TestFieldsThatAreNotThereAreZero(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("k")
		raw(t, c, "HSET", key, "name", "Ada")
		got, found, err := structs[user](t, c, time.Hour).Get(t.Context(), key)
		ok(t, err)
		if !found || !same(got, user{Name: "Ada"}) {
			t.Fatalf("got %+v, %v", got, found)
		}
	})
}

func TestPartialWritesTouchTheNamedFieldsOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		h := structs[user](t, c, time.Hour)
		ok(t, h.Set(ctx, key, ada))

		want := ada
		want.Name, want.Email = "Grace", ""
		ok(t, h.SetFields(ctx, key, user{Name: "Grace", Visits: -1}, "name", "email"))
		got, _, err := h.Get(ctx, key)
		ok(t, err)
		if !same(got, want) {
			t.Fatalf("after SetFields %+v", got)
		}

		want.Age = nil
		want.Score = 5
		done, err := h.UpdateFields(ctx, key, user{Score: 5}, "score", "age")
		ok(t, err)
		equal(t, "updated", done, true)
		got, _, err = h.Get(ctx, key)
		ok(t, err)
		if !same(got, want) {
			t.Fatalf("after UpdateFields %+v", got)
		}

		got, found, err := h.GetFields(ctx, key, "score", "name")
		ok(t, err)
		if !found || !same(got, user{Name: "Grace", Score: 5}) {
			t.Fatalf("GetFields: %+v, %v", got, found)
		}
	})
}

func TestUpdateNeverBringsBackWhatIsGone(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			h := structs[user](t, c, ttl)
			done, err := h.Update(ctx, key, ada)
			ok(t, err)
			equal(t, "Update", done, false)
			done, err = h.UpdateFields(ctx, key, ada, "name")
			ok(t, err)
			equal(t, "UpdateFields", done, false)
			n, err := h.Len(ctx, key)
			ok(t, err)
			equal(t, "length", n, 0)
		}
	})
}

func TestCreateNeverOverwrites(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[user](t, c, ttl)
			done, err := h.Create(ctx, key, ada)
			ok(t, err)
			equal(t, "first", done, true)
			done, err = h.Create(ctx, key, user{Name: "Eve"})
			ok(t, err)
			equal(t, "second", done, false)
			got, _, err := h.Get(ctx, key)
			ok(t, err)
			if !same(got, ada) {
				t.Fatalf("got %+v", got)
			}
			done, err = h.Update(ctx, key, user{Name: "Grace"})
			ok(t, err)
			equal(t, "Update", done, true)
			got, _, err = h.Get(ctx, key)
			ok(t, err)
			equal(t, "name", got.Name, "Grace")
		}
	})
}

func TestReplaceDropsUnknownFields(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[user](t, c, ttl)
			raw(t, c, "HSET", key, "unknown", "1", "email", "old")
			ok(t, h.Replace(ctx, key, user{Name: "Ada"}))
			fields, err := h.Fields(ctx, key)
			ok(t, err)
			slices.Sort(fields)
			if !slices.Equal(fields, []string{"joined", "name", "score", "visits"}) {
				t.Fatalf("fields %q", fields)
			}
		}
	})
}

func TestSetNXWritesAFieldOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[user](t, c, ttl)
			for i, want := range []bool{true, false} {
				done, err := h.SetNX(ctx, key, user{Visits: int64(i), Name: "x"}, "visits")
				ok(t, err)
				equal(t, "written", done, want)
			}
			if got := content(t, c, key); !maps.Equal(got, map[string]string{"visits": "0"}) {
				t.Fatalf("got %q", got)
			}
			_, err := h.SetNX(ctx, key, user{}, "age")
			refused(t, err, "hash.SetNX", `"age"`, "omitted")
		}
	})
}

func TestGetManyReadsKeysOfAnySlots(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		h := structs[user](t, c, time.Hour)
		var keys []string
		for i := range 50 {
			key := rediskittest.Keys(t)(fmt.Sprint(i)) // a slot of its own
			keys = append(keys, key)
			if i%2 == 0 {
				ok(t, h.Set(ctx, key, user{Visits: int64(i)}))
			}
		}
		got, err := h.GetMany(ctx, keys...)
		ok(t, err)
		equal(t, "found", len(got), 25)
		for i, key := range keys {
			if v, found := got[key]; found != (i%2 == 0) || found && v.Visits != int64(i) {
				t.Fatalf("key %d: %+v, %v", i, v, found)
			}
		}

		raw(t, c, "HSET", keys[3], "visits", "many")
		got, err = h.GetMany(ctx, keys...)
		refused(t, err, "hash.GetMany", keys[3], `field "visits"`)
		equal(t, "read besides the error", len(got), 25)

		n, err := h.Delete(ctx, keys...)
		ok(t, err)
		equal(t, "deleted", n, 26)
	})
}

func TestCountersAreExact(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[user](t, c, ttl)
			n, err := h.Incr(ctx, key, "visits", 1<<53+1)
			ok(t, err)
			equal(t, "beyond 53 bits", n, 1<<53+1)
			n, err = h.Incr(ctx, key, "visits", math.MaxInt64-(1<<53+1))
			ok(t, err)
			equal(t, "the largest", n, math.MaxInt64)
			n, err = h.Incr(ctx, key, "visits", math.MinInt64)
			ok(t, err)
			equal(t, "and the smallest added", n, -1)

			for range 3 {
				_, err = h.IncrFloat(ctx, key, "score", 0.1)
				ok(t, err)
			}
			got, _, err := h.Get(ctx, key)
			ok(t, err)
			equal(t, "sum of decimals", got.Score, 0.3)
			equal(t, "visits", got.Visits, -1)
		}
	})
}

func TestACounterThatWouldOverflowStays(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[user](t, c, ttl)
			_, err := h.Incr(ctx, key, "visits", math.MaxInt64)
			ok(t, err)
			_, err = h.Incr(ctx, key, "visits", 1)
			refused(t, err, "hash.Incr", "overflow")
			n, err := h.Incr(ctx, key, "visits", 0)
			ok(t, err)
			equal(t, "counter", n, math.MaxInt64)
		}
	})
}

func TestCountingWhatIsNoNumberChangesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		h := structs[user](t, c, time.Hour)
		raw(t, c, "HSET", key, "visits", "many", "score", "high")
		_, err := h.Incr(ctx, key, "visits", 1)
		refused(t, err, "hash.Incr", "not an integer")
		_, err = h.IncrFloat(ctx, key, "score", 1)
		refused(t, err, "hash.IncrFloat", "float")
		ttl, _, err := h.TTL(ctx, key)
		ok(t, err)
		equal(t, "TTL", ttl, rediskit.NoTTL)
	})
}

func TestAKeyOfAnotherTypeIsAnErrorAndStays(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
			key := rediskittest.Keys(t)("k")
			h := structs[user](t, c, ttl)
			m := mapsOf[string](t, c, ttl)
			raw(t, c, "SET", key, "text", "EX", "7200")
			_, _, getErr := h.Get(ctx, key)
			_, createErr := h.Create(ctx, key, ada)
			_, updateErr := h.Update(ctx, key, ada)
			_, setNXErr := h.SetNX(ctx, key, ada, "name")
			_, incrErr := h.Incr(ctx, key, "visits", 1)
			_, delErr := h.DelFields(ctx, key, "name")
			_, lenErr := h.Len(ctx, key)
			_, allErr := m.GetAll(ctx, key)
			_, valuesErr := m.Values(ctx, key)
			var walkErr error
			for _, walkErr = range m.All(ctx, key) {
			}
			for op, err := range map[string]error{
				"hash.Get": getErr, "hash.Set": h.Set(ctx, key, ada), "hash.Create": createErr, "hash.Update": updateErr,
				"hash.Replace": h.Replace(ctx, key, ada), "hash.SetNX": setNXErr, "hash.Incr": incrErr,
				"hash.DelFields": delErr, "hash.Len": lenErr, "hash.GetAll": allErr, "hash.Values": valuesErr, "hash.All": walkErr,
			} {
				refused(t, err, op, "WRONGTYPE", key)
			}
			text, err := raw(t, c, "GET", key).ToString()
			ok(t, err)
			equal(t, "value", text, "text")
		}
	})
}

func TestAValueThatCannotBeReadNamesItsField(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		h := structs[everything](t, c, time.Hour)
		for field, value := range map[string]string{
			"Bool": "2", "Int": "1.0", "Int8": "128", "Int64": "9223372036854775808", "Uint64": "-1",
			"Float64": "", "Float32": "1e39", "Duration": "1s", "Time": "yesterday", "Color": "red", "Big": "x", "Addr": "1.2.3",
			"named": "{", "Slice": "{}", "Array": "", "Map": "[", "PtrTime": "", "PtrSlice": "1",
			"Int ": "ignored", // not a field of the struct
		} {
			raw(t, c, "HSET", key(field), field, value)
			got, found, err := h.Get(ctx, key(field))
			if field == "Int " {
				ok(t, err)
				continue
			}
			refused(t, err, "hash.Get", fmt.Sprintf("field %q", field))
			if !errors.Is(err, codec.ErrCorrupt) {
				t.Fatalf("%s: %v is not ErrCorrupt", field, err)
			}
			if found || !reflect.DeepEqual(got, everything{}) {
				t.Fatalf("%s: got %+v with an error", field, got)
			}
		}
	})
}

func TestLargeAndHostileValuesComeBack(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		h := structs[user](t, c, time.Hour)
		large := strings.Repeat("\x00\xff\r\n*3$", 1<<20/7)
		for _, name := range []string{"", "\x00", "\r\n", "{}", large} {
			k := key("k" + name[:min(len(name), 20)])
			ok(t, h.Set(ctx, k, user{Name: name}))
			got, found, err := h.Get(ctx, k)
			ok(t, err)
			if !found || got.Name != name {
				t.Fatalf("%d bytes did not come back", len(name))
			}
		}
	})
}

func TestAnErrorOfTheServerIsUnwrapped(t *testing.T) {
	c := rediskittest.Embedded(t)
	h := structs[user](t, c, time.Hour)
	c.Close()
	err := h.Set(t.Context(), "k", ada)
	refused(t, err, "hash.Set")
	if !rediskit.IsUnavailable(err) || rediskit.MayHaveApplied(err) || !errors.Is(err, rediskit.ErrClosed) {
		t.Fatalf("%v is not taken for a closed client", err)
	}
}

func TestConcurrentCallersShareNothing(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	h := structs[everything](t, c, time.Hour)
	key := rediskittest.Keys(t)
	done := make(chan error)
	const workers = 8
	for w := range workers {
		go func() {
			k, v := key(fmt.Sprint(w)), everythingSet()
			v.Int, v.Str = w, strings.Repeat(fmt.Sprint(w), 100)
			for range 200 {
				if err := h.Set(t.Context(), k, v); err != nil {
					done <- err
					return
				}
				got, found, err := h.Get(t.Context(), k)
				if err == nil && (!found || !reflect.DeepEqual(got, v)) {
					err = fmt.Errorf("worker %d got %+v", w, got)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range workers {
		ok(t, <-done)
	}
}
