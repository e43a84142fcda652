package list

import (
	"context"
	_ "embed"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

var (
	//go:embed push.lua
	pushSource string
	//go:embed insert.lua
	insertSource string
	//go:embed set.lua
	setSource string

	pushScript   = script.New(pushSource, script.Once)
	insertScript = script.New(insertSource, script.Once)
	setScript    = script.New(setSource, script.Once)
)

// maxValues is how many elements one push takes: servers before Redis 7 drop the connection, which is shared, at a
// command of more than 1,048,576 arguments.
const maxValues = 1_000_000

// Config says how elements are stored and for how long.
type Config[T any] struct {
	// TTL is how long a list lives after the last write that put an element into it: a push, an insert, a
	// Set, a move to it. It must be set: at least 1 ms, or rediskit.NoTTL, with which writes leave the
	// list's TTL as it is.
	TTL time.Duration

	// Codec encodes the elements. Default: codec.Default. Remove, Pos and the inserts find an element by its
	// encoding, so for them the codec must encode equal values equally.
	Codec codec.Codec[T]
}

// List is typed access to lists. It is safe for concurrent use.
type List[T any] struct {
	c     *rediskit.Client
	codec codec.Codec[T]
	ttl   string // in ms; empty: none
}

// New returns access to lists of T. It sends nothing; its error names the field of cfg that is wrong.
func New[T any](c *rediskit.Client, cfg Config[T]) (*List[T], error) {
	if c == nil {
		return nil, errors.New("list: client is nil")
	}
	if err := data.CheckTTL("list", cfg.TTL); err != nil {
		return nil, err
	}
	l := &List[T]{c: c, codec: cfg.Codec}
	if l.codec == nil {
		l.codec = codec.Default[T]()
	}
	if cfg.TTL != rediskit.NoTTL {
		l.ttl = data.Millis(cfg.TTL)
	}
	return l, nil
}

// LPush puts values at the left end, one after the other, so that the last is leftmost, and returns the length
// afterwards. Without values it changes nothing and only asks for the length; more than a million are an error.
//
// After a lost reply the values may have been pushed; LPush never pushes twice by itself.
func (l *List[T]) LPush(ctx context.Context, key string, values ...T) (int64, error) {
	return l.push(ctx, "list.LPush", "LPUSH", key, values)
}

// RPush puts values at the right end in their order and returns the length afterwards. It is otherwise like
// LPush.
func (l *List[T]) RPush(ctx context.Context, key string, values ...T) (int64, error) {
	return l.push(ctx, "list.RPush", "RPUSH", key, values)
}

// LPushX is LPush for a list that exists: it creates none, and returns 0 if there is none.
func (l *List[T]) LPushX(ctx context.Context, key string, values ...T) (int64, error) {
	return l.push(ctx, "list.LPushX", "LPUSHX", key, values)
}

// RPushX is RPush for a list that exists: it creates none, and returns 0 if there is none.
func (l *List[T]) RPushX(ctx context.Context, key string, values ...T) (int64, error) {
	return l.push(ctx, "list.RPushX", "RPUSHX", key, values)
}

func (l *List[T]) push(ctx context.Context, op, command, key string, values []T) (int64, error) {
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	if len(values) == 0 {
		return l.length(ctx, op, key)
	}
	if len(values) > maxValues {
		return 0, data.Errorf(op, key, "%d values: at most %d at once", len(values), maxValues)
	}
	args := append(make([]string, 0, 2+len(values)), command, l.ttl) // as the script wants them
	for _, v := range values {
		s, err := l.codec.Encode(v)
		if err != nil {
			return 0, data.Err(op, key, err)
		}
		args = append(args, s)
	}
	var n int64
	var err error
	if l.ttl == "" {
		n, err = l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary(command).Keys(key).Args(args[2:]...).Build()
		}).AsInt64()
	} else {
		n, err = pushScript.Exec(ctx, l.c, []string{key}, args).AsInt64()
	}
	return n, data.Err(op, key, err)
}

// LPop takes the leftmost element away and returns it, or false if the list is empty. The list's TTL stays.
//
// After a lost reply, or if ctx ends while the reply is under way, the element may be gone (rediskit.MayHaveApplied);
// where that must not happen, Move it to a list of your own.
func (l *List[T]) LPop(ctx context.Context, key string) (T, bool, error) {
	return l.pop(ctx, "list.LPop", "LPOP", key)
}

// RPop takes the rightmost element away. It is otherwise like LPop.
func (l *List[T]) RPop(ctx context.Context, key string) (T, bool, error) {
	return l.pop(ctx, "list.RPop", "RPOP", key)
}

func (l *List[T]) pop(ctx context.Context, op, command, key string) (v T, ok bool, err error) {
	if err := data.CheckKey(op, key); err != nil {
		return v, false, err
	}
	return l.one(op, key, l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command).Keys(key).Build()
	}))
}

// LPopN takes up to n elements away from the left end and returns them from left to right; none if the list is
// empty. If some cannot be decoded it returns the others and a [*DecodeError] that has those. It is otherwise
// like LPop.
func (l *List[T]) LPopN(ctx context.Context, key string, n int64) ([]T, error) {
	return l.popN(ctx, "list.LPopN", "LPOP", key, n)
}

