package redistest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	clusterMasters     = 3
	clusterReplicas    = 3
	slotCount          = 16384
	clusterBound       = 60 * time.Second
	defaultNodeTimeout = 2 * time.Second

	manualFailoverTimeout = 6 * time.Second // the servers give up after 5 s
)

// ClusterConfig says how to start a cluster. The zero value has no password.
type ClusterConfig struct {
	// Args are further directives for every node, as in ServerConfig.
	Args []string

	// Username and Password protect every node and are what the nodes use
	// among themselves. As in ServerConfig.
	Username, Password string

	// NodeTimeout is how long a node must be silent to be given up. Default
	// 2 s; at least 1 ms.
	NodeTimeout time.Duration
}

// Cluster is three masters with a replica each. Its methods may be called
// concurrently, but one failover or migration should be over before the next
// begins.
type Cluster struct {
	config ClusterConfig
	nodes  []*Server
	ids    map[string]*Server // by node id, which a restart does not change
}

// StartCluster starts a cluster and returns when every node says that it is
// up, all agree on who serves which slot, and the replicas are in sync. A
// master declares itself up two seconds after its start at the earliest, so
// this takes a little more.
func StartCluster(config ClusterConfig) (*Cluster, error) {
	if config.NodeTimeout == 0 {
		config.NodeTimeout = defaultNodeTimeout
	}
	if config.NodeTimeout < time.Millisecond {
		return nil, fmt.Errorf("redistest: NodeTimeout %v is below a millisecond", config.NodeTimeout)
	}
	c := &Cluster{config: config, ids: make(map[string]*Server)}
	if err := c.start(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start() error {
	var err error
	c.nodes, err = startServers(clusterMasters+clusterReplicas, ServerConfig{
		// The news that a node has become a replica travels with pings, which
		// are sent every half of the node timeout: the one that was asked for
		// is set at the end.
		Args: append([]string{"--cluster-enabled", "yes",
			"--cluster-node-timeout", millis(defaultNodeTimeout)}, c.config.Args...),
		Username: c.config.Username,
		Password: c.config.Password,
	}, false)
	if err != nil {
		return err
	}
	ids := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		if ids[i], err = node.text("CLUSTER", "MYID"); err != nil {
			return err
		}
		c.ids[ids[i]] = node
		// Epochs that differ from the start need no conflict to be resolved.
		if _, err := node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
		if i < clusterMasters {
			if err := addSlots(node, slotCount*i/clusterMasters, slotCount*(i+1)/clusterMasters); err != nil {
				return err
			}
		}
		// Everybody meets everybody: gossip alone would take seconds.
		for _, earlier := range c.nodes[:i] {
			if _, err := node.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(earlier.Port())); err != nil {
				return err
			}
		}
	}
	for i, replica := range c.nodes[clusterMasters:] {
		if err := poll(clusterBound, "the nodes to meet", func() error {
			_, err := replica.Do("CLUSTER", "REPLICATE", ids[i])
			return err
		}); err != nil {
			return err
		}
	}
	if err := c.WaitOK(); err != nil {
		return err
	}
	for _, node := range c.nodes {
		if _, err := node.Do("CONFIG", "SET", "cluster-node-timeout", millis(c.config.NodeTimeout)); err != nil {
			return err
		}
	}
	return nil
}

// addSlots gives a master the slots from first up to but not including end,
// one by one because ADDSLOTSRANGE is newer than the oldest server supported.
func addSlots(node *Server, first, end int) error {
	args := []string{"CLUSTER", "ADDSLOTS"}
	for slot := first; slot < end; slot++ {
		args = append(args, strconv.Itoa(slot))
	}
	_, err := node.Do(args...)
	return err
}

// Addrs returns the addresses of all six nodes, running or not.
func (c *Cluster) Addrs() []string { return addrs(c.nodes) }

// Nodes returns all six nodes, running or not.
func (c *Cluster) Nodes() []*Server { return slices.Clone(c.nodes) }

