package hash

import (
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/embedded"
)

// six is a struct of the usual size, with text and without.
type six struct {
	ID      int64     `redis:"id"`
	Name    string    `redis:"name"`
	Email   string    `redis:"email,omitempty"`
	Active  bool      `redis:"active"`
	Score   float64   `redis:"score"`
	Created time.Time `redis:"created"`
}

func newSix(t *testing.T) *Hash[six] {
	t.Helper()
	s, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h, err := New[six](s.Client(), Config{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var ada = six{1234567, "Ada", "ada@example.com", true, 99.25, time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)}

func TestMappingAStructToArgumentsAllocatesOnce(t *testing.T) {
	h := newSix(t)
	s := h.scratch()
	n := testing.AllocsPerRun(1000, func() {
		s.args.reset()
		if err := h.encode(s, ada, nil); err != nil || s.args.finish() != 12 {
			t.Fatal(err)
		}
	})
	if n > 1 { // the text of all numbers and times, which the connection may keep
		t.Fatalf("%v allocations, want 1", n)
	}
}

func TestMappingAReplyToAStructAllocatesNothing(t *testing.T) {
	h := newSix(t)
	if err := h.Set(t.Context(), "k", ada); err != nil {
		t.Fatal(err)
	}
	msgs, err := h.store.mget(t.Context(), "k", h.plan.names)
	if err != nil {
		t.Fatal(err)
	}
	s := h.scratch()
	n := testing.AllocsPerRun(1000, func() {
		if v, found, err := h.decode(s, msgs, 6, nil); v != ada || !found || err != nil {
			t.Fatal(v, found, err)
		}
	})
	if n > 0 {
		t.Fatalf("%v allocations, want none", n)
	}
}

func TestNothingOfACallStaysInItsWorkingMemory(t *testing.T) {
	h := newSix(t)
	s := h.scratch()
	if err := h.encode(s, ada, nil); err != nil {
		t.Fatal(err)
	}
	s.args.finish()
	list := s.args.list
	h.free(s)
	if s.v != (six{}) {
		t.Fatalf("kept %+v", s.v)
	}
	for i, arg := range list {
		if arg != "" {
			t.Fatalf("argument %d is still %q", i, arg)
		}
	}
}

func TestAReplyOfAnotherLengthIsAnError(t *testing.T) {
	h := newSix(t)
	s := h.scratch()
	defer h.free(s)
	if _, _, err := h.decode(s, make([]rueidis.RedisMessage, 5), 6, nil); !errors.Is(err, errReply) {
		t.Fatalf("got %v", err)
	}
}

type shade struct{ Value uint8 }

// FuzzDecode gives a value to a field of each type. What can be read must come back the same once it is written.
func FuzzDecode(f *testing.F) {
	type all struct {
		String   string
		Bool     bool
		Int8     int8
		Int64    int64
		Uint64   uint64
		Float32  float32
		Float64  float64
		Duration time.Duration
		Time     time.Time
		Big      big.Int
		Slice    []shade
		Map      map[string]*shade
		Struct   shade
	}
	p, err := planOf(reflect.TypeFor[all]())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		"", "0", "-1", "true", "1e999", "NaN", "0x1p-2", "9223372036854775808", "2024-01-02T03:04:05.999999999+23:59",
		"0000-01-01T00:00:00+23:59", "2024-01-02t03:04:05z", `[{"Value":255}]`, `{"a":null}`, "null", "\xff", "_1",
	} {
		f.Add(s)
	}
	c := codec.JSON[any]()
	f.Fuzz(func(t *testing.T, s string) {
		for i := range p.fields {
			field := &p.fields[i]
			var v, again all
			fv := reflect.ValueOf(&v).Elem().FieldByIndex(field.index)
			if err := field.decode(fv, s, c); err != nil {
				if !errors.Is(err, codec.ErrCorrupt) {
					t.Fatalf("%s of %q: %v is not ErrCorrupt", field.name, s, err)
				}
				continue
			}
			var a, b arguments
			a.reset()
			b.reset()
			if err := field.encode(&a, fv, c); err != nil {
				if field.form == formTime { // with a zone, the last hours of the year 9999 are those of 10000 in UTC
					continue
				}
				t.Fatalf("%s of %q was read and cannot be written: %v", field.name, s, err)
			}
			a.finish()
			fv = reflect.ValueOf(&again).Elem().FieldByIndex(field.index)
			if err := field.decode(fv, a.list[header], c); err != nil {
				t.Fatalf("%s of %q was written as %q and cannot be read: %v", field.name, s, a.list[header], err)
			}
			if err := field.encode(&b, fv, c); err != nil {
				t.Fatal(err)
			}
			b.finish()
			if a.list[header] != b.list[header] {
				t.Fatalf("%s of %q is %q, and then %q", field.name, s, a.list[header], b.list[header])
			}
		}
	})
}
