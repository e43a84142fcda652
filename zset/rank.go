package zset

import (
	"context"
	_ "embed"
	"strings"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
	"github.com/tickettoken/rediskit/script"
)

var (
	//go:embed rank.lua
	rankSource string
	rankScript = script.New(rankSource, script.Idempotent)
)

// Rank returns how many members stand before a member, the lowest score first: 0 for the first. It returns
// (0, false, nil) if the member is not in the set.
func (s *Set[M]) Rank(ctx context.Context, key string, member M) (rank int64, ok bool, err error) {
	return s.rank(ctx, "zset.Rank", key, "ZRANK", member)
}

// RevRank is Rank with the highest score first.
func (s *Set[M]) RevRank(ctx context.Context, key string, member M) (rank int64, ok bool, err error) {
	return s.rank(ctx, "zset.RevRank", key, "ZREVRANK", member)
}

func (s *Set[M]) rank(ctx context.Context, op, key, command string, member M) (int64, bool, error) {
	m, err := s.encode(op, key, member)
	if err != nil {
		return 0, false, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command).Keys(key).Args(m).ReadOnly()
	}).AsInt64()
	ok, err := data.Found(err)
	return n, ok, data.Err(op, key, err)
}

// RankWithScore returns a member's [Set.Rank] and its score, both at one moment.
func (s *Set[M]) RankWithScore(ctx context.Context, key string, member M) (rank int64, score float64, ok bool, err error) {
	return s.rankWithScore(ctx, "zset.RankWithScore", key, "ZRANK", member)
}

// RevRankWithScore returns a member's [Set.RevRank] and its score, both at one moment.
func (s *Set[M]) RevRankWithScore(ctx context.Context, key string, member M) (rank int64, score float64, ok bool, err error) {
	return s.rankWithScore(ctx, "zset.RevRankWithScore", key, "ZREVRANK", member)
}

func (s *Set[M]) rankWithScore(ctx context.Context, op, key, command string, member M) (int64, float64, bool, error) {
	m, err := s.encode(op, key, member)
	if err != nil {
		return 0, 0, false, err
	}
	var res rueidis.RedisResult
	if !s.noWithScore.Load() {
		res = s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary(command).Keys(key).Args(m, "WITHSCORE").ReadOnly()
		})
		re, refused := rueidis.IsRedisErr(res.Error())
		if refused && strings.Contains(re.Error(), "wrong number of arguments") {
			s.noWithScore.Store(true)
		}
	}
	if s.noWithScore.Load() {
		res = rankScript.Exec(ctx, s.client, []string{key}, []string{command, m})
	}
	msgs, err := res.ToArray()
	if ok, err := data.Found(err); !ok {
		return 0, 0, false, data.Err(op, key, err)
	}
	if len(msgs) != 2 {
		return 0, 0, false, data.Err(op, key, sorted.ErrReply)
	}
	rank, err := msgs[0].AsInt64()
	if err != nil {
		return 0, 0, false, data.Err(op, key, err)
	}
	score, err := msgs[1].AsFloat64()
	if err != nil {
		return 0, 0, false, data.Err(op, key, err)
	}
	return rank, score, true, nil
}
