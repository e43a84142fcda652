// Package fields says how the fields of a struct are kept in the fields of a hash, for the packages that do that.
package fields

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A Plan says how the fields of a struct type are kept in a hash. It is made once for a type and never changes.
// Fields have positions, which are those in Names.
type Plan struct {
	typ    reflect.Type
	fields []field
	names  []string // of all fields, in order
	byName map[string]int
}

// field is one field of the struct, and of the hash.
type field struct {
	name      string // in Redis
	path      string // in Go, for errors
	index     []int
	form      form
	bits      int  // of a number
	pointer   bool // nil is a field that is absent
	omitEmpty bool
	isZeroer  bool
}

// form is how a field's value is written.
type form uint8

const (
	formString form = iota + 1
	formBytes
	formBool
	formInt
	formUint
	formFloat
	formTime
	formText  // by its own MarshalText
	formCodec // by Config.Codec
)

var (
	timeType         = reflect.TypeFor[time.Time]()
	textMarshaler    = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshaler  = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonMarshaler    = reflect.TypeFor[json.Marshaler]()
	binaryMarshaler  = reflect.TypeFor[encoding.BinaryMarshaler]()
	isZeroer         = reflect.TypeFor[interface{ IsZero() bool }]()
	errNoOwnFields   = errors.New("no exported fields and no methods to encode it by")
	errOneTextMethod = errors.New("only one of MarshalText and UnmarshalText")
)

// Of makes the plan for a type. Its errors name the field.
func Of(t reflect.Type) (*Plan, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a struct", t)
	}
	p := &Plan{typ: t, byName: make(map[string]int)}
	if err := p.add(t, t.String(), nil); err != nil {
		return nil, err
	}
	if len(p.fields) == 0 {
		return nil, fmt.Errorf("%v has no fields to keep: none is exported", t)
	}
	return p, nil
}

// Names returns the names of all fields in Redis. They are not to be changed.
func (p *Plan) Names() []string { return p.names }

// Path returns how a field is called in Go, for errors.
func (p *Plan) Path(i int) string { return p.fields[i].path }

// IsInteger reports whether HINCRBY can add to a field.
func (p *Plan) IsInteger(i int) bool {
	return p.fields[i].form == formInt || p.fields[i].form == formUint
}

// Range returns the least and the greatest number that fit a field that is an integer, each "" if it is that of 64 bits
// with a sign, in which HINCRBY counts.
func (p *Plan) Range(i int) (least, most string) {
	f := &p.fields[i]
	switch {
	case f.form == formUint && f.bits < 64:
		return "0", strconv.FormatInt(1<<f.bits-1, 10)
	case f.form == formUint:
		return "0", ""
	case f.bits < 64:
		return strconv.FormatInt(-1<<(f.bits-1), 10), strconv.FormatInt(1<<(f.bits-1)-1, 10)
	}
	return "", ""
}

// IsFloat reports whether HINCRBYFLOAT can add to a field.
func (p *Plan) IsFloat(i int) bool { return p.fields[i].form == formFloat }

// add takes in the fields of t, which is found at index in the struct.
func (p *Plan) add(t reflect.Type, path string, index []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		path := path + "." + sf.Name
		name, omitEmpty, err := parseTag(sf)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if name == "-" {
			continue
		}
		at := append(index[:len(index):len(index)], i)
		if sf.Anonymous && name == "" {
			promote, err := promotes(sf.Type)
			switch {
			case err == nil && promote && omitEmpty:
				err = errors.New("omitempty on an embedded struct: its fields can have it")
			case err == nil && promote:
				if err := p.add(sf.Type, path, at); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		if !sf.IsExported() {
			if sf.Tag.Get("redis") != "" {
				return fmt.Errorf("%s: has a redis tag and is not exported", path)
			}
			continue
		}
		if name == "" {
			name = sf.Name
		}
		f := field{name: name, path: path, index: at, omitEmpty: omitEmpty}
		if err := f.setForm(sf.Type); err != nil {
			return fmt.Errorf("%s: type %v: %w", path, sf.Type, err)
		}
		if other, ok := p.byName[name]; ok {
			return fmt.Errorf("%s and %s are both named %q", p.fields[other].path, path, name)
		}
		p.byName[name] = len(p.fields)
		p.fields = append(p.fields, f)
		p.names = append(p.names, name)
	}
	return nil
}

// parseTag reads a tag redis:"name,omitempty".
func parseTag(sf reflect.StructField) (name string, omitEmpty bool, err error) {
	name, options, more := strings.Cut(sf.Tag.Get("redis"), ",")
	for more {
		var option string
		option, options, more = strings.Cut(options, ",")
		if option != "omitempty" {
			return "", false, fmt.Errorf("unknown option %q in the redis tag", option)
		}
		omitEmpty = true
	}
	return name, omitEmpty, nil
}

// promotes reports whether an embedded field without a name stands for the fields in it.
func promotes(t reflect.Type) (bool, error) {
	if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		if own, err := hasOwnForm(t.Elem()); own || err != nil {
			return false, err
		}
		return false, errors.New("an embedded pointer to a struct: embed the struct, or name the field by a redis tag")
	}
	if t.Kind() != reflect.Struct {
		return false, nil
	}
	own, err := hasOwnForm(t)
	return !own, err
}

