package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// Defaults of [LeaseConfig].
const (
	DefaultLeasedKeys = 16_384

	maxLease = time.Second // of the default
)

// ErrClosed is wrapped by the errors of a [Leased] that was closed.
var ErrClosed = errors.New("the Leased was closed")

// LeaseConfig configures a [Leased]. The zero value is ready to use.
type LeaseConfig struct {
	// Lease is for how long this process may use the permits of a batch. It is paid for in permits, see [Leased].
	// Processes may differ in it. Default: a tenth of [Limit.Window], but at least 1 ms and at most a second.
	Lease time.Duration

	// Batch is how many permits of a key are taken at a time, at most. It is fewer while the key is not busy, and only
	// more if as many callers wait, or one with a higher cost. Default: a tenth of [Limit.Permits], at least 1, and of a
	// bucket no more than fit, see [Leased].
	Batch int

	// Keys is of how many keys batches are held. Of one beyond that whatever is unused is given up, and so is lost until it
	// has left the limit's window; the keys whose batches are over or used up go first. It takes about 500 bytes for each.
	// Default: 16,384, rounded up to a power of two.
	Keys int
}

// Leased hands out the permits of one limit without a round trip: it takes them from Redis in batches, which it may use until
// their lease ends. Many processes can do so on one key. It is for keys of which there are many decisions a second: those of a
// tenant, a partner's API, an endpoint.
//
//	leased, err := limiter.Leased(ratelimit.SlidingWindow(10_000, time.Minute), ratelimit.LeaseConfig{})
//	...
//	defer leased.Close(ctx)
//	res, err := leased.Allow(ctx, "partner")
//
// The states are its own: the same limit in [Limiter.Allow] counts the same key separately. All processes have to go
// through a Leased to share it.
//
// # What it guarantees
//
// It never allows more than the limit, in all processes together:
//
//	[SlidingWindow]         n in any window
//	[FixedWindow]           n in each of its windows, which begin with a batch
//	[SlidingCounter]        what its formula says, at the moment of each permit
//	[TokenBucket], [GCRA]   capacity + rate·t in any time t
//
// These hold in the server's time, whatever the clients' clocks say. They rest on three things. First, on the server a batch is
// charged as if all of it were used at the last moment of its lease, until it says which part of it was used
// and that it uses no more. Second, a process uses it only until a lease has passed on its monotonic clock since before it
// asked, which is before the lease ends on the server. It stops a thousandth of the lease early, because clocks
// may differ by that much in their rate. It looks at the clock for each permit: a timer would be late in a process that was
// stopped. Third, a batch ends with the window of a FixedWindow or SlidingCounter. From that:
//
// SlidingWindow. Take the permits used in some window and, of their batches, the one that Redis gave last. The others end
// after the window's start, so they had not left when that batch was given, and were charged with no less than what was used
// of them. With them it was no more than n.
//
// FixedWindow and SlidingCounter. Each permit is used in the window it is charged to. A counter's formula holds when a batch
// is given, counting all of it, and goes on to hold in the same window, because what is left of the window before
// only gets less.
//
// TokenBucket and GCRA. The state is the time at which the bucket is full again, tat. A batch of b, of which each permit
// takes T to refill, makes it max(tat, now + lease) + b·T, and there is room for it if that is at most now + capacity·T. Take the
// permits that are used in a time t, beginning at s, and their batches: at the first, tat came to be more than s + b·T, because
// that lease ended after s. Each further one added its b·T. At the last, given before s + t, tat was at most
// s + t + capacity·T. So all b together are less than capacity + t/T. What is given back comes off only as far as this leaves tat for
// the batches after it.
//
// Excepted are, as for all limits, a server's clock that jumps forward, and what a failover or a flush makes Redis forget: the
// batches that it has forgotten are used nevertheless. And a machine whose monotonic clock stands still while it sleeps uses
// after that what is left of the batches from before.
//
// # What it costs
//
// It may allow less than the limit: what processes hold and do not use, and up to rate·lease more, because permits are
// charged until a lease after they were used, at worst. At full load a sliding window so gives n in window + lease.
// So the lease should be short beside the window. [LeaseConfig.Lease] and Batch bound both; besides, a batch is never
// more than twice what was used of the last one, and than what would be used in a lease at the same rate, unless as many
// callers wait. So an idle key costs one permit. What is unused goes back with the next request for the key, and with Close.
//
// A bucket has to have room for a batch and what runs into it in a lease: Batch·T + lease is at most capacity·T. A cost that
// is more than this ever leaves room for gets [ErrNever].
//
// # How it asks
//
// There is one request in flight for a key in a process, and who comes meanwhile waits for it, but no longer than its context
// allows. Where a batch lasts less than a quarter of its lease, the next one is asked for when an eighth of it is left. There are
// no goroutines but for requests. A refusal is remembered for that key and cost, as in Config.DenyCache, until its RetryAfter
// but for a second at most.
//
// A request is sent once. If its reply is lost, so is the batch, until it has left the limit's window: it is charged and
// not used.
type Leased struct {
	limiter *Limiter
	limit   *limit
	lease   time.Duration
	batch   int64
	most    int64 // in a batch
	state   string
	take    func(context.Context, limits.BatchCall) (limits.Reply, limits.Batch, error)
	giveAll func(context.Context, []limits.BatchCall) error
	keys    table

	closed  atomic.Bool // changes under mu
	mu      sync.Mutex
	flights int           // requests under way
	landed  chan struct{} // closed when it is closed and flights is 0
	closing sync.Mutex
}

