package stream

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

var (
	//go:embed group.lua
	groupSource string

	groupScript = script.New(groupSource, script.Once)
)

const (
	// defaultCount is how many entries calls look at whose command demands a number.
	defaultCount = 100

	// maxIDs bounds a call: servers before Redis 7 drop the connection, which is shared, at a command of more than
	// 1,048,576 arguments.
	maxIDs = 1_000_000
)

// Consumer is one reader of a group. Every process, or every worker in it, has a name of its own, and keeps it when it
// starts again: its pending entries are under that name.
type Consumer struct {
	Group, Name string
	// NoAck makes entries count as acknowledged when they are read: they are never pending, and are lost with the
	// consumer, or with the reply.
	NoAck bool
}

func (c Consumer) check(op, key string) error {
	switch {
	case c.Group == "":
		return data.Errorf(op, key, "Consumer.Group is empty")
	case c.Name == "":
		return data.Errorf(op, key, "Consumer.Name is empty")
	}
	return nil
}

// groupError makes the server's ways to say that there is no such group, or no stream for it, an ErrNoGroup.
func groupError(err error) error {
	re, ok := rueidis.IsRedisErr(err)
	if !ok {
		return err
	}
	text := re.Error()
	if strings.HasPrefix(text, "NOGROUP") || strings.Contains(text, "requires the key to exist") || strings.Contains(text, "no such key") {
		return fmt.Errorf("%w: %w", ErrNoGroup, err)
	}
	return err
}

func checkGroup(op, key, group string) error {
	if err := data.CheckKey(op, key); err != nil {
		return err
	}
	if group == "" {
		return data.Errorf(op, key, "empty group")
	}
	return nil
}

// place writes an ID after which a group begins.
func place(id ID) string {
	if id == End {
		return "$"
	}
	return id.String()
}

// CreateGroup creates a group that gives out the entries after an ID: the zero ID for all, End for those that are added
// from now on. It creates the stream if there is none. If the group is there already it changes nothing and returns
// false, so every consumer can call it when it starts. After a lost reply repeat it.
func (s *Stream[T]) CreateGroup(ctx context.Context, key, group string, after ID) (bool, error) {
	const op = "stream.CreateGroup"
	if err := checkGroup(op, key, group); err != nil {
		return false, err
	}
	if s.ttl != "" {
		n, err := groupScript.Exec(ctx, s.c, []string{key}, []string{group, place(after), s.ttl}).AsInt64()
		return n == 1, data.Err(op, key, err)
	}
	err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.XgroupCreate().Key(key).Group(group).Id(place(after)).Mkstream().Build()
	}).Error()
	if re, ok := rueidis.IsRedisErr(err); ok && re.IsBusyGroup() {
		return false, nil
	}
	return err == nil, data.Err(op, key, err)
}

// DestroyGroup removes a group with everything that is pending in it and reports whether there was one. After a lost
// reply repeat it.
func (s *Stream[T]) DestroyGroup(ctx context.Context, key, group string) (bool, error) {
	const op = "stream.DestroyGroup"
	if err := checkGroup(op, key, group); err != nil {
		return false, err
	}
	n, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.XgroupDestroy().Key(key).Group(group).Build()
	}).AsInt64()
	if err = groupError(err); errors.Is(err, ErrNoGroup) {
		return false, nil
	}
	return n == 1, data.Err(op, key, err)
}

// SetGroupID makes a group give out the entries after an ID, once more or leaving some out; End means those that are
// added from now on. What is pending stays so. The error is [ErrNoGroup] if there is no such group. It may be repeated,
// and with another ID than End is so by itself.
func (s *Stream[T]) SetGroupID(ctx context.Context, key, group string, after ID) error {
	const op = "stream.SetGroupID"
	if err := checkGroup(op, key, group); err != nil {
		return err
	}
	err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		cmd := b.XgroupSetid().Key(key).Group(group).Id(place(after)).Build()
		if after == End {
			return cmd
		}
		return cmd.ToRetryable()
	}).Error()
	return data.Err(op, key, groupError(err))
}

// DeleteConsumer removes a consumer from its group and returns how many entries were pending for it: they are pending no
// more, and nobody will get them, so claim them first. The error is [ErrNoGroup] if there is no such group.
func (s *Stream[T]) DeleteConsumer(ctx context.Context, key string, c Consumer) (int64, error) {
	const op = "stream.DeleteConsumer"
	if err := s.checkConsumer(op, key, c); err != nil {
		return 0, err
	}
	n, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.XgroupDelconsumer().Key(key).Group(c.Group).Consumername(c.Name).Build()
	}).AsInt64()
	return n, data.Err(op, key, groupError(err))
}

func (s *Stream[T]) checkConsumer(op, key string, c Consumer) error {
	if err := data.CheckKey(op, key); err != nil {
		return err
	}
	return c.check(op, key)
}

