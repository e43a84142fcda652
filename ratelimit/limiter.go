package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/metric"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/keys"
)

// Defaults of [Config].
const (
	DefaultTimeout   = 100 * time.Millisecond
	DefaultDenyCache = 16_384
)

// Config configures a [Limiter]. The zero value is ready to use.
type Config struct {
	// Keys names the states: "<namespace>/rl:<algorithm and window>:{<key>}", with the first 256 bytes and the SHA-256 of a
	// longer key. Default: no namespace.
	Keys keys.Builder

	// OnOutage says what to answer when Redis cannot be asked. Default: FailClosed.
	OnOutage Outage

	// Timeout is how long a decision waits for Redis before OnOutage answers; a context's deadline may be sooner. A
	// caller's cancellation is heeded before anything is sent and at the latest after Timeout, so that it does not leave
	// open whether a permit was taken. Default: 100 ms. Negative: only the context counts, and then rediskit's own
	// time-outs.
	Timeout time.Duration

	// DenyCache is for how many keys the last refusal is remembered, and believed until its RetryAfter but for a second
	// at most, without asking Redis; AllowAll and Reserve always ask. It takes about 300 bytes for each. Keys of more than
	// 1,024 bytes are not remembered. Default: 16,384, rounded up to a power of two from 4 on. Negative: off.
	DenyCache int

	// MeterProvider counts decisions: rediskit.ratelimit.decisions, by limit.algorithm, outcome (allowed, refused,
	// failed) and source (server, cache, outage, lease). Default: nothing is counted.
	MeterProvider metric.MeterProvider
}

// Limiter decides. It is safe for concurrent use, keeps no goroutine, and needs no Close.
type Limiter struct {
	client *rediskit.Client
	cfg    Config
	run    *limits.Scripts
	memo   *memo
	bound  bound
	outage outage
	slots  slots
	counts *counts
}

// New makes a Limiter. It sends nothing.
func New(client *rediskit.Client, cfg Config) (*Limiter, error) {
	if client == nil {
		return nil, errors.New("ratelimit: the client is nil")
	}
	if cfg.OnOutage < failOpen {
		return nil, fmt.Errorf("ratelimit: Config.OnOutage is %d: want FailClosed, FailOpen or FailLocal", cfg.OnOutage)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	} else if cfg.Timeout > 0 && cfg.Timeout < time.Millisecond {
		return nil, fmt.Errorf("ratelimit: Config.Timeout is %v: want at least 1ms", cfg.Timeout)
	}
	switch {
	case cfg.DenyCache == 0:
		cfg.DenyCache = DefaultDenyCache
	case cfg.DenyCache > 1<<24:
		return nil, fmt.Errorf("ratelimit: Config.DenyCache is %d: want at most %d", cfg.DenyCache, 1<<24)
	}
	counts, err := newCounts(cfg.MeterProvider)
	if err != nil {
		return nil, fmt.Errorf("ratelimit: Config.MeterProvider: %w", err)
	}
	return &Limiter{
		client: client,
		cfg:    cfg,
		run:    limits.Server,
		memo:   newMemo(cfg.DenyCache),
		bound:  bound{timeout: cfg.Timeout, hooked: hooked(client.Redis())},
		outage: outage{policy: cfg.OnOutage, store: limits.NewStore(fallbackKeys)},
		counts: counts,
	}, nil
}

// Allow takes one permit of a key if there is one: [Limiter.AllowN] with a cost of 1.
func (l *Limiter) Allow(ctx context.Context, key string, limit Limit) (Result, error) {
	return l.AllowN(ctx, key, limit, 1)
}

// AllowN takes cost permits of a key, all or none, in one round trip, or none where a refusal is remembered (see
// Config.DenyCache).
//
// The error is nil whenever there is an answer, which may be that of the outage policy: see [Outage]. Errors
// are [*rediskit.OpError]; they wrap [ErrNever] if the cost is more than the limit ever allows, the context's error, and
// with FailClosed what kept Redis from answering. After an error that is [rediskit.MayHaveApplied], and after a
// Degraded result, the permits may have been taken: a decision is sent once and never repeated after a lost reply.
// Without a deadline AllowN takes at most Config.Timeout.
func (l *Limiter) AllowN(ctx context.Context, key string, limit Limit, cost int) (r Result, err error) {
	lim, err := l.check(ctx, key, limit, int64(cost))
	if err != nil {
		return r, opError(opAllow, key, err)
	}
	n, name := l.name(key, lim)
	if n != nil && l.memo.refused(n, lim, int64(cost), &r) {
		l.counts.add(ctx, lim, false, fromCache)
		r.key = key
		return r, nil
	}
	return l.allow(ctx, key, n, name, lim, int64(cost))
}

