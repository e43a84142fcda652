package rediskit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/keys"
)

const (
	// A blocking call longer than this is made of several, so that a server that has gone silent
	// without closing the connection is noticed.
	blockRound = 15 * time.Second

	// Where a blocking call cannot be ended from outside, as on the embedded server, calls are short and repeated.
	shortRound = 50 * time.Millisecond

	idlePerNode = 64              // connections kept for the next blocking call
	idleTrusted = time.Second     // idle for longer, a connection is tried before it is used
	idleMax     = 1 * time.Minute // and then closed
)

// Block runs one command that waits at the server: BLPOP, BLMOVE, BZPOPMIN, XREAD BLOCK and the like. It
// has a connection of its own, so that nobody else waits behind it. key is one of the command's keys. wait
// is how long to wait, in the range from 1 ms; zero means until ctx ends. build makes the command for the
// wait it is given, which is a part of the whole; it may be called several times.
//
// If nothing comes in time the result is rueidis.Nil. When ctx ends, the server is asked to end the wait
// (CLIENT UNBLOCK) and its reply is awaited, up to Config.CommandTimeout if the server is out of reach.
// If the reply has an element after all, Block returns it; so no element is lost to a context. In the other
// case the result is a [*ConnectionError] with the context's error, and nothing was taken.
//
// What can be lost: a command that takes an element off (BLPOP, BZPOPMIN …) and whose connection breaks
// just as the server replies. The error then says that the command may have been applied. Commands that
// move the element (BLMOVE) or keep it in a group's pending list (XREADGROUP) lose nothing: look at the
// destination, or claim it.
//
// Failures are repeated as in [Client.Do]; commands that only read, or are marked with ToRetryable(), also
// after a broken connection. Block follows the slots of a cluster. A client runs at most 1000 blocking
// calls at once; more wait for one to end, or for ctx. Where CLIENT UNBLOCK is unknown, or forbidden to the
// user, the server is asked every 50 ms instead.
func (c *Client) Block(ctx context.Context, key string, wait time.Duration,
	build func(b rueidis.Builder, wait time.Duration) rueidis.Completed) rueidis.RedisResult {

	if wait < 0 || wait > 0 && wait < time.Millisecond {
		return rueidis.NewErrorResult(fmt.Errorf("rediskit: Block: wait is %v: want zero, or at least 1ms", wait))
	}
	if err := c.ready(ctx); err != nil {
		return rueidis.NewErrorResult(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.block.ctx, func() { cancel(ErrClosed) })()

	select {
	case c.block.slots <- struct{}{}:
		defer func() { <-c.block.slots }()
	case <-ctx.Done():
		return c.failed(context.Cause(ctx), false)
	}

	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	var target blockTarget // where a redirect pointed to
	var giveUp time.Time   // when repeating after failures ends
	var sent bool          // an attempt that may have been applied
	for failures := 0; ; {
		round := c.block.round(ctx, end)
		if round <= 0 {
			return rueidis.NewErrorResult(rueidis.Nil)
		}
		began := time.Now()
		res, eff, err := c.blockOnce(ctx, key, target, round, build)
		target = blockTarget{}
		switch {
		case err == nil:
			return res
		case rueidis.IsRedisNil(err):
			if ctx.Err() != nil {
				return c.failed(context.Cause(ctx), sent)
			}
			failures = 0
			continue
		}

		kind := failureOf(ctx, err)
		if kind == notSent || kind == lost {
			c.block.masters.Store(nil) // the node may be gone, and another have its slots
		}
		if kind != notSent && time.Since(began) > c.cfg.CommandTimeout/2 {
			failures = 0 // the call did wait: what failed before is over
		}
		redirected := false
		if re, ok := rueidis.IsRedisErr(err); ok {
			target, redirected = redirect(re)
			if redirected && !target.asking {
				c.block.masters.Store(nil)
			}
		}
		sent = sent || kind == lost && eff != readOnly
		switch {
		case ctx.Err() != nil:
			return c.failed(context.Cause(ctx), sent)
		case kind == answered && !redirected:
			if sent {
				return c.failed(err, true)
			}
			return res
		case kind == lost && eff == once:
			return c.failed(err, true)
		}
		if code := refusalOf(err); code == "READONLY" || code == "UNBLOCKED" {
			c.demoted(ctx)
		}
		if failures++; failures == 1 {
			giveUp = time.Now().Add(c.cfg.CommandTimeout)
		}
		if redirected && failures == 1 {
			continue
		}
		pause := backoff(failures)
		if time.Now().Add(pause).After(giveUp) {
			return c.failed(err, sent)
		}
		if !sleep(ctx, pause) {
			return c.failed(context.Cause(ctx), sent)
		}
	}
}

// blockTarget is a node that a redirect named; empty for the node that owns the key's slot.
type blockTarget struct {
	addr   string
	asking bool
}

func redirect(re *rueidis.RedisError) (blockTarget, bool) {
	if addr, ok := re.IsMoved(); ok {
		return blockTarget{addr: addr}, true
	}
	if addr, ok := re.IsAsk(); ok {
		return blockTarget{addr: addr, asking: true}, true
	}
	return blockTarget{}, false
}

// blockOnce waits at the server for one round.
func (c *Client) blockOnce(ctx context.Context, key string, target blockTarget, round time.Duration,
	build func(b rueidis.Builder, wait time.Duration) rueidis.Completed) (rueidis.RedisResult, effect, error) {

	bc, err := c.blockConn(ctx, key, target)
	if err != nil {
		return rueidis.NewErrorResult(err), readOnly, err
	}
	if c.block.short.Load() { // which the first connection has just found out
		round = min(round, shortRound)
	}
	cmd := build(c.rc.B(), round)
	eff := effectOf(cmd)

	replied := make(chan struct{})
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		bc.interrupt(c.cfg.CommandTimeout, replied)
	})
	// Not the caller's context: ending it would drop the connection and with it an element on its way.
	ioCtx, cancel := context.WithTimeout(context.Background(), round+c.cfg.CommandTimeout)
	defer cancel()
	var res rueidis.RedisResult
	if target.asking {
		asking := c.rc.B().Arbitrary("ASKING").Build()
		res = bc.dc.DoMulti(ioCtx, asking, cmd)[1]
	} else {
		res = bc.dc.Do(ioCtx, cmd)
	}
	close(replied)
	if !stop() {
		// A late UNBLOCK must not meet the connection's next call.
		<-interrupted
	}
	err = res.Error()
	if err != nil && !rueidis.IsRedisNil(err) && failureOf(ctx, err) == lost {
		bc.broken = true
	}
	c.block.put(bc)
	return res, eff, err
}

