package hash

import (
	"context"
	_ "embed"
	"math"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

var (
	//go:embed set.lua
	setSource string
	//go:embed write.lua
	writeSource string
	//go:embed incr.lua
	incrSource string
	//go:embed setnx.lua
	setNXSource string
	//go:embed del.lua
	delSource string
	//go:embed scan.lua
	scanSource string

	setScript     = script.New(setSource, script.Idempotent)
	writeScript   = script.New(writeSource, script.Idempotent)
	writeIfScript = script.New(writeSource, script.Once) // its second run finds what the first one did
	incrScript    = script.New(incrSource, script.Once)
	setNXScript   = script.New(setNXSource, script.Once)
	delScript     = script.New(delSource, script.Once)
	scanScript    = script.New(scanSource, script.Idempotent)
)

// maxArgs is how many arguments one call sends at most. Redis 6.2 closes the connection at 1,048,576.
const maxArgs = 1_000_000

// store does what the views on a hash share: it knows fields and values as Redis has them.
type store struct {
	client *rediskit.Client
	ttl    string // in milliseconds; empty with NoTTL
}

func newStore(client *rediskit.Client, ttl time.Duration) (store, error) {
	if client == nil {
		return store{}, errNilClient
	}
	if err := data.CheckTTL("hash", ttl); err != nil {
		return store{}, err
	}
	s := store{client: client}
	if ttl != rediskit.NoTTL {
		s.ttl = data.Millis(ttl)
	}
	return s, nil
}

// mode is a condition of write.lua.
type mode string

const (
	always    mode = ""
	ifMissing mode = "nx"
	ifPresent mode = "xx"
	replace   mode = "replace"
)

// header is how many arguments write.lua has before the fields.
const header = 3

// setMax is how many fields and values set.lua takes.
const setMax = 1000

// write writes fields and removes others. The first arguments are room for a header, then come values of them
// that are fields and their values, then fields to remove.
func (s *store) write(ctx context.Context, op, key string, m mode, args []string, values int) (bool, error) {
	plain := m == always && len(args) == header+values // nothing to ask, nothing to remove
	var res rueidis.RedisResult
	switch {
	case plain && s.ttl == "":
		err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary("HSET").Keys(key).Args(args[header:]...).Build().ToRetryable()
		}).Error()
		return err == nil, data.Err(op, key, err)
	case plain && values <= setMax:
		args[header-1] = s.ttl
		res = setScript.Exec(ctx, s.client, []string{key}, args[header-1:])
	default:
		args[0], args[1], args[2] = s.ttl, string(m), strconv.Itoa(values)
		run := writeScript
		if m == ifMissing || m == ifPresent {
			run = writeIfScript
		}
		res = run.Exec(ctx, s.client, []string{key}, args)
	}
	n, err := res.AsInt64()
	return n == 1, data.Err(op, key, err)
}

func (s *store) setNX(ctx context.Context, op, key, field, value string) (bool, error) {
	var res rueidis.RedisResult
	if s.ttl == "" {
		res = s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Hsetnx().Key(key).Field(field).Value(value).Build()
		})
	} else {
		res = setNXScript.Exec(ctx, s.client, []string{key}, []string{s.ttl, field, value})
	}
	n, err := res.AsInt64()
	return n == 1, data.Err(op, key, err)
}

func (s *store) incr(ctx context.Context, key, field string, by int64) (int64, error) {
	const op = "hash.Incr"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.add(ctx, key, "HINCRBY", field, strconv.FormatInt(by, 10)).AsInt64()
	return n, data.Err(op, key, err)
}

func (s *store) incrFloat(ctx context.Context, key, field string, by float64) (float64, error) {
	const op = "hash.IncrFloat"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	if math.IsNaN(by) || math.IsInf(by, 0) {
		return 0, data.Errorf(op, key, "increment is %v", by)
	}
	f, err := s.add(ctx, key, "HINCRBYFLOAT", field, strconv.FormatFloat(by, 'g', -1, 64)).AsFloat64()
	return f, data.Err(op, key, err)
}

