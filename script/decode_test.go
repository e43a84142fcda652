package script_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

type seat struct {
	Row    string
	Number int
	_      int // of no reply
	Taken  *bool
}

type event struct {
	Name  string
	Seats []seat
}

// decodes is a row of a table: a reply and what it is decoded to.
func decodes[R any](t *testing.T, reply any, want R) {
	t.Helper()
	got, err := script.Decode[R](result(reply))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v is decoded to %#v, %v: want %#v", reply, got, err, want)
	}
}

func TestARepliesTypeIsChosenByTheCaller(t *testing.T) {
	yes := true
	decodes[int64](t, 42, 42)
	decodes(t, "9007199254740993", int64(9007199254740993))
	decodes[int](t, -1, -1)
	decodes[int8](t, 127, 127)
	decodes[uint8](t, 255, 255)
	decodes(t, "18446744073709551615", uint64(math.MaxUint64))
	decodes(t, "0.1", 0.1)
	decodes(t, "inf", math.Inf(1))
	decodes(t, 3, 3.0)
	decodes(t, 0.5, 0.5)
	decodes(t, "0.1", float32(0.1))
	decodes(t, "", "")
	decodes(t, "any\x00\xff", "any\x00\xff")
	decodes(t, status("OK"), "OK")
	decodes(t, "bytes", []byte("bytes"))
	decodes(t, "", []byte{})
	decodes(t, 1, true)
	decodes(t, 0, false)
	decodes(t, "1", true)
	decodes(t, "0", false)
	decodes(t, status("OK"), true)
	decodes(t, true, true)
	decodes(t, 1500, 1500*time.Millisecond)
	decodes(t, "1500", 1500*time.Millisecond)
	decodes(t, -2, -2*time.Millisecond)
	decodes(t, "1700000000123456", time.UnixMicro(1_700_000_000_123_456))
	decodes(t, []any{}, []string{})
	decodes(t, []any{"a", "b"}, []string{"a", "b"})
	decodes(t, []any{[]any{1, 2}, []any{}}, [][]int{{1, 2}, {}})
	decodes(t, []any{"a", "1", "b", "2"}, map[string]int{"a": 1, "b": 2})
	decodes(t, []any{}, map[string]int{})
	decodes(t, pairs{"a", "1"}, map[named]int{"a": 1})
	decodes(t, []any{"A", "7", 1}, seat{Row: "A", Number: 7, Taken: &yes})
	decodes(t, []any{"gala", []any{[]any{"A", 1, nil}, []any{"A", 2, 1}}},
		event{"gala", []seat{{Row: "A", Number: 1}, {Row: "A", Number: 2, Taken: &yes}}})
	decodes[any](t, []any{1, "a", nil, []any{status("OK")}}, []any{int64(1), "a", nil, []any{"OK"}})
	decodes[any](t, pairs{"a", 1}, map[string]any{"a": int64(1)})
	decodes(t, "n", named("n"))
	decodes(t, "b", blob("b"))
	decodes(t, 7, grade(7))
}

func TestANilReplyIsNilWhereThatIsAValue(t *testing.T) {
	decodes[*int64](t, nil, nil)
	decodes[*seat](t, nil, nil)
	decodes[[]byte](t, nil, nil)
	decodes[[]string](t, nil, nil)
	decodes[map[string]string](t, nil, nil)
	decodes[any](t, nil, nil)
	decodes(t, nil, false)
	five := 5
	decodes(t, 5, &five)
	decodes(t, []any{5, nil}, []*int{&five, nil})
}

// refuses is a row of a table: a reply that is no R, and what the error says.
func refuses[R any](t *testing.T, reply any, texts ...string) {
	t.Helper()
	got, err := script.Decode[R](result(reply))
	wantError(t, err, "script.Decode", texts...)
	var zero R
	if !reflect.DeepEqual(got, zero) {
		t.Errorf("with the error %v came %#v", err, got)
	}
}

