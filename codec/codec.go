package codec

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// A Codec turns values of one type into the strings that Redis stores, and back. The codecs of this package are safe
// for concurrent use, and those of others must be.
type Codec[T any] interface {
	// Encode returns v as a string.
	Encode(v T) (string, error)

	// Decode reads s into *v, which should be the zero value: what a codec does with anything else in it is its own
	// affair ([JSON] and [MessagePack] merge into it as encoding/json does). After an error *v must not be used.
	//
	// Decode may keep s, so it must be a string that nobody writes to, as the replies of the client are; and Decode
	// must not write to it.
	//
	// Decode returns an error that is [ErrCorrupt] if s is not the encoding of a T, or [ErrTooLarge].
	Decode(s string, v *T) error
}

var (
	// ErrCorrupt is what an error is if data could not be decoded: damaged, cut short, written by another codec, or of
	// a type that has changed since.
	ErrCorrupt = errors.New("codec: undecodable data")

	// ErrTooLarge is what an error is if a value is larger than [Compression.MaxSize], when it is written and when it
	// is read.
	ErrTooLarge = errors.New("codec: value too large")
)

// maxScratch is the size in bytes up to which working memory is kept for the next call.
const maxScratch = 256 << 10

// Default returns the codec that a configuration without one stands for: [Raw] for strings and byte slices and for
// types defined as such, whatever their methods, and [JSON] for every other type. So a string, a number or a bool is
// in Redis as redis-cli users and other languages expect it.
func Default[T any]() Codec[T] {
	if c := raw[T](); c != nil {
		return c
	}
	return JSON[T]()
}

// Raw returns the codec that stores strings and byte slices as they are. A nil slice reads back as an empty one.
//
// It never fails. Strings are neither copied nor allocated; a byte slice is copied both ways, so that the caller may
// write to it at any time.
func Raw[T ~string | ~[]byte]() Codec[T] { return raw[T]() }

// raw returns nil if T is neither a string nor a byte slice.
func raw[T any]() Codec[T] {
	t := reflect.TypeFor[T]()
	switch {
	case t.Kind() == reflect.String:
		return rawString[T]{}
	case t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[byte]():
		return rawBytes[T]{}
	default:
		return nil
	}
}

// rawString is for a T whose underlying type is string, which a type parameter cannot say where [Default] needs it.
type rawString[T any] struct{}

func (rawString[T]) Encode(v T) (string, error) { return *(*string)(unsafe.Pointer(&v)), nil }

func (rawString[T]) Decode(s string, v *T) error {
	*(*string)(unsafe.Pointer(v)) = s
	return nil
}

// rawBytes is for a T whose underlying type is []byte.
type rawBytes[T any] struct{}

func (rawBytes[T]) Encode(v T) (string, error) { return string(*(*[]byte)(unsafe.Pointer(&v))), nil }

func (rawBytes[T]) Decode(s string, v *T) error {
	*(*[]byte)(unsafe.Pointer(v)) = []byte(s)
	return nil
}

// From makes a codec of a pair of functions in the style of encoding/json, as most libraries for other formats and the
// faster ones for JSON have them.
//
// marshal is given a T and must return a new slice every time: nobody may write to it afterwards. unmarshal is given a
// *T; it may keep the data but not write to it. What unmarshal allocates for hostile data, and whether it panics, is
// up to that function.
func From[T any](marshal func(v any) ([]byte, error), unmarshal func(data []byte, v any) error) Codec[T] {
	return from[T]{marshal, unmarshal}
}

type from[T any] struct {
	marshal   func(v any) ([]byte, error)
	unmarshal func(data []byte, v any) error
}

func (c from[T]) Encode(v T) (string, error) {
	b, err := c.marshal(v)
	if err != nil {
		return "", encodeError(err)
	}
	return asString(b), nil
}

func (c from[T]) Decode(s string, v *T) error {
	if err := c.unmarshal(asBytes(s), v); err != nil {
		return corrupt(err)
	}
	return nil
}

func encodeError(err error) error { return fmt.Errorf("codec: encode: %w", err) }

func corrupt(err error) error { return fmt.Errorf("%w: %w", ErrCorrupt, err) }

// asString returns b as a string without copying it. Nobody may write to b afterwards.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// asBytes returns s as bytes without copying them. Nobody may write to them, ever.
func asBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
