package script_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

// modelOp is an operation of a batch, and the command that does the same outside.
type modelOp struct {
	key     int
	command []string // without the key
	add     func(b *script.Batch, key string) any
}

// modelOps are drawn with hostile values, mostly for a type of value that goes with the key.
func modelOps(keys int) *rapid.Generator[modelOp] {
	hostile := rapid.OneOf(
		rapid.SampledFrom([]string{"", "0", "1", "-1", "9007199254740993", "9223372036854775807", "\r\n", "*1\r\n$1\r\na", "\x00", "nil", "-ERR x"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	)
	return rapid.Custom(func(t *rapid.T) modelOp {
		o := modelOp{key: rapid.IntRange(0, keys-1).Draw(t, "key")}
		v, f := hostile.Draw(t, "value"), hostile.Draw(t, "field")
		by := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64()).Draw(t, "by")
		n := fmt.Sprint(by)
		kind := o.key
		if rapid.IntRange(0, 9).Draw(t, "another type") == 0 {
			kind = rapid.IntRange(0, 4).Draw(t, "type")
		}
		switch kind*10 + rapid.IntRange(0, 3).Draw(t, "operation") {
		case 0:
			o.command = []string{"SET", v}
			o.add = func(b *script.Batch, k string) any { b.Set(k, v, rediskit.NoTTL); return nil }
		case 1:
			o.command, o.add = []string{"GET"}, func(b *script.Batch, k string) any { return b.Get(k) }
		case 2, 3:
			o.command, o.add = []string{"INCRBY", n}, func(b *script.Batch, k string) any { return b.IncrBy(k, by, rediskit.NoTTL) }
		case 10:
			o.command, o.add = []string{"HSET", f, v}, func(b *script.Batch, k string) any { return b.HSet(k, f, v, rediskit.NoTTL) }
		case 11:
			o.command, o.add = []string{"HGET", f}, func(b *script.Batch, k string) any { return b.HGet(k, f) }
		case 12:
			o.command, o.add = []string{"HINCRBY", f, n}, func(b *script.Batch, k string) any { return b.HIncrBy(k, f, by, rediskit.NoTTL) }
		case 13:
			o.command, o.add = []string{"HDEL", f}, func(b *script.Batch, k string) any { return b.HDel(k, f) }
		case 20, 21:
			o.command, o.add = []string{"LPUSH", v}, func(b *script.Batch, k string) any { return b.LPush(k, v, rediskit.NoTTL) }
		case 22, 23:
			o.command, o.add = []string{"RPUSH", v}, func(b *script.Batch, k string) any { return b.RPush(k, v, rediskit.NoTTL) }
		case 30, 31:
			o.command, o.add = []string{"SADD", v}, func(b *script.Batch, k string) any { return b.SAdd(k, v, rediskit.NoTTL) }
		case 32, 33:
			o.command, o.add = []string{"SREM", v}, func(b *script.Batch, k string) any { return b.SRem(k, v) }
		case 40, 41:
			o.command, o.add = []string{"ZADD", "1.5", v}, func(b *script.Batch, k string) any { return b.ZAdd(k, v, 1.5, rediskit.NoTTL) }
		case 42:
			o.command, o.add = []string{"EXISTS"}, func(b *script.Batch, k string) any { return b.Exists(k) }
		default:
			o.command, o.add = []string{"DEL"}, func(b *script.Batch, k string) any { return b.Del(k) }
		}
		return o
	})
}

// TestABatchDoesWhatItsCommandsDoOneByOneOrNothing draws batches and compares them with the same commands on
// other keys. A batch may refuse what could have worked, but then it has to leave everything as it was.
func TestABatchDoesWhatItsCommandsDoOneByOneOrNothing(t *testing.T) {
	const keys = 5
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		applied, refused := 0, 0
		rapid.Check(t, func(rt *rapid.T) {
			batchKey, plainKey := rediskittest.Keys(t), rediskittest.Keys(t)
			name := func(k func(string) string, i int) string { return k(fmt.Sprint(i, "\x00\r\n*")) }
			defer func() {
				for i := range keys {
					do(t, c, "DEL", name(batchKey, i))
					do(t, c, "DEL", name(plainKey, i))
				}
			}()
			state := func(k func(string) string) string {
				s := ""
				for i := range keys {
					s += contents(t, c, name(k, i)) + "\n"
				}
				return s
			}
			// A first batch makes a state for the second one to meet.
			for range 2 {
				ops := rapid.SliceOfN(modelOps(keys), 1, 12).Draw(rt, "operations")
				var b script.Batch
				replies := make([]any, len(ops))
				for i, o := range ops {
					replies[i] = o.add(&b, name(batchKey, o.key))
				}
				token := rapid.Bool().Draw(rt, "token")
				if token {
					b.Token(batchKey(fmt.Sprint("token", rapid.Int().Draw(rt, "id"))), time.Minute)
				}
				before := state(batchKey)
				if err := b.Run(t.Context(), c); err != nil {
					refused++
					if rediskit.MayHaveApplied(err) || state(batchKey) != before {
						rt.Fatalf("%v, and the keys changed from\n%s\nto\n%s", err, before, state(batchKey))
					}
					continue
				}
				applied++
				got := said(replies)
				for i, o := range ops {
					args := slices.Concat([]string{o.command[0], name(plainKey, o.key)}, o.command[1:])
					if want := outside(t, c, args); replies[i] != nil && got[i] != want {
						rt.Fatalf("operation %d, %q, replied %s: want %s", i, args, got[i], want)
					}
				}
				if got, want := state(batchKey), state(plainKey); got != want {
					rt.Fatalf("the keys are\n%s\nwant\n%s", got, want)
				}
				if token {
					if err := b.Run(t.Context(), c); err != nil || !slices.Equal(said(replies), got) {
						rt.Fatalf("run again: %v, %v, after %v", err, said(replies), got)
					}
					if got, want := state(batchKey), state(plainKey); got != want {
						rt.Fatalf("run again, the keys are\n%s\nwant\n%s", got, want)
					}
				}
			}
		})
		if applied < refused/4 {
			t.Errorf("%d batches were applied and %d refused: the test tests little", applied, refused)
		}
	}, everywhere...)
}

