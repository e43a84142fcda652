package ratelimit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
)

// LeasedKey is the permits that a [Leased] has of one key. It is safe for concurrent use.
type LeasedKey struct {
	owner     *Leased
	hash      uint64
	key, name string

	batch   atomic.Pointer[batch]   // the one at hand; changes under mu
	refusal atomic.Pointer[refusal] // the last one that is worth remembering; changes under mu

	mu      sync.Mutex
	asking  bool      // a request is under way, or will be at once
	waiters []*waiter // in the order in which they came
	returns []limits.Return
	sent    time.Time // of the last batch: when it was asked for
	used    int64     // of the last batch, if it is not at hand any more
}

// batch is permits that may be used.
type batch struct {
	ends time.Time // by the monotonic clock
	left atomic.Int64
	low  int64 // when so many are left, it is time to ask for more; negative: never

	limit   int
	resetAt time.Time
	permits int64 // that it had
	name    limits.BatchName
}

// over is what left is when the batch is not to be used any more.
const over = math.MinInt64 / 2

// waiter is a caller whose permits are not at hand.
type waiter struct {
	cost int64
	sent bool          // the request under way knows of it
	done chan struct{} // closed when the rest is decided
	Result
	err error
}

// refusal is one that is believed for a while.
type refusal struct {
	cost   int64
	until  time.Time // when it is not believed any more
	retry  time.Time
	result Result
}

// Take takes one permit. It is Allow for those who want to know no more: it is nil if there was one, or FailOpen or FailLocal
// allowed it, and else the error of Allow or of [Result.Err].
func (k *LeasedKey) Take(ctx context.Context) error {
	if b, _ := k.take(1); b != nil {
		return nil
	}
	r, err := k.slow(ctx, 1)
	if err != nil {
		return err
	}
	return r.Err()
}

// Allow takes one permit if there is one: [LeasedKey.AllowN] with a cost of 1.
func (k *LeasedKey) Allow(ctx context.Context) (Result, error) { return k.AllowN(ctx, 1) }

// AllowN takes cost permits, all or none. It is [Leased.AllowN].
func (k *LeasedKey) AllowN(ctx context.Context, cost int) (Result, error) {
	if b, left := k.take(int64(cost)); b != nil {
		return k.allowed(b, left), nil
	}
	return k.slow(ctx, int64(cost))
}

// take takes permits that are at hand. There is no batch if they are not.
func (k *LeasedKey) take(cost int64) (b *batch, left int64) {
	b = k.batch.Load()
	if b == nil {
		return nil, 0
	}
	left, ok := b.take(cost)
	if !ok {
		return nil, 0
	}
	if left <= b.low && left+cost > b.low {
		k.askAhead()
	}
	return b, left
}

// take takes permits that may be used at some moment during the call.
func (b *batch) take(cost int64) (left int64, ok bool) {
	left = b.left.Load()
	if cost < 1 || left < cost || time.Until(b.ends) <= 0 {
		return 0, false
	}
	if cost == 1 { // which does not have to be tried again when others are faster
		left = b.left.Add(-1)
		return left, left >= 0
	}
	for ; left >= cost; left = b.left.Load() {
		if b.left.CompareAndSwap(left, left-cost) {
			return left - cost, true
		}
	}
	return 0, false
}

// unused is how many permits are left.
func (b *batch) unused() int64 { return max(b.left.Load(), 0) }

func (k *LeasedKey) allowed(b *batch, left int64) Result {
	return Result{Allowed: true, Limit: b.limit, Remaining: int(left), ResetAt: b.resetAt, key: k.key}
}

// refused finds a refusal that is still believed.
func (k *LeasedKey) refused(cost int64) *refusal {
	f := k.refusal.Load()
	if f == nil || f.cost != cost || time.Until(f.until) <= 0 {
		return nil
	}
	return f
}

// again answers with a refusal once more.
func (k *LeasedKey) again(ctx context.Context, f *refusal) Result {
	k.owner.limiter.counts.add(ctx, k.owner.limit, false, fromCache)
	r := f.result
	r.RetryAfter = roundUp(max(time.Until(f.retry), 1))
	return r
}

