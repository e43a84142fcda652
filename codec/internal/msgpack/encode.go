package msgpack

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
)

// Append appends the encoding of what v, a pointer, points to. It takes a pointer so that methods with pointer
// receivers are found.
func (ts *Types) Append(dst []byte, v any) ([]byte, error) {
	e := encoder{types: ts, buf: dst}
	p := reflect.ValueOf(v).Elem()
	if err := e.value(p, ts.of(p.Type())); err != nil {
		return dst, err
	}
	return e.buf, nil
}

var (
	errTooDeep = errors.New("msgpack: nested too deeply, or a value that contains itself")
	errTooLong = errors.New("msgpack: longer than 4 GiB")
)

type encoder struct {
	types *Types
	buf   []byte
	depth int
}

func (e *encoder) value(v reflect.Value, t *typeInfo) error {
	if t.form == formInterface {
		if v.IsNil() {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		v = v.Elem()
		t = e.types.of(v.Type())
	}
	if e.depth++; e.depth > maxDepth {
		return errTooDeep
	}
	defer func() { e.depth-- }()

	switch t.form {
	case formBool:
		if v.Bool() {
			e.buf = append(e.buf, codeTrue)
		} else {
			e.buf = append(e.buf, codeFalse)
		}
	case formInt:
		e.buf = appendInt(e.buf, v.Int())
	case formUint:
		e.buf = appendUint(e.buf, v.Uint())
	case formFloat32:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, codeFloat32), math.Float32bits(float32(v.Float())))
	case formFloat64:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, codeFloat64), math.Float64bits(v.Float()))
	case formString:
		return e.string(v.String())
	case formBytes:
		return e.byteSequence(v)
	case formSequence:
		return e.sequence(v, t)
	case formMap:
		return e.mapping(v, t)
	case formStruct:
		return e.structure(v, t)
	case formPointer:
		if v.IsNil() {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return e.value(v.Elem(), t.elem)
	case formTime:
		e.time(addressable(v).Addr().Interface().(*time.Time))
	case formBinary:
		b, err := addressable(v).Addr().Interface().(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return fmt.Errorf("msgpack: %s: %w", t.typ, err)
		}
		return e.bytes(b)
	case formText:
		b, err := addressable(v).Addr().Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return fmt.Errorf("msgpack: %s: %w", t.typ, err)
		}
		return e.string(string(b))
	default:
		return t.err
	}
	return nil
}

// addressable returns v, or a copy of v whose address can be taken: map entries and what interfaces hold cannot
// otherwise be asked for methods with pointer receivers.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

func (e *encoder) string(s string) error {
	if uint64(len(s)) > math.MaxUint32 {
		return errTooLong
	}
	e.buf = appendString(e.buf, s)
	return nil
}

func (e *encoder) bytes(b []byte) error {
	if err := e.bytesHeader(len(b)); err != nil {
		return err
	}
	e.buf = append(e.buf, b...)
	return nil
}

func (e *encoder) bytesHeader(n int) error {
	switch {
	case n <= math.MaxUint8:
		e.buf = append(e.buf, codeBin8, byte(n))
	case n <= math.MaxUint16:
		e.buf = binary.BigEndian.AppendUint16(append(e.buf, codeBin16), uint16(n))
	case uint64(n) <= math.MaxUint32:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, codeBin32), uint32(n))
	default:
		return errTooLong
	}
	return nil
}

func (e *encoder) byteSequence(v reflect.Value) error {
	if v.Kind() == reflect.Slice {
		if v.IsNil() {
			e.buf = append(e.buf, codeNil)
			return nil
		}
		return e.bytes(v.Bytes())
	}
	return e.bytes(addressable(v).Bytes())
}

