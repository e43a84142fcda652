package codec_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/codec"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func encode[T any](t rapid.TB, c codec.Codec[T], v T) string {
	t.Helper()
	s, err := c.Encode(v)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	return s
}

func decode[T any](t rapid.TB, c codec.Codec[T], s string) T {
	t.Helper()
	var v T
	if err := c.Decode(s, &v); err != nil {
		t.Fatalf("Decode(%.100q): %v", s, err)
	}
	return v
}

type (
	name  string
	blob  []byte
	order struct {
		ID     int64             `json:"id"`
		Title  string            `json:"title"`
		Lines  []line            `json:"lines"`
		Labels map[string]string `json:"labels"`
		Paid   *bool             `json:"paid,omitempty"`
		At     time.Time         `json:"at"`
		Weight float64           `json:"weight"`
		Sign   []byte            `json:"sign"`
	}
	line struct {
		SKU   string
		Count uint32
	}
)

func orders() *rapid.Generator[order] {
	return rapid.Custom(func(t *rapid.T) order {
		return order{
			ID:    rapid.Int64().Draw(t, "ID"),
			Title: rapid.String().Draw(t, "Title"),
			Lines: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) line {
				return line{rapid.String().Draw(t, "SKU"), rapid.Uint32().Draw(t, "Count")}
			}), 0, 50).Draw(t, "Lines"),
			Labels: rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "Labels"),
			Paid:   rapid.Ptr(rapid.Bool(), true).Draw(t, "Paid"),
			At:     time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Weight: rapid.Float64().Draw(t, "Weight"),
			Sign:   rapid.SliceOf(rapid.Byte()).Draw(t, "Sign"),
		}
	})
}

func TestWhatIsEncodedDecodesToTheSame(t *testing.T) {
	codecs := map[string]codec.Codec[order]{
		"JSON":        codec.JSON[order](),
		"MessagePack": codec.MessagePack[order](),
		"Default":     codec.Default[order](),
		"From":        codec.From[order](json.Marshal, json.Unmarshal),
		"S2":          codec.Compress(codec.JSON[order](), codec.Compression{Threshold: 1}),
		"Zstd":        codec.Compress(codec.MessagePack[order](), codec.Compression{Threshold: 1, Algorithm: codec.Zstd}),
	}
	for name, c := range codecs {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				want := orders().Draw(t, "order")
				s := encode(t, c, want)
				if got := decode(t, c, s); !reflect.DeepEqual(got, want) {
					t.Fatalf("got %+v, want %+v", got, want)
				}
				if again := encode(t, c, want); again != s {
					t.Fatalf("encoded once as %q, once as %q", s, again)
				}
			})
		})
	}
}

func TestDefaultStoresValuesAsOthersExpectThem(t *testing.T) {
	check(t, "a string", "it's", "it's")
	check(t, "a named string", name("it's"), "it's")
	check(t, "bytes", []byte{0xff, 0}, "\xff\x00")
	check(t, "named bytes", blob{0xff, 0}, "\xff\x00")
	check(t, "raw JSON", json.RawMessage(`{"a": 1}`), `{"a": 1}`)
	check(t, "an integer", -42, "-42")
	check(t, "a float", 1.5, "1.5")
	check(t, "a bool", true, "true")
	check(t, "a struct", line{"<a>", 2}, `{"SKU":"<a>","Count":2}`)
	check(t, "strings", []string{"a"}, `["a"]`)
	check[any](t, "a string in an interface", "a", `"a"`)
}

func check[T any](t *testing.T, what string, v T, want string) {
	t.Helper()
	c := codec.Default[T]()
	if got := encode(t, c, v); got != want {
		t.Errorf("%s is stored as %q, want %q", what, got, want)
	}
	if got := decode(t, c, want); !reflect.DeepEqual(got, v) {
		t.Errorf("%s reads back as %v", what, got)
	}
}

func TestRawBytesMayBeWrittenToAfterwards(t *testing.T) {
	c := codec.Raw[[]byte]()
	in := []byte("abc")
	s := encode(t, c, in)
	in[0] = 'x'
	out := decode(t, c, s)
	out[1] = 'x'
	if s != "abc" {
		t.Errorf("the encoded value became %q", s)
	}
}