const opAllow = "ratelimit.Allow"

// allow asks the server.
func (l *Limiter) allow(ctx context.Context, key string, n *note, name string, lim *limit, cost int64) (Result, error) {
	call := limits.Call{Limit: lim.spec, Key: name, Cost: cost}
	wiped, asked := l.memo.epoch(), time.Now()
	var reply limits.Reply
	err := l.ask(ctx, func(ctx context.Context) (err error) {
		reply, err = l.run.Allow(ctx, l.client, call)
		return err
	})
	if err != nil {
		return l.fallback(ctx, opAllow, key, call, lim, err)
	}
	r, d := lim.result(key, cost, reply, true, time.Now())
	if !r.Allowed && n != nil {
		l.memo.remember(n, r, d.Wait, asked, wiped)
	}
	l.counts.add(ctx, lim, r.Allowed, fromServer)
	return r, nil
}

// AllResult is the answer to [Limiter.AllowAll]. Its own fields are those of the limit that matters: in a refusal the
// one to wait for longest, else the one with the fewest permits left.
type AllResult struct {
	Result
	// Each is what each limit says, in order. In a refusal nothing was taken from any; those with Allowed would
	// have been no obstacle.
	Each []Result
}

// AllowAll takes one permit of a key from every limit, or none from any, in one script: [Limiter.AllowAllN] with a
// cost of 1.
func (l *Limiter) AllowAll(ctx context.Context, key string, all ...Limit) (AllResult, error) {
	return l.AllowAllN(ctx, key, 1, all...)
}

// AllowAllN takes cost permits of a key from every limit, or none from any. The limits share their states with
// those of [Limiter.AllowN], and must differ in algorithm or window. Errors and outages are as with AllowN.
//
// On a cluster, a script with several keys of which some exist is refused while their slot is being
// moved. It is repeated until Config.Timeout; then the outage policy answers.
func (l *Limiter) AllowAllN(ctx context.Context, key string, cost int, all ...Limit) (AllResult, error) {
	const op = "ratelimit.AllowAll"
	if len(all) == 0 {
		return AllResult{}, opError(op, key, errors.New("no limits"))
	}
	calls := make([]limits.Call, len(all))
	for i, limit := range all {
		lim, err := l.check(ctx, key, limit, int64(cost))
		if err != nil {
			return AllResult{}, opError(op, key, err)
		}
		for j, other := range all[:i] {
			if other.spec.Name() == lim.spec.Name() {
				return AllResult{}, opError(op, key, fmt.Errorf("limits %d and %d have one state: %v and %v", j, i, other, limit))
			}
		}
		_, name := l.name(key, lim)
		calls[i] = limits.Call{Limit: lim.spec, Key: name, Cost: int64(cost)}
	}
	var replies []limits.Reply
	err := l.ask(ctx, func(ctx context.Context) (err error) {
		replies, err = l.run.AllowAll(ctx, l.client, calls)
		return err
	})
	if err != nil {
		return l.fallbackAll(ctx, op, key, calls, all, err)
	}
	each, now := make([]Result, len(all)), time.Now()
	for i, limit := range all {
		each[i], _ = limit.result(key, int64(cost), replies[i], took(replies, i), now)
	}
	return l.together(ctx, each, fromServer), nil
}

// together makes one result of those of several limits.
func (l *Limiter) together(ctx context.Context, each []Result, from source) AllResult {
	r := AllResult{Result: each[0], Each: each}
	for _, e := range each[1:] {
		switch {
		case !e.Allowed && (r.Allowed || e.RetryAfter > r.RetryAfter), e.Allowed && r.Allowed && e.Remaining < r.Remaining:
			r.Result = e
		}
	}
	for _, e := range each {
		l.counts.add(ctx, e.limit, r.Allowed, from)
	}
	return r
}

// Request is one question of [Limiter.AllowMany].
type Request struct {
	Key   string
	Limit Limit
	Cost  int // default: 1
}

