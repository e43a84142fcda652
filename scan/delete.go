package scan

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
)

// deleter deletes what a walk finds.
type deleter struct {
	client  *rediskit.Client
	cluster bool
	deleted int64
}

// unlink deletes keys of one node: on its own connection, all in one write, in commands for one slot each. What
// does not succeed so, because the node was lost or demoted or the slot has moved, is done again through the
// client, which knows what to do then, key by key: a slot under migration refuses commands with several.
func (d *deleter) unlink(ctx context.Context, c *conn, names []string) error {
	var groups [][]string
	if d.cluster {
		groups = bySlot(names)
	} else {
		groups = [][]string{names}
	}
	cmds := make([]rueidis.Completed, len(groups))
	for i, group := range groups {
		cmds[i] = c.dc.B().Unlink().Key(group...).Build()
	}
	var again []string
	lost := false
	for i, res := range c.do(ctx, cmds...) {
		n, err := res.AsInt64()
		if err != nil {
			lost = lost || res.NonRedisError() != nil
			again = append(again, groups[i]...)
		}
		d.deleted += n
	}
	if again == nil {
		return nil
	}
	var failed error
	for _, res := range d.client.DoMulti(ctx, len(again), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Unlink().Key(again[i]).Build().ToRetryable()
	}) {
		n, err := res.AsInt64()
		if err != nil && failed == nil {
			failed = err
		}
		d.deleted += n
	}
	var ce *rediskit.ConnectionError
	if lost && errors.As(failed, &ce) && !ce.Sent {
		failed = &rediskit.ConnectionError{Addr: ce.Addr, Sent: true, Err: ce.Err}
	}
	return failed
}

// bySlot sorts keys into groups of one slot each.
func bySlot(names []string) [][]string {
	slices.SortFunc(names, func(a, b string) int { return int(keys.Slot(a)) - int(keys.Slot(b)) })
	var groups [][]string
	for len(names) > 0 {
		n := 1
		for n < len(names) && keys.Slot(names[n]) == keys.Slot(names[0]) {
			n++
		}
		groups = append(groups, names[:n:n])
		names = names[n:]
	}
	return groups
}
