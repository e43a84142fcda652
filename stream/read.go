package stream

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
)

// pageSize is how many entries All and Backward read at once.
const pageSize = 256

// Span is a part of a stream, from the lower IDs to the higher. The zero value is the whole stream.
type Span struct {
	// From is the first ID of the span; After is the one before it. At most one of the two is set.
	From, After ID
	// To is the last ID of the span; Before is the one after it. At most one of the two is set.
	To, Before ID
}

// bounds returns the first and the last ID; ok is false if no entry can be between them.
func (s Span) bounds() (first, last ID, ok bool, err error) {
	first, last = s.From, s.To
	if last.IsZero() {
		last = End
	}
	if !s.After.IsZero() {
		if !s.From.IsZero() {
			return first, last, false, errors.New("Span: both From and After are set")
		}
		if s.After == End {
			return first, last, false, nil
		}
		first = s.After.Next()
	}
	if !s.Before.IsZero() {
		if !s.To.IsZero() {
			return first, last, false, errors.New("Span: both To and Before are set")
		}
		last = s.Before.Prev()
	}
	return first, last, first.Compare(last) <= 0, nil
}

// Range returns the entries of a span, oldest first, at most count of them; zero means all. If some cannot be
// decoded it returns the others and a [*DecodeError].
func (s *Stream[T]) Range(ctx context.Context, key string, span Span, count int) ([]Entry[T], error) {
	return s.ranged(ctx, "stream.Range", key, span, count, false)
}

// RevRange returns the entries of a span, newest first. It is otherwise like Range.
func (s *Stream[T]) RevRange(ctx context.Context, key string, span Span, count int) ([]Entry[T], error) {
	return s.ranged(ctx, "stream.RevRange", key, span, count, true)
}

func (s *Stream[T]) ranged(ctx context.Context, op, key string, span Span, count int, backward bool) ([]Entry[T], error) {
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	if err := checkCount(op, key, count); err != nil {
		return nil, err
	}
	first, last, ok, err := span.bounds()
	if err != nil || !ok {
		return nil, data.Err(op, key, err)
	}
	b, err := s.page(ctx, key, first, last, count, backward)
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	return b.entries, b.err(op, key)
}

func (s *Stream[T]) page(ctx context.Context, key string, first, last ID, count int, backward bool) (batch[T], error) {
	b := batch[T]{form: &s.form}
	from, to := first.String(), last.String()
	m, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		switch {
		case backward && count > 0:
			return b.Xrevrange().Key(key).End(to).Start(from).Count(int64(count)).Build()
		case backward:
			return b.Xrevrange().Key(key).End(to).Start(from).Build()
		case count > 0:
			return b.Xrange().Key(key).Start(from).End(to).Count(int64(count)).Build()
		default:
			return b.Xrange().Key(key).Start(from).End(to).Build()
		}
	}).ToMessage()
	if err == nil {
		err = b.add(key, &m)
	}
	return b, err
}

func checkCount(op, key string, count int) error {
	if count < 0 {
		return data.Errorf(op, key, "count is %d: must not be negative", count)
	}
	return nil
}

// All yields the entries of a span, oldest first, reading 256 at a time. Entries that are added during the loop are
// among them, if the span has no end. What cannot be decoded is yielded as an error that is a [*DecodeError], after
// the other entries that were read with it, and the loop may go on; any other error ends it.
func (s *Stream[T]) All(ctx context.Context, key string, span Span) iter.Seq2[Entry[T], error] {
	return s.walk(ctx, "stream.All", key, span, false)
}

// Backward yields the entries of a span, newest first. It is otherwise like All.
func (s *Stream[T]) Backward(ctx context.Context, key string, span Span) iter.Seq2[Entry[T], error] {
	return s.walk(ctx, "stream.Backward", key, span, true)
}

