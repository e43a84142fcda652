package fields

import (
	"errors"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/codec"
)

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
	p, err := Of(reflect.TypeFor[all]())
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
			var a, b Arguments
			a.Reset(0)
			b.Reset(0)
			if err := field.encode(&a, fv, c); err != nil {
				if field.form == formTime { // with a zone, the last hours of the year 9999 are those of 10000 in UTC
					continue
				}
				t.Fatalf("%s of %q was read and cannot be written: %v", field.name, s, err)
			}
			a.Finish()
			fv = reflect.ValueOf(&again).Elem().FieldByIndex(field.index)
			if err := field.decode(fv, a.List[0], c); err != nil {
				t.Fatalf("%s of %q was written as %q and cannot be read: %v", field.name, s, a.List[0], err)
			}
			if err := field.encode(&b, fv, c); err != nil {
				t.Fatal(err)
			}
			b.Finish()
			if a.List[0] != b.List[0] {
				t.Fatalf("%s of %q is %q, and then %q", field.name, s, a.List[0], b.List[0])
			}
		}
	})
}
