package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// maxFailures is how many connections in a row may break before a walk gets anywhere on a node.
const maxFailures = 3

// errReplaced says that another process answers than the one the cursor came from.
var errReplaced = errors.New("the server was replaced")

// iteration is a walk over one node's keys in one process.
//
// It has a connection of its own, which proves that it is one process: no connection outlives the process it leads
// to. When it breaks, the next one tells by the run_id whether the cursor is good still. It also keeps long
// replies from standing in front of everybody else's on the shared connection.
type iteration struct {
	node   rediskit.Node
	conn   *conn // nil: to be made
	begun  bool
	run    string
	cursor uint64
	keys   []string // the last batch, reused
}

// walkNode iterates over one node's keys. It returns false if it did not get from the beginning to the end in one
// process, so that keys may have been left out.
func (w *walk) walkNode(ctx context.Context, p part) (whole bool, err error) {
	it := iteration{node: p.node}
	defer func() { it.drop() }()
	for failures := 0; ; {
		if w.pace.wait(ctx) != nil {
			return false, w.ended(ctx)
		}
		err := it.next(ctx, w)
		switch {
		case err == nil:
		case errors.Is(err, errReplaced):
			return false, nil
		case refused(err):
			return false, err
		case ctx.Err() != nil:
			return false, &rediskit.ConnectionError{Addr: p.node.Addr, Err: ctx.Err()}
		default:
			if failures++; failures == maxFailures {
				w.lost = &rediskit.ConnectionError{Addr: p.node.Addr, Err: err}
				return false, nil
			}
			if err := w.await(ctx, p.first()); err != nil {
				return false, err
			}
			continue
		}
		failures = 0
		looked := max(w.batch, len(it.keys))
		w.pace.spend(looked)
		w.count(p, &it)
		if w.visit != nil && len(it.keys) > 0 {
			if err := w.visit(it.conn, it.keys); err != nil {
				return false, err
			}
		}
		w.scanned(looked)
		if it.cursor == 0 {
			return true, nil
		}
	}
}

// first returns a slot of the part.
func (p part) first() int {
	for slot, in := range p.slots {
		if in {
			return slot
		}
	}
	return 0
}

// count counts the keys of a batch and takes out those that are not to be walked now.
func (w *walk) count(p part, it *iteration) {
	kept := it.keys[:0]
	for _, key := range it.keys {
		if slot := w.slot(key); p.slots[slot] {
			w.matched[slot]++
			kept = append(kept, key)
		}
	}
	w.progress.Matched += int64(len(kept))
	it.keys = kept
}

// next fetches the next batch into it.keys.
func (it *iteration) next(ctx context.Context, w *walk) error {
	if it.conn != nil && it.conn.broken {
		it.drop()
	}
	if it.conn == nil {
		c, err := dial(ctx, it.node)
		if err != nil {
			return err
		}
		it.conn = c
		run, err := infoField(c.do(ctx, infoServer(c.dc.B()))[0], "run_id")
		switch {
		case err != nil:
			return err
		case !it.begun:
			it.begun, it.run = true, run
		case run != it.run || run == "":
			return errReplaced
		}
	}
	reply, err := it.conn.do(ctx, w.scanCmd(it.conn.dc.B(), it.cursor))[0].ToArray()
	if err != nil {
		return err
	}
	if len(reply) != 2 {
		return fmt.Errorf("reply to SCAN has %d elements", len(reply))
	}
	cursor, err := reply[0].AsUint64()
	if err != nil {
		return fmt.Errorf("unreadable cursor in the reply to SCAN: %w", err)
	}
	found, err := reply[1].ToArray()
	if err != nil {
		return fmt.Errorf("unreadable keys in the reply to SCAN: %w", err)
	}
	it.keys = it.keys[:0]
	for i := range found {
		key, err := found[i].ToString()
		if err != nil {
			return fmt.Errorf("unreadable key in the reply to SCAN: %w", err)
		}
		it.keys = append(it.keys, key)
	}
	it.cursor = cursor
	return nil
}

// scanCmd leaves out what changes nothing: the server needs time to match against "*".
func (w *walk) scanCmd(b rueidis.Builder, cursor uint64) rueidis.Completed {
	cmd := b.Scan().Cursor(cursor)
	count := int64(w.batch)
	switch {
	case w.pattern == "*" && w.typ == "":
		return cmd.Count(count).Build()
	case w.pattern == "*":
		return cmd.Count(count).Type(w.typ).Build()
	case w.typ == "":
		return cmd.Match(w.pattern).Count(count).Build()
	default:
		return cmd.Match(w.pattern).Count(count).Type(w.typ).Build()
	}
}

func (it *iteration) drop() {
	if it.conn != nil {
		it.conn.close()
		it.conn = nil
	}
}

// conn is a connection to one node that nobody else uses. A goroutine of its own waits for the replies, so that
// the walk need not: the client library is fastest, and bounds its wait by itself, where it is given no context.
type conn struct {
	addr    string
	dc      rueidis.DedicatedClient
	calls   chan []rueidis.Completed
	replies chan []rueidis.RedisResult
	waiting bool // for a reply that nobody wants any more
	broken  bool
}

// dial takes a connection from the client library's pool, which dials without a context.
func dial(ctx context.Context, node rediskit.Node) (*conn, error) {
	c := &conn{
		addr:    node.Addr,
		calls:   make(chan []rueidis.Completed),
		replies: make(chan []rueidis.RedisResult, 1),
	}
	ready := make(chan struct{})
	go func() {
		dc, release := node.Redis.Dedicate()
		defer release() // closes it if it is broken
		c.dc = dc
		close(ready)
		for cmds := range c.calls {
			c.replies <- dc.DoMulti(context.Background(), cmds...)
		}
	}()
	select {
	case <-ready:
		return c, nil
	case <-ctx.Done():
		close(c.calls)
		return nil, ctx.Err()
	}
}

// do sends commands in one write. After a lost reply the connection is of no more use.
func (c *conn) do(ctx context.Context, cmds ...rueidis.Completed) []rueidis.RedisResult {
	var results []rueidis.RedisResult
	c.calls <- cmds
	select {
	case results = <-c.replies:
	case <-ctx.Done():
		c.waiting = true
		results = make([]rueidis.RedisResult, len(cmds))
		for i := range results {
			results[i] = rueidis.NewErrorResult(ctx.Err())
		}
	}
	for i := range results {
		c.broken = c.broken || results[i].NonRedisError() != nil
	}
	return results
}

// close gives the connection back. Closing one that has a reply outstanding can take a second; nobody waits for
// that.
func (c *conn) close() {
	close(c.calls)
	if c.waiting {
		go c.dc.Close()
	}
}
