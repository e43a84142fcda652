package limits

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/script"
)

//go:embed lua/*.lua
var files embed.FS

// Scripts decide limits on a server.
type Scripts struct {
	allow, peek, refund, block [Concurrency]*script.Script // by kind

	reserve, all *script.Script

	concurrency concurrencyScripts
}

// Server decides on the server's clock.
var Server = makeScripts(source("clock"))

// makeScripts composes the scripts with a beginning that tells the time. Tests have another one.
func makeScripts(clock string) *Scripts {
	begin := clock + source("common")
	deciding := begin + source("refuse")
	refunding := begin + source("refund")
	every := deciding + "local algorithms = {}\n"
	s := &Scripts{}
	for _, of := range []struct {
		algorithm, refund string
		kinds             []Kind
	}{
		{source("sliding_window"), source("refund_sliding_window"), []Kind{SlidingWindow}},
		{source("sliding_counter", "string_block"), refunding + source("refund_sliding_counter"), []Kind{SlidingCounter}},
		{source("fixed_window", "string_block"), refunding + source("refund_fixed_window"), []Kind{FixedWindow}},
		{source("bucket_state", "bucket", "string_block"), refunding + source("bucket_state", "refund_bucket"), []Kind{TokenBucket, GCRA}},
	} {
		allow := script.New(deciding+of.algorithm+source("allow"), script.Once)
		peek := script.New(begin+of.algorithm+source("peek"), script.Idempotent)
		refund := script.New(of.refund, script.Idempotent)
		block := script.New(begin+of.algorithm+source("block"), script.Idempotent)
		every += "do\n" + of.algorithm + "local algorithm = {check = check, take = take, block = block}\n"
		for _, k := range of.kinds {
			s.allow[k], s.peek[k], s.refund[k], s.block[k] = allow, peek, refund, block
			every += "algorithms['" + kinds[k].code + "'] = algorithm\n"
		}
		every += "end\n"
	}
	s.reserve = script.New(deciding+source("bucket_state", "bucket", "string_block", "reserve"), script.Once)
	s.all = script.New(every+source("all"), script.Once)
	s.concurrency = makeConcurrencyScripts(begin)
	return s
}

func source(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		text, err := files.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // it is embedded
		}
		b.Write(text)
	}
	return b.String()
}

// What a script gets of a limit: see the head of each algorithm.
const (
	argCost    = 0
	argCostRem = 1 // of a bucket
	argLife    = 6
	argCode    = 7 // for all.lua
	argCount   = 8
)

