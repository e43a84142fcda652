package scan

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
)

// Info is what [Scanner.Info] tells about a key.
type Info struct {
	// Type is "string", "list", "set", "zset", "hash", "stream", or a module's.
	Type string
	// TTL is the time to live, rounded to milliseconds; rediskit.NoTTL if the key does not expire.
	TTL time.Duration
	// Size is how many bytes of memory key and value take, estimated from five elements where it has more.
	Size int64
	// Encoding is how the server keeps the value, "listpack" for example. It is empty on the embedded server,
	// which does not know it.
	Encoding string
}

// Info tells about one key, in one round trip. It returns false if there is no such key. The answers are not of
// one moment: a key that is replaced meanwhile may show some of both.
//
// It returns a [*rediskit.OpError].
func (s *Scanner) Info(ctx context.Context, key string) (Info, bool, error) {
	const op = "scan.Info"
	if err := data.CheckKey(op, key); err != nil {
		return Info{}, false, err
	}
	results := s.client.DoMulti(ctx, 4, func(b rueidis.Builder, i int) rueidis.Completed {
		switch i {
		case 0:
			return b.Type().Key(key).Build()
		case 1:
			return b.Pttl().Key(key).Build()
		case 2:
			return b.MemoryUsage().Key(key).Build()
		default:
			return b.ObjectEncoding().Key(key).Build()
		}
	})
	typ, err := results[0].ToString()
	if err != nil {
		return Info{}, false, data.Err(op, key, err)
	}
	ttl, err := results[1].AsInt64()
	if err != nil {
		return Info{}, false, data.Err(op, key, err)
	}
	size, err := results[2].AsInt64()
	found, err := data.Found(err)
	if err != nil {
		return Info{}, false, data.Err(op, key, err)
	}
	const gone = -2
	if typ == "none" || ttl == gone || !found {
		return Info{}, false, nil
	}
	info := Info{Type: typ, TTL: rediskit.NoTTL, Size: size}
	if ttl >= 0 {
		info.TTL = time.Duration(ttl) * time.Millisecond
	}
	info.Encoding, err = results[3].ToString()
	switch _, answered := rueidis.IsRedisErr(err); {
	case rueidis.IsRedisNil(err):
		return Info{}, false, nil
	case answered:
		info.Encoding = ""
	case err != nil:
		return Info{}, false, data.Err(op, key, err)
	}
	return info, true, nil
}