func TestNilBytesReadBackEmpty(t *testing.T) {
	c := codec.Raw[[]byte]()
	if got := decode(t, c, encode(t, c, nil)); got == nil || len(got) != 0 {
		t.Errorf("got %#v", got)
	}
}

func TestRawStringsCostNoAllocation(t *testing.T) {
	c := codec.Raw[name]()
	v := new(name)
	if n := testing.AllocsPerRun(100, func() {
		s, _ := c.Encode("a string")
		_ = c.Decode(s, v)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMessagePackKeepsWhatJSONChanges(t *testing.T) {
	type strange struct {
		Text string
		NaN  float64
	}
	c := codec.MessagePack[strange]()
	got := decode(t, c, encode(t, c, strange{"\xff", math.NaN()}))
	if got.Text != "\xff" || !math.IsNaN(got.NaN) {
		t.Errorf("%+v", got)
	}
}

func TestValuesOfOneCallDoNotReachTheNext(t *testing.T) {
	for name, c := range map[string]codec.Codec[map[string]int]{
		"JSON":        codec.JSON[map[string]int](),
		"MessagePack": codec.MessagePack[map[string]int](),
	} {
		first := encode(t, c, map[string]int{"a": 1})
		encode(t, c, map[string]int{"b": 2})
		if got := decode(t, c, first); !reflect.DeepEqual(got, map[string]int{"a": 1}) {
			t.Errorf("%s: %v", name, got)
		}
		if s := encode(t, c, nil); decode(t, c, s) != nil {
			t.Errorf("%s: nil is %q", name, s)
		}
	}
}

func TestCodecOfAnyDecodesIntoThePointerItHolds(t *testing.T) {
	for name, c := range map[string]codec.Codec[any]{"JSON": codec.JSON[any](), "MessagePack": codec.MessagePack[any]()} {
		var got line
		var target any = &got
		if err := c.Decode(encode(t, c, any(line{"x", 3})), &target); err != nil || got != (line{"x", 3}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestValuesThatCannotBeEncodedAreErrors(t *testing.T) {
	failing := func(any) ([]byte, error) { return nil, errCaller }
	for name, c := range map[string]codec.Codec[any]{
		"JSON":        codec.JSON[any](),
		"MessagePack": codec.MessagePack[any](),
		"From":        codec.From[any](failing, json.Unmarshal),
		"Compress":    codec.Compress(codec.JSON[any](), codec.Compression{}),
	} {
		for range 2 { // the first failure must not spoil the next call
			s, err := c.Encode(make(chan int))
			if err == nil || !strings.HasPrefix(err.Error(), "codec: ") {
				t.Errorf("%s: %q, %v", name, s, err)
			}
			if name == "From" && !errors.Is(err, errCaller) {
				t.Errorf("%s hides the error of the function: %v", name, err)
			}
		}
		if name != "From" && decode(t, c, encode[any](t, c, "fine")) != "fine" {
			t.Errorf("%s does not work after an error", name)
		}
	}
}

var errCaller = errors.New("from the caller's function")

func TestDataOfAnotherKindIsCorrupt(t *testing.T) {
	for name, c := range map[string]codec.Codec[order]{
		"JSON":        codec.JSON[order](),
		"MessagePack": codec.MessagePack[order](),
		"From":        codec.From[order](json.Marshal, json.Unmarshal),
		"Compress":    codec.Compress(codec.JSON[order](), codec.Compression{}),
	} {
		for _, s := range []string{
			"", "[", `{"id":"one"}`, `{"id":1e9999}`, "\xff", "\x81\xa2id\xa1x", "\xc1", "plain text",
		} {
			var v order
			err := c.Decode(s, &v)
			if !errors.Is(err, codec.ErrCorrupt) || !strings.HasPrefix(err.Error(), "codec: ") {
				t.Errorf("%s: %q: %v", name, s, err)
			}
		}
	}
	var v order
	err := codec.JSON[order]().Decode(`{"id":"one"}`, &v)
	if cause := new(json.UnmarshalTypeError); !errors.As(err, &cause) || cause.Field != "id" {
		t.Errorf("the cause is hidden: %v", err)
	}
}
