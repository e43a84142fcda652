package codec_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/tickettoken/rediskit/codec"
	"pgregory.net/rapid"
)

func compressions() *rapid.Generator[codec.Compression] {
	return rapid.Custom(func(t *rapid.T) codec.Compression {
		return codec.Compression{
			Algorithm: rapid.SampledFrom([]codec.Algorithm{codec.S2, codec.Zstd}).Draw(t, "algorithm"),
			Threshold: rapid.IntRange(-1, 3000).Draw(t, "threshold"),
			MaxSize:   rapid.SampledFrom([]int{-1, 0, 100_000}).Draw(t, "max size"),
		}
	})
}

// values are strings that repeat themselves more or less, and may look like compressed ones.
func values() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		start := rapid.SampledFrom([]string{"", "\xc1", "\xc1\x10", "\xc1\x11", "\xc1\x12", "{"}).Draw(t, "start")
		part := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "part")
		return start + strings.Repeat(string(part), rapid.IntRange(0, 200).Draw(t, "times"))
	})
}

func TestEveryCompressionReadsWhatEveryOtherWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		writer := codec.Compress(codec.Raw[string](), compressions().Draw(t, "writer"))
		reader := codec.Compress(codec.Raw[string](), compressions().Draw(t, "reader"))
		want := values().Draw(t, "value")
		s := encode(t, writer, want)
		if got := decode(t, reader, s); got != want {
			t.Fatalf("got %.100q, want %.100q", got, want)
		}
		if len(s) > len(want)+2 {
			t.Fatalf("%d bytes grew to %d", len(want), len(s))
		}
	})
}

func TestSmallValuesAreStoredAsTheyAre(t *testing.T) {
	c := codec.Compress(codec.JSON[string](), codec.Compression{})
	plain := strings.Repeat("a", 1021) // and two quotes
	if s := encode(t, c, plain); s != `"`+plain+`"` {
		t.Errorf("%d bytes are stored as %.20q", len(plain)+2, s)
	}
	if s := encode(t, c, plain+"a"); !strings.HasPrefix(s, "\xc1\x11") {
		t.Errorf("%d bytes are stored as %.20q", len(plain)+3, s)
	}
}

func TestNegativeThresholdCompressesNothing(t *testing.T) {
	c := codec.Compress(codec.Raw[string](), codec.Compression{Threshold: -1})
	v := strings.Repeat("a", 100_000)
	if s := encode(t, c, v); s != v {
		t.Errorf("stored as %.20q", s)
	}
}

func TestValuesThatDoNotShrinkAreStoredAsTheyAre(t *testing.T) {
	noise := make([]byte, 10_000)
	random := rand.NewChaCha8([32]byte{})
	random.Read(noise)
	noise[0] = 0xc1
	for _, a := range []codec.Algorithm{codec.S2, codec.Zstd} {
		c := codec.Compress(codec.Raw[[]byte](), codec.Compression{Algorithm: a})
		if s := encode(t, c, noise[1:]); s != string(noise[1:]) {
			t.Errorf("stored as %.20q", s)
		}
		if s := encode(t, c, noise); s != "\xc1\x10"+string(noise) {
			t.Errorf("with the first byte of a header: stored as %.20q", s)
		}
	}
}

func TestOtherImplementationsCanReadAndWrite(t *testing.T) {
	v := strings.Repeat("What is the answer? 42. ", 100)
	raw := codec.Raw[string]()

	s := encode(t, codec.Compress(raw, codec.Compression{}), v)
	if got, err := snappy.Decode(nil, []byte(s[2:])); s[:2] != "\xc1\x11" || string(got) != v {
		t.Errorf("no Snappy block: %.40q: %v", s, err)
	}
	s = encode(t, codec.Compress(raw, codec.Compression{Algorithm: codec.Zstd}), v)
	r, err := zstd.NewReader(strings.NewReader(s[2:]))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got strings.Builder
	if _, err := r.WriteTo(&got); s[:2] != "\xc1\x12" || got.String() != v {
		t.Errorf("no Zstandard frame: %.40q: %v", s, err)
	}

	best, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(true))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"S2":                        "\xc1\x11" + string(s2.EncodeBest(nil, []byte(v))),
		"Zstandard with a checksum": "\xc1\x12" + string(best.EncodeAll([]byte(v), nil)),
	} {
		if got := decode(t, codec.Compress(raw, codec.Compression{}), s); got != v {
			t.Errorf("%s reads as %.40q", name, got)
		}
	}
}

func TestNilInnerCodecIsTheDefault(t *testing.T) {
	c := codec.Compress[name](nil, codec.Compression{})
	if s := encode(t, c, "x"); s != "x" {
		t.Errorf("stored as %q", s)
	}
}

func TestCompressedTwiceReadsBack(t *testing.T) {
	inner := codec.Compress(codec.Raw[string](), codec.Compression{})
	c := codec.Compress(inner, codec.Compression{Threshold: 1, Algorithm: codec.Zstd})
	v := strings.Repeat("abc", 1_000_000)
	if got := decode(t, c, encode(t, c, v)); got != v {
		t.Errorf("%d bytes, want %d", len(got), len(v))
	}
}

