package msgpack

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// Decode reads the one value that data is into what v, a pointer, points to. Struct fields and map entries that data
// does not name are left as they are; an interface that holds a pointer is read into what it points to.
func (ts *Types) Decode(data string, v any) error {
	d := decoder{types: ts, data: data, unclaimed: uint64(len(data))}
	p := reflect.ValueOf(v).Elem()
	if err := d.value(p, ts.of(p.Type())); err != nil {
		return err
	}
	if d.pos != len(data) {
		return fmt.Errorf("msgpack: %d bytes after the value", len(data)-d.pos)
	}
	return nil
}

var errTruncated = errors.New("msgpack: unexpected end of data")

type decoder struct {
	types     *Types
	data      string
	pos       int
	depth     int
	unclaimed uint64
}

// claim accounts for the n elements of an array or map before memory is set aside for them. Every element takes at
// least a byte that no other element shares, nested ones included, so all claims of honest data together are below its
// length. A false length fails here, or asks for no more memory than honest data of that size could.
func (d *decoder) claim(n uint64) error {
	if n > d.unclaimed {
		return errTruncated
	}
	d.unclaimed -= n
	return nil
}

func (d *decoder) value(v reflect.Value, t *typeInfo) error {
	switch {
	case t.form == formUnsupported:
		return t.err
	case d.pos < len(d.data) && d.data[d.pos] == codeNil:
		d.pos++
		v.SetZero()
		return nil
	case t.form == formInterface:
		return d.intoInterface(v, t)
	}
	if d.depth++; d.depth > maxDepth {
		return errTooDeep
	}
	defer func() { d.depth-- }()

	if t.form == formPointer {
		if v.IsNil() {
			v.Set(reflect.New(t.typ.Elem()))
		}
		return d.value(v.Elem(), t.elem)
	}
	it, err := d.item()
	if err != nil {
		return err
	}
	switch {
	case t.form == formBool && it.kind == itemBool:
		v.SetBool(it.n != 0)
	case t.form == formInt && it.isInteger():
		i, ok := it.int()
		if !ok || v.OverflowInt(i) {
			return it.overflows(t)
		}
		v.SetInt(i)
	case t.form == formUint && it.isInteger():
		if it.kind == itemNegative || v.OverflowUint(it.n) {
			return it.overflows(t)
		}
		v.SetUint(it.n)
	case (t.form == formFloat32 || t.form == formFloat64) && (it.isInteger() || it.kind == itemFloat):
		f := it.float()
		if v.OverflowFloat(f) {
			return it.overflows(t)
		}
		v.SetFloat(f)
	case t.form == formString && it.isText():
		v.SetString(strings.Clone(it.text))
	case t.form == formBytes && it.isText():
		return setBytes(v, it.text)
	case t.form == formTime && it.kind == itemExt:
		tm, err := it.time()
		if err != nil {
			return err
		}
		*v.Addr().Interface().(*time.Time) = tm
	case t.form == formBinary && it.isText():
		// The methods get a copy: nothing keeps them from writing to what they are given.
		err := v.Addr().Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary([]byte(it.text))
		if err != nil {
			return fmt.Errorf("msgpack: %s: %w", t.typ, err)
		}
	case t.form == formText && it.isText():
		err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(it.text))
		if err != nil {
			return fmt.Errorf("msgpack: %s: %w", t.typ, err)
		}
	case t.form == formSequence && it.kind == itemArray, t.form == formBytes && it.kind == itemArray:
		return d.sequence(v, t, int(it.n))
	case t.form == formMap && it.kind == itemMap:
		return d.mapping(v, t, int(it.n))
	case t.form == formStruct && it.kind == itemMap:
		return d.structure(v, t, int(it.n))
	default:
		return fmt.Errorf("msgpack: cannot read %s into %s", it.kind, t.typ)
	}
	return nil
}

func (d *decoder) intoInterface(v reflect.Value, t *typeInfo) error {
	if p := v.Elem(); p.Kind() == reflect.Pointer && !p.IsNil() {
		return d.value(p, d.types.of(p.Type()))
	}
	if t.typ.NumMethod() > 0 {
		return fmt.Errorf("msgpack: cannot choose a type for %s", t.typ)
	}
	a, err := d.any()
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(a)) // not nil, which value has handled
	return nil
}

func setBytes(v reflect.Value, s string) error {
	if v.Kind() == reflect.Slice {
		v.SetBytes([]byte(s))
		return nil
	}
	if len(s) != v.Len() {
		return fmt.Errorf("msgpack: cannot read %d bytes into %s", len(s), v.Type())
	}
	copy(v.Bytes(), s)
	return nil
}

