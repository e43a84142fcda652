package stream

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
)

// Pending sums up what is pending in a group.
type Pending struct {
	Count       int64
	First, Last ID               // zero if Count is
	Consumers   map[string]int64 // of each consumer that has something pending
}

// Pending sums up what is pending in a group. The error is [ErrNoGroup] if there is no such group.
func (s *Stream[T]) Pending(ctx context.Context, key, group string) (p Pending, err error) {
	const op = "stream.Pending"
	if err := checkGroup(op, key, group); err != nil {
		return p, err
	}
	reply, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Xpending().Key(key).Group(group).Build()
	}).ToArray()
	if err == nil {
		p, err = parsePending(reply)
	}
	return p, data.Err(op, key, groupError(err))
}

func parsePending(reply []rueidis.RedisMessage) (p Pending, err error) {
	if len(reply) < 4 {
		return p, errReply
	}
	if p.Count, err = reply[0].AsInt64(); err != nil || p.Count == 0 {
		return p, err
	}
	if p.First, err = idOf(&reply[1]); err != nil {
		return p, err
	}
	if p.Last, err = idOf(&reply[2]); err != nil {
		return p, err
	}
	consumers, err := reply[3].ToArray()
	if err != nil {
		return p, err
	}
	p.Consumers = make(map[string]int64, len(consumers))
	for i := range consumers {
		pair, err := consumers[i].ToArray()
		if err != nil {
			return p, err
		}
		if len(pair) != 2 {
			return p, errReply
		}
		name, err := pair[0].ToString()
		if err != nil {
			return p, err
		}
		if p.Consumers[name], err = pair[1].AsInt64(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// PendingQuery says which pending entries to list. The zero value is the first 100 of the group.
type PendingQuery struct {
	// Span limits the IDs.
	Span Span
	// Consumer limits them to one consumer. Default: all.
	Consumer string
	// MinIdle leaves out those that were given out less than this long ago. Whole milliseconds, rounded up.
	MinIdle time.Duration
	// Count is how many are listed at most. Default: 100.
	Count int
}

// PendingEntry is an entry that was given to a consumer and not acknowledged.
type PendingEntry struct {
	ID         ID
	Consumer   string
	Idle       time.Duration // since it was last given out
	Deliveries int64         // how often it was
}

// PendingEntries lists what is pending in a group, without the values. The error is [ErrNoGroup] if there is no such
// group.
func (s *Stream[T]) PendingEntries(ctx context.Context, key, group string, q PendingQuery) ([]PendingEntry, error) {
	const op = "stream.PendingEntries"
	if err := checkGroup(op, key, group); err != nil {
		return nil, err
	}
	if err := checkIdle(op, key, q.MinIdle); err != nil {
		return nil, err
	}
	if err := checkCount(op, key, q.Count); err != nil {
		return nil, err
	}
	first, last, ok, err := q.Span.bounds()
	if err != nil || !ok {
		return nil, data.Err(op, key, err)
	}
	if q.Count == 0 {
		q.Count = defaultCount
	}
	var args []string
	if q.MinIdle > 0 {
		args = append(args, "IDLE", data.Millis(q.MinIdle))
	}
	args = append(args, first.String(), last.String(), strconv.Itoa(q.Count))
	if q.Consumer != "" {
		args = append(args, q.Consumer)
	}
	reply, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("XPENDING").Keys(key).Args(group).Args(args...).ReadOnly()
	}).ToArray()
	if err != nil {
		return nil, data.Err(op, key, groupError(err))
	}
	out := make([]PendingEntry, len(reply))
	for i := range reply {
		if out[i], err = parsePendingEntry(&reply[i]); err != nil {
			return nil, data.Err(op, key, err)
		}
	}
	return out, nil
}

func parsePendingEntry(m *rueidis.RedisMessage) (e PendingEntry, err error) {
	parts, err := m.ToArray()
	if err != nil {
		return e, err
	}
	if len(parts) < 4 {
		return e, errReply
	}
	if e.ID, err = idOf(&parts[0]); err != nil {
		return e, err
	}
	if e.Consumer, err = parts[1].ToString(); err != nil {
		return e, err
	}
	ms, err := parts[2].AsInt64()
	if err != nil {
		return e, err
	}
	e.Idle = time.Duration(ms) * time.Millisecond
	e.Deliveries, err = parts[3].AsInt64()
	return e, err
}

func checkIdle(op, key string, idle time.Duration) error {
	if idle < 0 {
		return data.Errorf(op, key, "the idle time is %v: must not be negative", idle)
	}
	return nil
}

// Claim makes entries pending for this consumer that have been pending for some consumer of its group for at least
// minIdle, and returns them. Those that are not pending, are in use for a shorter time, or are no longer in the stream
// are left out. Each time counts as a delivery. Of several callers with a minIdle above zero only one gets an entry.
// If some cannot be decoded it returns the others and a [*DecodeError]; they were claimed too. The error is
// [ErrNoGroup] if there is no such group.
//
// After a lost reply the entries may have been claimed: ReadPending gives them.
func (s *Stream[T]) Claim(ctx context.Context, c Consumer, key string, minIdle time.Duration, ids ...ID) ([]Entry[T], error) {
	const op = "stream.Claim"
	m, err := s.claim(ctx, op, c, key, minIdle, ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	b := batch[T]{form: &s.form}
	if err := b.add(key, &m); err != nil {
		return nil, data.Err(op, key, err)
	}
	return b.entries, b.err(op, key)
}

// ClaimIDs claims as Claim does, but returns only the IDs, and does not count as a delivery. With a minIdle of zero and
// the consumer's own entries it tells the others that this one is still at work on them.
func (s *Stream[T]) ClaimIDs(ctx context.Context, c Consumer, key string, minIdle time.Duration, ids ...ID) ([]ID, error) {
	const op = "stream.ClaimIDs"
	m, err := s.claim(ctx, op, c, key, minIdle, ids, "JUSTID")
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	claimed, err := idsOf(&m)
	return claimed, data.Err(op, key, err)
}

func (s *Stream[T]) claim(ctx context.Context, op string, c Consumer, key string, minIdle time.Duration, ids []ID, options ...string) (m rueidis.RedisMessage, err error) {
	if err := s.checkConsumer(op, key, c); err != nil {
		return m, err
	}
	if err := checkIdle(op, key, minIdle); err != nil {
		return m, err
	}
	if err := checkIDs(op, key, ids); err != nil || len(ids) == 0 {
		return m, err
	}
	m, err = s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("XCLAIM").Keys(key).Args(c.Group, c.Name, data.Millis(minIdle)).
			Args(texts(ids)...).Args(options...).Build()
	}).ToMessage()
	return m, data.Err(op, key, groupError(err))
}

