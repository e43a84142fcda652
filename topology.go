package rediskit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/keys"
)

const slots = 16384 // of a cluster

// Node is a node that holds data and takes writes.
type Node struct {
	// Addr is "host:port", or a socket's path.
	Addr string
	// ID is the cluster's name of the node; empty elsewhere.
	ID string
	// Slots are the ranges of slots the node serves, both ends included; nil elsewhere than on a cluster.
	Slots [][2]uint16
	// Redis sends commands to this node alone. It follows no redirects.
	Redis rueidis.Client
}

// Masters returns the nodes that hold the keyspace: the one server, the primary that the sentinels name,
// or every master of a cluster that serves slots, sorted by address. On a cluster it asks the nodes.
//
// It returns a [*ConnectionError] if no node answers within ctx and Config.CommandTimeout.
func (c *Client) Masters(ctx context.Context) ([]Node, error) {
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if c.rc.Mode() != rueidis.ClientModeCluster {
		var out []Node
		for addr, rc := range c.rc.Nodes() {
			out = append(out, Node{Addr: addr, Redis: rc})
		}
		return out, nil
	}
	return c.clusterMasters(ctx)
}

func (c *Client) clusterMasters(ctx context.Context) ([]Node, error) {
	callers := ctx
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CommandTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		masters, err := c.askSlots(ctx)
		if err == nil {
			return masters, nil
		}
		if ctx.Err() != nil || !sleep(ctx, backoff(attempt)) {
			return nil, &ConnectionError{Addr: c.addr, Err: ended(callers, err)}
		}
	}
}

// ended adds to an error that the caller's context ended.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w, after %w", cause, err)
	}
	return err
}

// askSlots asks all known nodes for the slots at once and takes the first usable answer.
func (c *Client) askSlots(ctx context.Context) ([]Node, error) {
	known := c.rc.Nodes()
	type answer struct {
		masters []Node
		missing string
		err     error
	}
	// The calls are not cancelled when one has answered: somebody else may wait for a connection that is being
	// made with their context.
	timeout := max(c.cfg.CommandTimeout/2, time.Millisecond)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answers := make(chan answer, len(known))
	for addr, node := range known {
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
			defer cancel()
			res := node.Do(ctx, node.B().ClusterSlots().Build())
			masters, missing, err := parseSlots(res, addr, known)
			answers <- answer{masters, missing, err}
		}()
	}
	errs := []error{errors.New("the cluster has no known node")}
	for range known {
		select {
		case a := <-answers:
			if a.err == nil && a.missing == "" {
				return a.masters, nil
			}
			if a.missing != "" {
				// The client library has not met this master. Sending it a command does not work without
				// a connection, but a key of its slots makes the others redirect to it.
				c.send(ctx, c.rc.B().Exists().Key(keyOfSlot(a.masters[0].Slots[0][0])).Build())
				a.err = fmt.Errorf("master %s is not connected yet", a.missing)
			}
			errs = append(errs, a.err)
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
			return nil, errs[len(errs)-1]
		}
	}
	return nil, errs[len(errs)-1]
}

// parseSlots reads a reply to CLUSTER SLOTS of the node at addr. If a master is not among the known
// nodes, it returns that master alone and its address.
func parseSlots(res rueidis.RedisResult, addr string, known map[string]rueidis.Client) (masters []Node, missing string, err error) {
	ranges, err := res.ToArray()
	if err != nil {
		return nil, "", err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", err
	}
	byAddr := make(map[string]int)
	for _, r := range ranges {
		fields, err := r.ToArray()
		if err != nil || len(fields) < 3 {
			return nil, "", fmt.Errorf("unreadable reply to CLUSTER SLOTS from %s", addr)
		}
		from, err1 := fields[0].AsInt64()
		to, err2 := fields[1].AsInt64()
		master, err3 := fields[2].ToArray()
		if err := errors.Join(err1, err2, err3); err != nil || len(master) < 3 || from < 0 || to < from || to >= slots {
			return nil, "", fmt.Errorf("unreadable reply to CLUSTER SLOTS from %s", addr)
		}
		// An unknown host is "?" or null or empty: then it is the host that was asked.
		h, _ := master[0].ToString()
		if h == "" || h == "?" {
			h = host
		}
		port, err := master[1].AsInt64()
		if err != nil {
			return nil, "", fmt.Errorf("unreadable reply to CLUSTER SLOTS from %s", addr)
		}
		id, _ := master[2].ToString()
		at := net.JoinHostPort(h, strconv.FormatInt(port, 10))
		span := [2]uint16{uint16(from), uint16(to)}
		if known[at] == nil {
			return []Node{{Addr: at, ID: id, Slots: [][2]uint16{span}}}, at, nil
		}
		i, ok := byAddr[at]
		if !ok {
			i = len(masters)
			byAddr[at] = i
			masters = append(masters, Node{Addr: at, ID: id, Redis: known[at]})
		}
		masters[i].Slots = append(masters[i].Slots, span)
	}
	if len(masters) == 0 {
		return nil, "", fmt.Errorf("%s knows no master that serves slots", addr)
	}
	slices.SortFunc(masters, func(a, b Node) int { return cmp.Compare(a.Addr, b.Addr) })
	for i := range masters {
		slices.SortFunc(masters[i].Slots, func(a, b [2]uint16) int { return int(a[0]) - int(b[0]) })
	}
	return masters, "", nil
}

// keyOfSlot finds some key of a slot.
func keyOfSlot(slot uint16) string {
	for i := 0; ; i++ {
		if key := strconv.Itoa(i); keys.Slot(key) == slot {
			return key
		}
	}
}

// CheckSlot returns an error wrapping [ErrCrossSlot] if the client talks to a cluster and the keys do not
// share a slot. Commands with several keys call it first, because the command builder panics.
func (c *Client) CheckSlot(names ...string) error {
	if c.rc.Mode() != rueidis.ClientModeCluster || len(names) < 2 {
		return nil
	}
	slot := keys.Slot(names[0])
	for _, name := range names[1:] {
		if keys.Slot(name) != slot {
			return fmt.Errorf("%w: %q and %q", ErrCrossSlot, names[0], name)
		}
	}
	return nil
}
