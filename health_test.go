package rediskit_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

func containsLine(text, line string) bool {
	for l := range strings.Lines(text) {
		if strings.TrimRight(l, "\r\n") == line {
			return true
		}
	}
	return false
}

func TestHealthDescribesEveryNode(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		h, err := c.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		masters := 0
		for _, n := range h.Nodes {
			if n.Err != "" || n.Product == "" || n.Version == "" || n.RTT <= 0 || n.MemoryUsed <= 0 || n.Clients <= 0 {
				t.Errorf("%+v", n)
			}
			if n.Role == "master" {
				masters++
			}
		}
		want := 1
		if h.Mode == "cluster" {
			want = 3
			if h.SlotsCovered != 16384 {
				t.Errorf("%d slots", h.SlotsCovered)
			}
		}
		if masters != want || h.RTT <= 0 {
			t.Errorf("%d masters: %+v", masters, h)
		}
	})
}

func TestHealthOfADeadServerIsAnErrorAndComesBack(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
	s.Kill()
	h, err := c.Health(t.Context())
	wantConnectionError(t, err, false)
	if len(h.Nodes) != 1 || h.Nodes[0].Err == "" {
		t.Errorf("%+v", h)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := c.Health(t.Context())
		return err
	})
}

func TestHealthReturnsInTimeWhateverTheServerDoes(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, HealthTimeout: 50 * time.Millisecond, CommandTimeout: 10 * time.Second})
	p.BlackHole()
	done := make(chan error, 1)
	go func() {
		_, err := c.Health(context.Background())
		done <- err
	}()
	select {
	case err := <-done:
		wantConnectionError(t, err, false)
		if !strings.Contains(err.Error(), "deadline") {
			t.Error(err)
		}
	case <-time.After(9 * time.Second):
		t.Fatal("Health waits for a server that does not answer")
	}
}

func TestACancelledHealthIsNoOutage(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}})
	p.BlackHoleReplies()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	before := p.Stats().RequestBytes
	go func() {
		_, err := c.Health(ctx)
		got <- err
	}()
	eventually(t, func() error {
		if p.Stats().RequestBytes == before {
			return errors.New("not asked yet")
		}
		return nil
	})
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) || rediskit.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
}

// What a broken proxy or a server of another kind may say.
func TestAnUnreadableReplyToCLUSTERSLOTSIsAnError(t *testing.T) {
	var slots atomic.Pointer[[2]int]
	slots.Store(&[2]int{0, 16383})
	var s *miniredis.Miniredis
	s = fakeServer(t, func(c *server.Peer, cmd string, args []string) bool {
		switch {
		case cmd == "INFO":
			c.WriteBulk("redis_version:7.0.0\r\nredis_mode:cluster\r\n")
			return true
		case cmd != "CLUSTER" || len(args) == 0 || !strings.EqualFold(args[0], "SLOTS"):
			return false
		}
		host, port, _ := net.SplitHostPort(s.Addr())
		c.WriteLen(1)
		c.WriteLen(3)
		c.WriteInt(slots.Load()[0])
		c.WriteInt(slots.Load()[1])
		c.WriteLen(3)
		c.WriteBulk(host)
		n, _ := strconv.Atoi(port)
		c.WriteInt(n)
		c.WriteBulk("id")
		return true
	})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, Cluster: true, CommandTimeout: 100 * time.Millisecond, TopologyRefresh: -1})
	if masters, err := c.Masters(t.Context()); err != nil || len(masters) != 1 {
		t.Fatalf("%v, %v", masters, err)
	}
	for _, bad := range [][2]int{{-1, 5}, {7, 6}, {0, 16384}, {20000, 20000}} {
		slots.Store(&bad)
		if _, err := c.Masters(t.Context()); err == nil || !strings.Contains(err.Error(), "unreadable") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestHealthOfAReplicaSaysThatItTakesNoWrites(t *testing.T) {
	set, err := redistest.StartSentinel(redistest.SentinelConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	replica, err := set.Replica()
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, rediskit.Config{Addrs: []string{replica.Addr()}})
	_, err = c.Health(t.Context())
	if err == nil || !strings.Contains(err.Error(), "replica") {
		t.Errorf("%v", err)
	}
}