// Leased makes a [Leased] of a limit, which is not one on concurrency, and has no penalty. It sends nothing.
func (l *Limiter) Leased(limit Limit, cfg LeaseConfig) (*Leased, error) {
	if err := limit.Validate(); err != nil {
		return nil, err
	}
	spec, window := limit.spec, limit.Window()
	switch {
	case spec.Kind == limits.Concurrency:
		return nil, fmt.Errorf("ratelimit: Leased: %v is a limit for Acquire", limit)
	case spec.Penalty > 0:
		return nil, fmt.Errorf("ratelimit: Leased: %v has a penalty: who holds permits would not feel it", limit)
	case cfg.Keys < 0 || cfg.Keys > 1<<24:
		return nil, fmt.Errorf("ratelimit: LeaseConfig.Keys is %d: want 1 to %d", cfg.Keys, 1<<24)
	case cfg.Lease != 0 && (cfg.Lease < time.Millisecond || cfg.Lease > max(window, time.Millisecond)):
		return nil, fmt.Errorf("ratelimit: LeaseConfig.Lease is %v: want 1ms to %v, in which all permits of %v come back", cfg.Lease, window, limit)
	}
	if cfg.Keys == 0 {
		cfg.Keys = DefaultLeasedKeys
	}
	if cfg.Lease == 0 {
		cfg.Lease = min(max(window/10, time.Millisecond), maxLease)
	}
	cfg.Lease = cfg.Lease.Truncate(time.Microsecond)
	most := spec.MostLeased(cfg.Lease)
	switch {
	case most < 1:
		return nil, fmt.Errorf("ratelimit: Leased: %v has no room for a permit and what runs out in a lease of %v: want a shorter lease or a larger burst",
			limit, cfg.Lease)
	case cfg.Batch < 0 || int64(cfg.Batch) > most:
		return nil, fmt.Errorf("ratelimit: LeaseConfig.Batch is %d: want at most %d, for which %v has room with a lease of %v",
			cfg.Batch, most, limit, cfg.Lease)
	case cfg.Batch == 0:
		cfg.Batch = int(min(max(spec.Permits/10, 1), most))
	}
	leased := &Leased{
		limiter: l,
		limit:   limit.limit,
		lease:   cfg.Lease,
		batch:   int64(cfg.Batch),
		most:    most,
		state:   "leased-" + spec.Name(),
		landed:  make(chan struct{}),
	}
	leased.take = func(ctx context.Context, call limits.BatchCall) (limits.Reply, limits.Batch, error) {
		return limits.ServerBatches.Take(ctx, l.client, call)
	}
	leased.giveAll = func(ctx context.Context, calls []limits.BatchCall) error {
		return limits.ServerBatches.Return(ctx, l.client, calls)
	}
	leased.keys.make(cfg.Keys)
	return leased, nil
}