func TestAMismatchSaysWhatCameAndWhatWasWanted(t *testing.T) {
	refuses[int64](t, nil, "got nil, want int64", "*int64")
	refuses[string](t, nil, "got nil, want string")
	refuses[float64](t, nil, "got nil, want float64")
	refuses[seat](t, nil, "got nil, want script_test.seat")
	refuses[time.Time](t, nil, "got nil, want time.Time")
	refuses[int64](t, "abc", "a string of 3 bytes", "want int64", "invalid syntax")
	refuses[int64](t, []any{1}, "an array of 1", "want int64")
	refuses[int8](t, 128, "the integer 128", "want int8", "out of range")
	refuses[int8](t, "128", "want int8", "out of range")
	refuses[uint](t, -1, "the integer -1", "want uint", "out of range")
	refuses[uint8](t, 256, "out of range")
	refuses[uint8](t, "-1", "want uint8")
	refuses[uint](t, []any{}, "an array of 0", "want uint")
	refuses[float64](t, "many", "want float64")
	refuses[float64](t, []any{}, "an array of 0", "want float64")
	refuses[string](t, 5, "the integer 5", "want string")
	refuses[[]byte](t, 5, "the integer 5", "want []uint8")
	refuses[bool](t, 2, "the integer 2", "want bool")
	refuses[bool](t, "true", "a string of 4 bytes", "want bool")
	refuses[bool](t, []any{}, "want bool")
	refuses[time.Duration](t, math.MaxInt64, "want time.Duration", "out of range")
	refuses[time.Duration](t, "soon", "want time.Duration")
	refuses[time.Time](t, "soon", "want time.Time")
	refuses[[]int](t, "abc", "a string of 3 bytes", "want []int")
	refuses[[]int](t, []any{1, "x"}, "element 2", "want int")
	refuses[[]string](t, []any{"a", nil}, "element 2", "got nil")
	refuses[map[string]int](t, []any{"a"}, "an array of 1", "names and values")
	refuses[map[string]int](t, []any{"a", "b"}, "a value", "want int")
	refuses[map[int]int](t, []any{"a", "b"}, "want map[int]int")
	refuses[map[string]int](t, 5, "the integer 5")
	refuses[seat](t, "A", "a string of 1 bytes", "want script_test.seat")
	refuses[seat](t, []any{"A", 1}, "an array of 2", "3 fields", "nil")
	refuses[seat](t, []any{"A", 1, nil, 4}, "an array of 4", "3 fields")
	refuses[seat](t, []any{"A", "x", nil}, "field Number", "want int")
	refuses[event](t, []any{"gala", []any{[]any{"A", 1, "x"}}}, "field Seats: element 1: field Taken")
	refuses[chan int](t, 1, "the integer 1", "want chan int")
	refuses[error](t, "x", "want error")
	refuses[int](t, pairs{"a", 1}, "a map", "want int")
}

func TestNoErrorShowsWhatWasStored(t *testing.T) {
	for _, reply := range []any{"hunter2", []any{"hunter2"}, []any{"hunter2", "hunter2"}} {
		for _, err := range []error{
			errorOf(script.Decode[int](result(reply))),
			errorOf(script.Decode[float64](result(reply))),
			errorOf(script.Decode[bool](result(reply))),
			errorOf(script.Decode[time.Time](result(reply))),
			errorOf(script.Decode[map[string]int](result(reply))),
			errorOf(script.Decode[[]uint](result(reply))),
			errorOf(script.Decode[seat](result(reply))),
		} {
			if err == nil || reflect.ValueOf(err).Kind() != reflect.Pointer {
				t.Fatalf("%v was decoded: %v", reply, err)
			}
			wantError(t, err, "script.Decode")
			if text := err.Error(); len(text) == 0 || strings.Contains(text, "hunter2") {
				t.Errorf("%s", text)
			}
		}
	}
}

func errorOf[R any](_ R, err error) error { return err }

func TestAnErrorInsideAReplyIsTheServersError(t *testing.T) {
	_, err := script.Decode[[]any](result([]any{1, failure("WRONGTYPE no")}))
	wantError(t, err, "script.Decode", "element 2", "WRONGTYPE no")
	if code := script.Code(err); code != "WRONGTYPE" {
		t.Errorf("its code is %q", code)
	}
	_, err = script.Decode[any](result([]any{1, failure("WRONGTYPE no")}))
	wantError(t, err, "script.Decode", "element 2", "WRONGTYPE no")
}

