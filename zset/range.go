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

// ScoreRange is a range of scores. An end that is the zero Bound is open: ScoreRange{} is every score.
//
//	zset.ScoreRange{Min: zset.Incl(10), Max: zset.Excl(20)} // 10 ≤ score < 20
//	zset.ScoreRange{Min: zset.Excl(10)}                     // 10 < score
type ScoreRange struct {
	Min, Max Bound
}

// Bound is an end of a [ScoreRange], made by [Incl] or [Excl]. The zero Bound is none.
type Bound struct {
	score float64
	kind  boundKind
}

type boundKind uint8

const (
	none boundKind = iota
	incl
	excl
)

// Incl returns the end of a range that the score itself belongs to.
func Incl(score float64) Bound { return Bound{score, incl} }

// Excl returns the end of a range that the score itself does not belong to.
func Excl(score float64) Bound { return Bound{score, excl} }

func (r ScoreRange) args() (lo, hi string, err error) {
	if math.IsNaN(r.Min.score) || math.IsNaN(r.Max.score) {
		return "", "", errors.New("end of the range is NaN")
	}
	return r.Min.arg("-inf"), r.Max.arg("+inf"), nil
}

func (b Bound) arg(open string) string {
	var a [32]byte
	switch b.kind {
	case incl:
		return string(sorted.AppendNumber(a[:0], b.score))
	case excl:
		return string(sorted.AppendNumber(append(a[:0], '('), b.score))
	default:
		return open
	}
}

// LexRange is a range of members in the order of their bytes, as the codec encoded them. Both ends belong to it
// unless excluded; an empty end is open: LexRange{} is every member.
//
// In a set whose members have different scores the server's answer to a range by lex means nothing.
type LexRange struct {
	Min, Max               string
	ExcludeMin, ExcludeMax bool
}

// Prefix returns the range of the members that begin with p.
func Prefix(p string) LexRange {
	r := LexRange{Min: p}
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] < 0xff {
			next := []byte(p[:i+1])
			next[i]++
			r.Max, r.ExcludeMax = string(next), true
			break
		}
	}
	return r
}

func (r LexRange) args() (lo, hi string, err error) {
	switch {
	case r.Max == "" && r.ExcludeMax:
		return "", "", errors.New("ExcludeMax without Max")
	case r.ExcludeMin:
		lo = "(" + r.Min
	case r.Min == "":
		lo = "-"
	default:
		lo = "[" + r.Min
	}
	switch {
	case r.ExcludeMax:
		hi = "(" + r.Max
	case r.Max == "":
		hi = "+"
	default:
		hi = "[" + r.Max
	}
	return lo, hi, nil
}

// Page says which part of a range to read, and in which direction. The zero Page is all of it, ascending.
type Page struct {
	// Offset is how many to leave out at the beginning.
	Offset int64
	// Count is how many to read at most; 0 is all.
	Count int64
	// Reverse begins at the other end of the range and descends.
	Reverse bool
}

func (p Page) check() error {
	if p.Offset < 0 {
		return errors.New("negative Page.Offset")
	}
	if p.Count < 0 {
		return errors.New("negative Page.Count")
	}
	return nil
}

// Range returns the entries from rank start to rank stop, both included, lowest score first. A negative rank
// counts from the end: -1 is the last. Ranks beyond the set are no error.
func (s *Set[M]) Range(ctx context.Context, key string, start, stop int64) ([]Entry[M], error) {
	return s.byRank(ctx, "zset.Range", key, start, stop, false)
}

// RevRange is Range with the highest score first: rank 0 is the highest.
func (s *Set[M]) RevRange(ctx context.Context, key string, start, stop int64) ([]Entry[M], error) {
	return s.byRank(ctx, "zset.RevRange", key, start, stop, true)
}

// Top returns the n entries with the highest scores, highest first. A negative n is an error; for 0, nothing is
// sent.
func (s *Set[M]) Top(ctx context.Context, key string, n int64) ([]Entry[M], error) {
	const op = "zset.Top"
	if n < 0 {
		return nil, data.Errorf(op, key, "negative count")
	}
	if n == 0 {
		return nil, data.CheckKey(op, key)
	}
	return s.byRank(ctx, op, key, 0, n-1, true)
}

