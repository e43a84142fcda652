// Package msgpack writes Go values as MessagePack and reads them back.
//
// It exists because no library of that kind is at once safe against hostile bytes, careful with integers that do not
// fit, and small; package codec's doc names what was measured. It has two guarantees that the libraries lack:
//
//   - Reading allocates at most a constant, which depends on the Go type, times the length of the data, whatever the
//     length prefixes claim, and recursion is bounded. See [decoder.claim].
//   - Equal values have equal encodings: map entries are sorted by their encoded keys.
//
// The wire format is that of https://github.com/msgpack/msgpack/blob/master/spec.md, with the timestamp extension.
package msgpack

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

// maxDepth bounds the nesting of values, pointers and interfaces included. It is encoding/json's bound. Without one, a
// value that contains itself, or hostile data, would overflow the stack, which nothing can recover from.
const maxDepth = 10_000

// Types remembers what it learned about Go types by reflection. The zero value is ready, and safe for concurrent use.
type Types struct {
	known sync.Map // reflect.Type to *typeInfo
}

// form is how values of a Go type are written.
type form uint8

const (
	formUnsupported form = iota
	formBool
	formInt
	formUint
	formFloat32
	formFloat64
	formString
	formBytes     // []byte and [n]byte
	formSequence  // slices and arrays of anything else
	formMap       // maps
	formStruct    // a map from the names of the fields
	formPointer   // what it points to, or nil
	formInterface // what it holds, or nil
	formTime      // the timestamp extension
	formBinary    // what MarshalBinary returns
	formText      // what MarshalText returns
)

type typeInfo struct {
	typ    reflect.Type
	form   form
	err    error // why the type cannot be written; form is then formUnsupported
	key    *typeInfo
	elem   *typeInfo
	fields []field
	byName map[string]*field
	// mayOmit is whether the number of a struct's written fields depends on its values.
	mayOmit bool
}

type field struct {
	name      string
	encoded   string // the name as MessagePack
	index     []int
	info      *typeInfo
	omitEmpty bool
	omitZero  bool
}