// blocker keeps the connections of blocking calls.
type blocker struct {
	ctx     context.Context
	stop    context.CancelFunc
	slots   chan struct{}
	making  chan struct{}          // connections
	masters atomic.Pointer[[]Node] // of a cluster; nil: ask
	short   atomic.Bool            // the server knows no CLIENT UNBLOCK, or does not let this user

	mu     sync.Mutex
	idle   map[string][]*blockConn // by address, the longest idle first
	asking *mastersCall            // nil: nobody
	done   bool
}

// blockConn is a connection that blocking calls use one after another.
type blockConn struct {
	addr   string
	node   rueidis.Client // for CLIENT UNBLOCK, which must reach the same server
	dc     rueidis.DedicatedClient
	id     int64 // at that server
	since  time.Time
	broken bool
}

func (bl *blocker) init() {
	bl.ctx, bl.stop = context.WithCancel(context.Background())
	bl.slots = make(chan struct{}, maxBlocking)
	bl.making = make(chan struct{}, maxBlocking)
	bl.idle = make(map[string][]*blockConn)
}

// round is how long the next call waits at the server: not past end nor the deadline of ctx; zero if that
// is now.
func (bl *blocker) round(ctx context.Context, end time.Time) time.Duration {
	d := blockRound
	if !end.IsZero() {
		left := time.Until(end)
		if left <= 0 {
			return 0
		}
		d = min(d, left)
	}
	if dl, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(dl))
	}
	return max(d, time.Millisecond) // zero would mean for ever
}

