package script

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// Repeat says what running a script twice does, where once was meant. It decides whether a script whose
// reply was lost is run again.
type Repeat int

const (
	// Once is for a script whose second run changes something again. It is not repeated after a lost reply.
	Once Repeat = iota
	// Idempotent is for a script that only reads, or whose second run changes nothing and replies the same.
	Idempotent
)

// Script is a Lua script. It is safe for concurrent use; make it once, as a package's variable.
type Script struct {
	source string
	sha    string
	repeat Repeat
}

// New makes a Script of Lua source. Nothing is sent.
func New(source string, repeat Repeat) *Script {
	sum := sha1.Sum([]byte(source))
	return &Script{source: source, sha: hex.EncodeToString(sum[:]), repeat: repeat}
}

// Exec runs the script with EVALSHA, and with EVAL if the server does not know it. keys must share a slot on
// a cluster, else the result is an error wrapping [rediskit.ErrCrossSlot] and nothing is sent. Otherwise
// results and errors are those of [rediskit.Client.Do].
func (s *Script) Exec(ctx context.Context, c *rediskit.Client, keys, args []string) rueidis.RedisResult {
	if len(keys) > 1 {
		if err := c.CheckSlot(keys...); err != nil {
			return rueidis.NewErrorResult(err)
		}
	}
	res := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return s.mark(b.Evalsha().Sha1(s.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
	})
	if isNoScript(res) {
		return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return s.eval(b, keys, args) })
	}
	return res
}

// Call is one run of a script among several.
type Call struct {
	Keys []string
	Args []string
}

// ExecMulti runs the script once for each call, all sent together, and returns the results in order. Each
// run is atomic by itself; together they are not. Calls for different slots may be mixed; the keys of one
// call must share a slot.
func (s *Script) ExecMulti(ctx context.Context, c *rediskit.Client, calls []Call) []rueidis.RedisResult {
	for i := range calls {
		if err := c.CheckSlot(calls[i].Keys...); err != nil {
			results := make([]rueidis.RedisResult, len(calls))
			for j := range results {
				results[j] = rueidis.NewErrorResult(err)
			}
			return results
		}
	}
	results := c.DoMulti(ctx, len(calls), func(b rueidis.Builder, i int) rueidis.Completed {
		k, a := calls[i].Keys, calls[i].Args
		return s.mark(b.Evalsha().Sha1(s.sha).Numkeys(int64(len(k))).Key(k...).Arg(a...).Build())
	})
	var missing []int
	for i := range results {
		if isNoScript(results[i]) {
			missing = append(missing, i)
		}
	}
	if missing == nil {
		return results
	}
	again := c.DoMulti(ctx, len(missing), func(b rueidis.Builder, i int) rueidis.Completed {
		call := calls[missing[i]]
		return s.eval(b, call.Keys, call.Args)
	})
	for i, at := range missing {
		results[at] = again[i]
	}
	return results
}

func (s *Script) eval(b rueidis.Builder, keys, args []string) rueidis.Completed {
	return s.mark(b.Eval().Script(s.source).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
}

func (s *Script) mark(cmd rueidis.Completed) rueidis.Completed {
	if s.repeat == Idempotent {
		return cmd.ToRetryable()
	}
	return cmd
}

func isNoScript(res rueidis.RedisResult) bool {
	re, ok := rueidis.IsRedisErr(res.Error())
	return ok && re.IsNoScript()
}