func (s *Stream[T]) walk(ctx context.Context, op, key string, span Span, backward bool) iter.Seq2[Entry[T], error] {
	return func(yield func(Entry[T], error) bool) {
		if err := data.CheckKey(op, key); err != nil {
			yield(Entry[T]{}, err)
			return
		}
		first, last, ok, err := span.bounds()
		if err != nil {
			yield(Entry[T]{}, data.Err(op, key, err))
			return
		}
		for ok {
			b, err := s.page(ctx, key, first, last, pageSize, backward)
			if err != nil {
				yield(Entry[T]{}, data.Err(op, key, err))
				return
			}
			for _, e := range b.entries {
				if !yield(e, nil) {
					return
				}
			}
			if err := b.err(op, key); err != nil && !yield(Entry[T]{}, err) {
				return
			}
			n, lowest, highest := b.reach()
			if n < pageSize {
				return
			}
			if backward {
				last, ok = lowest.Prev(), lowest.Compare(first) > 0
			} else {
				first, ok = highest.Next(), highest.Compare(last) < 0
			}
		}
	}
}

// reach returns how many entries were read, and the lowest and the highest ID of them.
func (b *batch[T]) reach() (n int, lowest, highest ID) {
	lowest = End
	see := func(id ID) {
		n++
		if id.Compare(lowest) < 0 {
			lowest = id
		}
		if id.Compare(highest) > 0 {
			highest = id
		}
	}
	for i := range b.entries {
		see(b.entries[i].ID)
	}
	for _, id := range b.deleted {
		see(id)
	}
	if b.bad != nil {
		for i := range b.bad.Entries {
			see(b.bad.Entries[i].ID)
		}
	}
	return n, lowest, highest
}

// From says where in a stream to read.
type From struct {
	Key string
	// After is the ID after which to read: of the last entry read, usually. The zero ID reads from the beginning,
	// End reads only what is added from now on.
	After ID
}

// Read returns the entries after those positions, at most count of each stream; zero means all. They are in the order
// of the streams and then of their IDs. On a cluster the streams must share a slot, else the error wraps
// [rediskit.ErrCrossSlot]. If some entries cannot be decoded it returns the others and a [*DecodeError].
func (s *Stream[T]) Read(ctx context.Context, count int, from ...From) ([]Entry[T], error) {
	const op = "stream.Read"
	keys, ids, name, err := s.checkRead(op, count, from)
	if err != nil {
		return nil, err
	}
	if err := s.resolve(ctx, keys, ids); err != nil {
		return nil, data.Err(op, name, err)
	}
	return s.several(op, name, keys, s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		if count > 0 {
			return b.Xread().Count(int64(count)).Streams().Key(keys...).Id(ids...).Build()
		}
		return b.Xread().Streams().Key(keys...).Id(ids...).Build()
	}))
}

// BRead is Read that waits for an entry if there is none: for wait, at least 1 ms, and then returns none; if wait is
// zero, until ctx ends, and then returns an error. The server looks at its clock ten times a second, so wait can take
// up to 0.1 s longer; the end of ctx does not. The call has a connection of its own while it waits.
//
// Nothing can be lost: it only reads, and is repeated after a broken connection. A loop that shall not miss an entry
// passes the ID of the last one it got; with End, what is added between two calls is missed.
func (s *Stream[T]) BRead(ctx context.Context, wait time.Duration, count int, from ...From) ([]Entry[T], error) {
	const op = "stream.BRead"
	keys, ids, name, err := s.checkRead(op, count, from)
	if err != nil {
		return nil, err
	}
	if err := checkWait(op, name, wait); err != nil {
		return nil, err
	}
	// Block may ask the server several times, and each time End would be another place.
	if err := s.resolve(ctx, keys, ids); err != nil {
		return nil, data.Err(op, name, err)
	}
	return s.several(op, name, keys, s.c.Block(ctx, keys[0], wait, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
		if count > 0 {
			return b.Xread().Count(int64(count)).Block(wait.Milliseconds()).Streams().Key(keys...).Id(ids...).Build()
		}
		return b.Xread().Block(wait.Milliseconds()).Streams().Key(keys...).Id(ids...).Build()
	}))
}

