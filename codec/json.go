package codec

import (
	"bytes"
	"encoding/json"
	"sync"
)

// JSON returns the codec for encoding/json. Methods of the value with pointer receivers are used, <, > and & are not
// escaped, and, as always with JSON, text that is not UTF-8 is changed: [Raw] and [MessagePack] keep it. An
// UnmarshalJSON method must not write to what it is given.
//
// Equal values have equal encodings, unless they have marshalers of their own that say otherwise. Decoding allocates at
// most a constant, which depends on T, times the length of the data, and accepts nothing nested deeper than 10,000.
func JSON[T any]() Codec[T] { return new(jsonCodec[T]) }

type jsonCodec[T any] struct{ pool sync.Pool }

type jsonScratch[T any] struct {
	v   T // a copy to point at, so that the argument itself need not be moved to the heap
	buf bytes.Buffer
	enc *json.Encoder
}

func (c *jsonCodec[T]) Encode(v T) (string, error) {
	s, ok := c.pool.Get().(*jsonScratch[T])
	if !ok {
		s = new(jsonScratch[T])
		s.enc = json.NewEncoder(&s.buf)
		s.enc.SetEscapeHTML(false)
	}
	s.v = v
	if err := s.enc.Encode(&s.v); err != nil {
		return "", encodeError(err)
	}
	out := string(bytes.TrimSuffix(s.buf.Bytes(), []byte{'\n'})) // Encoder ends every value with a newline
	if s.buf.Cap() <= maxScratch {
		var zero T
		s.v = zero
		s.buf.Reset()
		c.pool.Put(s)
	}
	return out, nil
}

func (c *jsonCodec[T]) Decode(s string, v *T) error {
	if err := json.Unmarshal(asBytes(s), v); err != nil {
		return corrupt(err)
	}
	return nil
}