// Allow takes one permit of a key if there is one: [Leased.AllowN] with a cost of 1.
func (l *Leased) Allow(ctx context.Context, key string) (Result, error) {
	return l.AllowN(ctx, key, 1)
}

// AllowN takes cost permits of a key, all or none. They are of the batch at hand, without a round trip and without looking
// at ctx; or of another batch that it asks Redis for.
//
// In the result, Remaining is what is left of the batch, or of a refusal what Redis has left, and ResetAt is as of when the
// batch was given. It has nothing that [Limiter.Refund] could give back. RetryAfter is exact but for what processes may give
// back sooner.
//
// Errors and outages are as with [Limiter.AllowN], except that nothing is unknown after an error: the permits were not
// taken for this call. In an outage, batches are used until their leases end; then the policy answers. After
// [Leased.Close] the error wraps [ErrClosed]. Without a deadline a call takes at most Config.Timeout for each request that it has to
// wait for: the one under way, and, where callers wait with different costs, one for each cost before its own.
func (l *Leased) AllowN(ctx context.Context, key string, cost int) (Result, error) {
	k := l.find(key)
	if b, left := k.take(int64(cost)); b != nil {
		return k.allowed(b, left), nil
	}
	return k.slow(ctx, int64(cost))
}

// Key returns the permits of one key, for callers who use it again and again: they need not be looked up. They are not given
// up for those of other keys, and are there in addition to LeaseConfig.Keys.
func (l *Leased) Key(key string) *LeasedKey { return l.pin(key) }

// Close gives back what is unused. Allow fails from then on, and what it is doing for other goroutines comes to its end first. It
// may be called twice.
//
// The batches of a thousand keys go back together, within Config.Timeout, also if ctx is cancelled already, but not if its
// deadline has passed. When it has ended, the rest is left to run out by itself, as is what cannot be given back, and Close
// says so with an error that wraps the context's or that of Redis.
func (l *Leased) Close(ctx context.Context) error {
	const op, together = "ratelimit.Leased.Close", 1000
	l.closing.Lock()
	defer l.closing.Unlock()
	l.mu.Lock()
	if !l.closed.Swap(true) && l.flights == 0 {
		close(l.landed)
	}
	l.mu.Unlock()
	var errs []error
	if !l.waitLanded(ctx) {
		errs = append(errs, fmt.Errorf("%w, before all requests had ended", ctx.Err()))
	}
	var calls []limits.BatchCall
	l.each(func(k *LeasedKey) {
		if returns := k.close(); len(returns) > 0 {
			calls = append(calls, limits.BatchCall{Limit: l.limit.spec, Key: k.name, Lease: l.lease, Returns: returns})
		}
	})
	for first := true; len(calls) > 0; first = false {
		if !first && ctx.Err() != nil {
			errs = append(errs, fmt.Errorf("%w, before the batches of %d keys were given back", ctx.Err(), len(calls)))
			break
		}
		part := calls[:min(together, len(calls))]
		calls = calls[len(part):]
		errs = append(errs, l.limiter.ask(ctx, func(ctx context.Context) error { return l.giveAll(ctx, part) }))
	}
	return opError(op, "", errors.Join(errs...))
}

