package zset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
)

// Config says how sets are kept.
type Config[M any] struct {
	// TTL is what every write sets the TTL of its key to: at least 1 ms, or rediskit.NoTTL. It is required.
	TTL time.Duration
	// Codec encodes members. It must be deterministic. The default is codec.Default.
	Codec codec.Codec[M]
}

// Set works on sorted sets whose members are of type M; which set, each call says. It is safe for concurrent use.
type Set[M any] struct {
	client *rediskit.Client
	codec  codec.Codec[M]
	write  sorted.Writer

	noWithScore atomic.Bool // the server's ZRANK does not know WITHSCORE
}

// Entry is a member with its score.
type Entry[M any] struct {
	Member M
	Score  float64
}

// Score is what [Set.Scores] knows of a member.
type Score struct {
	Value float64
	// OK is false if the member is not in the set. Value is 0 then.
	OK bool
}

// New returns access to sorted sets. It returns an error if client is nil or cfg is bad, and sends nothing.
func New[M any](client *rediskit.Client, cfg Config[M]) (*Set[M], error) {
	if client == nil {
		return nil, errors.New("zset: client is nil")
	}
	if err := data.CheckTTL("zset", cfg.TTL); err != nil {
		return nil, err
	}
	if cfg.Codec == nil {
		cfg.Codec = codec.Default[M]()
	}
	return &Set[M]{client: client, codec: cfg.Codec, write: sorted.NewWriter(client, cfg.TTL)}, nil
}

// Condition says which entries an [Set.AddIf] or [Set.IncrIf] writes. XX may be combined with GT or LT: XX|GT.
type Condition uint8

// The conditions.
const (
	Always Condition = 0         // every entry
	NX     Condition = 1 << iota // only members that are not in the set yet
	XX                           // only members that are in the set
	GT                           // new members, and others if the new score is greater
	LT                           // new members, and others if the new score is less
)

func (c Condition) options(dst []string) ([]string, error) {
	if c&^(NX|XX|GT|LT) != 0 || c&NX != 0 && c != NX || c&(GT|LT) == GT|LT {
		return nil, errors.New("conditions that exclude each other: want one of NX, XX, GT, LT, XX|GT, XX|LT")
	}
	for _, f := range [...]struct {
		bit  Condition
		name string
	}{{NX, "NX"}, {XX, "XX"}, {GT, "GT"}, {LT, "LT"}} {
		if c&f.bit != 0 {
			dst = append(dst, f.name)
		}
	}
	return dst, nil
}

// Add puts members into the set, or gives them new scores if they are in it, and returns how many were not. All
// of it happens at one moment. If a member is given twice, its last score counts. Without entries it does nothing.
//
// A NaN score is an error. Add may be repeated, and is by the client after a lost reply: then added may be too low.
func (s *Set[M]) Add(ctx context.Context, key string, entries ...Entry[M]) (added int64, err error) {
	return s.add(ctx, "zset.Add", key, sorted.Write{Name: "ZADD", Touch: true, Idempotent: true}, entries)
}

// AddIf is Add for those entries that meet a condition. It returns how many members it changed: those it put in
// and those it gave another score. If it returns 0, nothing has changed.
//
// Each entry is judged by itself. A combination of conditions that makes no sense is an error. Repeating AddIf
// has the effect of calling it once, but the number is that of the last call; so the client does not repeat it
// after a lost reply, and MayHaveApplied tells.
func (s *Set[M]) AddIf(ctx context.Context, key string, cond Condition, entries ...Entry[M]) (changed int64, err error) {
	const op = "zset.AddIf"
	options, err := cond.options(make([]string, 0, 3))
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	cmd := sorted.Write{Name: "ZADD", Options: append(options, "CH"), Touch: cond == Always}
	return s.add(ctx, op, key, cmd, entries)
}

func (s *Set[M]) add(ctx context.Context, op, key string, cmd sorted.Write, entries []Entry[M]) (int64, error) {
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	if len(entries) == 0 {
		return 0, nil
	}
	var numbers sorted.Numbers
	numbers.Grow(len(entries))
	cmd.Items = make([]string, 0, 2*len(entries))
	for i := range entries {
		if math.IsNaN(entries[i].Score) {
			return 0, data.Errorf(op, key, "score of entry %d is NaN", i)
		}
		m, err := s.codec.Encode(entries[i].Member)
		if err != nil {
			return 0, data.Errorf(op, key, "member of entry %d: %w", i, err)
		}
		cmd.Items = append(cmd.Items, numbers.Format(entries[i].Score), m)
	}
	n, err := s.write.Do(ctx, key, cmd).AsInt64()
	return n, data.Err(op, key, err)
}

// Incr adds by to the score of a member and returns the new score. A member that is not in the set gets the
// score by. NaN is an error, and so is a sum of opposite infinities.
//
// Incr must not be repeated after a lost reply, and the client does not.
func (s *Set[M]) Incr(ctx context.Context, key string, member M, by float64) (score float64, err error) {
	score, _, err = s.incr(ctx, "zset.Incr", key, Always, member, by)
	return score, err
}

