package codec_test

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/codec"
)

// hostile has a place for every kind of data, recursion included.
type hostile struct {
	A any
	B []hostile
	C map[string]hostile
	D []string
	E *hostile
	F map[int64][]byte
	G time.Time
	H float32
	I [4]int8
	J json.RawMessage `msgpack:"-"`
	K uint16
	L bool
}

// allocated returns how many bytes f allocated, and a few more that others did meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// checkDecode demands of decoding s that it allocates at most perByte times its length and a constant, that its errors
// are ErrCorrupt, and that what was decoded can be encoded and decoded again.
func checkDecode[T any](t *testing.T, c codec.Codec[T], s string) {
	const perByte = 1024
	const slack = 4 << 20 // for what is allocated once, and what the testing package does meanwhile
	var v T
	var err error
	if n, most := allocated(func() { err = c.Decode(s, &v) }), uint64(slack+perByte*len(s)); n > most {
		t.Fatalf("decoding %d bytes allocated %d, want at most %d", len(s), n, most)
	}
	if err != nil {
		if !errors.Is(err, codec.ErrCorrupt) {
			t.Fatalf("not ErrCorrupt: %v", err)
		}
		return
	}
	once := encode(t, c, v)
	if twice := encode(t, c, decode(t, c, once)); twice != once {
		t.Fatalf("%q and then %q", once, twice)
	}
}

func TestHostileDataCostsMemoryInProportionOnly(t *testing.T) {
	const n = 20_000
	for _, s := range []string{
		strings.Repeat("[", n), strings.Repeat(`{"":`, n), "[" + strings.Repeat("{},", n) + "{}]",
		`{"B":[` + strings.Repeat("{},", n) + "{}]}", `{"E":` + strings.Repeat(`{"E":`, n),
	} {
		checkDecode(t, codec.JSON[hostile](), s)
		checkDecode(t, codec.JSON[any](), s)
	}
	for _, s := range []string{
		"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff",
		"\xc9\xff\xff\xff\xff\xff",
		"\x81\xa1B\xdd\xff\xff\xff\xff", "\x81\xa1C\xdf\xff\xff\xff\xff", "\x81\xa1D\xdd\xff\xff\xff\xff",
		strings.Repeat("\x91", n), strings.Repeat("\x81\xa0", n), strings.Repeat("\xdd\x00\x01\x00\x00", n),
		"\x81\xa1B\xdd\x00\x00\x4e\x20" + strings.Repeat("\x80", n), strings.Repeat("\x81\xa1E", n),
		strings.Repeat("\x81\xa1B\xdd\x00\x00\x4e\x20", 1000) + strings.Repeat("\x80", n),
	} {
		checkDecode(t, codec.MessagePack[hostile](), s)
		checkDecode(t, codec.MessagePack[any](), s)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	c, dynamic := codec.JSON[hostile](), codec.JSON[any]()
	f.Add(encode(f, c, hostile{A: []any{1, "x", nil}, B: []hostile{{}}, C: map[string]hostile{"c": {}}, E: &hostile{}}))
	f.Add(`{"D":["\u0000\ud800"],"F":{"1":"AA=="},"G":"2024-02-29T00:00:00.5+01:00","H":1e38,"I":[1,2],"J":[ 1 ],"x":{}}`)
	f.Add(`[[[[{"":[1e400]}]]]]`)
	f.Add(strings.Repeat("[", 100))
	f.Add(`{"B":[` + strings.Repeat("{},", 50) + `{}]}`)
	f.Fuzz(func(t *testing.T, s string) {
		checkDecode(t, c, s)
		checkDecode(t, dynamic, s)
	})
}

func FuzzDecodeMessagePack(f *testing.F) {
	c, dynamic := codec.MessagePack[hostile](), codec.MessagePack[any]()
	f.Add(encode(f, c, hostile{
		A: []any{1, "x", nil, []byte("b"), 1.5, time.Unix(1, 1), time.Unix(-1, 1)}, B: []hostile{{}},
		C: map[string]hostile{"c": {}}, E: &hostile{}, F: map[int64][]byte{-1: {1}, 1 << 40: nil}, H: 1, K: 60000,
	}))
	f.Add("\xdd\xff\xff\xff\xff")
	f.Add("\xdf\xff\xff\xff\xff")
	f.Add("\xc6\xff\xff\xff\xff")
	f.Add("\xc9\xff\xff\xff\xff\xff")
	f.Add("\x82\xa1A\xda\x00\x01x\xa1B\xdc\x00\x01\x80")
	f.Add(strings.Repeat("\x91", 100))
	f.Add(strings.Repeat("\x81\xa0", 50))
	f.Add("\x81\xa1B\xdc\x00\x64" + strings.Repeat("\x80", 100))
	f.Fuzz(func(t *testing.T, s string) {
		checkDecode(t, c, s)
		checkDecode(t, dynamic, s)
	})
}

func FuzzDecompress(f *testing.F) {
	const maxSize = 1 << 20
	raw := codec.Raw[string]()
	codecs := []codec.Codec[string]{
		codec.Compress(raw, codec.Compression{MaxSize: maxSize, Threshold: 1}),
		codec.Compress(raw, codec.Compression{MaxSize: maxSize, Threshold: 1, Algorithm: codec.Zstd}),
	}
	for _, c := range codecs {
		f.Add(encode(f, c, strings.Repeat("abc", 10)))
		f.Add(encode(f, c, strings.Repeat("abcdefghijklmnopqrstuvwxyz", 1000)))
		f.Add(encode(f, c, "\xc1"))
	}
	f.Add("\xc1\x11\xff\xff\xff\xff\x0f")
	f.Add("\xc1\x12\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\x01\x00\x00")
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range codecs {
			var v string
			var err error
			if n := allocated(func() { err = c.Decode(s, &v) }); n > 4<<20+maxSize {
				t.Fatalf("decompressing %d bytes allocated %d", len(s), n)
			}
			if err != nil {
				if !errors.Is(err, codec.ErrCorrupt) && !errors.Is(err, codec.ErrTooLarge) {
					t.Fatal(err)
				}
				continue
			}
			if len(v) > maxSize {
				t.Fatalf("%d bytes in spite of MaxSize", len(v))
			}
			for _, again := range codecs {
				if got := decode(t, c, encode(t, again, v)); got != v {
					t.Fatalf("%.100q, then %.100q", v, got)
				}
			}
		}
	})
}
