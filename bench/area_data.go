package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/hash"
	"github.com/tickettoken/rediskit/list"
	"github.com/tickettoken/rediskit/zset"
)

const (
	dataTTL = time.Hour
	perKey  = 1_000 // members of a sorted set
)

// hashArea writes and reads a struct.
func hashArea() area {
	keys := names("hash", 10_000)
	values := profiles(1_000)
	return area{
		name: "hash",
		about: "A struct of six fields (two strings, an integer, a float, a bool and a time) in a hash. Setting it also " +
			"sets the key's TTL: at the same moment with rediskit, by a pipeline of HSET and PEXPIRE with the others, which is two moments, or by a transaction of both (MULTI).",
		operations: []operation{
			{name: "set", subjects: hashSet(keys, values)},
			{
				name: "get",
				prepare: func(ctx context.Context, c rueidis.Client) error {
					return fill(ctx, c, len(keys), func(b rueidis.Builder, i int) rueidis.Completed {
						return setProfile(b, keys[i], values[i%len(values)])
					})
				},
				subjects: hashGet(keys),
			},
		},
	}
}

func openHash(ctx context.Context, s *stand) (*hash.Hash[profile], error) {
	c, err := s.rediskit(ctx, rediskit.Config{})
	if err != nil {
		return nil, err
	}
	return hash.New[profile](c, hash.Config{TTL: dataTTL})
}

func hashSet(keys []string, values []profile) []subject {
	subjects := []subject{
		{baseline, func(ctx context.Context, s *stand) (probe, error) {
			h, err := openHash(ctx, s)
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				return h.Set(ctx, keys[spread(g, n, len(keys))], values[spread(g, n, len(values))])
			}), nil
		}},
	}
	return append(subjects, writesByHand(keys,
		func(b rueidis.Builder, key string, g, n int) rueidis.Completed {
			return setProfile(b, key, values[spread(g, n, len(values))])
		},
		func(ctx context.Context, p redis.Pipeliner, key string, g, n int) {
			p.HSet(ctx, key, values[spread(g, n, len(values))])
		})...)
}

func hashGet(keys []string) []subject {
	subjects := []subject{
		{baseline, func(ctx context.Context, s *stand) (probe, error) {
			h, err := openHash(ctx, s)
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				p, ok, err := h.Get(ctx, keys[spread(g, n, len(keys))])
				return checkProfile(p, ok, err)
			}), nil
		}},
		{"rueidis, by hand", func(_ context.Context, s *stand) (probe, error) {
			c, err := s.rueidis(rueidis.ClientOption{})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				fields, err := c.Do(ctx, c.B().Hgetall().Key(keys[spread(g, n, len(keys))]).Build()).AsStrMap()
				if err != nil {
					return err
				}
				p, err := parseProfile(fields)
				return checkProfile(p, true, err)
			}), nil
		}},
	}
	return append(subjects, withGoRedis(func(_ context.Context, s *stand, c *redis.Client) (probe, error) {
		return s.loop(func(ctx context.Context, g, n int) error {
			var p profile
			err := c.HGetAll(ctx, keys[spread(g, n, len(keys))]).Scan(&p)
			return checkProfile(p, true, err)
		}), nil
	})...)
}

// setProfile writes a struct as rediskit and go-redis do.
func setProfile(b rueidis.Builder, key string, p profile) rueidis.Completed {
	return b.Hset().Key(key).FieldValue().
		FieldValue("id", strconv.FormatInt(p.ID, 10)).
		FieldValue("name", p.Name).
		FieldValue("email", p.Email).
		FieldValue("active", strconv.FormatBool(p.Active)).
		FieldValue("score", strconv.FormatFloat(p.Score, 'f', -1, 64)).
		FieldValue("created", p.Created.Format(time.RFC3339Nano)).Build()
}

// parseProfile reads a struct without any library's help.
func parseProfile(fields map[string]string) (p profile, err error) {
	p.Name, p.Email = fields["name"], fields["email"]
	if p.ID, err = strconv.ParseInt(fields["id"], 10, 64); err != nil {
		return p, err
	}
	if p.Active, err = strconv.ParseBool(fields["active"]); err != nil {
		return p, err
	}
	if p.Score, err = strconv.ParseFloat(fields["score"], 64); err != nil {
		return p, err
	}
	p.Created, err = time.Parse(time.RFC3339Nano, fields["created"])
	return p, err
}