func (d *decoder) sequence(v reflect.Value, t *typeInfo, n int) error {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(t.typ, n, n))
	} else if n != v.Len() {
		return fmt.Errorf("msgpack: cannot read %d elements into %s", n, t.typ)
	}
	for i := range n {
		if err := d.value(v.Index(i), t.elem); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) mapping(v reflect.Value, t *typeInfo, n int) error {
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(t.typ, n))
	}
	key := reflect.New(t.typ.Key()).Elem()
	value := reflect.New(t.typ.Elem()).Elem()
	for range n {
		key.SetZero()
		if err := d.value(key, t.key); err != nil {
			return err
		}
		if !key.Comparable() { // a slice or map in an interface
			return fmt.Errorf("msgpack: cannot be a key of %s", t.typ)
		}
		value.SetZero()
		if err := d.value(value, t.elem); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

func (d *decoder) structure(v reflect.Value, t *typeInfo, n int) error {
	for range n {
		name, err := d.item()
		if err != nil {
			return err
		}
		var f *field
		if name.isText() {
			f = t.byName[name.text]
		}
		if f == nil {
			if err := d.skip(name.inner()); err != nil {
				return err
			}
			if err := d.skip(1); err != nil {
				return err
			}
			continue
		}
		if err := d.value(fieldToSet(v, f.index), f.info); err != nil {
			return err
		}
	}
	return nil
}

func fieldToSet(v reflect.Value, index []int) reflect.Value {
	for depth, i := range index {
		if depth > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// any reads a value whose Go type the data decides.
func (d *decoder) any() (any, error) {
	if d.depth++; d.depth > maxDepth {
		return nil, errTooDeep
	}
	defer func() { d.depth-- }()

	it, err := d.item()
	if err != nil {
		return nil, err
	}
	switch it.kind {
	case itemNil:
		return nil, nil
	case itemBool:
		return it.n != 0, nil
	case itemPositive, itemNegative:
		if i, ok := it.int(); ok {
			return i, nil
		}
		return it.n, nil
	case itemFloat:
		return it.f, nil
	case itemString:
		return strings.Clone(it.text), nil
	case itemBinary:
		return []byte(it.text), nil
	case itemExt:
		return it.time()
	case itemArray:
		a := make([]any, it.n)
		for i := range a {
			if a[i], err = d.any(); err != nil {
				return nil, err
			}
		}
		return a, nil
	default: // itemMap
		m := make(map[string]any, it.n)
		for range it.n {
			key, err := d.item()
			if err != nil {
				return nil, err
			}
			if key.kind != itemString {
				return nil, fmt.Errorf("msgpack: cannot read a map with a key that is %s without a type for it", key.kind)
			}
			if m[strings.Clone(key.text)], err = d.any(); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
}

// skip passes over n values. It does not recurse, so the nesting of what nobody asked for does not matter.
func (d *decoder) skip(n int) error {
	for ; n > 0; n-- {
		it, err := d.item()
		if err != nil {
			return err
		}
		n += it.inner()
	}
	return nil
}

type itemKind uint8

const (
	itemNil itemKind = iota
	itemBool
	itemPositive
	itemNegative
	itemFloat
	itemString
	itemBinary
	itemArray
	itemMap
	itemExt
)

func (k itemKind) String() string {
	return [...]string{"nil", "a bool", "an integer", "a negative integer", "a float", "a string", "bytes", "an array",
		"a map", "an extension"}[k]
}

// item is a value, or what comes before the elements of an array or map.
type item struct {
	kind itemKind
	ext  byte    // the type of an extension
	n    uint64  // an integer (a negative one as two's complement), a bool, the number of elements or entries
	f    float64 // a float
	text string  // the bytes of a string, binary or extension; part of the data
}

func (it *item) isInteger() bool { return it.kind == itemPositive || it.kind == itemNegative }

// isText is true for bytes also: older writers have strings only.
func (it *item) isText() bool { return it.kind == itemString || it.kind == itemBinary }

// int returns false if the integer is above the largest int64.
func (it *item) int() (int64, bool) {
	return int64(it.n), it.kind == itemNegative || it.n <= math.MaxInt64
}

func (it *item) float() float64 {
	switch it.kind {
	case itemFloat:
		return it.f
	case itemNegative:
		return float64(int64(it.n))
	default:
		return float64(it.n)
	}
}

func (it *item) overflows(t *typeInfo) error {
	return fmt.Errorf("msgpack: %s that does not fit %s", it.kind, t.typ)
}

// inner is the number of values that follow and belong to it. It has been claimed, so it fits an int.
func (it *item) inner() int {
	switch it.kind {
	case itemArray:
		return int(it.n)
	case itemMap:
		return 2 * int(it.n)
	default:
		return 0
	}
}

func (it *item) time() (time.Time, error) {
	if it.ext != extTime {
		return time.Time{}, fmt.Errorf("msgpack: unknown extension %d", int8(it.ext))
	}
	var sec int64
	var nsec uint64
	switch len(it.text) {
	case 4:
		sec = int64(bigEndian(it.text))
	case 8:
		u := bigEndian(it.text)
		sec, nsec = int64(u&(1<<34-1)), u>>34
	case 12:
		sec, nsec = int64(bigEndian(it.text[4:])), bigEndian(it.text[:4])
	default:
		return time.Time{}, fmt.Errorf("msgpack: timestamp of %d bytes", len(it.text))
	}
	if nsec > 999_999_999 {
		return time.Time{}, errors.New("msgpack: timestamp of a second or more of nanoseconds")
	}
	return time.Unix(sec, int64(nsec)).UTC(), nil
}

func (d *decoder) item() (item, error) {
	c, err := d.uint(1)
	if err != nil {
		return item{}, err
	}
	switch {
	case c < codeFixMap:
		return item{kind: itemPositive, n: c}, nil
	case c < codeFixArray:
		return d.counted(itemMap, c&0x0f)
	case c < codeFixStr:
		return d.counted(itemArray, c&0x0f)
	case c < codeNil:
		return d.sized(itemString, c&0x1f)
	case c > codeMap32:
		return item{kind: itemNegative, n: uint64(int8(c))}, nil
	}
	switch c {
	case codeNil:
		return item{kind: itemNil}, nil
	case codeFalse, codeTrue:
		return item{kind: itemBool, n: c - codeFalse}, nil
	case codeUint8, codeUint16, codeUint32, codeUint64:
		n, err := d.uint(1 << (c - codeUint8))
		return item{kind: itemPositive, n: n}, err
	case codeInt8, codeInt16, codeInt32, codeInt64:
		size := 1 << (c - codeInt8)
		n, err := d.uint(size)
		unused := 64 - 8*size
		i := int64(n<<unused) >> unused
		if i < 0 {
			return item{kind: itemNegative, n: uint64(i)}, err
		}
		return item{kind: itemPositive, n: uint64(i)}, err
	case codeFloat32:
		n, err := d.uint(4)
		return item{kind: itemFloat, f: float64(math.Float32frombits(uint32(n)))}, err
	case codeFloat64:
		n, err := d.uint(8)
		return item{kind: itemFloat, f: math.Float64frombits(n)}, err
	case codeStr8, codeStr16, codeStr32:
		n, err := d.uint(1 << (c - codeStr8))
		if err != nil {
			return item{}, err
		}
		return d.sized(itemString, n)
	case codeBin8, codeBin16, codeBin32:
		n, err := d.uint(1 << (c - codeBin8))
		if err != nil {
			return item{}, err
		}
		return d.sized(itemBinary, n)
	case codeArray16, codeArray32:
		n, err := d.uint(2 << (c - codeArray16))
		if err != nil {
			return item{}, err
		}
		return d.counted(itemArray, n)
	case codeMap16, codeMap32:
		n, err := d.uint(2 << (c - codeMap16))
		if err != nil {
			return item{}, err
		}
		return d.counted(itemMap, n)
	case codeFixExt1, codeFixExt2, codeFixExt4, codeFixExt8, codeFixExt16:
		return d.extension(1 << (c - codeFixExt1))
	case codeExt8, codeExt16, codeExt32:
		n, err := d.uint(1 << (c - codeExt8))
		if err != nil {
			return item{}, err
		}
		return d.extension(n)
	}
	return item{}, fmt.Errorf("msgpack: invalid byte %#x", c)
}

func (d *decoder) counted(kind itemKind, n uint64) (item, error) {
	elements := n
	if kind == itemMap {
		elements = 2 * n
	}
	return item{kind: kind, n: n}, d.claim(elements)
}

func (d *decoder) sized(kind itemKind, n uint64) (item, error) {
	s, err := d.take(n)
	return item{kind: kind, text: s}, err
}

func (d *decoder) extension(n uint64) (item, error) {
	ext, err := d.uint(1)
	if err != nil {
		return item{}, err
	}
	s, err := d.take(n)
	return item{kind: itemExt, ext: byte(ext), text: s}, err
}

func (d *decoder) take(n uint64) (string, error) {
	if n > uint64(len(d.data)-d.pos) {
		return "", errTruncated
	}
	s := d.data[d.pos : d.pos+int(n)]
	d.pos += int(n)
	return s, nil
}

// uint reads an unsigned integer of size bytes.
func (d *decoder) uint(size int) (uint64, error) {
	s, err := d.take(uint64(size))
	return bigEndian(s), err
}

func bigEndian(s string) uint64 {
	var n uint64
	for i := range len(s) {
		n = n<<8 | uint64(s[i])
	}
	return n
}
