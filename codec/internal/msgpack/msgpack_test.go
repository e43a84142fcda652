package msgpack

import (
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func encode[T any](t testing.TB, v T) string {
	t.Helper()
	b, err := new(Types).Append(nil, &v)
	if err != nil {
		t.Fatalf("Append(%#v): %v", v, err)
	}
	return string(b)
}

func decode[T any](data string) (T, error) {
	var v T
	err := new(Types).Decode(data, &v)
	return v, err
}

func TestBytesOnTheWireAreThoseOfTheSpecification(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string // hexadecimal
	}{
		{nil, "c0"},
		{false, "c2"},
		{true, "c3"},
		{0, "00"},
		{127, "7f"},
		{128, "cc80"},
		{255, "ccff"},
		{256, "cd0100"},
		{65535, "cdffff"},
		{65536, "ce00010000"},
		{uint32(math.MaxUint32), "ceffffffff"},
		{int64(math.MaxUint32 + 1), "cf0000000100000000"},
		{uint64(math.MaxUint64), "cfffffffffffffffff"},
		{-1, "ff"},
		{-32, "e0"},
		{-33, "d0df"},
		{-128, "d080"},
		{-129, "d1ff7f"},
		{-32768, "d18000"},
		{-32769, "d2ffff7fff"},
		{math.MinInt32, "d280000000"},
		{int64(math.MinInt32 - 1), "d3ffffffff7fffffff"},
		{int64(math.MinInt64), "d38000000000000000"},
		{float32(1.5), "ca3fc00000"},
		{1.5, "cb3ff8000000000000"},
		{"", "a0"},
		{"abc", "a3616263"},
		{strings.Repeat("x", 31), "bf" + strings.Repeat("78", 31)},
		{strings.Repeat("x", 32), "d920" + strings.Repeat("78", 32)},
		{strings.Repeat("x", 256), "da0100" + strings.Repeat("78", 256)},
		{strings.Repeat("x", 65536), "db00010000" + strings.Repeat("78", 65536)},
		{[]byte{1, 2}, "c4020102"},
		{[2]byte{1, 2}, "c4020102"},
		{make([]byte, 256), "c50100" + strings.Repeat("00", 256)},
		{make([]byte, 65536), "c600010000" + strings.Repeat("00", 65536)},
		{[]int{1, 2}, "920102"},
		{make([]int, 16), "dc0010" + strings.Repeat("00", 16)},
		{make([]int, 65536), "dd00010000" + strings.Repeat("00", 65536)},
		{map[string]int{"b": 2, "a": 1}, "82a16101a16202"},
		{time.Unix(1, 0), "d6ff00000001"},
		{time.Unix(1, 1), "d7ff0000000400000001"},
		{time.Unix(-1, 1), "c70cff00000001ffffffffffffffff"},
		{time.Unix(1<<34, 0), "c70cff000000000000000400000000"},
		{time.Second, "ce3b9aca00"},
		{struct {
			A int    `msgpack:"b"`
			C string `json:"d,omitempty"`
		}{A: 1}, "81a16201"},
	} {
		if got := hex.EncodeToString([]byte(encode(t, row.value))); got != row.want {
			t.Errorf("%T %.40v is %.80s, want %.80s", row.value, row.value, got, row.want)
		}
	}
}

func TestBigCountsOfMapsRoundTrip(t *testing.T) {
	for _, n := range []int{15, 16, 65535, 65536} {
		m := make(map[int]bool, n)
		for i := range n {
			m[i] = true
		}
		got, err := decode[map[int]bool](encode(t, m))
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("a map of %d: %d entries, %v", n, len(got), err)
		}
	}
}

type embedded struct {
	E     int
	When  time.Time
	Where netip.Addr
}

type Pointed struct{ P string }

type hidden struct{ H int }

type text struct{ s string }

func (x text) MarshalText() ([]byte, error)  { return []byte("<" + x.s + ">"), nil }
func (x *text) UnmarshalText(b []byte) error { x.s = strings.Trim(string(b), "<>"); return nil }

type everything struct {
	Bool     bool
	Int      int
	Int8     int8
	Int64    int64
	Uint16   uint16
	Uint64   uint64
	Float32  float32
	Float64  float64
	String   string
	Bytes    []byte
	Array    [3]byte
	Ints     []int
	Pair     [2]string
	Map      map[string]int
	Numbered map[int16][]string
	ByText   map[text]bool
	Pointer  *int
	Nested   *everything
	Time     time.Time
	Duration time.Duration
	Addr     netip.Addr // binary, with a pointer receiver to read
	Big      *big.Int   // text
	Text     text
	Any      any
	Anys     []any
	Keyed    int       `json:"keyed,omitempty"`
	Zero     time.Time `json:",omitzero"`
	Not      string    `json:"-"`
	secret   int
	embedded
	*Pointed
	hidden `msgpack:"-"`
}

