package codec

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

const (
	defaultThreshold = 1 << 10
	defaultMaxSize   = 64 << 20
	largestString    = 512 << 20 // of Redis
)

// An Algorithm is a way to compress.
type Algorithm uint8

const (
	// S2 is fast. It writes the Snappy block format, for which every language has a reader, and reads S2's extensions
	// of it too.
	S2 Algorithm = iota

	// Zstd is smaller. It writes a Zstandard frame.
	Zstd
)

// Compression says what [Compress] does. The zero value is what most callers want.
type Compression struct {
	// Algorithm is the one to write with. 0 means S2; one that does not exist makes every Encode fail.
	Algorithm Algorithm

	// Threshold is the size in bytes from which on a value is compressed, if that makes it smaller. 0 means 1 KiB,
	// below which compressing seldom saves a packet. Negative means that nothing is compressed, only read.
	Threshold int

	// MaxSize is the largest size in bytes of a value before compression. Encode and Decode refuse larger ones with
	// [ErrTooLarge], so that a few hostile bytes cannot fill the memory. 0 means 64 MiB; negative means 512 MiB, the
	// longest string that Redis holds.
	MaxSize int
}

// The header of a value that is not stored plainly. No value that is JSON, text in UTF-8, or MessagePack begins with
// the first byte.
const (
	headerMark   = 0xc1
	headerStored = 0x10
	headerS2     = 0x11
	headerZstd   = 0x12
	headerSize   = 2
)

// Compress returns a codec that compresses what inner encodes, inner being [Default] if it is nil. It decodes whatever
// any such codec wrote with the same inner codec, whatever its Compression, up to MaxSize.
//
// The package documentation describes the layout. A value that is too small to be worth compressing is stored as inner
// encoded it, for others to read; and what was stored before compression was turned on can be read, with one exception:
// raw bytes that begin with 0xC1.
//
// Encodings of equal values are equal only while the Compression stays the same, so elements that are found by
// their value (members of a set, elements removed from a list) are better not compressed.
func Compress[T any](inner Codec[T], c Compression) Codec[T] {
	if inner == nil {
		inner = Default[T]()
	}
	if c.Threshold == 0 {
		c.Threshold = defaultThreshold
	}
	switch {
	case c.MaxSize == 0:
		c.MaxSize = defaultMaxSize
	case c.MaxSize < 0:
		c.MaxSize = largestString
	}
	return &compressed[T]{inner: inner, Compression: c}
}

type compressed[T any] struct {
	Compression
	inner Codec[T]

	// Encoders and decoders for Zstandard hold up to some megabytes each. A pool has as many as calls run at once, and
	// the garbage collector takes them back; in the way they are used here they start no goroutines.
	scratch  sync.Pool // *[]byte
	encoders sync.Pool // *zstd.Encoder
	decoders sync.Pool // *zstd.Decoder
}

func (c *compressed[T]) Encode(v T) (string, error) {
	if c.Algorithm > Zstd {
		return "", fmt.Errorf("codec: Compression.Algorithm: %d is unknown", c.Algorithm)
	}
	s, err := c.inner.Encode(v)
	if err != nil {
		return "", err
	}
	if err := c.checkSize(uint64(len(s))); err != nil {
		return "", err
	}
	if c.Threshold > 0 && len(s) >= c.Threshold {
		z, err := c.compress(s)
		if err != nil || len(z) < len(s) {
			return z, err
		}
	}
	if len(s) > 0 && s[0] == headerMark {
		return string([]byte{headerMark, headerStored}) + s, nil
	}
	return s, nil
}

func (c *compressed[T]) Decode(s string, v *T) error {
	s, err := c.expand(s)
	if err != nil {
		return err
	}
	return c.inner.Decode(s, v)
}

func (c *compressed[T]) checkSize(n uint64) error {
	if n > uint64(c.MaxSize) {
		return fmt.Errorf("%w: %d bytes, MaxSize is %d", ErrTooLarge, n, c.MaxSize)
	}
	return nil
}

// compress returns a header and s compressed. The result is copied out of a buffer that is kept, because nobody knows
// how long it will be, and one as long as the worst case would be held for as long as the result.
func (c *compressed[T]) compress(s string) (string, error) {
	buf, ok := c.scratch.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	if c.Algorithm == Zstd {
		enc, ok := c.encoders.Get().(*zstd.Encoder)
		if !ok {
			var err error
			// Without a single segment it would leave out the size of small contents.
			enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
				zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
			if err != nil {
				return "", encodeError(err)
			}
		}
		*buf = enc.EncodeAll(asBytes(s), append((*buf)[:0], headerMark, headerZstd))
		c.encoders.Put(enc)
	} else {
		if need := headerSize + s2.MaxEncodedLen(len(s)); cap(*buf) < need {
			*buf = make([]byte, need)
		}
		b := (*buf)[:cap(*buf)]
		n := len(s2.EncodeSnappy(b[headerSize:], asBytes(s)))
		b[0], b[1] = headerMark, headerS2
		*buf = b[:headerSize+n]
	}
	z := string(*buf)
	if cap(*buf) <= maxScratch {
		c.scratch.Put(buf)
	}
	return z, nil
}

// expand undoes what Encode did to what the inner codec encoded.
func (c *compressed[T]) expand(s string) (string, error) {
	if s == "" || s[0] != headerMark {
		return s, c.checkSize(uint64(len(s)))
	}
	if len(s) < headerSize {
		return "", corrupt(errors.New("the header is cut short"))
	}
	header, body := s[1], s[headerSize:]
	switch header {
	case headerStored:
		return body, c.checkSize(uint64(len(body)))
	case headerS2:
		return c.expandS2(body)
	case headerZstd:
		return c.expandZstd(body)
	default:
		return "", corrupt(fmt.Errorf("unknown header %#x", header))
	}
}

func (c *compressed[T]) expandS2(s string) (string, error) {
	n, err := s2.DecodedLen(asBytes(s))
	if err != nil {
		return "", corrupt(err)
	}
	if err := c.checkSize(uint64(n)); err != nil {
		return "", err
	}
	b, err := s2.Decode(make([]byte, n), asBytes(s))
	if err != nil {
		return "", corrupt(err)
	}
	return asString(b), nil
}

func (c *compressed[T]) expandZstd(s string) (string, error) {
	// The frame has to say how large its content is, as every encoder does that had all of it at hand. That is set
	// aside at once and the decoder may not exceed it, so that neither a false size nor further frames cost more.
	var header zstd.Header
	if err := header.Decode(asBytes(s)); err != nil {
		return "", corrupt(err)
	}
	if !header.HasFCS {
		return "", corrupt(errors.New("not one zstd frame with the size of its content"))
	}
	if err := c.checkSize(header.FrameContentSize); err != nil {
		return "", err
	}
	dec, ok := c.decoders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(largestString), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return "", corrupt(err)
		}
	}
	b, err := dec.DecodeAll(asBytes(s), make([]byte, 0, header.FrameContentSize))
	c.decoders.Put(dec)
	if err != nil {
		return "", corrupt(err)
	}
	return asString(b), nil
}