// blockConn finds or makes a connection to the node that has the key.
func (c *Client) blockConn(ctx context.Context, key string, target blockTarget) (*blockConn, error) {
	node, err := c.nodeOf(ctx, key, target)
	if err != nil {
		return nil, err
	}
	if bc := c.block.take(node.Addr); bc != nil {
		bc.node = node.Redis // the client library may have closed the one it had
		if time.Since(bc.since) < idleTrusted || c.identify(bc) == nil {
			return bc, nil
		}
		bc.dc.Close()
	}

	// The client library dials without the context, so calls that have given up leave a goroutine behind.
	type made struct {
		bc  *blockConn
		err error
	}
	select {
	case c.block.making <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	ch := make(chan made, 1)
	go func() {
		defer func() { <-c.block.making }()
		dc, _ := node.Redis.Dedicate()
		bc := &blockConn{addr: node.Addr, node: node.Redis, dc: dc}
		ch <- made{bc, c.identify(bc)}
	}()
	select {
	case m := <-ch:
		if m.err != nil {
			m.bc.dc.Close()
			return nil, notSentError(m.err)
		}
		return m.bc, nil
	case <-ctx.Done():
		go func() {
			m := <-ch
			m.bc.broken = m.err != nil
			c.block.put(m.bc)
		}()
		return nil, context.Cause(ctx)
	}
}

// notSentError keeps an error met before the command itself was sent from being taken for a lost reply.
func notSentError(err error) error {
	if failureOf(context.Background(), err) == lost {
		return &dialError{addr: "a connection for a blocking call", err: err}
	}
	return err
}

// nodeOf returns the node that a redirect named, or the one that owns the key's slot.
func (c *Client) nodeOf(ctx context.Context, key string, target blockTarget) (Node, error) {
	if c.rc.Mode() != rueidis.ClientModeCluster {
		for addr, rc := range c.rc.Nodes() {
			return Node{Addr: addr, Redis: rc}, nil
		}
		return Node{}, rueidis.ErrNoSlot
	}
	if target.addr != "" {
		if rc := c.rc.Nodes()[target.addr]; rc != nil {
			return Node{Addr: target.addr, Redis: rc}, nil
		}
		// The client library follows the same redirect and so gets to know the node.
		c.send(ctx, c.rc.B().Exists().Key(key).Build())
		if rc := c.rc.Nodes()[target.addr]; rc != nil {
			return Node{Addr: target.addr, Redis: rc}, nil
		}
	}
	masters, err := c.blockMasters(ctx)
	if err != nil {
		return Node{}, err
	}
	slot := keys.Slot(key)
	for _, node := range *masters {
		for _, span := range node.Slots {
			if span[0] <= slot && slot <= span[1] {
				return node, nil
			}
		}
	}
	c.block.masters.Store(nil)
	return Node{}, rueidis.ErrNoSlot
}

// mastersCall asks for the masters of a cluster on behalf of all calls that wait for done.
type mastersCall struct {
	done    chan struct{}
	masters *[]Node
	err     error
}

// blockMasters returns the masters of a cluster. It does not ask for each call and not with the call's context:
// when nodes are silent, every question that was given up on would leave something behind.
func (c *Client) blockMasters(ctx context.Context) (*[]Node, error) {
	bl := &c.block
	if masters := bl.masters.Load(); masters != nil {
		return masters, nil
	}
	bl.mu.Lock()
	call := bl.asking
	if call == nil {
		call = &mastersCall{done: make(chan struct{})}
		bl.asking = call
		go func() {
			defer close(call.done)
			masters, err := c.clusterMasters(bl.ctx)
			if err != nil {
				call.err = notSentError(err)
			} else {
				call.masters = &masters
				bl.masters.Store(call.masters)
			}
			bl.mu.Lock()
			bl.asking = nil
			bl.mu.Unlock()
		}()
	}
	bl.mu.Unlock()
	select {
	case <-call.done:
		return call.masters, call.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// identify asks for the connection's number, and so tries the connection. Unblocking nobody tells whether
// a call will be interruptible.
func (c *Client) identify(bc *blockConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.CommandTimeout)
	defer cancel()
	res := bc.dc.DoMulti(ctx, bc.dc.B().ClientId().Build(), bc.dc.B().ClientUnblock().ClientId(0).Build())
	err := res[1].Error()
	if err == nil {
		bc.id, err = res[0].AsInt64()
	}
	if re, ok := rueidis.IsRedisErr(err); ok {
		if text := strings.ToLower(re.Error()); strings.Contains(text, "unknown") || strings.HasPrefix(text, "noperm") {
			c.block.short.Store(true)
			return nil
		}
	}
	return err
}

// interrupt ends the wait at the server. The reply to the blocking call is then on its way, with an element
// or without. The call may not have reached the server yet, so UNBLOCK is repeated until there is a reply.
// If the server says nothing for the time-out, the connection is closed.
func (bc *blockConn) interrupt(timeout time.Duration, replied <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for pause := 500 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if bc.id != 0 {
			n, err := bc.unblock(ctx)
			if err != nil {
				bc.broken = true // it may still be on its way
			} else if n == 1 {
				pause = timeout
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-replied:
			timer.Stop()
			return
		case <-ctx.Done():
			timer.Stop()
			bc.broken = true
			bc.dc.Close()
			return
		case <-timer.C:
		}
	}
}

// unblock keeps to ctx also while the client library makes the connection that the command needs.
func (bc *blockConn) unblock(ctx context.Context) (int64, error) {
	ch := make(chan rueidis.RedisResult, 1)
	go func() { ch <- bc.node.Do(ctx, bc.node.B().ClientUnblock().ClientId(bc.id).Build()) }()
	select {
	case res := <-ch:
		return res.AsInt64()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (bl *blocker) take(addr string) *blockConn {
	bl.mu.Lock()
	defer bl.mu.Unlock()
	bl.prune()
	list := bl.idle[addr]
	if len(list) == 0 {
		return nil
	}
	bc := list[len(list)-1]
	bl.idle[addr] = list[:len(list)-1]
	return bc
}

func (bl *blocker) put(bc *blockConn) {
	if bc.broken {
		bc.dc.Close()
		return
	}
	bl.mu.Lock()
	defer bl.mu.Unlock()
	bl.prune()
	if bl.done || len(bl.idle[bc.addr]) >= idlePerNode {
		go bc.dc.Close()
		return
	}
	bc.since = time.Now()
	bl.idle[bc.addr] = append(bl.idle[bc.addr], bc)
}

// prune closes what has been idle for too long. The lock is held.
func (bl *blocker) prune() {
	for addr, list := range bl.idle {
		n := 0
		for n < len(list) && time.Since(list[n].since) > idleMax {
			go list[n].dc.Close()
			n++
		}
		if n == len(list) {
			delete(bl.idle, addr)
		} else if n > 0 {
			bl.idle[addr] = append([]*blockConn(nil), list[n:]...)
		}
	}
}

// close ends the calls that wait, without losing an element, and the idle connections.
func (bl *blocker) close() {
	bl.stop()
	// Each slot taken is one call fewer that may be under way.
	for range maxBlocking {
		bl.slots <- struct{}{}
	}
	bl.mu.Lock()
	defer bl.mu.Unlock()
	bl.done = true
	var wg sync.WaitGroup
	for _, list := range bl.idle {
		for _, bc := range list {
			wg.Go(bc.dc.Close) // which takes a second if the server is silent
		}
	}
	wg.Wait()
	clear(bl.idle)
}