// IncrIf is Incr under a condition. If the condition is not met, it changes nothing and returns (0, false, nil).
// GT and LT compare the sum with the old score.
//
// IncrIf must not be repeated after a lost reply, and the client does not.
func (s *Set[M]) IncrIf(ctx context.Context, key string, cond Condition, member M, by float64) (score float64, ok bool, err error) {
	return s.incr(ctx, "zset.IncrIf", key, cond, member, by)
}

func (s *Set[M]) incr(ctx context.Context, op, key string, cond Condition, member M, by float64) (float64, bool, error) {
	m, err := s.encode(op, key, member)
	if err != nil {
		return 0, false, err
	}
	if math.IsNaN(by) {
		return 0, false, data.Errorf(op, key, "increment is NaN")
	}
	options, err := cond.options(make([]string, 0, 3))
	if err != nil {
		return 0, false, data.Err(op, key, err)
	}
	var numbers sorted.Numbers
	res := s.write.Do(ctx, key, sorted.Write{
		Name: "ZADD", Options: append(options, "INCR"), Items: []string{numbers.Format(by), m},
	})
	return score(op, key, res)
}

// Score returns the score of a member, or (0, false, nil) if it is not in the set.
func (s *Set[M]) Score(ctx context.Context, key string, member M) (value float64, ok bool, err error) {
	const op = "zset.Score"
	m, err := s.encode(op, key, member)
	if err != nil {
		return 0, false, err
	}
	return score(op, key, s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Zscore().Key(key).Member(m).Build()
	}))
}

func score(op, key string, res rueidis.RedisResult) (float64, bool, error) {
	f, err := res.AsFloat64()
	ok, err := data.Found(err)
	return f, ok, data.Err(op, key, err)
}

// Scores returns what is known of each member, in their order and read at one moment. Without members it sends
// nothing.
func (s *Set[M]) Scores(ctx context.Context, key string, members ...M) ([]Score, error) {
	const op = "zset.Scores"
	if err := data.CheckKey(op, key); err != nil || len(members) == 0 {
		return nil, err
	}
	names, err := sorted.Encode(nil, s.codec, members)
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Zmscore().Key(key).Member(names...).Build()
	}).ToArray()
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	out := make([]Score, len(msgs))
	for i := range msgs {
		f, err := msgs[i].AsFloat64()
		if out[i].OK, err = data.Found(err); err != nil {
			return nil, data.Err(op, key, err)
		}
		out[i].Value = f
	}
	return out, nil
}

// encode checks the key and encodes a member.
func (s *Set[M]) encode(op, key string, member M) (string, error) {
	if err := data.CheckKey(op, key); err != nil {
		return "", err
	}
	m, err := s.codec.Encode(member)
	if err != nil {
		return "", data.Errorf(op, key, "member: %w", err)
	}
	return m, nil
}

// DecodeError reports members that the codec could not read, because they are damaged or somebody else's. The call
// that returns it returns the others, too. When it took members off the set, they are gone from there, and are here.
type DecodeError struct {
	// Raw are the members as they are in Redis, with their scores (0 where the call reads none), in the order of
	// the reply.
	Raw []Entry[string]
	// Err is the codec's error about the first of them.
	Err error
}

// Error tells how many members there are, and the codec's error.
func (e *DecodeError) Error() string {
	if len(e.Raw) == 1 {
		return fmt.Sprintf("a member of %d bytes: %v", len(e.Raw[0].Member), e.Err)
	}
	return fmt.Sprintf("%d members: %v", len(e.Raw), e.Err)
}

// Unwrap returns the codec's error.
func (e *DecodeError) Unwrap() error { return e.Err }

func (e *DecodeError) add(raw Entry[string], err error) *DecodeError {
	if e == nil {
		e = &DecodeError{Err: err}
	}
	e.Raw = append(e.Raw, raw)
	return e
}

// read makes the result of a call that returns members with scores. These come in pairs (RESP3) or in turn (RESP2,
// and every script).
func (s *Set[M]) read(op, key string, msgs []rueidis.RedisMessage, err error) ([]Entry[M], error) {
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	out, undecodable, err := s.entries(msgs)
	if err == nil && undecodable != nil {
		err = undecodable
	}
	return out, data.Err(op, key, err)
}

func (s *Set[M]) entries(msgs []rueidis.RedisMessage) ([]Entry[M], *DecodeError, error) {
	if len(msgs) == 0 {
		return nil, nil, nil
	}
	step := 2
	if msgs[0].IsArray() {
		step = 1
	}
	if len(msgs)%step != 0 {
		return nil, nil, sorted.ErrReply
	}
	var undecodable *DecodeError
	out := make([]Entry[M], 0, len(msgs)/step)
	for i := 0; i < len(msgs); i += step {
		pair := msgs[i : i+step]
		if step == 1 {
			var err error
			if pair, err = msgs[i].ToArray(); err != nil || len(pair) != 2 {
				return nil, nil, sorted.ErrReply
			}
		}
		raw, err := pair[0].ToString()
		if err != nil {
			return nil, nil, err
		}
		score, err := pair[1].AsFloat64()
		if err != nil {
			return nil, nil, err
		}
		out = append(out, Entry[M]{Score: score})
		if err := s.codec.Decode(raw, &out[len(out)-1].Member); err != nil {
			out = out[:len(out)-1]
			undecodable = undecodable.add(Entry[string]{raw, score}, err)
		}
	}
	return out, undecodable, nil
}