// said shows the replies of a batch.
func said(replies []any) []string {
	out := make([]string, len(replies))
	for i, r := range replies {
		switch r := r.(type) {
		case *script.Reply[int64]:
			out[i] = fmt.Sprint(r.Value)
		case *script.Reply[bool]:
			out[i] = map[bool]string{true: "1", false: "0"}[r.Value]
		case *script.Reply[string]:
			if out[i] = "nil"; r.Found {
				out[i] = fmt.Sprintf("%q", r.Value)
			}
		}
	}
	return out
}

// outside runs a command by itself and shows its reply in the same way.
func outside(t *testing.T, c *rediskit.Client, args []string) string {
	msg, err := do(t, c, args...).ToMessage()
	if rueidis.IsRedisNil(err) {
		return "nil"
	}
	if n, err := msg.ToInt64(); err == nil {
		return fmt.Sprint(n)
	}
	s, err := msg.ToString()
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return fmt.Sprintf("%q", s)
}

// contents shows a key's type and all that is in it.
func contents(t *testing.T, c *rediskit.Client, key string) string {
	kind := str(t, c, "TYPE", key)
	read, ok := map[string][]string{
		"string": {"GETRANGE", key, "0", "-1"},
		"hash":   {"HGETALL", key},
		"list":   {"LRANGE", key, "0", "-1"},
		"set":    {"SMEMBERS", key},
		"zset":   {"ZRANGE", key, "0", "-1"},
	}[kind]
	if !ok {
		return kind
	}
	res := do(t, c, read...)
	if pairs, err := res.AsStrMap(); kind == "hash" && err == nil {
		return fmt.Sprintf("%s %q", kind, pairs)
	}
	if list, err := res.AsStrSlice(); err == nil {
		if kind == "set" {
			slices.Sort(list)
		}
		return fmt.Sprintf("%s %q", kind, list)
	}
	s, err := res.ToString()
	if err != nil {
		t.Fatalf("%q: %v", read, err)
	}
	return fmt.Sprintf("%s %q", kind, s)
}
