package rediskit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/redis/rueidis"
)

const (
	backoffStep = 50 * time.Millisecond
	backoffMax  = 2 * time.Second

	// A connection has room for 1024 commands in flight; a caller who finds none waits for room without
	// looking at its context. Before commands that were given up on fill a connection that has gone silent,
	// it is replaced. Not at the first of them: others may wait for their replies patiently, and a server that
	// is only slow is going to give them.
	abandonedMost    = 512
	abandonedPerLook = 128
	silentTooLong    = 200 * time.Millisecond

	maxApart = 1000 // goroutines that wait for a connection in place of a caller
)

// Do runs one command and repeats it where that is safe. build makes the command; it is called once for
// each attempt and must do nothing else.
//
//	client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
//		return b.Get().Key("greeting").Build()
//	}).ToString()
//
// What the server answers comes back as it is: a value, rueidis.Nil, or a *rueidis.RedisError. In place
// of an answer there is a [*ConnectionError].
//
//	failure                                           repeated
//	could not connect: nothing was sent               always
//	LOADING, READONLY, CLUSTERDOWN, MASTERDOWN,       always: the server did not begin the command;
//	TRYAGAIN, UNBLOCKED                               after READONLY the connection is replaced
//	sent, and the reply was lost                      a command that only reads, or is marked idempotent
//	                                                  with ToRetryable(); others never
//	any other error of the server                     never
//	the context ended                                 never
//
// The pause before attempt n+1 is 50 ms × n, at most 2 s, less up to a fifth at random. Repeating ends
// with the context and at the latest Config.CommandTimeout after the first failure. Without a deadline a
// call so takes at most about twice Config.CommandTimeout, or that and Config.DialTimeout if nobody answers to
// connecting.
//
// Blocking commands belong to [Client.Block].
func (c *Client) Do(ctx context.Context, build func(b rueidis.Builder) rueidis.Completed) rueidis.RedisResult {
	if err := c.ready(ctx); err != nil {
		return rueidis.NewErrorResult(err)
	}
	cmd := build(c.rc.B())
	eff := effectOf(cmd)
	res := c.send(ctx, cmd)
	if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
		results := []rueidis.RedisResult{res}
		c.repeat(ctx, results, func(int) effect { return eff }, func(ctx context.Context, _ []int) []rueidis.RedisResult {
			return []rueidis.RedisResult{c.send(ctx, build(c.rc.B()))}
		})
		return results[0]
	}
	return res
}

// DoMulti sends n commands in as few writes as possible and returns their results in order. build makes
// command i; it may be called more than once for each. Commands for different slots of a cluster may be
// mixed. The commands that fail are repeated under the rules of [Client.Do], without the others; so DoMulti says
// nothing about the order in which commands take effect, and is not for MULTI and EXEC: that is what scripts are for.
// It panics on a cluster if commands without a key are mixed with commands for different slots.
func (c *Client) DoMulti(ctx context.Context, n int, build func(b rueidis.Builder, i int) rueidis.Completed) []rueidis.RedisResult {
	if n == 0 {
		return nil
	}
	if err := c.ready(ctx); err != nil {
		return sameError(n, err)
	}
	cmds := make([]rueidis.Completed, n)
	for i := range cmds {
		cmds[i] = build(c.rc.B(), i)
	}
	results := c.sendMulti(ctx, cmds)
	for i := range results {
		if err := results[i].Error(); err != nil && !rueidis.IsRedisNil(err) {
			// The commands that were answered have been recycled. Their flags are needed, so they are built again.
			eff := func(i int) effect { return effectOf(build(c.rc.B(), i)) }
			c.repeat(ctx, results, eff, func(ctx context.Context, numbers []int) []rueidis.RedisResult {
				again := make([]rueidis.Completed, len(numbers))
				for j, i := range numbers {
					again[j] = build(c.rc.B(), i)
				}
				return c.sendMulti(ctx, again)
			})
			break
		}
	}
	return results
}

// send hands a command to the client library. While a connection is being made, the library lets everybody
// who needs it wait, however long that takes and whatever their contexts say. So in that time the wait is left
// to a goroutine.
func (c *Client) send(ctx context.Context, cmd rueidis.Completed) rueidis.RedisResult {
	if c.conns == nil || c.conns.making.Load() == 0 || ctx.Done() == nil {
		return c.rc.Do(ctx, cmd)
	}
	return apart(ctx, c, func() rueidis.RedisResult { return c.rc.Do(ctx, cmd) }, rueidis.NewErrorResult)
}