// slow answers when the permits are not at hand.
func (k *LeasedKey) slow(ctx context.Context, cost int64) (Result, error) {
	const op = "ratelimit.Leased.Allow"
	l := k.owner
	if err := l.check(ctx, k.key, cost); err != nil {
		return Result{}, opError(op, k.key, err)
	}
	if f := k.refused(cost); f != nil {
		if b, left := k.take(cost); b != nil { // it came before the refusal
			return k.allowed(b, left), nil
		}
		return k.again(ctx, f), nil
	}
	k.mu.Lock()
	// A request may just have ended.
	if b := k.batch.Load(); b != nil {
		if left, ok := b.take(cost); ok {
			k.mu.Unlock()
			return k.allowed(b, left), nil
		}
	}
	if f := k.refused(cost); f != nil {
		k.mu.Unlock()
		return k.again(ctx, f), nil
	}
	if !k.ask(ctx) {
		k.mu.Unlock()
		return Result{}, opError(op, k.key, ErrClosed)
	}
	w := &waiter{cost: cost, done: make(chan struct{})}
	k.waiters = append(k.waiters, w)
	k.mu.Unlock()
	select {
	case <-w.done:
	case <-ctx.Done():
		k.mu.Lock()
		k.leave(w, ctx.Err())
		k.mu.Unlock()
	}
	if w.err != nil {
		return l.limiter.fallback(ctx, op, k.key, limits.Call{Limit: l.limit.spec, Key: k.name, Cost: cost}, l.limit, w.err)
	}
	if !w.Allowed {
		l.limiter.counts.add(ctx, l.limit, false, fromServer)
	}
	return w.Result, nil
}

// leave takes a waiter out of the line, unless it has its answer.
func (k *LeasedKey) leave(w *waiter, err error) {
	for i := range k.waiters {
		if k.waiters[i] == w {
			k.waiters = append(k.waiters[:i], k.waiters[i+1:]...)
			w.err = err
			return
		}
	}
}

// ask sees to it that a request is under way. It is called with mu held, and false if the Leased is closed.
func (k *LeasedKey) ask(ctx context.Context) bool {
	if k.asking {
		return true
	}
	k.asking = k.owner.begin()
	if k.asking {
		// Others will wait for the answer, too, so it does not end with ctx.
		go k.run(context.WithoutCancel(ctx))
	}
	return k.asking
}

// askAhead asks for the next batch while there is some left of the one at hand, if it will not last for long.
func (k *LeasedKey) askAhead() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.sent) < k.owner.lease/4 {
		k.ask(context.Background())
	}
}

// run asks for batches until nobody waits.
func (k *LeasedKey) run(ctx context.Context) {
	l := k.owner
	defer l.end()
	for more := true; more; {
		call, asked := k.prepare(), time.Now()
		var reply limits.Reply
		var given limits.Batch
		err := l.limiter.ask(ctx, func(ctx context.Context) (err error) {
			reply, given, err = l.take(ctx, call)
			return err
		})
		if err != nil {
			more = k.failed(call, err)
		} else {
			more = k.received(call, asked, reply, given)
		}
	}
}

// prepare makes the request out of what is known now.
func (k *LeasedKey) prepare() limits.BatchCall {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.owner
	call := limits.BatchCall{Limit: l.limit.spec, Key: k.name, Lease: l.lease, Need: 1}
	var wanted int64
	for i, w := range k.waiters {
		if i == 0 {
			call.Need = w.cost
		}
		w.sent = true
		wanted += w.cost
	}
	used := k.used
	if b := k.batch.Load(); b != nil {
		used = b.permits - b.unused()
		// The batch at hand is not enough for who waits, so it goes back. Asked ahead, it is used meanwhile.
		if len(k.waiters) > 0 || time.Until(b.ends) <= 0 {
			k.retire()
		}
	}
	// At the rate of the last batch, so many are used in a lease. But it may not go on.
	rate := float64(used) / float64(max(time.Since(k.sent), 1))
	guess := min(int64(math.Ceil(min(rate*float64(l.lease), float64(l.batch)))), 2*used)
	call.Want = max(min(max(guess, wanted), max(l.batch, wanted), l.most), call.Need)
	call.Returns, k.returns = k.returns, nil
	return call
}