func idsOf(m *rueidis.RedisMessage) ([]ID, error) {
	array, err := m.ToArray()
	if err != nil || len(array) == 0 {
		return nil, err
	}
	ids := make([]ID, len(array))
	for i := range array {
		if ids[i], err = idOf(&array[i]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// AutoClaim looks at the group's pending entries from an ID on, at most count of them (zero means 100), and claims those
// that have been pending for at least minIdle, as Claim does. Batch.Next is where the next call goes on. Deleted has
// entries that are no longer in the stream, from Redis 7 on; they are then pending no more.
//
// After a lost reply the entries may have been claimed: ReadPending gives them.
func (s *Stream[T]) AutoClaim(ctx context.Context, c Consumer, key string, minIdle time.Duration, from ID, count int) (Batch[T], error) {
	const op = "stream.AutoClaim"
	if err := s.checkConsumer(op, key, c); err != nil {
		return Batch[T]{}, err
	}
	if err := checkIdle(op, key, minIdle); err != nil {
		return Batch[T]{}, err
	}
	if err := checkCount(op, key, count); err != nil {
		return Batch[T]{}, err
	}
	if count == 0 {
		count = defaultCount
	}
	reply, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Xautoclaim().Key(key).Group(c.Group).Consumer(c.Name).MinIdleTime(data.Millis(minIdle)).
			Start(from.String()).Count(int64(count)).Build()
	}).ToArray()
	if err != nil {
		return Batch[T]{}, data.Err(op, key, groupError(err))
	}
	out, bad, err := s.parseAutoClaim(key, reply)
	if err != nil {
		return Batch[T]{}, data.Err(op, key, err)
	}
	if bad != nil {
		return out, data.Err(op, key, bad)
	}
	return out, nil
}

func (s *Stream[T]) parseAutoClaim(key string, reply []rueidis.RedisMessage) (out Batch[T], bad *DecodeError, err error) {
	if len(reply) < 2 {
		return out, nil, errReply
	}
	if out.Next, err = idOf(&reply[0]); err != nil {
		return out, nil, err
	}
	b := batch[T]{form: &s.form}
	if err := b.add(key, &reply[1]); err != nil {
		return out, nil, err
	}
	out.Entries, out.Deleted = b.entries, b.deleted
	if len(reply) > 2 {
		deleted, err := idsOf(&reply[2])
		if err != nil {
			return out, nil, err
		}
		out.Deleted = append(out.Deleted, deleted...)
	}
	return out, b.bad, nil
}