// waitLanded waits until no request is under way. If ctx is cancelled already, it waits as long as for a request.
func (l *Leased) waitLanded(ctx context.Context) bool {
	if ctx.Err() != nil {
		bounded, cancel := l.limiter.bound.context(ctx)
		defer cancel()
		ctx = bounded
	}
	select {
	case <-l.landed:
		return true
	case <-ctx.Done():
	}
	select { // if both, it has
	case <-l.landed:
		return true
	default:
		return false
	}
}

// begin counts a request, unless it is closed.
func (l *Leased) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return false
	}
	l.flights++
	return true
}

func (l *Leased) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flights--
	if l.closed.Load() && l.flights == 0 {
		close(l.landed)
	}
}

// check refuses what cannot be meant.
func (l *Leased) check(ctx context.Context, key string, cost int64) error {
	switch {
	case l.closed.Load():
		return ErrClosed
	case key == "":
		return errors.New("empty key")
	case cost > l.most && l.most < l.limit.spec.Permits && cost <= l.limit.spec.Permits:
		return fmt.Errorf("%w: %d of the %d for which there is room with a lease of %v", ErrNever, cost, l.most, l.lease)
	}
	if err := l.limit.spec.CheckCost(cost); err != nil {
		return err
	}
	return ctx.Err()
}

const ways = 8

// table holds the keys: in sets of those whose hashes are alike. They are found without a lock.
type table struct {
	seed   maphash.Seed
	sets   [][ways]atomic.Pointer[LeasedKey]
	mu     sync.Mutex // for changes
	hand   uint       // who has to go next
	pinned map[string]*LeasedKey
}

func (t *table) make(size int) {
	n := 1
	for n*ways < size {
		n *= 2
	}
	t.seed, t.sets, t.pinned = maphash.MakeSeed(), make([][ways]atomic.Pointer[LeasedKey], n), make(map[string]*LeasedKey)
}

func (l *Leased) find(key string) *LeasedKey {
	key = identity(key)
	hash := maphash.String(l.keys.seed, key)
	set := &l.keys.sets[hash&uint64(len(l.keys.sets)-1)]
	for i := range set {
		if k := set[i].Load(); k != nil && k.hash == hash && k.key == key {
			return k
		}
	}
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	return l.add(key, hash)
}

func (l *Leased) pin(key string) *LeasedKey {
	key = identity(key)
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	k := l.keys.pinned[key]
	if k == nil {
		k = l.add(key, maphash.String(l.keys.seed, key))
		l.keys.pinned[k.key] = k
	}
	return k
}

// add finds a key or makes it, and then puts it into its set if one of the others can go.
func (l *Leased) add(key string, hash uint64) *LeasedKey {
	t := &l.keys
	set := &t.sets[hash&uint64(len(t.sets)-1)]
	var free *atomic.Pointer[LeasedKey]
	for i := range set {
		switch k := set[i].Load(); {
		case k == nil:
			free = &set[i]
		case k.hash == hash && k.key == key:
			return k
		}
	}
	k := t.pinned[key]
	if k == nil {
		k = &LeasedKey{owner: l, hash: hash, name: l.limiter.cfg.Keys.RateLimit(l.state, key).String()}
		k.key = within(k.name, key)
	}
	t.hand++
	for i := uint(0); free == nil && i < 2*ways; i++ {
		slot := &set[(t.hand+i)%ways]
		victim := slot.Load()
		if t.pinned[victim.key] == victim || victim.giveUp(i < ways) {
			free = slot
		}
	}
	if free != nil {
		free.Store(k)
	}
	return k
}

// each calls f with every key.
func (l *Leased) each(f func(*LeasedKey)) {
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	for i := range l.keys.sets {
		for j := range l.keys.sets[i] {
			if k := l.keys.sets[i][j].Load(); k != nil {
				f(k)
			}
		}
	}
	for _, k := range l.keys.pinned {
		f(k) // for those in a set, again
	}
}