func full() everything {
	seven := 7
	inner := everything{String: "inner", Addr: netip.MustParseAddr("::1")}
	return everything{
		Bool: true, Int: -5, Int8: -128, Int64: math.MinInt64, Uint16: 65535, Uint64: math.MaxUint64,
		Float32: 0.5, Float64: math.Pi, String: "grüß\xff", Bytes: []byte{0, 255}, Array: [3]byte{1, 2, 3},
		Ints: []int{}, Pair: [2]string{"a", ""}, Map: map[string]int{"x": 1, "": 2},
		Numbered: map[int16][]string{-3: {"y"}, 4: nil}, ByText: map[text]bool{{"k"}: true}, Pointer: &seven,
		Nested: &inner, Time: time.Unix(-62135596800, 999).UTC(), Duration: time.Hour, Addr: netip.MustParseAddr("1.2.3.4"),
		Big: big.NewInt(-77), Text: text{"t"}, Any: map[string]any{"l": []any{int64(1), nil, true, 2.5, []byte("b")}},
		Anys: []any{uint64(math.MaxUint64), time.Unix(5, 0).UTC()}, Keyed: 1,
		embedded: embedded{E: 8, When: time.Unix(9, 0).UTC(), Where: netip.MustParseAddr("9.9.9.9")}, Pointed: &Pointed{"p"},
	}
}