func (c *Client) sendMulti(ctx context.Context, cmds []rueidis.Completed) []rueidis.RedisResult {
	if c.conns == nil || c.conns.making.Load() == 0 || ctx.Done() == nil {
		return c.rc.DoMulti(ctx, cmds...)
	}
	return apart(ctx, c, func() []rueidis.RedisResult { return c.rc.DoMulti(ctx, cmds...) },
		func(err error) []rueidis.RedisResult { return sameError(len(cmds), err) })
}

// apart makes a call in a goroutine and waits for it or for the context. The goroutines are bounded. When there
// are as many as may be, the connection that everybody needs is the one being made, and callers wait for a
// place; except on a cluster, where they may need the connection to another node and so make the call themselves.
func apart[R any](ctx context.Context, c *Client, call func() R, failed func(error) R) R {
	select {
	case c.apart <- struct{}{}:
	default:
		if c.rc.Mode() == rueidis.ClientModeCluster {
			return call()
		}
		select {
		case c.apart <- struct{}{}:
		case <-ctx.Done():
			return failed(&dialError{addr: c.addr, err: ctx.Err()})
		}
	}
	ch := make(chan R, 1)
	go func() {
		defer func() { <-c.apart }()
		ch <- call()
	}()
	select {
	case r := <-ch:
		return r
	case <-ctx.Done():
		return failed(ctx.Err())
	}
}

func sameError(n int, err error) []rueidis.RedisResult {
	results := make([]rueidis.RedisResult, n)
	for i := range results {
		results[i] = rueidis.NewErrorResult(err)
	}
	return results
}

// effect is what repeating a command whose reply was lost does.
type effect int

const (
	once       effect = iota // it may apply twice
	idempotent               // the same as applying once
	readOnly                 // nothing
)

func effectOf(cmd rueidis.Completed) effect {
	switch {
	case cmd.IsReadOnly():
		return readOnly
	case cmd.IsRetryable():
		return idempotent
	default:
		return once
	}
}

// failure says what an error tells about the command.
type failure int

const (
	answered failure = iota // the server's own answer
	refused                 // the server did not begin it, and soon may
	notSent                 // it never left
	lost                    // it left, and the reply did not come
)

func failureOf(ctx context.Context, err error) failure {
	if _, ok := rueidis.IsRedisErr(err); ok {
		if passes(refusalOf(err)) {
			return refused
		}
		return answered
	}
	var de *dialError
	var op *net.OpError
	if errors.As(err, &de) || errors.Is(err, rueidis.ErrNoSlot) || errors.As(err, &op) && op.Op == "dial" {
		return notSent
	}
	// The client library makes a connection for everybody who waits for it with the context of the first. If that
	// is cancelled, the others get its error; commands in flight never do.
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return notSent
	}
	// rueidis.ErrClosing is among the rest: commands in flight get it too when their connection is closed. So is
	// context.DeadlineExceeded: see someoneElses.
	return lost
}

// someoneElses reports whether err tells of the deadline of another caller. On a connection without traffic
// the client library lets one caller write and read by himself. If his deadline passes meanwhile, it closes
// the connection, and those who have queued up behind him get his error; nothing of theirs was sent. ends is
// when the attempt's own time is over, if it is not zero.
func (c *Client) someoneElses(ctx context.Context, ends time.Time, err error) bool {
	return err == context.DeadlineExceeded && c.conns != nil && ctx.Err() == nil &&
		(ends.IsZero() || time.Now().Before(ends))
}

// ready refuses a call that cannot succeed before anything is sent.
func (c *Client) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &ConnectionError{Addr: c.addr, Err: err}
	}
	if c.closed.Load() {
		return &ConnectionError{Addr: c.addr, Err: ErrClosed}
	}
	return nil
}

// unanswered is a command without a usable answer so far.
type unanswered struct {
	i    int // among the results
	eff  effect
	sent bool // an attempt may have been applied
	err  error
}