func TestCodeIsTheFirstWordInCapitals(t *testing.T) {
	for text, want := range map[string]string{
		"SOLDOUT no seat":  "SOLDOUT",
		"E2_BIG x":         "E2_BIG",
		"BARE":             "BARE",
		"ERR some text":    "ERR",
		"ERR":              "ERR",
		"no such thing":    "ERR",
		"Mixed case":       "ERR",
		"42 is the answer": "ERR",
		"":                 "ERR",
	} {
		_, err := script.Decode[any](result(failure(text)))
		if got := script.Code(err); got != want {
			t.Errorf("the code of %q is %q: want %q", text, got, want)
		}
	}
	for _, err := range []error{nil, errors.New("SOLDOUT"), rueidis.Nil, script.ErrCondition} {
		if got := script.Code(err); got != "" {
			t.Errorf("the code of %v is %q: want none", err, got)
		}
	}
}

func TestDecodingNeverPanicsAndRepeats(t *testing.T) { rapid.Check(t, decodesOrNot) }

func FuzzDecode(f *testing.F) { f.Fuzz(rapid.MakeFuzz(decodesOrNot)) }

// decodesOrNot draws a reply and decodes it into all kinds of types.
func decodesOrNot(t *rapid.T) {
	reply := replies.Draw(t, "reply")
	again(t, reply, script.Decode[any])
	again(t, reply, script.Decode[int8])
	again(t, reply, script.Decode[*uint16])
	again(t, reply, script.Decode[bool])
	again(t, reply, script.Decode[[]string])
	again(t, reply, script.Decode[[]*float64])
	again(t, reply, script.Decode[map[string][]byte])
	again(t, reply, script.Decode[event])
	again(t, reply, script.Decode[*seat])
	again(t, reply, script.Decode[[][]time.Duration])
	again(t, reply, script.Decode[time.Time])
}

var replies = func() *rapid.Generator[any] {
	scalar := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Int(), func(n int) any { return n }),
		rapid.Map(rapid.IntRange(-300, 300), func(n int) any { return n }),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"0", "1", "OK", "-5", "1.5", "nan"}), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](failure("CODE text")),
		rapid.Just[any](status("OK")),
		rapid.Just[any](0.5),
	)
	nested := func(elem *rapid.Generator[any]) *rapid.Generator[any] {
		return rapid.OneOf(elem,
			rapid.Map(rapid.SliceOfN(elem, 0, 5), func(l []any) any { return l }),
			rapid.Map(rapid.SliceOfN(rapid.String(), 0, 3), func(names []string) any {
				var p pairs
				for i, name := range names {
					p = append(p, name, i)
				}
				return p
			}))
	}
	return nested(nested(scalar))
}()

// again checks that a reply is decoded the same a second time, or not at all.
func again[R any](t *rapid.T, reply any, decode func(rueidis.RedisResult) (R, error)) {
	first, err := decode(result(reply))
	second, err2 := decode(result(reply))
	var zero R
	switch {
	case (err == nil) != (err2 == nil):
		t.Fatalf("%v: %v and then %v", reply, err, err2)
	case err != nil && !reflect.DeepEqual(first, zero):
		t.Fatalf("%v: %#v with the error %v", reply, first, err)
	case err == nil && !equal(first, second):
		t.Fatalf("%v: %#v and then %#v", reply, first, second)
	}
}

func equal(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	// NaN is not equal to itself, and decodes as what it is.
	return reflect.TypeOf(a) == reflect.TypeFor[[]*float64]()
}

func TestRunTakesValuesAndGivesThem(t *testing.T) {
	echo := script.New(`return ARGV`, script.Idempotent)
	type row struct {
		Text string
		Raw  []byte
		N    int64
		U    uint64
		F    float64
		Yes  bool
		For  time.Duration
		At   time.Time
	}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		rapid.Check(t, func(rt *rapid.T) {
			want := row{
				Text: string(rapid.SliceOf(rapid.Byte()).Draw(rt, "text")),
				Raw:  rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"),
				N:    rapid.Int64().Draw(rt, "int64"),
				U:    rapid.Uint64().Draw(rt, "uint64"),
				F:    rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) }).Draw(rt, "float64"),
				Yes:  rapid.Bool().Draw(rt, "bool"),
				For:  time.Duration(rapid.Int64Range(0, 1e12).Draw(rt, "ms")) * time.Millisecond,
				At:   time.UnixMicro(rapid.Int64Range(-1<<53, 1<<53).Draw(rt, "time")),
			}
			got, err := script.Run[row](t.Context(), c, echo, nil,
				want.Text, want.Raw, want.N, want.U, want.F, want.Yes, want.For, want.At)
			if err != nil {
				rt.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				rt.Fatalf("%#v came back as %#v", want, got)
			}
		})
	}, everywhere...)
}