func TestEveryKindOfFieldRoundTrips(t *testing.T) {
	want := full()
	got, err := decode[everything](encode(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestZeroValueRoundTrips(t *testing.T) {
	got, err := decode[everything](encode(t, everything{}))
	if err != nil || !reflect.DeepEqual(got, everything{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTaggedOutAndUnexportedFieldsAreNotWritten(t *testing.T) {
	v := full()
	v.Not, v.secret, v.hidden.H = "not", 1, 2
	s := encode(t, v)
	for _, name := range []string{"\xa3Not", "secret", "\xa1H", "Zero", "Pointed"} {
		if strings.Contains(s, name) {
			t.Errorf("%q is written", name)
		}
	}
	for _, name := range []string{"\xa1E\x08", "\xa1P\xa1p", "\xa5keyed\x01"} {
		if !strings.Contains(s, name) {
			t.Errorf("%q is not written", name)
		}
	}
}

func TestOmitEmptyAndOmitZeroAreThoseOfJSON(t *testing.T) {
	type options struct {
		A int             `msgpack:"a,omitempty"`
		B []int           `msgpack:"b,omitempty"`
		C map[string]int  `msgpack:"c,omitempty"`
		D *int            `msgpack:"d,omitempty"`
		E any             `msgpack:"e,omitempty"`
		F time.Time       `msgpack:"f,omitempty"` // structs are never empty
		G time.Time       `msgpack:"g,omitzero"`
		H netip.Addr      `msgpack:"h,omitzero"`
		I *time.Time      `msgpack:"i,omitzero"`
		J struct{ X int } `msgpack:"j,omitzero"`
	}
	if got, want := encode(t, options{}), "\x81\xa1f"+encode(t, time.Time{}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	one := 1
	v := options{1, []int{1}, map[string]int{"": 1}, &one, int64(1), time.Time{}, time.Unix(1, 0).UTC(),
		netip.MustParseAddr("::"), new(time.Time), struct{ X int }{1}}
	if got, err := decode[options](encode(t, v)); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestShallowerFieldHidesDeeperOneOfTheSameName(t *testing.T) {
	type deep struct{ A, B int }
	type outer struct {
		deep
		A int
	}
	want := outer{deep{1, 2}, 3}
	got, err := decode[outer](encode(t, want))
	want.deep.A = 0
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStructThatEmbedsItselfIsUnderstood(t *testing.T) {
	type Self struct {
		*Self
		N int
	}
	got, err := decode[Self](encode(t, Self{N: 4}))
	if err != nil || got.N != 4 || got.Self != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRecursiveTypesRoundTrip(t *testing.T) {
	type tree map[string]tree
	want := tree{"a": {"b": {}, "c": nil}}
	if got, err := decode[tree](encode(t, want)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestMethodsWithPointerReceiversAreUsedInMapsAndInterfaces(t *testing.T) {
	type onPointer struct{ big.Int } // promotes MarshalText with a pointer receiver
	n := onPointer{*big.NewInt(12)}
	for name, s := range map[string]string{
		"map":       encode(t, map[string]onPointer{"k": n})[3:],
		"interface": encode[any](t, n),
		"value":     encode(t, n),
	} {
		if s != "\xa212" {
			t.Errorf("in a %s: %q", name, s)
		}
	}
}

func TestTypesThatWouldLoseTheirContentAreErrors(t *testing.T) {
	type twice struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}
	for _, v := range []any{
		make(chan int), func() {}, complex(1, 2), []any{make(chan int)}, map[string]any{"f": func() {}},
		struct{ N *atomic.Int64 }{new(atomic.Int64)}, twice{},
	} {
		if b, err := new(Types).Append(nil, &v); err == nil {
			t.Errorf("%T is written as %q", v, b)
		}
	}
	if v, err := decode[chan int]("\xc0"); err == nil {
		t.Errorf("a channel is read: %v", v)
	}
	if v, err := decode[struct{ N atomic.Int64 }]("\x81\xa1N\x01"); err == nil {
		t.Errorf("an atomic.Int64 is read: %v", v.N.Load())
	}
}

func TestErrorsOfMarshalersAreReturned(t *testing.T) {
	v := []any{failing{}}
	if _, err := new(Types).Append(nil, &v); !errors.Is(err, errMethod) {
		t.Errorf("Append: %v", err)
	}
	if _, err := decode[failing]("\xa1x"); !errors.Is(err, errMethod) {
		t.Errorf("Decode: %v", err)
	}
}

var errMethod = errors.New("from the method")

type failing struct{}

func (failing) MarshalBinary() ([]byte, error)  { return nil, errMethod }
func (*failing) UnmarshalBinary(b []byte) error { return errMethod }

func TestValueThatContainsItselfIsAnError(t *testing.T) {
	type node struct{ Next *node }
	n := new(node)
	n.Next = n
	m := map[string]any{}
	m["m"] = m
	var p any
	p = &p
	for _, v := range []any{n, m, p} {
		if _, err := new(Types).Append(nil, &v); !errors.Is(err, errTooDeep) {
			t.Errorf("%T: %v", v, err)
		}
	}
	if err := new(Types).Decode("\x01", p); !errors.Is(err, errTooDeep) {
		t.Errorf("reading into it: %v", err)
	}
}

func TestNumbersThatDoNotFitAreErrors(t *testing.T) {
	for _, err := range []error{
		second(decode[int8](encode(t, 128))),
		second(decode[int8](encode(t, -129))),
		second(decode[uint8](encode(t, 256))),
		second(decode[uint](encode(t, -1))),
		second(decode[int64](encode(t, uint64(math.MaxInt64+1)))),
		second(decode[float32](encode(t, 1e300))),
		second(decode[int](encode(t, 1.0))),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestNumbersAreReadFromEveryFormTheyFit(t *testing.T) {
	for _, s := range []string{"\x07", "\xcc\x07", "\xcd\x00\x07", "\xd0\x07", "\xd3\x00\x00\x00\x00\x00\x00\x00\x07"} {
		i, err1 := decode[int8](s)
		u, err2 := decode[uint64](s)
		f, err3 := decode[float32](s)
		if err := errors.Join(err1, err2, err3); err != nil || i != 7 || u != 7 || f != 7 {
			t.Errorf("%x: %v %v %v %v", s, i, u, f, err)
		}
	}
	if f, err := decode[float64]("\xca\x3f\xc0\x00\x00"); err != nil || f != 1.5 {
		t.Errorf("float32 into float64: %v, %v", f, err)
	}
	if f, err := decode[float64]("\xff"); err != nil || f != -1 {
		t.Errorf("-1 into float64: %v, %v", f, err)
	}
}

func TestStringsAndBytesAreReadAsEachOther(t *testing.T) {
	s, err1 := decode[string]("\xc4\x02hi")
	b, err2 := decode[[]byte]("\xa2hi")
	a, err3 := decode[[2]byte]("\x92\x01\x02")
	if err := errors.Join(err1, err2, err3); err != nil || s != "hi" || string(b) != "hi" || a != [2]byte{1, 2} {
		t.Errorf("%q %q %v %v", s, b, a, err)
	}
}

func TestUnknownFieldsAreSkippedWhateverTheyHold(t *testing.T) {
	type wide struct {
		A everything
		B []any
		C map[text]time.Time
		D int
	}
	type narrow struct{ D int }
	s := encode(t, wide{A: full(), B: []any{[]any{map[string]any{"x": nil}}}, C: map[text]time.Time{{}: {}}, D: 9})
	if got, err := decode[narrow](s); err != nil || got.D != 9 {
		t.Errorf("%+v, %v", got, err)
	}
	// Keys that are no names, too: [1, [2]] and 5.
	if got, err := decode[narrow]("\x83\x92\x01\x91\x02\x03\x05\xc0\xa1D\x09"); err != nil || got.D != 9 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestInterfaceThatHoldsAPointerIsReadIntoIt(t *testing.T) {
	var got everything
	var target any = &got
	if err := new(Types).Decode(encode(t, full()), &target); err != nil || !reflect.DeepEqual(got, full()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSameTypesServeConcurrentCallers(t *testing.T) {
	var ts Types
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			v, got := full(), everything{}
			b, err := ts.Append(nil, &v)
			if err == nil {
				err = ts.Decode(string(b), &got)
			}
			if err != nil || !reflect.DeepEqual(got, v) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestBytesThatAreNoValueAreErrors(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":                       "",
		"the byte that is never used":   "\xc1",
		"more than a value":             "\x01\x02",
		"half an integer":               "\xcd\x01",
		"a string cut short":            "\xa5abc",
		"a length cut short":            "\xdb\x00\x00",
		"an array cut short":            "\x93\x01\x02",
		"a map cut short":               "\x81\xa1a",
		"a string of 4 GiB":             "\xdb\xff\xff\xff\xff",
		"bytes of 4 GiB":                "\xc6\xff\xff\xff\xff",
		"an extension of 4 GiB":         "\xc9\xff\xff\xff\xff\xff",
		"an array of 4 G elements":      "\xdd\xff\xff\xff\xff",
		"a map of 4 G entries":          "\xdf\xff\xff\xff\xff",
		"an unknown extension":          "\xd4\x05\x00",
		"a timestamp of odd length":     "\xd4\xff\x00",
		"a timestamp of 2 s of nanos":   "\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"a nameless map with array key": "\x81\x90\x01",
		"endless nesting":               strings.Repeat("\x91", 1_000_000),
		"endless nesting of maps":       strings.Repeat("\x81\xa0", 1_000_000),
	} {
		if v, err := decode[any](s); err == nil {
			t.Errorf("%s is read as %v", name, v)
		}
		// The same where nobody wants to know.
		_, err := decode[struct{ A int }]("\x81\xa1x" + s)
		switch name {
		case "more than a value", "an unknown extension", "a timestamp of odd length", "a timestamp of 2 s of nanos",
			"a nameless map with array key": // which do not matter to those who skip them
			if name != "more than a value" && err != nil {
				t.Errorf("%s is not skipped: %v", name, err)
			}
		default:
			if err == nil {
				t.Errorf("%s is skipped", name)
			}
		}
	}
}

func TestValueOfAnotherKindIsAnError(t *testing.T) {
	for _, err := range []error{
		second(decode[bool]("\x01")),
		second(decode[int]("\xa11")),
		second(decode[string]("\x01")),
		second(decode[[]int]("\x80")),
		second(decode[[]int]("\xa1x")),
		second(decode[[2]int]("\x93\x01\x02\x03")),
		second(decode[[2]byte]("\xc4\x03abc")),
		second(decode[map[string]int]("\x90")),
		second(decode[everything]("\x90")),
		second(decode[time.Time]("\x01")),
		second(decode[text]("\x01")),
		second(decode[netip.Addr]("\xc4\x03abc")),
		second(decode[error]("\x01")),
		second(decode[map[any]int]("\x81\x90\x01")),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
}

func TestFalseLengthsInsideOneAnotherDoNotMultiply(t *testing.T) {
	// Each of 1,000 nested arrays claims as many elements as bytes follow; believed one by one, they would take a
	// thousand times the memory of the data's own size.
	const levels, padding = 1000, 100_000
	s := strings.Repeat("\xdd\x00\x01\x00\x00", levels) + strings.Repeat("\x00", padding)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := decode[any](s)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("no error")
	}
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(32*len(s)); got > most {
		t.Errorf("%d bytes allocated for %d, want at most %d", got, len(s), most)
	}
}

func TestAnyValueOfDynamicTypeRoundTrips(t *testing.T) {
	scalar := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.Int64().AsAny(),
		rapid.Uint64Min(math.MaxInt64+1).AsAny(),
		rapid.Float64().AsAny(),
		rapid.String().AsAny(),
		rapid.SliceOf(rapid.Byte()).AsAny(),
		rapid.Custom(func(t *rapid.T) any {
			return time.Unix(rapid.Int64().Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		}),
	)
	value := scalar
	for range 3 {
		value = rapid.OneOf(scalar, rapid.SliceOfN(value, 0, 20).AsAny(),
			rapid.MapOfN(rapid.String(), value, 0, 20).AsAny())
	}
	rapid.Check(t, func(t *rapid.T) {
		v := value.Draw(t, "v")
		b, err := new(Types).Append(nil, &v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode[any](string(b))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Fatalf("got %#v, want %#v", got, v)
		}
		again, err := new(Types).Append(nil, &got)
		if err != nil || string(again) != string(b) {
			t.Fatalf("equal values differ: %x and %x, %v", b, again, err)
		}
	})
}