func (s *Spec) makeArgs() [argCount]string {
	args := [argCount]string{"1", number(s.Permits), number(s.Window.Microseconds()), "0", "0", number(s.Penalty.Microseconds()),
		number(s.Window.Microseconds()), kinds[s.Kind].code}
	switch s.Kind {
	case TokenBucket, GCRA:
		one := s.cost(1)
		args[argCost], args[argCostRem] = number(one.us), number(one.rem)
		args[2], args[3], args[4] = number(s.full.us), number(s.full.rem), number(s.Per)
		args[argLife] = number(s.full.us + 1)
	case SlidingCounter:
		args[argLife] = number(2 * s.Window.Microseconds())
	}
	return args
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// argsFor are the arguments for a cost. They are not to be changed.
func (s *Spec) argsFor(cost int64) *[argCount]string {
	if cost == 1 {
		return &s.args
	}
	args := s.args
	if s.Kind == TokenBucket || s.Kind == GCRA {
		c := s.cost(cost)
		args[argCost], args[argCostRem] = number(c.us), number(c.rem)
	} else {
		args[argCost] = number(cost)
	}
	return &args
}

// Call is one decision among several: Limit on the state at Key.
type Call struct {
	Limit *Spec
	Key   string
	Cost  int64
}

// Allow takes cost permits if they are there.
func (s *Scripts) Allow(ctx context.Context, c *rediskit.Client, call Call) (Reply, error) {
	return decode(s.allow[call.Limit.Kind].Exec(ctx, c, []string{call.Key}, call.Limit.argsFor(call.Cost)[:argCode]))
}

// Peek is what Allow, or Acquire, would decide.
func (s *Scripts) Peek(ctx context.Context, c *rediskit.Client, call Call) (Reply, error) {
	if call.Limit.Kind == Concurrency {
		return s.Holders(ctx, c, call.Key, call.Limit.Permits)
	}
	return decode(s.peek[call.Limit.Kind].Exec(ctx, c, []string{call.Key}, call.Limit.argsFor(call.Cost)[:argCode]))
}

// Reserve takes permits of a bucket that will be there within ahead.
func (s *Scripts) Reserve(ctx context.Context, c *rediskit.Client, call Call, ahead time.Duration) (Reply, error) {
	args := *call.Limit.argsFor(call.Cost)
	args[argCode] = number(ahead.Microseconds())
	return decode(s.reserve.Exec(ctx, c, []string{call.Key}, args[:]))
}

// AllowAll takes from all states or from none. The keys differ and share a slot. It was taken if all verdicts are 1.
func (s *Scripts) AllowAll(ctx context.Context, c *rediskit.Client, calls []Call) ([]Reply, error) {
	keys := make([]string, len(calls))
	args := make([]string, 0, len(calls)*argCount)
	for i, call := range calls {
		keys[i] = call.Key
		args = append(args, call.Limit.argsFor(call.Cost)[:]...)
	}
	return decodeAll(s.all.Exec(ctx, c, keys, args), len(calls))
}

// AllowEach makes independent decisions, all sent together. There is a reply or an error for each.
func (s *Scripts) AllowEach(ctx context.Context, c *rediskit.Client, calls []Call) ([]Reply, []error) {
	run, count := s.allow[calls[0].Limit.Kind], argCode
	for _, call := range calls {
		if s.allow[call.Limit.Kind] != run { // the one that knows them all
			run, count = s.all, argCount
			break
		}
	}
	execs := make([]script.Call, len(calls))
	for i, call := range calls {
		execs[i] = script.Call{Keys: []string{call.Key}, Args: call.Limit.argsFor(call.Cost)[:count]}
	}
	replies, errs := make([]Reply, len(calls)), make([]error, len(calls))
	for i, res := range run.ExecMulti(ctx, c, execs) {
		replies[i], errs[i] = decode(res)
	}
	return replies, errs
}

// Refund gives back what a call took, given its reply, and reports whether anything came back. marker is a
// key in the slot of the state that no other call of the same state has. It may be repeated: of a sliding
// window, unless the clock went back to the time of the call. Of a reply that only peeked, or that was allowed among others
// that were not, it must not be called. A refund from before a Reset may give back what others took after it.
func (s *Scripts) Refund(ctx context.Context, c *rediskit.Client, call Call, marker string, r Reply) (bool, error) {
	if r.Verdict != 1 {
		return false, nil
	}
	run, args := s.refund[call.Limit.Kind], *call.Limit.argsFor(call.Cost)
	keys := []string{call.Key, marker}
	switch call.Limit.Kind {
	case SlidingWindow:
		keys = keys[:1]
		args = [argCount]string{number(r.B)}
	default:
		if call.Limit.Kind == SlidingCounter {
			args[4] = number(call.Limit.Window.Microseconds())
		}
		args[5], args[6], args[7] = number(r.A), number(r.B), number(r.C)
	}
	n, err := run.Exec(ctx, c, keys, append(args[:], number(r.At))).AsInt64()
	return n > 0, err
}

// Block refuses everything for a time.
func (s *Scripts) Block(ctx context.Context, c *rediskit.Client, limit *Spec, key string, d time.Duration) error {
	return s.block[limit.Kind].Exec(ctx, c, []string{key}, []string{number(d.Microseconds()), limit.args[argLife]}).Error()
}

func decode(res rueidis.RedisResult) (Reply, error) {
	numbers, err := res.ToArray()
	if err != nil {
		return Reply{}, err
	}
	return decodeOne(numbers)
}

func decodeAll(res rueidis.RedisResult, n int) ([]Reply, error) {
	numbers, err := res.ToArray()
	if err != nil {
		return nil, err
	}
	if len(numbers) != n*replyLen {
		return nil, fmt.Errorf("the script replied %d numbers, not %d", len(numbers), n*replyLen)
	}
	replies := make([]Reply, n)
	for i := range replies {
		if replies[i], err = decodeOne(numbers[i*replyLen : (i+1)*replyLen]); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

const replyLen = 5

func decodeOne(numbers []rueidis.RedisMessage) (r Reply, err error) {
	if len(numbers) != replyLen {
		return Reply{}, fmt.Errorf("the script replied %d numbers, not %d", len(numbers), replyLen)
	}
	for i, to := range [replyLen]*int64{&r.Verdict, &r.At, &r.A, &r.B, &r.C} {
		if *to, err = numbers[i].AsInt64(); err != nil {
			return Reply{}, err
		}
	}
	return r, nil
}