// retire ends the use of the batch at hand. It is called with mu held.
func (k *LeasedKey) retire() {
	b := k.batch.Swap(nil)
	if b == nil {
		return
	}
	unused := max(b.left.Swap(over), 0)
	if unused > 0 {
		k.returns = append(k.returns, limits.Return{Name: b.name, Unused: unused})
	}
	k.used = b.permits - unused
	k.owner.limiter.counts.leased(k.owner.limit, k.used)
}

// failed tells those who wait that there is no answer.
func (k *LeasedKey) failed(call limits.BatchCall, err error) (more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !rediskit.MayHaveApplied(err) { // else they may have come back, and must not again
		k.returns = append(k.returns, call.Returns...)
	}
	for _, w := range k.waiters {
		w.err = err
		close(w.done)
	}
	k.waiters, k.asking = nil, false
	return false
}

// received hands out a batch, to those first who wait. It tells whether others are left.
func (k *LeasedKey) received(call limits.BatchCall, asked time.Time, reply limits.Reply, given limits.Batch) (more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, now := k.owner, time.Now()
	var b *batch
	if given.Permits > 0 {
		k.retire()
		d := l.limit.spec.Decide(reply, call.Need, true)
		b = &batch{ends: asked.Add(given.Lasts - given.Lasts/1000), low: -1, limit: int(l.limit.spec.Permits), resetAt: now.Add(d.Reset),
			permits: given.Permits, name: given.Name}
		k.sent = asked
	}
	var no *refusal
	if given.Permits < call.Want && len(k.returns) == 0 { // else there will be more when those are back
		reply.Verdict = 0
		r, d := l.limit.result(k.key, call.Need, reply, true, now)
		r.limit, r.reply = nil, limits.Reply{}
		no = &refusal{cost: call.Need, until: asked.Add(min(d.Wait, believe)), retry: asked.Add(d.Wait), result: r}
	}
	remembers, left := l.limiter.memo != nil, given.Permits
	var decided, waiting []*waiter
	for _, w := range k.waiters {
		switch {
		// Who was waiting when the batch was given has used his part of it then. For others it must not be over.
		case w.cost <= left && (w.sent || now.Before(b.ends)):
			left -= w.cost
			w.Result = k.allowed(b, left)
		case no != nil && w.cost == no.cost && (w.sent || remembers):
			w.Result = no.result
		default:
			waiting = append(waiting, w)
			continue
		}
		decided = append(decided, w)
	}
	k.waiters, k.asking = waiting, len(waiting) > 0
	if b != nil {
		if given.Permits == call.Want && left >= 8 {
			b.low = left / 8
		}
		b.left.Store(left)
		k.batch.Store(b)
		if l.closed.Load() {
			k.retire()
		}
	}
	if remembers {
		k.refusal.Store(no) // after the batch: who finds it looks there again
	}
	for _, w := range decided {
		close(w.done)
	}
	return k.asking
}

// giveUp makes room for another key: what is left of the batch is not used any more. It does nothing for a key that is busy;
// or, if only is set, one that could be used.
func (k *LeasedKey) giveUp(onlySpent bool) bool {
	if !k.mu.TryLock() {
		return false
	}
	defer k.mu.Unlock()
	b := k.batch.Load()
	if k.asking || onlySpent && b != nil && b.unused() > 0 && time.Until(b.ends) > 0 {
		return false
	}
	k.retire()
	return true
}

// close ends the use of the key, and says what is to be given back.
func (k *LeasedKey) close() []limits.Return {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retire()
	returns := k.returns
	k.returns = nil
	return returns
}