// checkRead returns the keys and IDs of a call, and the key that its errors name: none if there are several.
func (s *Stream[T]) checkRead(op string, count int, from []From) (keys, ids []string, name string, err error) {
	keys, ids = make([]string, len(from)), make([]string, len(from))
	for i, f := range from {
		keys[i], ids[i] = f.Key, f.After.String()
		if f.After == End {
			ids[i] = "$"
		}
	}
	name, err = s.checkKeys(op, keys)
	if err == nil {
		err = checkCount(op, name, count)
	}
	return keys, ids, name, err
}

// checkKeys checks the streams of a call and returns the key that its errors name: none if there are several.
func (s *Stream[T]) checkKeys(op string, keys []string) (name string, err error) {
	if len(keys) == 0 {
		return "", data.Errorf(op, "", "no streams")
	}
	for i, key := range keys {
		if err := data.CheckKey(op, key); err != nil {
			return "", err
		}
		for _, other := range keys[:i] {
			if key == other {
				return "", data.Errorf(op, key, "the stream is named twice")
			}
		}
	}
	if len(keys) == 1 {
		name = keys[0]
	}
	return name, data.Err(op, name, s.c.CheckSlot(keys...))
}

func checkWait(op, key string, wait time.Duration) error {
	if wait < 0 || wait > 0 && wait < time.Millisecond {
		return data.Errorf(op, key, "wait is %v: want zero, or at least 1ms", wait)
	}
	return nil
}

// resolve replaces "$" by the ID of the stream's last entry.
func (s *Stream[T]) resolve(ctx context.Context, keys, ids []string) error {
	var which []int
	for i, id := range ids {
		if id == "$" {
			which = append(which, i)
		}
	}
	if which == nil {
		return nil
	}
	results := s.c.DoMulti(ctx, len(which), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Xrevrange().Key(keys[which[i]]).End("+").Start("-").Count(1).Build()
	})
	for i, res := range results {
		entries, err := res.ToArray()
		if err != nil {
			return err
		}
		last := ID{}
		if len(entries) > 0 {
			parts, err := entries[0].ToArray()
			if err != nil {
				return err
			}
			if len(parts) == 0 {
				return errReply
			}
			if last, err = idOf(&parts[0]); err != nil {
				return err
			}
		}
		ids[which[i]] = last.String()
	}
	return nil
}

// several reads the reply of XREAD or XREADGROUP about new entries.
func (s *Stream[T]) several(op, name string, keys []string, res rueidis.RedisResult) ([]Entry[T], error) {
	b, err := s.batches(keys, res)
	if err != nil {
		return nil, data.Err(op, name, err)
	}
	return b.entries, b.err(op, name)
}

func (s *Stream[T]) batches(keys []string, res rueidis.RedisResult) (batch[T], error) {
	b := batch[T]{form: &s.form}
	m, err := res.ToMessage()
	if ok, err := data.Found(err); !ok {
		return b, groupError(err)
	}
	if !m.IsMap() { // the older protocol: a list of pairs
		streams, err := m.ToArray()
		if err != nil {
			return b, err
		}
		for i := range streams {
			pair, err := streams[i].ToArray()
			if err != nil {
				return b, err
			}
			if len(pair) != 2 {
				return b, errReply
			}
			key, err := pair[0].ToString()
			if err != nil {
				return b, err
			}
			if err := b.add(key, &pair[1]); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	streams, err := m.ToMap()
	if err != nil {
		return b, err
	}
	for _, key := range keys {
		entries, ok := streams[key]
		if !ok {
			continue
		}
		if err := b.add(key, &entries); err != nil {
			return b, err
		}
	}
	return b, nil
}
