package rediskit_test

import (
	"context"
	"strings"
	"testing"
	"time"

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