// repeat goes through results and sends again what failed, for as long as the rules of Do say. resend sends the
// commands with the given numbers.
func (c *Client) repeat(ctx context.Context, results []rueidis.RedisResult, eff func(i int) effect,
	resend func(ctx context.Context, numbers []int) []rueidis.RedisResult) {

	var todo []unanswered
	for i := range results {
		if err := results[i].Error(); err != nil && !rueidis.IsRedisNil(err) {
			todo = append(todo, unanswered{i: i, eff: eff(i)})
		}
	}
	deadline := time.Now().Add(c.cfg.CommandTimeout)
	ends, _ := ctx.Deadline() // of the last attempt
	for attempt := 1; ; attempt++ {
		demoted := false
		left := todo[:0]
		for _, o := range todo {
			o.err = results[o.i].Error()
			if o.err == nil || rueidis.IsRedisNil(o.err) {
				continue
			}
			kind := failureOf(ctx, o.err)
			if kind == lost && c.someoneElses(ctx, ends, o.err) {
				kind = notSent
			}
			if kind == answered && !o.sent {
				continue
			}
			// A wrapped client may have repeated an idempotent command by itself, and this be the last of its errors.
			o.sent = o.sent || kind == lost && o.eff != readOnly || kind != answered && o.eff == idempotent && c.conns == nil
			switch {
			case ctx.Err() != nil:
				if kind == lost {
					c.gaveUp()
				}
				results[o.i] = c.failed(ctx.Err(), o.sent)
				continue
			case kind == answered, kind == lost && o.eff == once, c.closed.Load():
				results[o.i] = c.failed(o.err, o.sent)
				continue
			}
			demoted = demoted || refusalOf(o.err) == "READONLY"
			left = append(left, o)
		}
		todo = left
		if len(todo) == 0 {
			return
		}
		if demoted {
			c.demoted(ctx)
		}
		pause := backoff(attempt)
		// An attempt that is cut short leaves the outcome open.
		late := time.Now().Add(pause).After(deadline.Add(-c.cfg.CommandTimeout / 10))
		if late || !sleep(ctx, pause) {
			for _, o := range todo {
				if !late {
					o.err = fmt.Errorf("%w, after %w", ctx.Err(), o.err)
				}
				results[o.i] = c.failed(o.err, o.sent)
			}
			return
		}
		numbers := make([]int, len(todo))
		for j, o := range todo {
			numbers[j] = o.i
		}
		attemptCtx, cancel := context.WithDeadline(ctx, deadline)
		ends, _ = attemptCtx.Deadline()
		for j, res := range resend(attemptCtx, numbers) {
			results[numbers[j]] = res
		}
		cancel()
	}
}

func (c *Client) failed(err error, sent bool) rueidis.RedisResult {
	if c.closed.Load() && errors.Is(err, rueidis.ErrClosing) {
		err = ErrClosed
	}
	return rueidis.NewErrorResult(&ConnectionError{Addr: c.addr, Sent: sent, Err: err})
}

func backoff(attempt int) time.Duration {
	d := min(time.Duration(attempt)*backoffStep, backoffMax)
	return d - rand.N(d/5)
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// gaveUp counts commands whose callers left before the reply came. When there are many, connections
// that have gone silent are replaced before they are full.
func (c *Client) gaveUp() {
	if c.conns == nil || c.conns.abandoned.Add(1)%abandonedPerLook != 0 {
		return
	}
	c.lookForSilence()
}

func (c *Client) lookForSilence() {
	if n := c.conns.closeSilent(silentTooLong); n > 0 {
		c.log.Warn("redis: replaced silent connections", "addr", c.addr, "connections", n)
		return
	}
	// Those that are silent, but not yet for long enough, are looked at again: by then every caller
	// may be waiting for room, and nobody left to notice.
	if s := c.conns.mostSilent(); s > 0 && c.rechecked.CompareAndSwap(false, true) {
		time.AfterFunc(silentTooLong-min(s, silentTooLong)+time.Millisecond, func() {
			c.rechecked.Store(false)
			if !c.closed.Load() {
				c.lookForSilence()
			}
		})
	}
}

// demoted looks into a READONLY reply: connections to a server that is no longer a primary are closed,
// so that the name they were dialled by is resolved again, and those to the sentinels too, because the
// client library asks them for the primary when it has lost one. The caller waits for that as long as his
// context lasts.
func (c *Client) demoted(ctx context.Context) {
	if c.conns == nil || !c.demoting.TryLock() {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.demoting.Unlock()
		c.leaveReplicas()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (c *Client) leaveReplicas() {
	const pause = 200 * time.Millisecond
	if time.Since(time.Unix(0, c.lookedAt.Load())) < pause {
		return
	}
	defer func() { c.lookedAt.Store(time.Now().UnixNano()) }()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for addr, node := range c.rc.Nodes() {
		role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
		if err != nil || len(role) == 0 {
			continue
		}
		if name, err := role[0].ToString(); err != nil || name != "slave" {
			continue
		}
		n := c.conns.closeIf(func(cn *conn) bool { return cn.addr == addr || cn.sentinel })
		c.log.Warn("redis: the server is a replica now, reconnecting", "addr", addr, "connections", n)
		// The client library notices a closed connection when it uses it. A PING may fail; the caller's
		// command, which comes next, may not be one that can be repeated.
		node.Do(ctx, node.B().Ping().Build())
	}
}