func (e *encoder) sequence(v reflect.Value, t *typeInfo) error {
	if v.Kind() == reflect.Slice && v.IsNil() {
		e.buf = append(e.buf, codeNil)
		return nil
	}
	n := v.Len()
	if err := e.countHeader(n, codeFixArray, codeArray16, codeArray32); err != nil {
		return err
	}
	for i := range n {
		if err := e.value(v.Index(i), t.elem); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) mapping(v reflect.Value, t *typeInfo) error {
	if v.IsNil() {
		e.buf = append(e.buf, codeNil)
		return nil
	}
	n := v.Len()
	if err := e.countHeader(n, codeFixMap, codeMap16, codeMap32); err != nil {
		return err
	}
	type entry struct {
		start, end int // of the key
		value      reflect.Value
	}
	// The keys are written at the end of the buffer first, to be sorted, and moved away before the entries are written.
	entries := make([]entry, 0, n)
	base := len(e.buf)
	for it := v.MapRange(); it.Next(); {
		start := len(e.buf)
		if err := e.value(it.Key(), t.key); err != nil {
			return err
		}
		entries = append(entries, entry{start - base, len(e.buf) - base, it.Value()})
	}
	keys := bytes.Clone(e.buf[base:])
	e.buf = e.buf[:base]
	slices.SortFunc(entries, func(a, b entry) int {
		return bytes.Compare(keys[a.start:a.end], keys[b.start:b.end])
	})
	for _, en := range entries {
		e.buf = append(e.buf, keys[en.start:en.end]...)
		if err := e.value(en.value, t.elem); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) structure(v reflect.Value, t *typeInfo) error {
	n := len(t.fields)
	if t.mayOmit {
		n = 0
		for i := range t.fields {
			if _, written := t.fields[i].of(v); written {
				n++
			}
		}
	}
	if err := e.countHeader(n, codeFixMap, codeMap16, codeMap32); err != nil {
		return err
	}
	for i := range t.fields {
		f := &t.fields[i]
		fv, written := f.of(v)
		if !written {
			continue
		}
		e.buf = append(e.buf, f.encoded...)
		if err := e.value(fv, f.info); err != nil {
			return err
		}
	}
	return nil
}

// of returns f's value in the struct v, and whether it is to be written.
func (f *field) of(v reflect.Value) (reflect.Value, bool) {
	for depth, i := range f.index {
		if depth > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, !(f.omitEmpty && isEmpty(v) || f.omitZero && isZero(v))
}

// isEmpty is encoding/json's notion of it.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}

func isZero(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		return v.IsNil()
	}
	if z, ok := addressable(v).Addr().Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}

func (e *encoder) countHeader(n int, fix, code16, code32 byte) error {
	switch {
	case n <= 15:
		e.buf = append(e.buf, fix|byte(n))
	case n <= math.MaxUint16:
		e.buf = binary.BigEndian.AppendUint16(append(e.buf, code16), uint16(n))
	case uint64(n) <= math.MaxUint32:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, code32), uint32(n))
	default:
		return errTooLong
	}
	return nil
}

func (e *encoder) time(t *time.Time) {
	sec, nsec := t.Unix(), uint64(t.Nanosecond())
	switch {
	case uint64(sec) <= math.MaxUint32 && nsec == 0:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, codeFixExt4, extTime), uint32(sec))
	case uint64(sec)>>34 == 0:
		e.buf = binary.BigEndian.AppendUint64(append(e.buf, codeFixExt8, extTime), nsec<<34|uint64(sec))
	default:
		e.buf = binary.BigEndian.AppendUint32(append(e.buf, codeExt8, 12, extTime), uint32(nsec))
		e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(sec))
	}
}

// appendString appends a string of less than 4 GiB.
func appendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n <= 31:
		b = append(b, codeFixStr|byte(n))
	case n <= math.MaxUint8:
		b = append(b, codeStr8, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, codeStr16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, codeStr32), uint32(n))
	}
	return append(b, s...)
}

func appendInt(b []byte, i int64) []byte {
	switch {
	case i >= 0:
		return appendUint(b, uint64(i))
	case i >= -32:
		return append(b, byte(i))
	case i >= math.MinInt8:
		return append(b, codeInt8, byte(i))
	case i >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, codeInt16), uint16(i))
	case i >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, codeInt32), uint32(i))
	default:
		return binary.BigEndian.AppendUint64(append(b, codeInt64), uint64(i))
	}
}

func appendUint(b []byte, u uint64) []byte {
	switch {
	case u <= 127:
		return append(b, byte(u))
	case u <= math.MaxUint8:
		return append(b, codeUint8, byte(u))
	case u <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, codeUint16), uint16(u))
	case u <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, codeUint32), uint32(u))
	default:
		return binary.BigEndian.AppendUint64(append(b, codeUint64), u)
	}
}