func (s *Set[M]) byRank(ctx context.Context, op, key string, start, stop int64, reverse bool) ([]Entry[M], error) {
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		r := b.Zrange().Key(key).Min(strconv.FormatInt(start, 10)).Max(strconv.FormatInt(stop, 10))
		if reverse {
			return r.Rev().Withscores().Build()
		}
		return r.Withscores().Build()
	}).ToArray()
	return s.read(op, key, msgs, err)
}

// RangeByScore returns the entries whose scores are in r, or the part of them that page says.
//
// NaN in r is an error, and a negative number in page. A page is read in time proportional to its Offset: to go
// through a large set, begin each page above the last score of the one before, or use [Set.All].
func (s *Set[M]) RangeByScore(ctx context.Context, key string, r ScoreRange, page Page) ([]Entry[M], error) {
	const op = "zset.RangeByScore"
	lo, hi, err := r.args()
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	msgs, err := s.by(ctx, op, key, "BYSCORE", lo, hi, page)
	return s.read(op, key, msgs, err)
}

// RangeByLex returns the members that are in r, or the part of them that page says, of a set whose members all
// have one score.
//
// A negative number in page is an error.
func (s *Set[M]) RangeByLex(ctx context.Context, key string, r LexRange, page Page) ([]M, error) {
	const op = "zset.RangeByLex"
	lo, hi, err := r.args()
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	msgs, err := s.by(ctx, op, key, "BYLEX", lo, hi, page)
	if err != nil || len(msgs) == 0 {
		return nil, data.Err(op, key, err)
	}
	var undecodable *DecodeError
	out := make([]M, 0, len(msgs))
	for i := range msgs {
		raw, err := msgs[i].ToString()
		if err != nil {
			return nil, data.Err(op, key, err)
		}
		out = append(out, *new(M))
		if err := s.codec.Decode(raw, &out[len(out)-1]); err != nil {
			out = out[:len(out)-1]
			undecodable = undecodable.add(Entry[string]{Member: raw}, err)
		}
	}
	if undecodable != nil {
		return out, data.Err(op, key, undecodable)
	}
	return out, nil
}

func (s *Set[M]) by(ctx context.Context, op, key, by, lo, hi string, page Page) ([]rueidis.RedisMessage, error) {
	if key == "" {
		return nil, errors.New("empty key")
	}
	if err := page.check(); err != nil {
		return nil, err
	}
	return s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		a := b.Arbitrary("ZRANGE").Keys(key)
		if page.Reverse {
			a = a.Args(hi, lo, by, "REV")
		} else {
			a = a.Args(lo, hi, by)
		}
		if page.Offset > 0 || page.Count > 0 {
			count := page.Count
			if count == 0 {
				count = -1
			}
			a = a.Args("LIMIT", strconv.FormatInt(page.Offset, 10), strconv.FormatInt(count, 10))
		}
		if by == "BYSCORE" {
			a = a.Args("WITHSCORES")
		}
		return a.ReadOnly()
	}).ToArray()
}

// Card returns how many members the set has; 0 if there is none.
func (s *Set[M]) Card(ctx context.Context, key string) (int64, error) {
	const op = "zset.Card"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Zcard().Key(key).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}

// Count returns how many members have a score in r. NaN in r is an error.
func (s *Set[M]) Count(ctx context.Context, key string, r ScoreRange) (int64, error) {
	lo, hi, err := r.args()
	return s.count(ctx, "zset.Count", key, "ZCOUNT", lo, hi, err)
}

// LexCount returns how many members are in r, of a set whose members all have one score.
func (s *Set[M]) LexCount(ctx context.Context, key string, r LexRange) (int64, error) {
	lo, hi, err := r.args()
	return s.count(ctx, "zset.LexCount", key, "ZLEXCOUNT", lo, hi, err)
}

func (s *Set[M]) count(ctx context.Context, op, key, command, lo, hi string, err error) (int64, error) {
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command).Keys(key).Args(lo, hi).ReadOnly()
	}).AsInt64()
	return n, data.Err(op, key, err)
}
