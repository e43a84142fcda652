package redistest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func startedCluster(t *testing.T, config ClusterConfig) *Cluster {
	t.Helper()
	began := time.Now()
	c, err := StartCluster(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a cluster took %v to start", time.Since(began).Round(time.Millisecond))
	closeAfter(t, c)
	logAfter(t, c.Nodes()...)
	return c
}

// keysOf writes n keys that share the slot of the tag and returns them.
func keysOf(t *testing.T, node *Server, tag string, n int) []string {
	t.Helper()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("{%s}:%d", tag, i)
		expect(t, node, "OK", "SET", keys[i], strconv.Itoa(i))
	}
	return keys
}

// code returns the code of a command's error reply, or "".
func code(s *Server, args ...string) string {
	_, err := s.Do(args...)
	var refusal ReplyError
	errors.As(err, &refusal)
	return refusal.Code()
}

func TestCluster(t *testing.T) {
	c := startedCluster(t, ClusterConfig{})

	t.Run("serves all slots from three masters with a replica each", func(t *testing.T) {
		masters := must(c.Masters())(t)
		if len(masters) != 3 || len(c.Addrs()) != 6 || len(c.Nodes()) != 6 {
			t.Fatalf("%d masters, addrs %v", len(masters), c.Addrs())
		}
		for i, master := range masters {
			replicas := must(c.Replicas(master))(t)
			if len(replicas) != 1 || slices.Contains(masters, replicas[0]) {
				t.Errorf("master %d has replicas %v", i, addrs(replicas))
			}
		}
		for slot, want := range map[int]*Server{0: masters[0], slotCount / 2: masters[1], slotCount - 1: masters[2]} {
			if got := must(c.NodeForSlot(slot))(t); got != want {
				t.Errorf("slot %d is at %s", slot, got.Addr())
			}
		}
		for _, node := range c.Nodes() {
			if state := parseInfo(must(node.text("CLUSTER", "INFO"))(t))["cluster_state"]; state != "ok" {
				t.Errorf("%s: cluster_state is %q", node.Addr(), state)
			}
		}
	})

	t.Run("moves a slot with more keys than one batch", func(t *testing.T) {
		slot := must(c.SlotOf("{full}:0"))(t)
		from := must(c.NodeForSlot(slot))(t)
		to := otherMaster(t, c, from)
		keys := keysOf(t, from, "full", 2*migrateBatch+1)
		if err := c.MigrateSlot(slot, to); err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			expect(t, to, strconv.Itoa(i), "GET", key)
		}
		if got := code(from, "GET", keys[0]); got != "MOVED" {
			t.Errorf("the source replies %q", got)
		}
		if must(c.NodeForSlot(slot))(t) != to {
			t.Error("the slot did not move")
		}
		if c.MigrateSlot(slot, to) == nil {
			t.Error("no error for a slot that is there already")
		}
		if err := c.WaitOK(); err != nil {
			t.Error(err)
		}
	})

	t.Run("stays in the middle of a migration", func(t *testing.T) {
		slot := must(c.SlotOf("{half}:0"))(t)
		from := must(c.NodeForSlot(slot))(t)
		to := otherMaster(t, c, from)
		keys := keysOf(t, from, "half", 4)
		m := must(c.BeginMigrate(slot, to))(t)
		if m.From != from || m.To != to || m.Slot != slot {
			t.Fatalf("got %+v", m)
		}
		if err := m.MoveKeys(keys[0], keys[1], "{half}:none"); err != nil {
			t.Fatal(err)
		}
		if got := code(from, "GET", keys[0]); got != "ASK" {
			t.Errorf("a moved key: %q", got)
		}
		if got := code(from, "MGET", keys[0], keys[2]); got != "TRYAGAIN" {
			t.Errorf("keys on both sides: %q", got)
		}
		expect(t, from, "2", "GET", keys[2])
		if err := m.Finish(); err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			expect(t, to, strconv.Itoa(i), "GET", key)
		}
	})

	t.Run("hands a master's slots to its replica", func(t *testing.T) {
		master := must(c.Masters())(t)[0]
		replica := must(c.Replicas(master))(t)[0]
		if err := c.FailoverTo(replica); err != nil {
			t.Fatal(err)
		}
		if must(c.NodeForSlot(0))(t) != replica || must(c.Replicas(replica))(t)[0] != master {
			t.Error("they did not change places")
		}
	})

	t.Run("survives a killed master, which comes back as a replica", func(t *testing.T) {
		master := must(c.Masters())(t)[2]
		replica := must(c.Replicas(master))(t)[0]
		if killed := must(c.KillMaster(2))(t); killed != master {
			t.Fatalf("killed %s", killed.Addr())
		}
		if err := c.WaitOK(); err != nil {
			t.Fatal(err)
		}
		if must(c.NodeForSlot(slotCount-1))(t) != replica {
			t.Error("its replica did not take over")
		}
		if err := master.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitOK(); err != nil {
			t.Fatal(err)
		}
		if got := must(c.Replicas(replica))(t); len(got) != 1 || got[0] != master {
			t.Errorf("replicas are %v", addrs(got))
		}
	})

	t.Run("names what does not exist", func(t *testing.T) {
		if _, err := c.NodeForSlot(slotCount); err == nil {
			t.Error("no error for a slot")
		}
		if _, err := c.KillMaster(3); err == nil {
			t.Error("no error for a master")
		}
	})
}