// RPopN takes up to n elements away from the right end and returns them from right to left. It is otherwise like
// LPopN.
func (l *List[T]) RPopN(ctx context.Context, key string, n int64) ([]T, error) {
	return l.popN(ctx, "list.RPopN", "RPOP", key, n)
}

func (l *List[T]) popN(ctx context.Context, op, command, key string, n int64) ([]T, error) {
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, data.Errorf(op, key, "n is %d: must not be negative", n)
	}
	if n == 0 {
		return nil, nil
	}
	return l.several(op, key, l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command).Keys(key).Args(strconv.FormatInt(n, 10)).Build()
	}))
}

// Set replaces the element at an index; a negative one counts from the right, -1 being the last. It returns
// false if there is no such element.
//
// After a lost reply the element may have been replaced. Set is not repeated by itself, because an index may
// by then be another element's.
func (l *List[T]) Set(ctx context.Context, key string, index int64, value T) (bool, error) {
	const op = "list.Set"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	s, err := l.codec.Encode(value)
	if err != nil {
		return false, data.Err(op, key, err)
	}
	at := strconv.FormatInt(index, 10)
	if l.ttl != "" {
		n, err := setScript.Exec(ctx, l.c, []string{key}, []string{at, s, l.ttl}).AsInt64()
		return n == 1, data.Err(op, key, err)
	}
	err = l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Lset().Key(key).Index(index).Element(s).Build()
	}).Error()
	if re, ok := rueidis.IsRedisErr(err); ok {
		if text := re.Error(); strings.Contains(text, "no such key") || strings.Contains(text, "index out of range") {
			return false, nil
		}
	}
	return err == nil, data.Err(op, key, err)
}

// InsertBefore puts value to the left of the leftmost element that equals pivot and returns the length
// afterwards, or false if there is no such element. It takes time in proportion to the elements it passes.
//
// After a lost reply the value may have been inserted; it is never inserted twice by itself.
func (l *List[T]) InsertBefore(ctx context.Context, key string, pivot, value T) (int64, bool, error) {
	return l.insert(ctx, "list.InsertBefore", "BEFORE", key, pivot, value)
}

// InsertAfter puts value to the right of the leftmost element that equals pivot. It is otherwise like
// InsertBefore.
func (l *List[T]) InsertAfter(ctx context.Context, key string, pivot, value T) (int64, bool, error) {
	return l.insert(ctx, "list.InsertAfter", "AFTER", key, pivot, value)
}

func (l *List[T]) insert(ctx context.Context, op, where, key string, pivot, value T) (int64, bool, error) {
	if err := data.CheckKey(op, key); err != nil {
		return 0, false, err
	}
	p, err := l.codec.Encode(pivot)
	if err != nil {
		return 0, false, data.Err(op, key, err)
	}
	s, err := l.codec.Encode(value)
	if err != nil {
		return 0, false, data.Err(op, key, err)
	}
	var n int64
	if l.ttl == "" {
		n, err = l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary("LINSERT").Keys(key).Args(where, p, s).Build()
		}).AsInt64()
	} else {
		n, err = insertScript.Exec(ctx, l.c, []string{key}, []string{where, p, s, l.ttl}).AsInt64()
	}
	if err != nil {
		return 0, false, data.Err(op, key, err)
	}
	return max(n, 0), n > 0, nil
}

// Remove takes away elements that equal value and returns how many: up to count from the left, up to -count
// from the right if count is negative, all if it is zero. The list's TTL stays.
//
// After a lost reply they may be gone. With a count of zero the call may be repeated.
func (l *List[T]) Remove(ctx context.Context, key string, count int64, value T) (int64, error) {
	const op = "list.Remove"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	s, err := l.codec.Encode(value)
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	n, err := l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Lrem().Key(key).Count(count).Element(s).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}

// Trim keeps the elements from index start to stop, both included, and takes the others away; negative indexes
// count from the right. Trim(ctx, key, 0, 99) keeps the first hundred. A range without elements empties the list.
// The list's TTL stays.
//
// After a lost reply it may have been trimmed. Where trimming twice is the same as once (start or stop at an end
// of the list), the call is repeated by itself.
func (l *List[T]) Trim(ctx context.Context, key string, start, stop int64) error {
	const op = "list.Trim"
	if err := data.CheckKey(op, key); err != nil {
		return err
	}
	err := l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		cmd := b.Ltrim().Key(key).Start(start).Stop(stop).Build()
		if start == 0 && stop >= -1 || start < 0 && stop == -1 {
			return cmd.ToRetryable()
		}
		return cmd
	}).Error()
	return data.Err(op, key, err)
}

// Delete deletes the list and reports whether there was one. It may be repeated, but the report is then of the
// second time; it is not repeated by itself after a lost reply.
func (l *List[T]) Delete(ctx context.Context, key string) (bool, error) {
	const op = "list.Delete"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	n, err := l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Unlink().Key(key).Build() }).AsInt64()
	return n > 0, data.Err(op, key, err)
}