// hasOwnForm reports whether a type is a time or has a text form.
func hasOwnForm(t reflect.Type) (bool, error) {
	if t == timeType {
		return true, nil
	}
	// Both are looked for on the pointer, which has the methods of the value too.
	pt := reflect.PointerTo(t)
	marshals, unmarshals := pt.Implements(textMarshaler), pt.Implements(textUnmarshaler)
	if marshals != unmarshals {
		return false, errOneTextMethod
	}
	return marshals, nil
}

// setForm finds out how values of type t are written.
func (f *field) setForm(t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		f.pointer = true
		if t = t.Elem(); t.Kind() == reflect.Pointer {
			return errors.New("a pointer to a pointer")
		}
	}
	f.isZeroer = reflect.PointerTo(t).Implements(isZeroer)
	own, err := hasOwnForm(t)
	switch {
	case err != nil:
		return err
	case t == timeType:
		f.form = formTime
		return nil
	case own:
		f.form = formText
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		f.form = formString
	case reflect.Bool:
		f.form = formBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.form, f.bits = formInt, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.form, f.bits = formUint, t.Bits()
	case reflect.Float32, reflect.Float64:
		f.form, f.bits = formFloat, t.Bits()
	case reflect.Slice:
		if t.Elem() == reflect.TypeFor[byte]() {
			f.form = formBytes
			return nil
		}
		f.form = formCodec
		return encodable(t.Elem())
	case reflect.Array, reflect.Map:
		f.form = formCodec
		return encodable(t.Elem())
	case reflect.Struct:
		f.form = formCodec
		return encodable(t)
	default:
		return fmt.Errorf("a %v cannot be stored", t.Kind())
	}
	return nil
}

// encodable refuses, in what is left to the codec, what no codec can write, or would write nothing of.
func encodable(t reflect.Type) error {
	if t.Kind() == reflect.Struct && !hasMethods(t) && t.NumField() > 0 {
		some := false
		for i := range t.NumField() {
			some = some || t.Field(i).IsExported() || t.Field(i).Anonymous
		}
		if !some {
			return errNoOwnFields
		}
	}
	return writable(t, make(map[reflect.Type]bool))
}

// writable looks for what cannot be written, at any depth. What writes itself, or is marked to be left out, is its own affair.
func writable(t reflect.Type, seen map[reflect.Type]bool) error {
	if hasMethods(t) || seen[t] {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("a %v cannot be stored", t.Kind())
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return writable(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			sf := t.Field(i)
			if !sf.IsExported() || strings.Contains(string(sf.Tag), `:"-"`) {
				continue
			}
			if err := writable(sf.Type, seen); err != nil {
				return fmt.Errorf("%s: %w", sf.Name, err)
			}
		}
	}
	return nil
}

// hasMethods reports whether codecs ask values of the type for how they are written.
func hasMethods(t reflect.Type) bool {
	pt := reflect.PointerTo(t)
	return t == timeType || pt.Implements(textMarshaler) || pt.Implements(jsonMarshaler) || pt.Implements(binaryMarshaler)
}

// Pick returns the positions of fields by their names in Redis.
func (p *Plan) Pick(names []string) ([]int, error) {
	at := make([]int, len(names))
	for i, name := range names {
		n, err := p.Find(name)
		if err != nil {
			return nil, err
		}
		at[i] = n
	}
	return at, nil
}

// Find returns the position of a field by its name in Redis.
func (p *Plan) Find(name string) (int, error) {
	i, ok := p.byName[name]
	if !ok {
		return 0, fmt.Errorf("%v has no field %q", p.typ, name)
	}
	return i, nil
}
