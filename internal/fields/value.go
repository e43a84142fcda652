package fields

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
)

// maxScratch is the size in bytes up to which working memory is kept for the next call.
const maxScratch = 64 << 10

// Arguments collects what a call sends: names and values of fields, and names of fields to remove. It may be
// used again and again.
type Arguments struct {
	// List is, after Finish: room for a header, name, value, name, value …, and the names of fields to remove.
	List []string

	header int
	gone   []string
	buf    []byte // the values that have to be made, one after the other
	cuts   []cut
}

// cut says that an argument is a part of buf.
type cut struct{ arg, from, to int }

// Reset begins a list that leaves room for a header.
func (a *Arguments) Reset(header int) {
	a.List = append(a.List[:0], make([]string, header)...)
	a.header = header
	a.gone = a.gone[:0]
	a.buf = a.buf[:0]
	a.cuts = a.cuts[:0]
}

// Finish completes the arguments and returns how many of them are fields and values. All values that were made
// are parts of one string: one allocation. It has to be a new one, because the connection may still be writing
// it when a call whose context ended has returned.
func (a *Arguments) Finish() (values int) {
	if len(a.cuts) > 0 {
		s := string(a.buf)
		for _, c := range a.cuts {
			a.List[c.arg] = s[c.from:c.to]
		}
	}
	values = len(a.List) - a.header
	a.List = append(a.List, a.gone...)
	return values
}

// Free keeps nothing of a call alive, and reports whether the memory is small enough to be kept for the next.
func (a *Arguments) Free() bool {
	clear(a.List)
	return cap(a.buf) <= maxScratch
}

// Encode puts fields of v, which is addressable, into a. which are their positions; nil means all.
func (p *Plan) Encode(a *Arguments, v reflect.Value, which []int, c codec.Codec[any]) error {
	for i := range p.count(which) {
		f := p.at(which, i)
		fv := v.FieldByIndex(f.index)
		if f.omitted(fv) {
			a.gone = append(a.gone, f.name)
			continue
		}
		if f.pointer {
			fv = fv.Elem()
		}
		a.List = append(a.List, f.name)
		if err := f.encode(a, fv, c); err != nil {
			return fmt.Errorf("field %q: %w", f.name, err)
		}
	}
	return nil
}

func (p *Plan) count(which []int) int {
	if which == nil {
		return len(p.fields)
	}
	return len(which)
}

func (p *Plan) at(which []int, i int) *field {
	if which == nil {
		return &p.fields[i]
	}
	return &p.fields[which[i]]
}

// omitted reports whether a value is kept by keeping no field.
func (f *field) omitted(v reflect.Value) bool {
	switch {
	case f.pointer:
		return v.IsNil()
	case !f.omitEmpty:
		return false
	case f.isZeroer:
		return v.Addr().Interface().(interface{ IsZero() bool }).IsZero()
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// encode appends a value to the arguments.
func (f *field) encode(a *Arguments, v reflect.Value, c codec.Codec[any]) error {
	from := len(a.buf)
	switch f.form {
	case formString:
		a.List = append(a.List, v.String())
		return nil
	case formBytes:
		a.List = append(a.List, string(v.Bytes()))
		return nil
	case formCodec:
		s, err := c.Encode(v.Addr().Interface())
		a.List = append(a.List, s)
		return err
	case formBool:
		a.buf = strconv.AppendBool(a.buf, v.Bool())
	case formInt:
		a.buf = strconv.AppendInt(a.buf, v.Int(), 10)
	case formUint:
		a.buf = strconv.AppendUint(a.buf, v.Uint(), 10)
	case formFloat:
		a.buf = strconv.AppendFloat(a.buf, v.Float(), 'g', -1, f.bits)
	case formTime:
		t := v.Addr().Interface().(*time.Time).UTC()
		if y := t.Year(); y < 0 || y > 9999 {
			return fmt.Errorf("the year %d does not fit into RFC 3339", y)
		}
		a.buf = t.AppendFormat(a.buf, time.RFC3339Nano)
	case formText:
		var err error
		if a.buf, err = appendText(a.buf, v.Addr().Interface()); err != nil {
			return err
		}
	}
	a.List = append(a.List, "")
	a.cuts = append(a.cuts, cut{len(a.List) - 1, from, len(a.buf)})
	return nil
}

func appendText(dst []byte, v any) ([]byte, error) {
	if t, ok := v.(encoding.TextAppender); ok {
		out, err := t.AppendText(dst)
		if err != nil {
			return dst, err
		}
		return out, nil
	}
	text, err := v.(encoding.TextMarshaler).MarshalText()
	return append(dst, text...), err
}

// Decode reads the fields at which, nil meaning all, from as many messages. It reports whether there were any.
// v is addressable and zero; fields that are not there stay so.
func (p *Plan) Decode(v reflect.Value, which []int, msgs []rueidis.RedisMessage, c codec.Codec[any]) (found bool, err error) {
	for i := range msgs {
		if msgs[i].IsNil() {
			continue
		}
		found = true
		f := p.at(which, i)
		fv := v.FieldByIndex(f.index)
		if f.pointer {
			fv.Set(reflect.New(fv.Type().Elem()))
			fv = fv.Elem()
		}
		s, err := msgs[i].ToString()
		if err == nil && f.form == formBytes {
			var b []byte
			if b, err = msgs[i].AsBytes(); len(b) == 0 {
				b = []byte{}
			}
			fv.SetBytes(b) // the reply is nobody else's, so the value may keep it
		} else if err == nil {
			err = f.decode(fv, s, c)
		}
		if err != nil {
			return false, fmt.Errorf("field %q: %w", f.name, err)
		}
	}
	return found, nil
}

// decode reads one value of any form but bytes.
func (f *field) decode(v reflect.Value, s string, c codec.Codec[any]) error {
	switch f.form {
	case formString:
		v.SetString(s)
	case formBool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return f.undecodable(v)
		}
		v.SetBool(b)
	case formInt:
		n, err := strconv.ParseInt(s, 10, f.bits)
		if err != nil {
			return f.undecodable(v)
		}
		v.SetInt(n)
	case formUint:
		n, err := strconv.ParseUint(s, 10, f.bits)
		if err != nil {
			return f.undecodable(v)
		}
		v.SetUint(n)
	case formFloat:
		x, err := strconv.ParseFloat(s, f.bits)
		if err != nil {
			return f.undecodable(v)
		}
		v.SetFloat(x)
	case formTime:
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return f.undecodable(v)
		}
		*v.Addr().Interface().(*time.Time) = t.UTC()
	case formText:
		// The text is copied: whoever reads it may write to it.
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			return fmt.Errorf("%w: %w", codec.ErrCorrupt, err)
		}
	case formCodec:
		target := v.Addr().Interface()
		return c.Decode(s, &target)
	}
	return nil
}

// undecodable does not show the value, which may be long, or nobody's business in a log.
func (f *field) undecodable(v reflect.Value) error {
	return fmt.Errorf("%w: not a %v", codec.ErrCorrupt, v.Type())
}