var (
	timeType          = reflect.TypeFor[time.Time]()
	binaryMarshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	binaryUnmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
	textMarshaler     = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (ts *Types) of(t reflect.Type) *typeInfo {
	if info, ok := ts.known.Load(t); ok {
		return info.(*typeInfo)
	}
	// A type may contain itself, so a whole graph of types is built first and published when it is complete. Two
	// goroutines may build the same graph at once; either does.
	b := builder{known: &ts.known, built: make(map[reflect.Type]*typeInfo)}
	info := b.of(t)
	for typ, i := range b.built {
		ts.known.LoadOrStore(typ, i)
	}
	return info
}

type builder struct {
	known *sync.Map
	built map[reflect.Type]*typeInfo
}

func (b *builder) of(t reflect.Type) *typeInfo {
	if info, ok := b.known.Load(t); ok {
		return info.(*typeInfo)
	}
	if info, ok := b.built[t]; ok {
		return info
	}
	info := &typeInfo{typ: t}
	b.built[t] = info
	b.fill(info)
	return info
}

func (b *builder) fill(info *typeInfo) {
	t := info.typ
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		if info.form = methodForm(t); info.form != formUnsupported {
			return
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		info.form = formBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		info.form = formInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		info.form = formUint
	case reflect.Float32:
		info.form = formFloat32
	case reflect.Float64:
		info.form = formFloat64
	case reflect.String:
		info.form = formString
	case reflect.Slice, reflect.Array:
		info.form = formSequence
		info.elem = b.of(t.Elem())
		if t.Elem().Kind() == reflect.Uint8 && info.elem.form == formUint {
			info.form = formBytes
		}
	case reflect.Map:
		info.form = formMap
		info.key = b.of(t.Key())
		info.elem = b.of(t.Elem())
	case reflect.Pointer:
		info.form = formPointer
		info.elem = b.of(t.Elem())
	case reflect.Interface:
		info.form = formInterface
	case reflect.Struct:
		b.fillStruct(info)
	default:
		info.err = fmt.Errorf("msgpack: unsupported type %s", t)
	}
}

// methodForm returns the form that t's methods ask for, or formUnsupported. Both halves of a pair of methods must be
// there, because what only one half handles would not survive a round trip.
func methodForm(t reflect.Type) form {
	p := reflect.PointerTo(t)
	switch {
	case t == timeType:
		return formTime
	case p.Implements(binaryMarshaler) && p.Implements(binaryUnmarshaler):
		return formBinary
	case p.Implements(textMarshaler) && p.Implements(textUnmarshaler):
		return formText
	}
	return formUnsupported
}

func (b *builder) fillStruct(info *typeInfo) {
	found := make(map[string]*field)
	ambiguous := make(map[string]bool)
	var order []string
	var walk func(t reflect.Type, index []int, within map[reflect.Type]bool)
	walk = func(t reflect.Type, index []int, within map[reflect.Type]bool) {
		if within[t] { // a struct embeds itself: its fields are known already, at a smaller depth
			return
		}
		within[t] = true
		defer delete(within, t)
		for i := range t.NumField() {
			sf := t.Field(i)
			f, embedded, skip := parseField(sf)
			if skip {
				continue
			}
			f.index = append(index[:len(index):len(index)], i)
			if embedded != nil {
				walk(embedded, f.index, within)
				continue
			}
			old, dup := found[f.name]
			switch {
			case !dup:
				order = append(order, f.name)
			case len(old.index) < len(f.index):
				continue
			case len(old.index) == len(f.index):
				ambiguous[f.name] = true
				continue
			}
			ambiguous[f.name] = false
			f.info = b.of(sf.Type)
			found[f.name] = f
		}
	}
	walk(info.typ, nil, make(map[reflect.Type]bool))

	if len(found) == 0 && hidesFields(info.typ) {
		info.err = fmt.Errorf("msgpack: unsupported type %s: it has neither exported fields nor methods to marshal it",
			info.typ)
		return
	}
	info.form = formStruct
	info.byName = found
	for _, name := range order {
		if ambiguous[name] {
			info.form = formUnsupported
			info.err = fmt.Errorf("msgpack: %s has two fields named %q", info.typ, name)
			return
		}
		f := found[name]
		f.encoded = string(appendString(nil, name))
		info.fields = append(info.fields, *f)
		info.mayOmit = info.mayOmit || f.omitEmpty || f.omitZero || throughPointer(info.typ, f.index)
	}
}

// parseField reads the tag of a field. embedded is the struct whose fields take the place of this one, if any.
func parseField(sf reflect.StructField) (f *field, embedded reflect.Type, skip bool) {
	tag, ok := sf.Tag.Lookup("msgpack")
	if !ok {
		tag = sf.Tag.Get("json")
	}
	if tag == "-" {
		return nil, nil, true
	}
	name, options, _ := strings.Cut(tag, ",")
	f = &field{name: name}
	for option := range strings.SplitSeq(options, ",") {
		f.omitEmpty = f.omitEmpty || option == "omitempty"
		f.omitZero = f.omitZero || option == "omitzero"
	}
	if sf.Anonymous && name == "" {
		t := sf.Type
		if t.Kind() == reflect.Pointer {
			// Reading could not create a struct behind an unexported pointer.
			if !sf.IsExported() {
				return nil, nil, true
			}
			t = t.Elem()
		}
		if t.Kind() == reflect.Struct && methodForm(t) == formUnsupported {
			return f, t, false
		}
	}
	if !sf.IsExported() {
		return nil, nil, true
	}
	if name == "" {
		f.name = sf.Name
	}
	return f, nil, false
}

// hidesFields reports whether a struct has fields but exports none, so that writing it would lose everything.
func hidesFields(t reflect.Type) bool {
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			return false
		}
	}
	return t.NumField() > 0
}

// throughPointer reports whether the way to a promoted field leads through an embedded pointer.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		t = t.Field(i).Type
		if t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}
