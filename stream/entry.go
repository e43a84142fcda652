package stream

import (
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
)

// Entry is an entry of a stream.
type Entry[T any] struct {
	Key   string // of the stream
	ID    ID
	Value T
}

// Field is one field of an entry.
type Field struct {
	Name, Value string
}

// Fields are all fields of an entry, in their order. As the T of a Stream they are the value itself. Names may repeat.
type Fields []Field

// Get returns the value of the first field of a name, or false if there is none.
func (f Fields) Get(name string) (string, bool) {
	for i := range f {
		if f[i].Name == name {
			return f[i].Value, true
		}
	}
	return "", false
}

// DecodeError reports entries whose value could not be read: the codec refused it, or the field is not there. They
// are where they were, in the stream and, if a group read them, pending; Ack or Delete them, or they come again.
type DecodeError struct {
	// Entries are those that could not be decoded, as they are.
	Entries []Entry[Fields]
	// Err is the error about the first of them.
	Err error
}

// Error names the first of the entries and its error.
func (e *DecodeError) Error() string {
	if n := len(e.Entries); n > 1 {
		return fmt.Sprintf("entry %v and %d more: %v", e.Entries[0].ID, n-1, e.Err)
	}
	return fmt.Sprintf("entry %v: %v", e.Entries[0].ID, e.Err)
}

// Unwrap returns the error about the first of the entries.
func (e *DecodeError) Unwrap() error { return e.Err }

// form is how a value is an entry's fields. Without a codec, T is Fields.
type form[T any] struct {
	field string
	codec codec.Codec[T]
}

func (f *form[T]) appendTo(args []string, value T) ([]string, error) {
	if f.codec != nil {
		s, err := f.codec.Encode(value)
		return append(args, f.field, s), err
	}
	fields := any(value).(Fields)
	if len(fields) == 0 {
		return nil, errors.New("an entry needs at least one field")
	}
	if len(fields) > maxFields {
		return nil, fmt.Errorf("%d fields: an entry has at most %d", len(fields), maxFields)
	}
	for i := range fields {
		args = append(args, fields[i].Name, fields[i].Value)
	}
	return args, nil
}

// decode reads the value from the names and values of an entry's fields.
func (f *form[T]) decode(pairs []rueidis.RedisMessage, v *T) error {
	if f.codec == nil {
		*v = any(allFields(pairs)).(T)
		return nil
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, err := pairs[i].ToString(); err != nil || name != f.field {
			continue
		}
		s, err := pairs[i+1].ToString()
		if err != nil {
			return err
		}
		return f.codec.Decode(s, v)
	}
	return fmt.Errorf("%w: no field %q", codec.ErrCorrupt, f.field)
}

func allFields(pairs []rueidis.RedisMessage) Fields {
	fields := make(Fields, len(pairs)/2)
	for i := range fields {
		fields[i].Name, _ = pairs[2*i].ToString()
		fields[i].Value, _ = pairs[2*i+1].ToString()
	}
	return fields
}

var errReply = errors.New("unreadable reply")

// batch collects the entries of a reply.
type batch[T any] struct {
	form    *form[T]
	entries []Entry[T]
	deleted []ID // that came without fields: pending in a group, but no longer in the stream
	bad     *DecodeError
}

// add reads a list of entries of one stream.
func (b *batch[T]) add(key string, reply *rueidis.RedisMessage) error {
	array, err := reply.ToArray()
	if err != nil {
		return err
	}
	if b.entries == nil && len(array) > 0 {
		b.entries = make([]Entry[T], 0, len(array))
	}
	for i := range array {
		if array[i].IsNil() {
			continue // XCLAIM before Redis 7 says so of an entry that was deleted, but not of which
		}
		parts, err := array[i].ToArray()
		if err != nil {
			return err
		}
		if len(parts) < 2 {
			return errReply
		}
		id, err := idOf(&parts[0])
		if err != nil {
			return err
		}
		if parts[1].IsNil() {
			b.deleted = append(b.deleted, id)
			continue
		}
		pairs, err := parts[1].ToArray()
		if err != nil {
			return err
		}
		b.entries = append(b.entries, Entry[T]{Key: key, ID: id})
		last := len(b.entries) - 1
		err = b.form.decode(pairs, &b.entries[last].Value)
		if err == nil {
			continue
		}
		b.entries[last] = Entry[T]{}
		b.entries = b.entries[:last]
		if b.bad == nil {
			b.bad = &DecodeError{Err: err}
		}
		b.bad.Entries = append(b.bad.Entries, Entry[Fields]{key, id, allFields(pairs)})
	}
	return nil
}

// err returns what is to be said about entries that could not be decoded.
func (b *batch[T]) err(op, key string) error {
	if b.bad == nil {
		return nil
	}
	return data.Err(op, key, b.bad)
}

func idOf(m *rueidis.RedisMessage) (ID, error) {
	s, err := m.ToString()
	if err != nil {
		return ID{}, err
	}
	return ParseID(s)
}