// Masters returns the masters that serve slots now, in the order of the first
// slot each serves, as the first node that answers sees it. A killed master
// is among them until its replica has taken over.
func (c *Cluster) Masters() ([]*Server, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	var masters []*Server
	for _, owner := range v.owners {
		if master := c.ids[owner]; master != nil && !slices.Contains(masters, master) {
			masters = append(masters, master)
		}
	}
	return masters, nil
}

// Replicas returns the replicas of one master now.
func (c *Cluster) Replicas(master *Server) ([]*Server, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	var replicas []*Server
	for _, node := range c.nodes { // in a stable order
		for id, n := range v.nodes {
			if c.ids[id] == node && c.ids[n.master] == master && master != nil {
				replicas = append(replicas, node)
			}
		}
	}
	return replicas, nil
}

// NodeForSlot returns the master that serves a slot now.
func (c *Cluster) NodeForSlot(slot int) (*Server, error) {
	if err := checkSlot(slot); err != nil {
		return nil, err
	}
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	node := c.ids[v.owners[slot]]
	if node == nil {
		return nil, fmt.Errorf("redistest: nobody serves slot %d", slot)
	}
	return node, nil
}

// SlotOf returns the slot of a key.
func (c *Cluster) SlotOf(key string) (int, error) {
	node, err := c.responsive()
	if err != nil {
		return 0, err
	}
	reply, err := node.Do("CLUSTER", "KEYSLOT", key)
	if err != nil {
		return 0, err
	}
	slot, ok := reply.(int64)
	if !ok {
		return 0, fmt.Errorf("redistest: CLUSTER KEYSLOT replied %v", reply)
	}
	return int(slot), nil
}

func checkSlot(slot int) error {
	if slot < 0 || slot >= slotCount {
		return fmt.Errorf("redistest: slot %d is not in 0..%d", slot, slotCount-1)
	}
	return nil
}

// KillMaster kills the i-th of Masters as kill -9 does and returns it. The
// others notice after NodeTimeout; WaitOK waits for its replica to take over.
func (c *Cluster) KillMaster(i int) (*Server, error) {
	masters, err := c.Masters()
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= len(masters) {
		return nil, fmt.Errorf("redistest: no master %d of %d", i, len(masters))
	}
	masters[i].Kill()
	return masters[i], nil
}

// FailoverTo makes a replica the master of its slots without losing a write
// and returns when all running nodes agree.
func (c *Cluster) FailoverTo(replica *Server) error {
	var asked time.Time
	return poll(clusterBound, "the failover to "+replica.Addr(), func() error {
		info, err := replica.info("replication")
		if err != nil {
			return err
		}
		if info["role"] == "master" {
			return c.check()
		}
		// Asking starts the attempt over, so ask again only after it has failed.
		if time.Since(asked) > manualFailoverTimeout {
			if _, err := replica.Do("CLUSTER", "FAILOVER"); err != nil {
				return err
			}
			asked = time.Now()
		}
		return errors.New("it is still a replica")
	})
}

// WaitOK returns when all nodes that run and are not paused say that the
// cluster is up, agree on who serves which slot, each slot's master is one of
// them, and every other one is a replica in sync. It gives up after a minute.
func (c *Cluster) WaitOK() error {
	return poll(clusterBound, "the cluster to be healthy", c.check)
}

func (c *Cluster) check() error {
	var first *clusterView
	var firstNode *Server
	for _, node := range c.nodes {
		if !node.responsive() {
			continue
		}
		v, err := viewFrom(node)
		if err != nil {
			return err
		}
		if err := c.checkView(v); err != nil {
			return fmt.Errorf("node %s: %w", node.Addr(), err)
		}
		if first == nil {
			first, firstNode = v, node
		} else if first.owners != v.owners {
			return fmt.Errorf("nodes %s and %s disagree on the slots", firstNode.Addr(), node.Addr())
		}
		info, err := node.text("CLUSTER", "INFO")
		if err != nil {
			return err
		}
		if state := parseInfo(info)["cluster_state"]; state != "ok" {
			return fmt.Errorf("node %s: cluster_state is %q", node.Addr(), state)
		}
	}
	if first == nil {
		return errors.New("no node is running")
	}
	for id, n := range first.nodes {
		replica := c.ids[id]
		if n.master == "" || replica == nil || !replica.responsive() {
			continue
		}
		if err := checkReplicaOf(replica, c.ids[n.master]); err != nil {
			return err
		}
	}
	return nil
}

