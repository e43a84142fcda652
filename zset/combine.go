package zset

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
)

// Aggregate says what becomes of the scores of a member that is in several sets.
type Aggregate int

// The aggregates. The sum of opposite infinities is 0.
const (
	Sum Aggregate = iota
	Min
	Max
)

// Combine says how [Set.Union] and [Set.Inter] make the new scores. The zero Combine adds them up.
type Combine struct {
	// Weights has a factor for each key, applied to its scores before they are combined. Nil is 1 for all.
	Weights []float64
	// Aggregate is what becomes of several scores of a member.
	Aggregate Aggregate
}

func (c Combine) options(keys int) ([]string, error) {
	var options []string
	if c.Weights != nil {
		if len(c.Weights) != keys {
			return nil, errors.New("as many Weights as keys are wanted, or none")
		}
		var numbers sorted.Numbers
		options = append(options, "WEIGHTS")
		for _, w := range c.Weights {
			if math.IsNaN(w) {
				return nil, errors.New("a weight is NaN")
			}
			options = append(options, numbers.Format(w))
		}
	}
	switch c.Aggregate {
	case Sum:
	case Min:
		options = append(options, "AGGREGATE", "MIN")
	case Max:
		options = append(options, "AGGREGATE", "MAX")
	default:
		return nil, errors.New("unknown Aggregate")
	}
	return options, nil
}

// Union returns the members that are in any of the sets, lowest score first. Keys may be those of plain sets, too,
// whose members have score 1, or of nothing.
//
// No keys, an empty key, a NaN weight and a number of weights that is not that of the keys are errors; on a
// cluster, keys that do not share a slot are [rediskit.ErrCrossSlot].
func (s *Set[M]) Union(ctx context.Context, keys []string, c Combine) ([]Entry[M], error) {
	return s.combine(ctx, "zset.Union", "ZUNION", keys, c)
}

// Inter returns the members that are in all of the sets, lowest score first. Keys and errors are as in
// [Set.Union].
func (s *Set[M]) Inter(ctx context.Context, keys []string, c Combine) ([]Entry[M], error) {
	return s.combine(ctx, "zset.Inter", "ZINTER", keys, c)
}

// Diff returns the members of the first set that are in none of the others, with their scores in the first,
// lowest first. Keys and errors are as in [Set.Union].
func (s *Set[M]) Diff(ctx context.Context, keys []string) ([]Entry[M], error) {
	return s.combine(ctx, "zset.Diff", "ZDIFF", keys, Combine{})
}

func (s *Set[M]) combine(ctx context.Context, op, command string, keys []string, c Combine) ([]Entry[M], error) {
	key, err := s.checkKeys(op, keys)
	if err != nil {
		return nil, err
	}
	options, err := c.options(len(keys))
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		a := b.Arbitrary(command).Args(strconv.Itoa(len(keys))).Keys(keys...).Args(options...)
		return a.Args("WITHSCORES").ReadOnly()
	}).ToArray()
	return s.read(op, key, msgs, err)
}

// UnionStore puts the result of [Set.Union] at dest, in place of what is there, and returns how many members it
// has. If there are none, dest is deleted. dest must share the keys' slot on a cluster, and may be one of them.
//
// The client repeats it after a lost reply unless dest is one of the keys.
func (s *Set[M]) UnionStore(ctx context.Context, dest string, keys []string, c Combine) (int64, error) {
	return s.store(ctx, "zset.UnionStore", "ZUNIONSTORE", dest, keys, c)
}

// InterStore is [Set.UnionStore] for the result of [Set.Inter].
func (s *Set[M]) InterStore(ctx context.Context, dest string, keys []string, c Combine) (int64, error) {
	return s.store(ctx, "zset.InterStore", "ZINTERSTORE", dest, keys, c)
}

// DiffStore is [Set.UnionStore] for the result of [Set.Diff].
func (s *Set[M]) DiffStore(ctx context.Context, dest string, keys []string) (int64, error) {
	return s.store(ctx, "zset.DiffStore", "ZDIFFSTORE", dest, keys, Combine{})
}

func (s *Set[M]) store(ctx context.Context, op, command, dest string, keys []string, c Combine) (int64, error) {
	if err := data.CheckKey(op, dest); err != nil {
		return 0, err
	}
	if _, err := s.checkKeys(op, keys); err != nil {
		return 0, err
	}
	options, err := c.options(len(keys))
	if err != nil {
		return 0, data.Err(op, dest, err)
	}
	n, err := s.write.Store(ctx, dest, keys, sorted.Store{Name: command, Count: true, Options: options}).AsInt64()
	return n, data.Err(op, dest, err)
}