func otherMaster(t *testing.T, c *Cluster, not *Server) *Server {
	t.Helper()
	for _, master := range must(c.Masters())(t) {
		if master != not {
			return master
		}
	}
	t.Fatal("no other master")
	return nil
}

func TestClusterWithPasswordMovesSlotsAndFailsOver(t *testing.T) {
	for _, username := range []string{"", "app"} {
		t.Run("user "+username, func(t *testing.T) {
			c := startedCluster(t, ClusterConfig{
				Args:     []string{"--maxmemory", "100mb"},
				Username: username, Password: "a secret",
				NodeTimeout: 3 * time.Second,
			})
			slot := must(c.SlotOf("{k}:0"))(t)
			from := must(c.NodeForSlot(slot))(t)
			keysOf(t, from, "k", 1)
			to := otherMaster(t, c, from)
			if err := c.MigrateSlot(slot, to); err != nil {
				t.Fatal(err)
			}
			expect(t, to, "0", "GET", "{k}:0")
			if err := c.FailoverTo(must(c.Replicas(to))(t)[0]); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"maxmemory": "104857600", "cluster-node-timeout": "3000"} {
				if pair := must(asStrings(must(to.Do("CONFIG", "GET", name))(t)))(t); pair[1] != want {
					t.Errorf("%s is %s, want %s", name, pair[1], want)
				}
			}
		})
	}
}

func TestBadClusterConfigIsNamed(t *testing.T) {
	for want, config := range map[string]ClusterConfig{
		"NodeTimeout": {NodeTimeout: -time.Second},
		"Username":    {Username: "app"},
	} {
		if _, err := StartCluster(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", want, err)
		}
	}
}

func TestClusterNodesAreParsed(t *testing.T) {
	v, err := parseNodes(`a1 127.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-2 5 [7->-b2]
b2 127.0.0.1:7001@17001 master,fail? - 0 0 2 connected 6-16383
c3 127.0.0.1:7002@17002 slave a1 0 0 1 disconnected
`)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := v.nodes["a1"], v.nodes["b2"], v.nodes["c3"]
	if !a.healthy || a.addr != "127.0.0.1:7000" || a.master != "" || b.healthy || c.healthy || c.master != "a1" {
		t.Errorf("got %+v", v.nodes)
	}
	for slot, want := range map[int]string{0: "a1", 2: "a1", 3: "", 5: "a1", 6: "b2", slotCount - 1: "b2"} {
		if v.owners[slot] != want {
			t.Errorf("slot %d belongs to %q, want %q", slot, v.owners[slot], want)
		}
	}
	for _, garbled := range []string{"a1 127.0.0.1:7000", "a1 x:1@2 master - 0 0 1 connected 0-16384", "a1 x:1@2 master - 0 0 1 connected x"} {
		if _, err := parseNodes(garbled); err == nil {
			t.Errorf("%q: no error", garbled)
		}
	}
}
