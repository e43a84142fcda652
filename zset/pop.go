package zset

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
)

// Popped is a member that [Set.BPopMin] or [Set.BPopMax] took, and the set it was in.
type Popped[M any] struct {
	Key string
	Entry[M]
}

// PopMin takes the n members with the lowest scores off the set and returns them, lowest first; fewer, if there
// are not as many. A negative n is an error; for 0, nothing is sent.
//
// If the reply is lost, MayHaveApplied tells so, and members that were taken are lost: do not repeat it blindly.
// Members that cannot be decoded are off the set all the same: they are in the [*DecodeError], and the others are
// returned with it.
func (s *Set[M]) PopMin(ctx context.Context, key string, n int64) ([]Entry[M], error) {
	return s.pop(ctx, "zset.PopMin", key, "ZPOPMIN", n)
}

// PopMax is PopMin for the highest scores, highest first.
func (s *Set[M]) PopMax(ctx context.Context, key string, n int64) ([]Entry[M], error) {
	return s.pop(ctx, "zset.PopMax", key, "ZPOPMAX", n)
}

func (s *Set[M]) pop(ctx context.Context, op, key, command string, n int64) ([]Entry[M], error) {
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, data.Errorf(op, key, "negative count")
	}
	if n == 0 {
		return nil, nil
	}
	msgs, err := s.write.Do(ctx, key, sorted.Write{Name: command, Items: []string{strconv.FormatInt(n, 10)}}).ToArray()
	return s.read(op, key, msgs, err)
}

// BPopMin takes the member with the lowest score off the first of the sets that has any. If all are empty, it
// waits until somebody adds a member: for wait, or until ctx ends if wait is 0. If none came in that time, it
// returns ok false and no error. Of several callers that wait for a set, the one that began first is served first.
//
// No member is lost to a context that ends: either the member is returned and the error is nil, or nothing was
// taken and the error is the context's. If the connection breaks just as the server replies, the member is lost;
// MayHaveApplied is true of the error then. A member that cannot be decoded is off the set, and in the
// [*DecodeError].
//
// A negative wait is an error, one under 1 ms too, and no keys or an empty one; on a cluster, keys that do not
// share a slot are [rediskit.ErrCrossSlot]. The sets' TTLs are left alone.
func (s *Set[M]) BPopMin(ctx context.Context, keys []string, wait time.Duration) (Popped[M], bool, error) {
	return s.bpop(ctx, "zset.BPopMin", "BZPOPMIN", keys, wait)
}

// BPopMax is BPopMin for the highest score.
func (s *Set[M]) BPopMax(ctx context.Context, keys []string, wait time.Duration) (Popped[M], bool, error) {
	return s.bpop(ctx, "zset.BPopMax", "BZPOPMAX", keys, wait)
}

func (s *Set[M]) bpop(ctx context.Context, op, command string, keys []string, wait time.Duration) (p Popped[M], ok bool, err error) {
	key, err := s.checkKeys(op, keys)
	if err != nil {
		return p, false, err
	}
	if wait < 0 || wait > 0 && wait < time.Millisecond {
		return p, false, data.Errorf(op, key, "wait is %v: want 0, or at least 1ms", wait)
	}
	msgs, err := s.client.Block(ctx, keys[0], wait, func(b rueidis.Builder, wait time.Duration) rueidis.Completed {
		return b.Arbitrary(command).Keys(keys...).Args(strconv.FormatFloat(wait.Seconds(), 'f', 3, 64)).Blocking()
	}).ToArray()
	if found, err := data.Found(err); !found {
		return p, false, data.Err(op, key, err)
	}
	if len(msgs) != 3 {
		return p, false, data.Err(op, key, sorted.ErrReply)
	}
	if p.Key, err = msgs[0].ToString(); err != nil {
		return p, false, data.Err(op, key, err)
	}
	raw, err := msgs[1].ToString()
	if err != nil {
		return p, false, data.Err(op, key, err)
	}
	if p.Score, err = msgs[2].AsFloat64(); err != nil {
		return p, false, data.Err(op, key, err)
	}
	if err := s.codec.Decode(raw, &p.Member); err != nil {
		var undecodable *DecodeError
		return Popped[M]{}, false, data.Err(op, p.Key, undecodable.add(Entry[string]{raw, p.Score}, err))
	}
	return p, true, nil
}

// checkKeys checks the keys of one command and returns the one that errors name: none if there are several.
func (s *Set[M]) checkKeys(op string, keys []string) (string, error) {
	if len(keys) == 0 {
		return "", data.Errorf(op, "", "no keys")
	}
	for _, key := range keys {
		if err := data.CheckKey(op, key); err != nil {
			return "", err
		}
	}
	if err := s.client.CheckSlot(keys...); err != nil {
		return "", data.Err(op, "", err)
	}
	if len(keys) > 1 {
		return "", nil
	}
	return keys[0], nil
}
