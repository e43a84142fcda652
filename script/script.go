package script

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
)

// Repeat says what running a script twice does, where once was meant. It decides whether a script whose
// reply was lost is run again.
type Repeat int

const (
	// Once is for a script whose second run changes something again. It is not repeated after a lost reply.
	Once Repeat = iota
	// Idempotent is for a script that only reads, or whose second run changes nothing and replies the same.
	// It is repeated after a lost reply.
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

// Load sends the script to every master, so that a mistake of syntax shows at start-up and the first run
// needs one round trip less. It is not needed otherwise: a server that does not know the script, because it
// is new or was restarted, gets it with the run.
//
// A master that cannot be reached or is not ready, as at LOADING, is tried again for two seconds. Errors are
// [*rediskit.OpError]: what [rediskit.Client.Masters] returns, or of each master that failed its address with
// the cause; the others have the script then.
func (s *Script) Load(ctx context.Context, c *rediskit.Client) error {
	masters, err := c.Masters(ctx)
	if err != nil {
		return data.Err("script.Load", "", err)
	}
	errs := make([]error, len(masters))
	var wg sync.WaitGroup
	for i, node := range masters {
		wg.Go(func() { errs[i] = s.loadInto(ctx, node) })
	}
	wg.Wait()
	return data.Err("script.Load", "", errors.Join(errs...))
}

func (s *Script) loadInto(ctx context.Context, node rediskit.Node) error {
	const patience, pause = 2 * time.Second, 50 * time.Millisecond
	var giveUp time.Time
	for {
		err := node.Redis.Do(ctx, node.Redis.B().ScriptLoad().Script(s.source).Build()).Error()
		if err == nil {
			return nil
		}
		if re, ok := rueidis.IsRedisErr(err); !ok {
			err = &rediskit.ConnectionError{Addr: node.Addr, Err: err}
		} else if err = fmt.Errorf("%s: %w", node.Addr, re); !rediskit.IsUnavailable(re) {
			return err
		}
		if giveUp.IsZero() {
			giveUp = time.Now().Add(patience)
		}
		if time.Now().After(giveUp) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// Exec runs the script with EVALSHA, and with EVAL if the server does not know it. keys must share a slot on
// a cluster, else the result is an error wrapping [rediskit.ErrCrossSlot] and nothing is sent. Otherwise
// results and errors are those of [rediskit.Client.Do]. It adds next to nothing to the call; see [Run] for
// one with types.
func (s *Script) Exec(ctx context.Context, c *rediskit.Client, keys, args []string) rueidis.RedisResult {
	if len(keys) > 1 {
		if err := c.CheckSlot(keys...); err != nil {
			return rueidis.NewErrorResult(err)
		}
	}
	res := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return s.mark(b.Evalsha().Sha1(s.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
	})
	if err := res.Error(); isNoScript(err) {
		res = c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return s.eval(b, keys, args) })
		return following(err, res)
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
		if isNoScript(results[i].Error()) {
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
		results[at] = following(results[at].Error(), again[i])
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

// isNoScript also finds the answer inside the error of a call that was repeated after a lost reply: a server
// that crashed under an idempotent script has forgotten it when it is back.
func isNoScript(err error) bool {
	if err == nil || rueidis.IsRedisNil(err) {
		return false
	}
	var re *rueidis.RedisError
	return errors.As(err, &re) && re.IsNoScript()
}

// following is the result of a run that came after another one, which may have been applied if before says
// so: then no error may say that nothing was.
func following(before error, res rueidis.RedisResult) rueidis.RedisResult {
	var first, second *rediskit.ConnectionError
	err := res.Error()
	if err == nil || rueidis.IsRedisNil(err) || !errors.As(before, &first) || !first.Sent {
		return res
	}
	if errors.As(err, &second) {
		err = second.Err
	}
	return rueidis.NewErrorResult(&rediskit.ConnectionError{Addr: first.Addr, Sent: true, Err: err})
}