// ReadGroup gives the consumer entries that no consumer of its group has been given, at most count of each stream; zero
// means all. From then on they are pending for it, until Ack. They are in the order of the streams and then of their
// IDs. The group must exist on every stream, else the error is [ErrNoGroup]. On a cluster the streams must share a slot,
// else it wraps [rediskit.ErrCrossSlot].
//
// After a lost reply (rediskit.MayHaveApplied) entries may be pending that the caller never saw: ReadPending gives them.
// It has those too that cannot be decoded, of which the error is a [*DecodeError].
func (s *Stream[T]) ReadGroup(ctx context.Context, c Consumer, count int, keys ...string) ([]Entry[T], error) {
	const op = "stream.ReadGroup"
	name, err := s.checkReadGroup(op, c, count, keys)
	if err != nil {
		return nil, err
	}
	args := groupArgs(c, count)
	return s.several(op, name, keys, s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return xreadgroup(b, args, -1, keys)
	}))
}

// BReadGroup is ReadGroup that waits for an entry if there is none: for wait, at least 1 ms, and then returns none; if
// wait is zero, until ctx ends, and then returns an error. How it waits is as with BRead.
//
// If ctx ends, the call gives up its wait and returns the entries that the consumer was given just before, if there are
// any; an error then means that it was given none. After a broken connection nothing is lost either: see ReadGroup.
// With NoAck, entries can be lost to a broken connection.
func (s *Stream[T]) BReadGroup(ctx context.Context, c Consumer, wait time.Duration, count int, keys ...string) ([]Entry[T], error) {
	const op = "stream.BReadGroup"
	name, err := s.checkReadGroup(op, c, count, keys)
	if err != nil {
		return nil, err
	}
	if err := checkWait(op, name, wait); err != nil {
		return nil, err
	}
	args := groupArgs(c, count)
	return s.several(op, name, keys, s.c.Block(ctx, keys[0], wait, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
		return xreadgroup(b, args, wait, keys)
	}))
}

func (s *Stream[T]) checkReadGroup(op string, c Consumer, count int, keys []string) (name string, err error) {
	if name, err = s.checkKeys(op, keys); err != nil {
		return name, err
	}
	if err := c.check(op, name); err != nil {
		return name, err
	}
	return name, checkCount(op, name, count)
}

func groupArgs(c Consumer, count int) []string {
	args := append(make([]string, 0, 9), "XREADGROUP", "GROUP", c.Group, c.Name)
	if count > 0 {
		args = append(args, "COUNT", strconv.Itoa(count))
	}
	if c.NoAck {
		args = append(args, "NOACK")
	}
	return args
}

// xreadgroup asks for new entries. A negative wait does not wait.
func xreadgroup(b rueidis.Builder, args []string, wait time.Duration, keys []string) rueidis.Completed {
	cmd := b.Arbitrary(args...)
	if wait >= 0 {
		cmd = cmd.Args("BLOCK", strconv.FormatInt(wait.Milliseconds(), 10))
	}
	cmd = cmd.Args("STREAMS").Keys(keys...)
	for range keys {
		cmd = cmd.Args(">")
	}
	if wait >= 0 {
		return cmd.Blocking()
	}
	return cmd.Build()
}

// Batch is a part of the entries that are pending in a group.
type Batch[T any] struct {
	// Entries are those that are still in the stream.
	Entries []Entry[T]
	// Deleted are the IDs of those that were deleted or trimmed from the stream while they were pending. Acknowledge
	// them, or they stay pending.
	Deleted []ID
	// Next is what to pass to get the next part; the zero ID if this was the last.
	Next ID
}

// ReadPending gives the consumer its own pending entries after an ID, at most count of them; zero means all. A consumer
// that starts begins with them, from the zero ID on: what it was given before it crashed, or in a reply that was lost.
// Each time counts as a delivery. If some cannot be decoded it returns the others and a [*DecodeError]. The error is
// [ErrNoGroup] if there is no such group.
func (s *Stream[T]) ReadPending(ctx context.Context, c Consumer, key string, after ID, count int) (Batch[T], error) {
	const op = "stream.ReadPending"
	if err := s.checkConsumer(op, key, c); err != nil {
		return Batch[T]{}, err
	}
	if err := checkCount(op, key, count); err != nil {
		return Batch[T]{}, err
	}
	args := append(groupArgs(c, count), "STREAMS")
	b, err := s.batches([]string{key}, s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(args...).Keys(key).Args(after.String()).Build()
	}))
	if err != nil {
		return Batch[T]{}, data.Err(op, key, err)
	}
	out := Batch[T]{Entries: b.entries, Deleted: b.deleted}
	if n, _, highest := b.reach(); n > 0 && n == count {
		out.Next = highest
	}
	return out, b.err(op, key)
}

// Ack tells a group that entries have been dealt with, so that they are pending no more, and returns how many of them
// were pending. It asks neither for whom they were pending nor whether the entries exist. Without ids it does nothing.
// After a lost reply it may be repeated, but then counts only what the last attempt did.
func (s *Stream[T]) Ack(ctx context.Context, key, group string, ids ...ID) (int64, error) {
	const op = "stream.Ack"
	if err := checkGroup(op, key, group); err != nil {
		return 0, err
	}
	if err := checkIDs(op, key, ids); err != nil || len(ids) == 0 {
		return 0, err
	}
	n, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Xack().Key(key).Group(group).Id(texts(ids)...).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}

func checkIDs(op, key string, ids []ID) error {
	if len(ids) > maxIDs {
		return data.Errorf(op, key, "%d IDs: at most %d at once", len(ids), maxIDs)
	}
	return nil
}