// zsetArea adds members to sorted sets.
func zsetArea() area {
	keys, members := names("zset", 100), names("player", perKey)
	score := func(g, n int) float64 { return float64(spread(g, n, 1_000_003)) / 8 }
	subjects := []subject{
		{baseline, func(ctx context.Context, s *stand) (probe, error) {
			c, err := s.rediskit(ctx, rediskit.Config{})
			if err != nil {
				return nil, err
			}
			set, err := zset.New(c, zset.Config[string]{TTL: dataTTL})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				_, err := set.Add(ctx, keys[spread(g, n, len(keys))],
					zset.Entry[string]{Member: members[spread(g, n, len(members))], Score: score(g, n)})
				return err
			}), nil
		}},
	}
	subjects = append(subjects, writesByHand(keys,
		func(b rueidis.Builder, key string, g, n int) rueidis.Completed {
			return b.Zadd().Key(key).ScoreMember().ScoreMember(score(g, n), members[spread(g, n, len(members))]).Build()
		},
		func(ctx context.Context, p redis.Pipeliner, key string, g, n int) {
			p.ZAdd(ctx, key, redis.Z{Member: members[spread(g, n, len(members))], Score: score(g, n)})
		})...)
	return area{
		name: "zset",
		about: "Adding a member to one of 100 sorted sets of up to 1,000, and setting the key's TTL: at the same moment with " +
			"rediskit, by a pipeline of ZADD and PEXPIRE with the others, which is two moments, or by a transaction of both (MULTI).",
		operations: []operation{{name: "add", subjects: subjects}},
	}
}

// listArea pushes to lists.
func listArea() area {
	keys := names("list", 1_000)
	const element = "an element of a list, 32 bytes.."
	subjects := []subject{
		{baseline, func(ctx context.Context, s *stand) (probe, error) {
			c, err := s.rediskit(ctx, rediskit.Config{})
			if err != nil {
				return nil, err
			}
			l, err := list.New(c, list.Config[string]{TTL: dataTTL})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				_, err := l.RPush(ctx, keys[spread(g, n, len(keys))], element)
				return err
			}), nil
		}},
	}
	subjects = append(subjects, writesByHand(keys,
		func(b rueidis.Builder, key string, _, _ int) rueidis.Completed {
			return b.Rpush().Key(key).Element(element).Build()
		},
		func(ctx context.Context, p redis.Pipeliner, key string, _, _ int) { p.RPush(ctx, key, element) })...)
	return area{
		name: "list",
		about: "Pushing an element of 32 bytes to one of 1,000 lists, and setting the key's TTL: at the same moment with " +
			"rediskit, by a pipeline of RPUSH and PEXPIRE with the others, which is two moments, or by a transaction of both (MULTI).",
		operations: []operation{{name: "push", subjects: subjects}},
	}
}

// writesByHand are the peers of a write that sets its key's TTL: first in a pipeline, where a crash can come
// between the two, and then in a transaction, where it cannot.
func writesByHand(keys []string,
	raw func(b rueidis.Builder, key string, goroutine, n int) rueidis.Completed,
	peer func(ctx context.Context, p redis.Pipeliner, key string, goroutine, n int)) []subject {

	withRueidis := func(name string, send func(context.Context, rueidis.Client, ...rueidis.Completed) error) subject {
		return subject{name, func(_ context.Context, s *stand) (probe, error) {
			c, err := s.rueidis(rueidis.ClientOption{})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				key := keys[spread(g, n, len(keys))]
				return send(ctx, c, raw(c.B(), key, g, n), c.B().Pexpire().Key(key).Milliseconds(dataTTL.Milliseconds()).Build())
			}), nil
		}}
	}
	subjects := []subject{
		withRueidis("rueidis, by hand", func(ctx context.Context, c rueidis.Client, cmds ...rueidis.Completed) error {
			return firstError(c.DoMulti(ctx, cmds...))
		}),
		withRueidis("rueidis, MULTI", func(ctx context.Context, c rueidis.Client, cmds ...rueidis.Completed) error {
			return firstError(c.DoMulti(ctx, c.B().Multi().Build(), cmds[0], cmds[1], c.B().Exec().Build()))
		}),
	}
	subjects = append(subjects, withGoRedis(func(_ context.Context, s *stand, c *redis.Client) (probe, error) {
		return s.loop(func(ctx context.Context, g, n int) error {
			key := keys[spread(g, n, len(keys))]
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				peer(ctx, p, key, g, n)
				return p.PExpire(ctx, key, dataTTL).Err()
			})
			return err
		}), nil
	})...)
	return append(subjects, subject{"go-redis, MULTI", func(_ context.Context, s *stand) (probe, error) {
		c := s.goRedis(redis.Options{})
		return s.loop(func(ctx context.Context, g, n int) error {
			key := keys[spread(g, n, len(keys))]
			_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
				peer(ctx, p, key, g, n)
				return p.PExpire(ctx, key, dataTTL).Err()
			})
			return err
		}), nil
	}})
}

func firstError(results []rueidis.RedisResult) error {
	for _, r := range results {
		if err := r.Error(); err != nil {
			return err
		}
	}
	return nil
}

// checkProfile makes sure that what is measured is a hit, and that nobody skips a field.
func checkProfile(p profile, found bool, err error) error {
	if err == nil && (!found || p.ID == 0 || p.Email == "" || p.Created.IsZero()) {
		err = fmt.Errorf("read %+v, found: %v", p, found)
	}
	return err
}
