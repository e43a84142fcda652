package script_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/script"
)

type (
	named string
	grade int8
	blob  []byte
)

func TestArgsWritesEveryTypeInItsForm(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{"text", "text"},
		{"", ""},
		{"any\x00bytes\xff\r\n", "any\x00bytes\xff\r\n"},
		{[]byte("bytes\x00"), "bytes\x00"},
		{[]byte(nil), ""},
		{0, "0"},
		{-42, "-42"},
		{int8(-128), "-128"},
		{int64(math.MinInt64), "-9223372036854775808"},
		{uint8(255), "255"},
		{uint64(math.MaxUint64), "18446744073709551615"},
		{true, "1"},
		{false, "0"},
		{0.1, "0.1"},
		{1.0, "1"},
		{1e21, "1e+21"},
		{float32(0.1), "0.1"},
		{math.MaxFloat64, "1.7976931348623157e+308"},
		{math.SmallestNonzeroFloat64, "5e-324"},
		{time.Duration(0), "0"},
		{time.Millisecond, "1"},
		{time.Millisecond + 1, "2"},
		{90 * time.Second, "90000"},
		{time.Duration(math.MaxInt64), "9223372036855"},
		{time.UnixMicro(1_700_000_000_123_456), "1700000000123456"},
		{time.UnixMicro(-1), "-1"},
		{named("n"), "n"},
		{grade(7), "7"},
		{blob("b"), "b"},
		{keys.MustNew("prod").Session("8f3c"), "prod/session:8f3c"},
		{time.March, "3"},
	} {
		got, err := script.Args(row.value)
		if err != nil || len(got) != 1 || got[0] != row.want {
			t.Errorf("%T %v is written %q, %v: want %q", row.value, row.value, got, err, row.want)
		}
	}
}

func TestArgsRefusesWhatHasNoFormAndNamesThePosition(t *testing.T) {
	for _, bad := range []any{
		nil, math.NaN(), math.Inf(1), math.Inf(-1), float32(math.Inf(1)),
		time.Nanosecond, time.Millisecond - 1, -time.Second, rediskit.NoTTL,
		time.Time{}, time.Unix(1<<40, 0), time.Unix(math.MaxInt64, 0),
		[]string{"a"}, map[string]string{}, struct{}{}, new(int), complex(1, 2), func() {},
	} {
		got, err := script.Args("first", bad)
		if err == nil || !strings.HasPrefix(err.Error(), "script: argument 2: ") {
			t.Errorf("%T %v is written %q with the error %v: want one of argument 2", bad, bad, got, err)
		}
	}
}

func TestNumbersReadBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Int64().Draw(t, "int64")
		u := rapid.Uint64().Draw(t, "uint64")
		f := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) }).Draw(t, "float64")
		d := time.Duration(rapid.Int64Range(int64(time.Millisecond), math.MaxInt64).Draw(t, "duration"))
		at := time.UnixMicro(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "time"))

		args, err := script.Args(i, u, f, d, at)
		if err != nil {
			t.Fatal(err)
		}
		reply := make([]any, len(args))
		for n, arg := range args {
			reply[n] = arg
		}
		type numbers struct {
			I int64
			U uint64
			F float64
			D time.Duration
			T time.Time
		}
		if d > math.MaxInt64-time.Millisecond {
			reply[3] = "0" // rounded up it is more than a Duration holds
		}
		got, err := script.Decode[numbers](result(reply))
		if err != nil {
			t.Fatal(err)
		}
		if got.I != i || got.U != u || got.F != f || !got.T.Equal(at) {
			t.Fatalf("%v came back as %v", args, got)
		}
		if reply[3] != "0" && (got.D < d || got.D-d >= time.Millisecond) {
			t.Fatalf("%v came back as %v: want it rounded up to milliseconds", d, got.D)
		}
	})
}

func TestArgsOfNothingIsNothing(t *testing.T) {
	if got, err := script.Args(); err != nil || !slices.Equal(got, nil) {
		t.Fatalf("%q, %v", got, err)
	}
}