// AllowMany decides every request by itself, all sent together: several keys in one round trip, on a cluster one for
// each of its masters. There is a result for each request, in order; requests for the same state are decided in order.
// The error joins those of the requests that have no answer, whose results refuse; each is as by
// [Limiter.AllowN]. A mistake in a request refuses all of them before anything is sent.
func (l *Limiter) AllowMany(ctx context.Context, requests []Request) ([]Result, error) {
	const op = "ratelimit.AllowMany"
	results := make([]Result, len(requests))
	calls := make([]limits.Call, 0, len(requests))
	notes := make([]*note, 0, len(requests))
	index := make([]int, 0, len(requests)) // in requests, of each call
	lims := make([]*limit, len(requests))
	for i, q := range requests {
		if q.Cost == 0 {
			q.Cost = 1
		}
		lim, err := l.check(ctx, q.Key, q.Limit, int64(q.Cost))
		if err != nil {
			return make([]Result, len(requests)), opError(op, q.Key, fmt.Errorf("request %d: %w", i, err))
		}
		lims[i] = lim
		n, name := l.name(q.Key, lim)
		if n != nil {
			if l.memo.refused(n, lim, int64(q.Cost), &results[i]) {
				l.counts.add(ctx, lim, false, fromCache)
				continue
			}
		}
		calls = append(calls, limits.Call{Limit: lim.spec, Key: name, Cost: int64(q.Cost)})
		notes = append(notes, n)
		index = append(index, i)
	}
	if len(calls) == 0 {
		return results, nil
	}
	wiped, asked := l.memo.epoch(), time.Now()
	replies, errs := make([]limits.Reply, len(calls)), make([]error, len(calls))
	err := l.ask(ctx, func(ctx context.Context) error {
		replies, errs = l.run.AllowEach(ctx, l.client, calls)
		return firstOutage(errs)
	})
	now := time.Now()
	for j, i := range index {
		key, lim, cost := requests[i].Key, lims[i], calls[j].Cost
		if errs[j] == nil && errors.Is(err, errOpen) {
			errs[j] = err
		}
		if errs[j] != nil {
			results[i], errs[j] = l.fallback(ctx, op, key, calls[j], lim, errs[j])
			continue
		}
		r, d := lim.result(key, cost, replies[j], true, now)
		if !r.Allowed && notes[j] != nil {
			l.memo.remember(notes[j], r, d.Wait, asked, wiped)
		}
		l.counts.add(ctx, lim, r.Allowed, fromServer)
		results[i] = r
	}
	return results, errors.Join(errs...)
}

// Peek tells what [Limiter.Allow], or of a Concurrency limit [Limiter.Acquire], would answer now, and takes nothing; Remaining is
// what there is before. It always asks the server. In an outage it returns the error, whatever the policy.
func (l *Limiter) Peek(ctx context.Context, key string, limit Limit) (Result, error) {
	const op = "ratelimit.Peek"
	err := checkKey(key, limit)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Result{}, opError(op, key, err)
	}
	lim := limit.limit
	_, name := l.name(key, lim)
	bounded, cancel := l.bound.context(ctx)
	defer cancel()
	reply, err := l.run.Peek(bounded, l.client, limits.Call{Limit: lim.spec, Key: name, Cost: 1})
	if err != nil {
		return Result{}, opError(op, key, err)
	}
	r, _ := lim.result(key, 1, reply, false, time.Now())
	return r, nil
}

// Reset forgets what was taken of a key, and ends its block, for each of the limits. Other processes may believe a refusal that
// they remember for up to a second more. Of a Concurrency limit it takes all slots from their holders, who hear of it when they
// next renew them. It may be repeated after any error.
func (l *Limiter) Reset(ctx context.Context, key string, all ...Limit) error {
	const op = "ratelimit.Reset"
	return l.each(ctx, op, key, all, func(ctx context.Context, names []string) error {
		results := l.client.DoMulti(ctx, len(names), func(b rueidis.Builder, i int) rueidis.Completed {
			return b.Del().Key(names[i]).Build().ToRetryable()
		})
		var errs []error
		for _, res := range results {
			errs = append(errs, res.Error())
		}
		return errors.Join(errs...)
	})
}