// checkView checks one node's view of the nodes that run.
func (c *Cluster) checkView(v *clusterView) error {
	serves := make(map[string]bool)
	for slot, owner := range v.owners {
		if owner == "" {
			return fmt.Errorf("nobody serves slot %d", slot)
		}
		serves[owner] = true
	}
	for id := range serves {
		if node := c.ids[id]; node == nil || !node.responsive() {
			return fmt.Errorf("slots belong to %s, which is not running", v.nodes[id].addr)
		}
	}
	for id, node := range c.ids {
		if !node.responsive() {
			continue
		}
		n, known := v.nodes[id]
		switch {
		case !known:
			return fmt.Errorf("%s is unknown", node.Addr())
		case n.addr != node.Addr():
			return fmt.Errorf("%s is known as %q", node.Addr(), n.addr)
		case !n.healthy:
			return fmt.Errorf("%s is %s", node.Addr(), n.state)
		case !serves[id] && !serves[n.master]:
			return fmt.Errorf("%s neither serves slots nor is a replica of one that does", node.Addr())
		}
	}
	return nil
}

// view is the cluster as the first node that can answer sees it.
func (c *Cluster) view() (*clusterView, error) {
	node, err := c.responsive()
	if err != nil {
		return nil, err
	}
	return viewFrom(node)
}

func (c *Cluster) responsive() (*Server, error) {
	for _, node := range c.nodes {
		if node.responsive() {
			return node, nil
		}
	}
	return nil, errors.New("redistest: no node is running")
}

// Close ends all nodes. It may be called twice.
func (c *Cluster) Close() error { return closeServers(c.nodes) }

// clusterView is what CLUSTER NODES says on one node.
type clusterView struct {
	nodes  map[string]clusterNode // by id
	owners [slotCount]string      // ids
}

type clusterNode struct {
	addr    string
	state   string // flags and link, for errors
	healthy bool
	master  string // id, empty unless it is a replica
}

func viewFrom(node *Server) (*clusterView, error) {
	text, err := node.text("CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	v, err := parseNodes(text)
	if err != nil {
		return nil, fmt.Errorf("redistest: CLUSTER NODES at %s: %w", node.Addr(), err)
	}
	return v, nil
}

// parseNodes reads lines of
//
//	id ip:port@bus flags master ping pong epoch link slot first-last [slot->-id]
func parseNodes(text string) (*clusterView, error) {
	v := &clusterView{nodes: make(map[string]clusterNode)}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("malformed line %q", line)
		}
		id, flags := f[0], strings.Split(f[2], ",")
		n := clusterNode{state: f[2] + " and " + f[7], healthy: f[7] == "connected"}
		n.addr, _, _ = strings.Cut(f[1], "@")
		for _, flag := range flags {
			switch flag {
			case "fail", "fail?", "handshake", "noaddr":
				n.healthy = false
			case "slave":
				n.master = f[3]
			}
		}
		v.nodes[id] = n
		for _, slots := range f[8:] {
			if strings.HasPrefix(slots, "[") {
				continue // on its way to or from this node
			}
			low, high, isRange := strings.Cut(slots, "-")
			if !isRange {
				high = low
			}
			first, err1 := strconv.Atoi(low)
			last, err2 := strconv.Atoi(high)
			if err1 != nil || err2 != nil || first < 0 || last >= slotCount {
				return nil, fmt.Errorf("malformed slots %q", slots)
			}
			for slot := first; slot <= last; slot++ {
				v.owners[slot] = id
			}
		}
	}
	return v, nil
}
