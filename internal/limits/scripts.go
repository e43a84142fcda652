package limits

import (
	"context"
	"embed"
	"fmt"
	"slices"
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

	all *script.Script

	concurrency concurrencyScripts
}

// Server decides on the server's clock.
var Server = makeScripts(source("clock"))

// makeScripts composes the scripts with a beginning that tells the time. Tests have another one.
//
// What an algorithm checks, takes and blocks with are no functions but texts, which stand in place of a word in capitals:
// a script is run so often that making its functions would be a quarter of its work.
func makeScripts(clock string) *Scripts {
	begin := clock + source("common")
	refunding := begin + source("refund")
	state := source("bucket_state")
	every := ""
	s := &Scripts{}
	for _, of := range []struct {
		check, take, block, refund string
		kinds                      []Kind
	}{
		{source("sliding_window"), source("sliding_window_take"), source("block_list"), source("refund_sliding_window"), []Kind{SlidingWindow}},
		{source("sliding_counter_over", "sliding_counter"), source("sliding_counter_take"), source("block_string"), refunding + source("refund_sliding_counter"), []Kind{SlidingCounter}},
		{source("fixed_window"), source("fixed_window_take"), source("block_string"), refunding + source("refund_fixed_window"), []Kind{FixedWindow}},
		{fill(source("bucket"), "STATE", state), source("bucket_take"), source("block_string"), refunding + state + source("refund_bucket"), []Kind{TokenBucket, GCRA}},
	} {
		codes := ""
		for _, k := range of.kinds {
			codes += "'" + kinds[k].code + "', "
		}
		with := func(name string) string {
			return fill(source(name), "REFUSE", source("refuse"), "CHECK", of.check, "TAKE", of.take, "BLOCK", of.block, "CODES", codes)
		}
		allow := script.New(begin+with("allow"), script.Once)
		peek := script.New(begin+with("peek"), script.Idempotent)
		refund := script.New(of.refund, script.Idempotent)
		block := script.New(begin+with("block"), script.Idempotent)
		for _, k := range of.kinds {
			s.allow[k], s.peek[k], s.refund[k], s.block[k] = allow, peek, refund, block
		}
		every += with("algorithm")
	}
	s.all = script.New(begin+fill(source("all"), "ALGORITHMS", every), script.Once)
	s.concurrency = makeConcurrencyScripts(begin)
	return s
}

// fill puts texts in place of words, one after the other.
func fill(text string, wordsAndTexts ...string) string {
	for pair := range slices.Chunk(wordsAndTexts, 2) {
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
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

// arguments are what a script gets of a limit: see the head of each algorithm.
type arguments [argCount]string

const (
	argCost    = 0
	argCostRem = 3 // of a bucket
	argAhead   = 6
	argCount   = 8
)

func (s *Spec) makeArgs() arguments {
	args := arguments{"1", number(s.Permits), number(s.Window.Microseconds()), "0", "0", number(s.Penalty.Microseconds()), "0", kinds[s.Kind].code}
	if s.Kind == TokenBucket || s.Kind == GCRA {
		one := s.cost(1)
		args[argCost], args[1], args[2] = number(one.us), number(s.full.us), number(s.Per)
		args[argCostRem], args[4] = number(one.rem), number(s.full.rem)
	}
	return args
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func numbers(of ...int64) []string {
	texts := make([]string, len(of))
	for i, n := range of {
		texts[i] = number(n)
	}
	return texts
}

// argsFor are the arguments for a cost. They are not to be changed.
func (s *Spec) argsFor(cost int64) *arguments {
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

// one are those for a script of one algorithm. Most of the time all from the fourth on are zeros; what an argument
// costs the server is no little part of what the script does.
func (a *arguments) one() []string {
	n := argCount - 1
	for a[n-1] == "0" {
		n--
	}
	return a[:n]
}

// life is how long the state of a key may make a difference, in microseconds.
func (s *Spec) life() int64 {
	switch s.Kind {
	case TokenBucket, GCRA:
		return s.full.us + 1
	case SlidingCounter:
		return 2 * s.Window.Microseconds()
	}
	return s.Window.Microseconds()
}

// Call is one decision among several: Limit on the state at Key.
type Call struct {
	Limit *Spec
	Key   string
	Cost  int64
}

// Allow takes cost permits if they are there.
func (s *Scripts) Allow(ctx context.Context, c *rediskit.Client, call Call) (Reply, error) {
	return decode(s.allow[call.Limit.Kind].Exec(ctx, c, []string{call.Key}, call.Limit.argsFor(call.Cost).one()))
}

// Peek is what Allow, or Acquire, would decide.
func (s *Scripts) Peek(ctx context.Context, c *rediskit.Client, call Call) (Reply, error) {
	if call.Limit.Kind == Concurrency {
		return s.Holders(ctx, c, call.Key, call.Limit.Permits)
	}
	return decode(s.peek[call.Limit.Kind].Exec(ctx, c, []string{call.Key}, call.Limit.argsFor(call.Cost).one()))
}

// Reserve takes permits of a bucket that will be there within ahead.
func (s *Scripts) Reserve(ctx context.Context, c *rediskit.Client, call Call, ahead time.Duration) (Reply, error) {
	args := *call.Limit.argsFor(call.Cost)
	args[argAhead] = number(ahead.Microseconds())
	return decode(s.allow[call.Limit.Kind].Exec(ctx, c, []string{call.Key}, args.one()))
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
	run, args := s.allow[calls[0].Limit.Kind], (*arguments).one
	for _, call := range calls {
		if s.allow[call.Limit.Kind] != run { // the one that knows them all
			run, args = s.all, func(a *arguments) []string { return a[:] }
			break
		}
	}
	execs := make([]script.Call, len(calls))
	for i, call := range calls {
		execs[i] = script.Call{Keys: []string{call.Key}, Args: args(call.Limit.argsFor(call.Cost))}
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
	limit, run, keys := call.Limit, s.refund[call.Limit.Kind], []string{call.Key, marker}
	var args []string
	switch limit.Kind {
	case SlidingWindow:
		keys, args = keys[:1], numbers(r.B)
	case TokenBucket, GCRA:
		cost := limit.cost(call.Cost)
		args = numbers(cost.us, cost.rem, limit.full.us, limit.full.rem, limit.Per, r.A, r.B, r.C, r.At)
	default:
		args = numbers(call.Cost, 0, 0, 0, limit.Window.Microseconds(), r.A, r.B, r.C, r.At)
	}
	n, err := run.Exec(ctx, c, keys, args).AsInt64()
	return n > 0, err
}

// Block refuses everything for a time.
func (s *Scripts) Block(ctx context.Context, c *rediskit.Client, limit *Spec, key string, d time.Duration) error {
	return s.block[limit.Kind].Exec(ctx, c, []string{key}, numbers(d.Microseconds(), limit.life())).Error()
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

// decodeOne reads the numbers of a reply, less zeros at the end.
func decodeOne(numbers []rueidis.RedisMessage) (r Reply, err error) {
	to := [replyLen]*int64{&r.Verdict, &r.At, &r.A, &r.B, &r.C}
	if len(numbers) < 2 || len(numbers) > replyLen {
		return Reply{}, fmt.Errorf("the script replied %d numbers, not %d", len(numbers), replyLen)
	}
	for i := range numbers {
		if *to[i], err = numbers[i].AsInt64(); err != nil {
			return Reply{}, err
		}
	}
	return r, nil
}
