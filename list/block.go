package list

import (
	"context"
	_ "embed"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

var (
	//go:embed move.lua
	moveSource string

	moveScript = script.New(moveSource, script.Once)
)

// End is one end of a list.
type End string

// The ends of a list, as Redis names them.
const (
	Left  End = "LEFT"
	Right End = "RIGHT"
)

func (e End) check(op, key, name string) error {
	if e != Left && e != Right {
		return data.Errorf(op, key, "%s is %q: want list.Left or list.Right", name, string(e))
	}
	return nil
}

// Move takes the element at one end of src, puts it at one end of dst and returns it, or false if src is empty.
// dst may be src, which rotates the list. Nobody ever sees the element in both or in neither. dst gets the TTL;
// that of src stays. On a cluster src and dst must share a slot, else the error wraps
// [rediskit.ErrCrossSlot].
//
// After a lost reply the element may have been moved: look in dst. Move never moves two by itself.
func (l *List[T]) Move(ctx context.Context, src, dst string, from, to End) (v T, ok bool, err error) {
	const op = "list.Move"
	if err := l.checkMove(op, src, dst, from, to); err != nil {
		return v, false, err
	}
	if l.ttl != "" {
		return l.one(op, src, moveScript.Exec(ctx, l.c, []string{src, dst}, []string{string(from), string(to), l.ttl}))
	}
	return l.one(op, src, l.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("LMOVE").Keys(src, dst).Args(string(from), string(to)).Build()
	}))
}

func (l *List[T]) checkMove(op, src, dst string, from, to End) error {
	if err := data.CheckKey(op, src); err != nil {
		return err
	}
	if dst == "" {
		return data.Errorf(op, src, "empty destination")
	}
	if err := from.check(op, src, "from"); err != nil {
		return err
	}
	if err := to.check(op, src, "to"); err != nil {
		return err
	}
	return data.Err(op, src, l.c.CheckSlot(src, dst))
}

// BMove is Move that waits for an element to come: for wait, at least 1 ms, and then returns false; if wait is
// zero, until ctx ends, and then returns an error. How it waits is as with BLPop.
//
// Nothing can be lost: the element is in src or in dst. If ctx ends, the call gives up its wait and returns the
// element that was moved just before, if there is one; an error then means that none was. After a broken connection
// (rediskit.MayHaveApplied) look in dst.
//
// With a TTL, BMove sets it in a second step: Redis cannot wait inside a script. A dst that was there keeps the TTL
// it had until then, a new one has none. If the second step fails, BMove returns the element, true and the error.
func (l *List[T]) BMove(ctx context.Context, src, dst string, from, to End, wait time.Duration) (v T, ok bool, err error) {
	const op = "list.BMove"
	if err := l.checkMove(op, src, dst, from, to); err != nil {
		return v, false, err
	}
	if err := checkWait(op, src, wait); err != nil {
		return v, false, err
	}
	v, ok, err = l.one(op, src, l.c.Block(ctx, src, wait, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
		return b.Arbitrary("BLMOVE").Keys(src, dst).Args(string(from), string(to), seconds(wait)).Blocking()
	}))
	var undecodable *DecodeError
	if l.ttl == "" || !ok && !errors.As(err, &undecodable) {
		return v, ok, err
	}
	// Not with ctx, whose end does not undo the move.
	ttlErr := l.c.Do(context.WithoutCancel(ctx), func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("PEXPIRE").Keys(dst).Args(l.ttl).Build().ToRetryable()
	}).Error()
	if ttlErr == nil || err != nil {
		return v, ok, err
	}
	// Of the call as a whole something was applied, whether or not the second step was.
	if ce := new(rediskit.ConnectionError); errors.As(ttlErr, &ce) {
		sent := *ce
		sent.Sent = true
		ttlErr = &sent
	}
	return v, ok, data.Errorf(op, src, "the element was moved, but %q did not get its TTL: %w", dst, ttlErr)
}

// Popped is an element that [List.BLPop] or [List.BRPop] took, and the list it was in.
type Popped[T any] struct {
	Key   string
	Value T
}

// BLPop takes the leftmost element of the first of the lists that has one. If all are empty it waits for one to
// come: for wait, at least 1 ms, and then returns false; if wait is zero, until ctx ends, and then returns an error.
// The server looks at its clock ten times a second, so wait can take up to 0.1 s longer; the end of ctx does not. The
// call has a connection of its own while it waits. On a cluster the keys must share a slot, else the error wraps
// [rediskit.ErrCrossSlot]. Several waiting calls are served in the order in which they came; after 15 s of waiting,
// a call joins the queue anew. The lists' TTLs stay.
//
// If ctx ends, the call gives up its wait and returns the element that was popped just before, if there is one; an
// error then means that none was. What can be lost is the element whose reply a broken connection cut off; the error
// then says that the command may have been applied (rediskit.MayHaveApplied). BMove cannot lose it. An element that
// cannot be decoded is in the [*DecodeError].
func (l *List[T]) BLPop(ctx context.Context, keys []string, wait time.Duration) (Popped[T], bool, error) {
	return l.blockingPop(ctx, "list.BLPop", "BLPOP", keys, wait)
}

// BRPop takes the rightmost element. It is otherwise like BLPop.
func (l *List[T]) BRPop(ctx context.Context, keys []string, wait time.Duration) (Popped[T], bool, error) {
	return l.blockingPop(ctx, "list.BRPop", "BRPOP", keys, wait)
}

func (l *List[T]) blockingPop(ctx context.Context, op, command string, keys []string, wait time.Duration) (p Popped[T], ok bool, err error) {
	if len(keys) == 0 {
		return p, false, data.Errorf(op, "", "no keys")
	}
	for _, k := range keys {
		if err := data.CheckKey(op, k); err != nil {
			return p, false, err
		}
	}
	key := "" // for errors, of several lists that none of them is known for
	if len(keys) == 1 {
		key = keys[0]
	}
	if err := checkWait(op, key, wait); err != nil {
		return p, false, err
	}
	if err := l.c.CheckSlot(keys...); err != nil {
		return p, false, data.Err(op, key, err)
	}
	pair, err := l.c.Block(ctx, keys[0], wait, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
		return b.Arbitrary(command).Keys(keys...).Args(seconds(wait)).Blocking()
	}).ToArray()
	if ok, err := data.Found(err); !ok {
		return p, false, data.Err(op, key, err)
	}
	if len(pair) != 2 {
		return p, false, data.Errorf(op, key, "unreadable reply: %d parts", len(pair))
	}
	if p.Key, err = pair[0].ToString(); err != nil {
		return p, false, data.Err(op, key, err)
	}
	p.Value, err = l.decode(op, p.Key, &pair[1])
	return p, err == nil, err
}

func checkWait(op, key string, wait time.Duration) error {
	if wait < 0 || wait > 0 && wait < time.Millisecond {
		return data.Errorf(op, key, "wait is %v: want zero, or at least 1ms", wait)
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
