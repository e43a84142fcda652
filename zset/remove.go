package zset

import (
	"context"
	"strconv"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
)

// Remove takes members off the set and returns how many were in it. Without members it sends nothing. The set
// itself goes with its last member.
//
// Repeating Remove is safe, but then it does not count what an earlier one removed. Because that number often
// decides something (who removed a member may work on it), the client does not repeat it after a lost reply.
func (s *Set[M]) Remove(ctx context.Context, key string, members ...M) (removed int64, err error) {
	const op = "zset.Remove"
	if err := data.CheckKey(op, key); err != nil || len(members) == 0 {
		return 0, err
	}
	names, err := sorted.Encode(nil, s.codec, members)
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	return s.remove(ctx, op, key, "ZREM", names)
}

// RemoveByRank removes the members from rank start to rank stop, both included, and returns how many. Ranks are
// those of [Set.Range]. To keep the n highest, remove from 0 to -n-1.
//
// It must not be repeated after a lost reply, and the client does not: the ranks are others' then.
func (s *Set[M]) RemoveByRank(ctx context.Context, key string, start, stop int64) (removed int64, err error) {
	const op = "zset.RemoveByRank"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	return s.remove(ctx, op, key, "ZREMRANGEBYRANK", []string{strconv.FormatInt(start, 10), strconv.FormatInt(stop, 10)})
}

// RemoveByScore removes the members whose scores are in r and returns how many; all, if r is ScoreRange{}. NaN in
// r is an error. Repeating it is safe; the client does not, because of the number.
func (s *Set[M]) RemoveByScore(ctx context.Context, key string, r ScoreRange) (removed int64, err error) {
	const op = "zset.RemoveByScore"
	lo, hi, err := r.args()
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	return s.remove(ctx, op, key, "ZREMRANGEBYSCORE", []string{lo, hi})
}

// RemoveByLex removes the members that are in r and returns how many; all, if r is LexRange{}. The members must
// all have one score. Repeating it is safe; the client does not, because of the number.
func (s *Set[M]) RemoveByLex(ctx context.Context, key string, r LexRange) (removed int64, err error) {
	const op = "zset.RemoveByLex"
	lo, hi, err := r.args()
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	return s.remove(ctx, op, key, "ZREMRANGEBYLEX", []string{lo, hi})
}

// Delete deletes the whole set, however large, without making the server wait, and reports whether there was one.
// Repeating it is safe, but then it reports what the last call found; so the client does not repeat it after a lost
// reply.
func (s *Set[M]) Delete(ctx context.Context, key string) (bool, error) {
	const op = "zset.Delete"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	ok, err := s.write.Delete(ctx, key)
	return ok, data.Err(op, key, err)
}

func (s *Set[M]) remove(ctx context.Context, op, key, command string, items []string) (int64, error) {
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.write.Do(ctx, key, sorted.Write{Name: command, Items: items}).AsInt64()
	return n, data.Err(op, key, err)
}
