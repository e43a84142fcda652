package list

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
)

// pageSize is how many elements All reads at once.
const pageSize = 256

// Len returns the number of elements; 0 if there is no list.
func (l *List[T]) Len(ctx context.Context, key string) (int64, error) {
	const op = "list.Len"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	return l.length(ctx, op, key)
}

func (l *List[T]) length(ctx context.Context, op, key string) (int64, error) {
	n, err := l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Llen().Key(key).Build() }).AsInt64()
	return n, data.Err(op, key, err)
}

// Index returns the element at an index, or false if there is none; a negative index counts from the right, -1
// being the last.
func (l *List[T]) Index(ctx context.Context, key string, index int64) (T, bool, error) {
	const op = "list.Index"
	if err := data.CheckKey(op, key); err != nil {
		return *new(T), false, err
	}
	return l.one(op, key, l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Lindex().Key(key).Index(index).Build()
	}))
}

// Range returns the elements from index start to stop, both included, from left to right; negative indexes count
// from the right, so 0 and -1 are the whole list. If some cannot be decoded it returns the others and a
// [*DecodeError].
func (l *List[T]) Range(ctx context.Context, key string, start, stop int64) ([]T, error) {
	const op = "list.Range"
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	return l.several(op, key, l.page(ctx, key, start, stop))
}

func (l *List[T]) page(ctx context.Context, key string, start, stop int64) rueidis.RedisResult {
	return l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Lrange().Key(key).Start(start).Stop(stop).Build()
	})
}

// All yields the elements from left to right, reading 256 at a time. An element that cannot be decoded is yielded as
// an error that is a [*DecodeError], and the loop may go on; any other error ends it.
//
// It is no snapshot: what is pushed or taken away at the left end during the loop moves the others, so that
// elements may come twice or not at all.
func (l *List[T]) All(ctx context.Context, key string) iter.Seq2[T, error] {
	const op = "list.All"
	return func(yield func(T, error) bool) {
		if err := data.CheckKey(op, key); err != nil {
			yield(*new(T), err)
			return
		}
		for start := int64(0); ; start += pageSize {
			page, err := l.page(ctx, key, start, start+pageSize-1).ToArray()
			if err != nil {
				yield(*new(T), data.Err(op, key, err))
				return
			}
			for i := range page {
				if !yield(l.decode(op, key, &page[i])) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// Search narrows what Positions looks at.
type Search struct {
	// Rank is the match to begin with: 1, which is also the default, is the leftmost, 2 the one after it. A
	// negative rank begins at the right end and goes left: -1 is the rightmost.
	Rank int64
	// Count is how many positions are returned at most. Default: all.
	Count int64
	// MaxLen is how many elements are compared at most. Default: all.
	MaxLen int64
}

// Pos returns the index of the leftmost element that equals value, or false if there is none. It takes time in
// proportion to the elements it passes.
func (l *List[T]) Pos(ctx context.Context, key string, value T) (int64, bool, error) {
	at, err := l.positions(ctx, "list.Pos", key, value, Search{Count: 1})
	if err != nil || len(at) == 0 {
		return 0, false, err
	}
	return at[0], true, nil
}

// Positions returns the indexes of the elements that equal value, in the order of the search.
func (l *List[T]) Positions(ctx context.Context, key string, value T, s Search) ([]int64, error) {
	return l.positions(ctx, "list.Positions", key, value, s)
}

func (l *List[T]) positions(ctx context.Context, op, key string, value T, s Search) ([]int64, error) {
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	if s.Count < 0 || s.MaxLen < 0 {
		return nil, data.Errorf(op, key, "Search{Count: %d, MaxLen: %d}: neither may be negative", s.Count, s.MaxLen)
	}
	if s.Rank == 0 {
		s.Rank = 1
	}
	e, err := l.codec.Encode(value)
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	at, err := l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Lpos().Key(key).Element(e).Rank(s.Rank).Count(s.Count).Maxlen(s.MaxLen).Build()
	}).AsIntSlice()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return at, data.Err(op, key, err)
}

// DecodeError reports elements that the codec could not read, because they are damaged, or somebody else's. When
// it comes from a call that takes elements away, they are gone from the list, and are here.
type DecodeError struct {
	// Raw are the elements as they are in Redis, in the order of the reply.
	Raw []string
	// Err is the codec's error about the first of them.
	Err error
}

// Error tells how many elements there are, and the codec's error.
func (e *DecodeError) Error() string {
	if len(e.Raw) == 1 {
		return fmt.Sprintf("an element of %d bytes: %v", len(e.Raw[0]), e.Err)
	}
	return strconv.Itoa(len(e.Raw)) + " elements: " + e.Err.Error()
}

// Unwrap returns the codec's error.
func (e *DecodeError) Unwrap() error { return e.Err }

func (l *List[T]) decode(op, key string, m *rueidis.RedisMessage) (v T, err error) {
	s, err := m.ToString()
	if err != nil {
		return v, data.Err(op, key, err)
	}
	if err := l.codec.Decode(s, &v); err != nil {
		return *new(T), data.Err(op, key, &DecodeError{Raw: []string{s}, Err: err})
	}
	return v, nil
}

// one reads a reply that is an element or nil.
func (l *List[T]) one(op, key string, res rueidis.RedisResult) (v T, ok bool, err error) {
	m, err := res.ToMessage()
	if ok, err := data.Found(err); !ok {
		return v, false, data.Err(op, key, err)
	}
	v, err = l.decode(op, key, &m)
	return v, err == nil, err
}

// several reads a reply that is a list of elements or nil.
func (l *List[T]) several(op, key string, res rueidis.RedisResult) ([]T, error) {
	array, err := res.ToArray()
	if ok, err := data.Found(err); !ok {
		return nil, data.Err(op, key, err)
	}
	if len(array) == 0 {
		return nil, nil
	}
	out := make([]T, 0, len(array))
	var bad *DecodeError
	for i := range array {
		s, err := array[i].ToString()
		if err != nil {
			return nil, data.Err(op, key, err)
		}
		out = append(out, *new(T))
		last := len(out) - 1
		err = l.codec.Decode(s, &out[last])
		if err == nil {
			continue
		}
		out[last] = *new(T)
		out = out[:last]
		if bad == nil {
			bad = &DecodeError{Err: err}
		}
		bad.Raw = append(bad.Raw, s)
	}
	if bad != nil {
		return out, data.Err(op, key, bad)
	}
	return out, nil
}
