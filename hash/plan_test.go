package hash_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/hash"
	"github.com/tickettoken/rediskit/rediskittest"
)

type halfText struct{ A int }

func (halfText) MarshalText() ([]byte, error) { return nil, nil }

type stamp time.Time // without the methods of a time

type inner struct {
	Good int
	Bad  chan int
}

func TestNewNamesTheFieldThatCannotBeKept(t *testing.T) {
	c := rediskittest.Embedded(t)
	second := func(_ any, err error) error { return err }
	cfg := hash.Config{TTL: time.Hour}
	for says, err := range map[string]error{
		".A: type chan int: a chan":                 second(hash.New[struct{ A chan int }](c, cfg)),
		".A: type func()":                           second(hash.New[struct{ A func() }](c, cfg)),
		".A: type interface {}":                     second(hash.New[struct{ A any }](c, cfg)),
		".A: type complex64":                        second(hash.New[struct{ A complex64 }](c, cfg)),
		".A: type uintptr":                          second(hash.New[struct{ A uintptr }](c, cfg)),
		".A: type **int: a pointer to a pointer":    second(hash.New[struct{ A **int }](c, cfg)),
		".A: type []chan int: a chan":               second(hash.New[struct{ A []chan int }](c, cfg)),
		".A: type map[string]func(): a func":        second(hash.New[struct{ A map[string]func() }](c, cfg)),
		".A: type sync.Mutex: no exported fields":   second(hash.New[struct{ A sync.Mutex }](c, cfg)),
		".A: type hash_test.stamp: no exported":     second(hash.New[struct{ A stamp }](c, cfg)),
		".A: type *hash_test.halfText: only one of": second(hash.New[struct{ A *halfText }](c, cfg)),
		".inner.Bad: type chan int":                 second(hash.New[struct{ inner }](c, cfg)),
		".inner: an embedded pointer":               second(hash.New[struct{ *inner }](c, cfg)),
		".point: omitempty on an embedded struct": second(hash.New[struct {
			point `redis:",omitempty"`
		}](c, cfg)),
		`.A: unknown option "omitzero"`: second(hash.New[struct {
			A int `redis:"a,omitzero"`
		}](c, cfg)),
		".A and struct { A int \"redis:\\\"b\\\"\"; B int \"redis:\\\"b\\\"\" }.B are both named \"b\"": second(hash.New[struct {
			A int `redis:"b"`
			B int `redis:"b"`
		}](c, cfg)),
		`are both named "X"`: second(hash.New[struct {
			point
			X int
		}](c, cfg)),
		".a: has a redis tag": second(hash.New[struct {
			a int `redis:"a"`
			B int
		}](c, cfg)),
		".point: has a redis tag and is not exp": second(hash.New[struct {
			point `redis:"p"`
		}](c, cfg)),
		"has no fields":        second(hash.New[struct{ a int }](c, cfg)),
		"time.Time has no":     second(hash.New[time.Time](c, cfg)),
		"int is not a struct":  second(hash.New[int](c, cfg)),
		"*hash_test.user is n": second(hash.New[*user](c, cfg)),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "hash: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	c := rediskittest.Embedded(t)
	second := func(_ any, err error) error { return err }
	for says, err := range map[string]error{
		"hash: client is nil":             second(hash.New[user](nil, hash.Config{TTL: time.Hour})),
		"hash: Config.TTL is not set":     second(hash.New[user](c, hash.Config{})),
		"hash: Config.TTL is 1µs":         second(hash.New[user](c, hash.Config{TTL: time.Microsecond})),
		"hash: Config.TTL is -2ns":        second(hash.NewMap(c, hash.MapConfig[int]{TTL: -2})),
		"hash: Config.TTL is not set: gi": second(hash.NewMap(c, hash.MapConfig[int]{})),
		"hash: client is":                 second(hash.NewMap(nil, hash.MapConfig[int]{TTL: time.Hour})),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

func TestAnEmbeddedStructMayHaveANameOrAFormOfItsOwn(t *testing.T) {
	c := rediskittest.Embedded(t)
	type Point struct{ X, Y int }
	type Named struct {
		Point `redis:"at"`
		time.Time
	}
	h := structs[Named](t, c, rediskit.NoTTL)
	want := Named{Point{1, 2}, time.Unix(1, 0).UTC()}
	ok(t, h.Set(t.Context(), "k", want))
	stored := content(t, c, "k")
	equal(t, "at", stored["at"], `{"X":1,"Y":2}`)
	equal(t, "Time", stored["Time"], "1970-01-01T00:00:01Z")
	got, _, err := h.Get(t.Context(), "k")
	ok(t, err)
	equal(t, "read", got, want)
}