// Block refuses a key for d by each of the limits, whatever is left of them, and may lengthen or shorten an earlier block. The
// states go on in the meantime. [Limiter.Reset] ends it. A Concurrency limit has no block. It may be repeated after any error.
func (l *Limiter) Block(ctx context.Context, key string, d time.Duration, all ...Limit) error {
	const op = "ratelimit.Block"
	if d < time.Millisecond || d > limits.MaxWindow {
		return opError(op, key, fmt.Errorf("the duration is %v: want 1ms to %v", d, limits.MaxWindow))
	}
	for _, limit := range all {
		if limit.IsConcurrency() {
			return opError(op, key, fmt.Errorf("%v has no block", limit))
		}
	}
	return l.each(ctx, op, key, all, func(ctx context.Context, names []string) error {
		var errs []error
		for i, name := range names {
			errs = append(errs, l.run.Block(ctx, l.client, all[i].spec, name, d))
		}
		return errors.Join(errs...)
	})
}

// each does something to the states of a key, and then forgets what is remembered of them.
func (l *Limiter) each(ctx context.Context, op, key string, all []Limit, do func(ctx context.Context, names []string) error) error {
	if len(all) == 0 {
		return opError(op, key, errors.New("no limits: name those whose state is meant"))
	}
	names := make([]string, len(all))
	for i, limit := range all {
		if err := checkKey(key, limit); err != nil {
			return opError(op, key, err)
		}
		_, names[i] = l.name(key, limit.limit)
	}
	if err := ctx.Err(); err != nil {
		return opError(op, key, err)
	}
	err := do(ctx, names)
	for _, limit := range all {
		l.memo.forget(identity(key), limit.limit)
	}
	return opError(op, key, err)
}

// Refund gives back what results took, and only that: nothing of one that refused, only peeked, was Degraded or was refunded
// before, and nothing that has run out since. Of a bucket it is the part of the cost that has not refilled yet; and while
// reservations wait behind it, less the cost of those. It may be repeated after any error.
//
// What was taken before a [Limiter.Reset] must not be given back after it: of SlidingCounter, TokenBucket and GCRA it would come out of
// what others have taken since.
func (l *Limiter) Refund(ctx context.Context, results ...Result) error {
	const op = "ratelimit.Refund"
	var errs []error
	for _, r := range results {
		if !r.Allowed || r.Degraded || r.cost == 0 {
			continue
		}
		if r.limit.spec.Kind == limits.Concurrency {
			errs = append(errs, opError(op, r.key, errors.New("the result is that of a slot: want Slot.Release")))
			continue
		}
		key := l.state(r.limit.spec.Name(), r.key)
		var call string // which no other has
		for _, n := range []int64{r.reply.At, r.reply.A, r.reply.B, r.reply.C} {
			call += "." + strconv.FormatInt(n, 36)
		}
		marker := keys.Sub(key, "refunded", call[1:]).String()
		_, err := l.run.Refund(ctx, l.client, limits.Call{Limit: r.limit.spec, Key: key.String(), Cost: r.cost}, marker, r.reply)
		l.memo.forget(identity(r.key), r.limit)
		errs = append(errs, opError(op, r.key, err))
	}
	return errors.Join(errs...)
}

// check refuses what cannot be meant.
func (l *Limiter) check(ctx context.Context, key string, limit Limit, cost int64) (*limit, error) {
	if err := checkKey(key, limit); err != nil {
		return nil, err
	}
	if limit.spec.Kind == limits.Concurrency {
		return nil, fmt.Errorf("%v is a limit for Acquire", limit)
	}
	if err := limit.spec.CheckCost(cost); err != nil {
		return nil, err
	}
	return limit.limit, ctx.Err()
}

func checkKey(key string, limit Limit) error {
	if err := limit.Validate(); err != nil {
		return err
	}
	if key == "" {
		return errors.New("empty key")
	}
	return nil
}

// name is the name of a state, and the note on it if notes are kept.
func (l *Limiter) name(key string, lim *limit) (*note, string) {
	if l.memo == nil {
		return nil, l.state(lim.spec.Name(), key).String()
	}
	n := l.memo.find(l.cfg.Keys, identity(key), lim)
	return n, n.name
}

// state is the key of a state.
func (l *Limiter) state(name, key string) keys.RateLimitKey {
	return l.cfg.Keys.RateLimit(name, identity(key))
}

const longest = 256

// identity stands for a key: it is the key, or for a long one its beginning and its hash, because what clients make up must
// fill no memory. That is longer than a key that stands for itself, and so none of those.
func identity(key string) string {
	if len(key) <= longest {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return key[:longest] + hex.EncodeToString(sum[:])
}

func opError(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &rediskit.OpError{Op: op, Key: key, Err: err}
}
