// Package sorted is what zset and geo share, because a geo set is a sorted set: writes that give a set its TTL
// in the same step, and the encoding of members and numbers.
package sorted

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

const (
	// Servers before Redis 7 drop the connection, which is shared, at a command of more than 1,048,576 arguments.
	maxItems = 1_000_000

	// unpack() in store.lua takes about 8000 values: each source, and a weight for each.
	maxSources = 3000
)

var (
	//go:embed write.lua
	writeSource     string
	writeOnce       = script.New(writeSource, script.Once)
	writeIdempotent = script.New(writeSource, script.Idempotent)

	//go:embed store.lua
	storeSource     string
	storeOnce       = script.New(storeSource, script.Once)
	storeIdempotent = script.New(storeSource, script.Idempotent)
)

// Writer runs commands that write. It is safe for concurrent use.
type Writer struct {
	client *rediskit.Client
	ttl    string // in milliseconds; empty: leave it alone
}

// NewWriter returns a Writer that gives keys a TTL, or none if ttl is rediskit.NoTTL.
func NewWriter(client *rediskit.Client, ttl time.Duration) Writer {
	w := Writer{client: client}
	if ttl != rediskit.NoTTL {
		w.ttl = data.Millis(ttl)
	}
	return w
}

// Write is a command that writes to one set.
type Write struct {
	Name    string
	Options []string
	// Items are the arguments that there may be any number of: members, with scores or coordinates before them.
	Items []string
	// Touch sets the TTL even if the command changed nothing.
	Touch bool
	// Idempotent marks a command that may be repeated after a lost reply.
	Idempotent bool
}

// Do runs a command.
func (w Writer) Do(ctx context.Context, key string, cmd Write) rueidis.RedisResult {
	if err := checkItems(len(cmd.Items)); err != nil {
		return rueidis.NewErrorResult(err)
	}
	if w.ttl == "" {
		return w.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return mark(b.Arbitrary(cmd.Name).Keys(key).Args(cmd.Options...).Args(cmd.Items...).Build(), cmd.Idempotent)
		})
	}
	touch := "changed"
	if cmd.Touch {
		touch = "always"
	}
	args := make([]string, 0, 4+len(cmd.Options)+len(cmd.Items))
	args = append(args, w.ttl, touch, strconv.Itoa(len(cmd.Options)), cmd.Name)
	args = append(args, cmd.Options...)
	args = append(args, cmd.Items...)
	s := writeOnce
	if cmd.Idempotent {
		s = writeIdempotent
	}
	return s.Exec(ctx, w.client, []string{key}, args)
}

// Delete deletes a set and tells whether there was one.
func (w Writer) Delete(ctx context.Context, key string) (bool, error) {
	n, err := w.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Unlink().Key(key).Build() }).AsInt64()
	return n > 0, err
}

// Store is a command that makes a set out of others.
type Store struct {
	Name string
	// Count puts the number of sources before them.
	Count   bool
	Options []string
}

// Store runs a command that makes a set out of others. It is repeated after a lost reply unless it reads what it
// writes.
func (w Writer) Store(ctx context.Context, dest string, sources []string, cmd Store) rueidis.RedisResult {
	if len(sources) > maxSources {
		return rueidis.NewErrorResult(fmt.Errorf("%d keys: at most %d", len(sources), maxSources))
	}
	keys := make([]string, 0, 1+len(sources))
	keys = append(keys, dest)
	keys = append(keys, sources...)
	if err := w.client.CheckSlot(keys...); err != nil {
		return rueidis.NewErrorResult(err)
	}
	idempotent := !slices.Contains(sources, dest)
	if w.ttl == "" {
		return w.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			a := b.Arbitrary(cmd.Name).Keys(dest)
			if cmd.Count {
				a = a.Args(strconv.Itoa(len(sources)))
			}
			return mark(a.Keys(sources...).Args(cmd.Options...).Build(), idempotent)
		})
	}
	count := "0"
	if cmd.Count {
		count = "1"
	}
	args := append([]string{w.ttl, cmd.Name, count}, cmd.Options...)
	s := storeOnce
	if idempotent {
		s = storeIdempotent
	}
	return s.Exec(ctx, w.client, keys, args)
}

func mark(cmd rueidis.Completed, idempotent bool) rueidis.Completed {
	if idempotent {
		return cmd.ToRetryable()
	}
	return cmd
}

func checkItems(n int) error {
	if n > maxItems {
		return fmt.Errorf("%d arguments in one call: at most %d", n, maxItems)
	}
	return nil
}

// Encode appends the encodings of members to dst. More than fit into one call are an error.
func Encode[M any](dst []string, c codec.Codec[M], members []M) ([]string, error) {
	if err := checkItems(len(members)); err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, len(members))
	for i := range members {
		s, err := c.Encode(members[i])
		if err != nil {
			return nil, fmt.Errorf("member %d: %w", i, err)
		}
		dst = append(dst, s)
	}
	return dst, nil
}

// Numbers formats numbers with one allocation for many. The zero value is ready.
type Numbers struct{ b strings.Builder }

// Grow makes room for n numbers.
func (n *Numbers) Grow(count int) { n.b.Grow(count * 24) }

// Format writes f with as many digits as it takes to read the same number back. The result stays as it is when
// more numbers are formatted.
func (n *Numbers) Format(f float64) string {
	from := n.b.Len()
	var a [32]byte
	n.b.Write(AppendNumber(a[:0], f))
	return n.b.String()[from:]
}

// AppendNumber appends f with as many digits as it takes to read the same number back.
func AppendNumber(dst []byte, f float64) []byte {
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	if dst[len(dst)-1] == 'f' {
		dst[len(dst)-3] = 'i' // +inf, as Redis documents it
	}
	return dst
}

// ErrReply is a reply of a form that no server known sends.
var ErrReply = errors.New("unexpected reply")