func TestValuesOfEverySizeAroundBlocksAndWindowsReadBack(t *testing.T) {
	text := strings.Repeat("0123456789abcdefghij", 1<<20)
	for _, a := range []codec.Algorithm{codec.S2, codec.Zstd} {
		c := codec.Compress(codec.Raw[string](), codec.Compression{Algorithm: a, Threshold: 1})
		for _, n := range []int{1, 2, 255, 256, 1 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 128<<10 + 1, 1 << 20,
			4<<20 + 1, 16 << 20} {
			if got := decode(t, c, encode(t, c, text[:n])); got != text[:n] {
				t.Errorf("%d bytes read back as %d", n, len(got))
			}
		}
	}
}

func TestMaxSizeHoldsInBothDirections(t *testing.T) {
	v := strings.Repeat("a", 5001)
	for _, a := range []codec.Algorithm{codec.S2, codec.Zstd} {
		free := codec.Compress(codec.Raw[string](), codec.Compression{Algorithm: a})
		bounded := codec.Compress(codec.Raw[string](), codec.Compression{Algorithm: a, MaxSize: 5000})
		if s, err := bounded.Encode(v); !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("written as %.20q, %v", s, err)
		}
		for _, s := range []string{encode(t, free, v), v, "\xc1\x10" + v} {
			var got string
			if err := bounded.Decode(s, &got); !errors.Is(err, codec.ErrTooLarge) {
				t.Errorf("%.20q is read: %v", s, err)
			}
		}
		for _, s := range []string{encode(t, free, v[1:]), encode(t, bounded, v[1:]), v[1:], "\xc1\x10" + v[1:]} {
			if got := decode(t, bounded, s); got != v[1:] {
				t.Errorf("%.20q is read as %.20q", s, got)
			}
		}
	}
}

func TestDefaultMaxSizeIs64MiB(t *testing.T) {
	c := codec.Compress(codec.Raw[string](), codec.Compression{})
	for header, want := range map[string]error{
		"\xc1\x11\x81\x80\x80\x20":                             codec.ErrTooLarge, // S2: 64 MiB and 1
		"\xc1\x11\x80\x80\x80\x20":                             codec.ErrCorrupt,  // S2: 64 MiB, which do not follow
		"\xc1\x12\x28\xb5\x2f\xfd\xa0\x01\x00\x00\x04\x01\x00": codec.ErrTooLarge, // Zstandard: the same
		"\xc1\x12\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x04\x01\x00": codec.ErrCorrupt,
	} {
		var v string
		if err := c.Decode(header, &v); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", header, err, want)
		}
	}
}

func TestUnknownAlgorithmIsAnErrorWhateverTheSize(t *testing.T) {
	c := codec.Compress(codec.Raw[string](), codec.Compression{Algorithm: 7})
	if s, err := c.Encode(""); err == nil || !strings.Contains(err.Error(), "Compression.Algorithm") {
		t.Errorf("%q, %v", s, err)
	}
}

func TestDamagedCompressedDataIsCorrupt(t *testing.T) {
	v := strings.Repeat("What is the answer? ", 100)
	c := codec.Compress(codec.Raw[string](), codec.Compression{})
	zc := codec.Compress(codec.Raw[string](), codec.Compression{Algorithm: codec.Zstd})
	s, z := encode(t, c, v), encode(t, zc, v)
	stream := new(strings.Builder)
	w, err := zstd.NewWriter(stream)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Write([]byte(v)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"half a header":                     "\xc1",
		"a header of another version":       "\xc1\x21",
		"an unknown method":                 "\xc1\x13",
		"S2 with nothing after the header":  "\xc1\x11",
		"S2 cut short":                      s[:len(s)-1],
		"S2 with more after it":             s + "x",
		"Zstd with nothing after it":        "\xc1\x12",
		"Zstd cut short":                    z[:len(z)-1],
		"Zstd with more after it":           z + "x",
		"Zstd with another frame after it":  z + z[2:],
		"Zstd of unknown size":              "\xc1\x12" + stream.String(),
		"a skippable Zstd frame":            "\xc1\x12\x50\x2a\x4d\x18\x00\x00\x00\x00",
		"Zstd that asks for a dictionary":   "\xc1\x12\x28\xb5\x2f\xfd\x21\x01\x01\x09\x00\x00\x61",
		"the right header and another body": "\xc1\x12" + s[2:],
	} {
		var got string
		if err := zc.Decode(s, &got); !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
	}
	if got := decode(t, zc, z); got != v {
		t.Errorf("after the errors, good data reads as %.20q", got)
	}
}

func TestOneCodecServesConcurrentCallers(t *testing.T) {
	for _, a := range []codec.Algorithm{codec.S2, codec.Zstd} {
		c := codec.Compress(codec.MessagePack[[]string](), codec.Compression{Algorithm: a, Threshold: 100})
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 50 {
					want := strings.Repeat(string(rune('a'+g)), 10*i)
					s, err := c.Encode([]string{want, "x"})
					if err != nil {
						t.Error(err)
						return
					}
					var got []string
					if err := c.Decode(s, &got); err != nil || len(got) != 2 || got[0] != want {
						t.Errorf("%.20q, %v", got, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}
