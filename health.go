package rediskit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// Health is what [Client.Health] found.
type Health struct {
	// Mode is "standalone", "sentinel" or "cluster".
	Mode string `json:"mode"`
	// RTT is the round trip of a PING to the slowest master that answered.
	RTT time.Duration `json:"rtt_ns"`
	// SlotsCovered is how many of a cluster's 16,384 slots are served by masters that answered;
	// zero elsewhere.
	SlotsCovered int `json:"slots_covered,omitempty"`
	// Nodes are sorted by address.
	Nodes []NodeHealth `json:"nodes"`
}

// NodeHealth is the part of [Health] about one node.
type NodeHealth struct {
	Addr string `json:"addr"`
	// Role is "master" or "slave", as Redis spells them; empty if the node did not answer.
	Role string `json:"role,omitempty"`
	// Product is "redis" or "valkey".
	Product string `json:"product,omitempty"`
	Version string `json:"version,omitempty"`
	// RTT is the round trip of a PING.
	RTT time.Duration `json:"rtt_ns"`
	// Uptime is in whole seconds.
	Uptime time.Duration `json:"uptime_ns"`
	// MemoryUsed and MemoryMax are in bytes; MemoryMax is zero without a limit.
	MemoryUsed int64 `json:"memory_used"`
	MemoryMax  int64 `json:"memory_max"`
	// Clients counts connections, Blocked those that wait in a blocking call.
	Clients int64 `json:"clients"`
	Blocked int64 `json:"blocked"`
	// Replicas counts the replicas that are connected to a master.
	Replicas int64 `json:"replicas"`
	// Err says why the node did not answer; empty if it did.
	Err string `json:"err,omitempty"`
}

// Health asks every known node how it is: round-trip time, version, role, memory, clients. It serves as a
// readiness probe: it returns within ctx and Config.HealthTimeout (default 5 s), whatever the servers do, and
// does not repeat what failed.
//
// The error is nil if rediskit can work: the server, or the primary behind sentinels, answers as a master
// and is not loading; on a cluster, masters that answer serve every slot. Otherwise it is a
// [*ConnectionError] that says what is missing. What was found is returned with it.
func (c *Client) Health(ctx context.Context) (Health, error) {
	if err := c.ready(ctx); err != nil {
		return Health{}, err
	}
	callers := ctx
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HealthTimeout)
	defer cancel()

	nodes := c.rc.Nodes()
	reports := make(chan nodeReport, len(nodes))
	for addr, node := range nodes {
		go func() { reports <- probe(ctx, addr, node, nodes) }()
	}
	found := make(map[string]nodeReport, len(nodes))
	// The client library may dial or wait without looking at the context, so no probe is waited for
	// unconditionally.
wait:
	for range nodes {
		select {
		case r := <-reports:
			found[r.Addr] = r
		case <-ctx.Done():
			break wait
		}
	}
	for addr := range nodes {
		if _, ok := found[addr]; !ok {
			found[addr] = nodeReport{NodeHealth: NodeHealth{Addr: addr}}.failed(ctx.Err())
		}
	}

	h := Health{Mode: string(c.rc.Mode())}
	if err := h.fill(found); err != nil {
		return h, &ConnectionError{Addr: c.addr, Err: ended(callers, err)}
	}
	return h, nil
}

// nodeReport is what one node says: about itself, and about who serves the slots.
type nodeReport struct {
	NodeHealth
	err     error // Err
	loading bool
	masters []Node
}

func (r nodeReport) failed(err error) nodeReport {
	r.err, r.Err = err, err.Error()
	return r
}

func probe(ctx context.Context, addr string, node rueidis.Client, known map[string]rueidis.Client) nodeReport {
	r := nodeReport{NodeHealth: NodeHealth{Addr: addr}}
	begin := time.Now()
	if err := node.Do(ctx, node.B().Ping().Build()).Error(); err != nil {
		return r.failed(err)
	}
	r.RTT = time.Since(begin)
	text, err := node.Do(ctx, node.B().Info().Build()).ToString()
	if err != nil {
		return r.failed(fmt.Errorf("INFO: %w", err))
	}
	info := parseInfo(text)
	number := func(name string) int64 { n, _ := strconv.ParseInt(info[name], 10, 64); return n }
	r.Role = info["role"]
	r.Product, r.Version = serverVersion(info)
	r.Uptime = time.Duration(number("uptime_in_seconds")) * time.Second
	r.MemoryUsed, r.MemoryMax = number("used_memory"), number("maxmemory")
	r.Clients, r.Blocked = number("connected_clients"), number("blocked_clients")
	r.Replicas = number("connected_slaves")
	r.loading = info["loading"] == "1"
	if info["cluster_enabled"] == "1" {
		r.masters, _, _ = parseSlots(node.Do(ctx, node.B().ClusterSlots().Build()), addr, known)
	}
	return r
}

// fill puts the reports together and returns what keeps rediskit from working, if anything.
func (h *Health) fill(found map[string]nodeReport) error {
	var problem error
	for _, r := range found {
		h.Nodes = append(h.Nodes, r.NodeHealth)
		if r.Err == "" && r.Role != "slave" {
			h.RTT = max(h.RTT, r.RTT)
		}
		if h.Mode != string(rueidis.ClientModeCluster) {
			problem = r.problem()
			continue
		}
		covered := 0
		for _, m := range r.masters {
			if master, ok := found[m.Addr]; ok && master.problem() == nil {
				for _, span := range m.Slots {
					covered += int(span[1]) - int(span[0]) + 1
				}
			}
		}
		h.SlotsCovered = max(h.SlotsCovered, covered)
	}
	slices.SortFunc(h.Nodes, func(a, b NodeHealth) int { return cmp.Compare(a.Addr, b.Addr) })
	switch {
	case len(found) == 0:
		return errors.New("no node is known")
	case h.Mode == string(rueidis.ClientModeCluster) && h.SlotsCovered < slots:
		return fmt.Errorf("%d of %d slots are served by masters that answer", h.SlotsCovered, slots)
	}
	return problem
}

// problem says why the node cannot take writes, or nil.
func (r nodeReport) problem() error {
	switch {
	case r.err != nil:
		return r.err
	case r.loading:
		return errors.New("the server is loading its data set")
	case r.Role == "slave":
		return errors.New("the server is a replica")
	}
	return nil
}
