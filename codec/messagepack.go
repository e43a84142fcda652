package codec

import (
	"sync"

	"github.com/tickettoken/rediskit/codec/internal/msgpack"
)

// MessagePack returns the codec for MessagePack (https://msgpack.org): smaller than JSON, faster, and exact for bytes,
// for text that is not UTF-8 and for NaN, but not for humans to read.
//
// A struct is a map from the names of its exported fields, which a `msgpack:"name,omitempty"` tag changes or, without
// one, the json tag; omitzero and "-" work too, and the fields of embedded structs are promoted. []byte and [n]byte are
// binary, a time.Time is the timestamp extension (it keeps the nanosecond, and reads back as UTC), and types with both
// halves of encoding.BinaryMarshaler or else encoding.TextMarshaler use them. In an interface, integers read back as
// int64 (uint64 above its range), other values as bool, float64, string, []byte, time.Time, []any and map[string]any;
// there, map keys must be strings. Reading checks that numbers fit. Channels, functions, complex numbers, and structs
// with none but unexported fields are errors.
//
// Equal values have equal encodings, with the same exception as for [JSON]. Decoding allocates at most a constant,
// which depends on T, times the length of the data, whatever lengths it claims, and accepts nothing nested deeper than
// 10,000.
func MessagePack[T any]() Codec[T] { return new(messagePack[T]) }

type messagePack[T any] struct {
	types msgpack.Types
	pool  sync.Pool
}

type messagePackScratch[T any] struct {
	v   T
	buf []byte
}

func (c *messagePack[T]) Encode(v T) (string, error) {
	s, ok := c.pool.Get().(*messagePackScratch[T])
	if !ok {
		s = new(messagePackScratch[T])
	}
	s.v = v
	b, err := c.types.Append(s.buf[:0], &s.v)
	if err != nil {
		return "", encodeError(err)
	}
	out := string(b)
	if cap(b) <= maxScratch {
		var zero T
		s.v, s.buf = zero, b
		c.pool.Put(s)
	}
	return out, nil
}

func (c *messagePack[T]) Decode(s string, v *T) error {
	if err := c.types.Decode(s, v); err != nil {
		return corrupt(err)
	}
	return nil
}