func (s *store) add(ctx context.Context, key, command, field, by string) rueidis.RedisResult {
	if s.ttl == "" {
		return s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary(command).Keys(key).Args(field, by).Build()
		})
	}
	return incrScript.Exec(ctx, s.client, []string{key}, []string{s.ttl, command, field, by})
}

func (s *store) delFields(ctx context.Context, key string, fields []string) (int64, error) {
	const op = "hash.DelFields"
	if err := data.CheckKey(op, key); err != nil || len(fields) == 0 {
		return 0, err
	}
	if err := checkCount(op, key, len(fields)); err != nil {
		return 0, err
	}
	var res rueidis.RedisResult
	if s.ttl == "" {
		res = s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Hdel().Key(key).Field(fields...).Build()
		})
	} else {
		args := append(make([]string, 0, 1+len(fields)), s.ttl)
		res = delScript.Exec(ctx, s.client, []string{key}, append(args, fields...))
	}
	n, err := res.AsInt64()
	return n, data.Err(op, key, err)
}

// mget reads fields, as many messages as fields.
func (s *store) mget(ctx context.Context, key string, fields []string) ([]rueidis.RedisMessage, error) {
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hmget().Key(key).Field(fields...).Build()
	}).ToArray()
	if err == nil && len(msgs) != len(fields) {
		err = errReply
	}
	return msgs, err
}

func (s *store) exists(ctx context.Context, key, field string) (bool, error) {
	const op = "hash.Exists"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hexists().Key(key).Field(field).Build()
	}).AsInt64()
	return n == 1, data.Err(op, key, err)
}

func (s *store) length(ctx context.Context, key string) (int64, error) {
	const op = "hash.Len"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hlen().Key(key).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}

func (s *store) fields(ctx context.Context, key string) ([]string, error) {
	const op = "hash.Fields"
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	names, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hkeys().Key(key).Build()
	}).AsStrSlice()
	return names, data.Err(op, key, err)
}

func (s *store) delete(ctx context.Context, keys []string) (int64, error) {
	const op = "hash.Delete"
	for _, key := range keys {
		if err := data.CheckKey(op, key); err != nil {
			return 0, err
		}
	}
	// One command a key: the keys may be in any slots.
	results := s.client.DoMulti(ctx, len(keys), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Unlink().Key(keys[i]).Build()
	})
	var deleted int64
	var firstErr error
	for i := range results {
		n, err := results[i].AsInt64()
		if err != nil && firstErr == nil {
			firstErr = data.Err(op, keys[i], err)
		}
		deleted += n
	}
	return deleted, firstErr
}

func (s *store) timeToLive(ctx context.Context, key string) (time.Duration, bool, error) {
	const op = "hash.TTL"
	if err := data.CheckKey(op, key); err != nil {
		return 0, false, err
	}
	ms, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Pttl().Key(key).Build()
	}).AsInt64()
	switch {
	case err != nil:
		return 0, false, data.Err(op, key, err)
	case ms == -2:
		return 0, false, nil
	case ms == -1:
		return rediskit.NoTTL, true, nil
	default:
		return time.Duration(ms) * time.Millisecond, true, nil
	}
}

func (s *store) expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	const op = "hash.Expire"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	if ttl < time.Millisecond {
		return false, data.Errorf(op, key, "TTL is %v: must be at least 1ms", ttl)
	}
	ms := data.Millis(ttl)
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("PEXPIRE").Keys(key).Args(ms).Build().ToRetryable()
	}).AsInt64()
	return n == 1, data.Err(op, key, err)
}

func (s *store) persist(ctx context.Context, key string) (bool, error) {
	const op = "hash.Persist"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Persist().Key(key).Build()
	}).AsInt64()
	return n == 1, data.Err(op, key, err)
}

func checkCount(op, key string, args int) error {
	if args > maxArgs {
		return data.Errorf(op, key, "%d arguments in one call: at most %d", args, maxArgs)
	}
	return nil
}
