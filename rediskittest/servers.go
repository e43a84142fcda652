package rediskittest

import (
	"context"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
)

// RedisServer is a real server process of the test's own.
type RedisServer struct {
	t testing.TB
	s *redistest.Server
}

// Server starts a redis-server, or a valkey-server, on a free port of 127.0.0.1, without persistence. It ends with
// the test. args are further directives as on the server's command line: "--maxmemory", "10mb".
//
// Where there is no such program the test is skipped, or, if CI=true or REDISKIT_REQUIRE_SERVER=1 is set, fails; both
// say how to install one. $REDISKIT_SERVER names another program than the one found in $PATH.
func Server(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	needBinary(t)
	s, err := redistest.StartServer(redistest.ServerConfig{Args: args})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return &RedisServer{t, s}
}

// Addr returns "127.0.0.1:port".
func (r *RedisServer) Addr() string { return r.s.Addr() }

// Config returns what connects to the server.
func (r *RedisServer) Config() rediskit.Config { return rediskit.Config{Addrs: []string{r.Addr()}} }

// Client connects to the server. The client is closed when the test ends.
func (r *RedisServer) Client() *rediskit.Client { return dial(r.t, r.Config()) }

// Do sends a command over a connection of its own and returns the reply: string, int64, nil or []any. It goes round
// the client under test, and is for looking at the server, not for speed.
func (r *RedisServer) Do(args ...string) any {
	r.t.Helper()
	v, err := r.s.Do(args...)
	check(r.t, err)
	return v
}

// Kill ends the process at once, as kill -9 does.
func (r *RedisServer) Kill() { r.s.Kill() }

// Restart starts the process again on the same port and directory, and returns when it answers.
func (r *RedisServer) Restart() {
	r.t.Helper()
	check(r.t, r.s.Restart())
}

// Pause stops the process without ending it: connections stay open and nothing is answered, until Resume.
func (r *RedisServer) Pause() {
	r.t.Helper()
	check(r.t, r.s.Pause())
}

// Resume ends Pause.
func (r *RedisServer) Resume() {
	r.t.Helper()
	check(r.t, r.s.Resume())
}

// SentinelSet is a primary with a replica, watched by three sentinels, of the test's own.
type SentinelSet struct {
	t testing.TB
	s *redistest.Sentinel
}

// Sentinel starts a primary, a replica and three sentinels, which takes about a second. They end with the test. What
// holds for [Server] without a program, holds here.
func Sentinel(t testing.TB) *SentinelSet {
	t.Helper()
	needBinary(t)
	s, err := redistest.StartSentinel(redistest.SentinelConfig{})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return &SentinelSet{t, s}
}

// Config returns what connects through the sentinels.
func (s *SentinelSet) Config() rediskit.Config {
	return rediskit.Config{Addrs: s.s.Addrs(), Sentinel: rediskit.Sentinel{Master: s.s.MasterName()}}
}

// Client connects through the sentinels. The client is closed when the test ends.
func (s *SentinelSet) Client() *rediskit.Client { return dial(s.t, s.Config()) }

// Primary returns the server that the sentinels name now.
func (s *SentinelSet) Primary() *RedisServer {
	s.t.Helper()
	p, err := s.s.Primary()
	check(s.t, err)
	return &RedisServer{s.t, p}
}

// Failover makes the sentinels promote the replica, and returns when they have.
func (s *SentinelSet) Failover() {
	s.t.Helper()
	_, err := s.s.Failover()
	check(s.t, err)
}

// KillPrimary ends the primary at once and returns when the sentinels have promoted the replica.
func (s *SentinelSet) KillPrimary() {
	s.t.Helper()
	old, err := s.s.KillPrimary()
	check(s.t, err)
	_, err = s.s.WaitPromoted(old)
	check(s.t, err)
}

// ClusterSet is a cluster of three masters with a replica each, of the test's own.
type ClusterSet struct {
	t testing.TB
	c *redistest.Cluster
}

// Cluster starts a cluster, which takes two to three seconds. It ends with the test. What holds for [Server] without
// a program, holds here.
func Cluster(t testing.TB) *ClusterSet {
	t.Helper()
	needBinary(t)
	c, err := redistest.StartCluster(redistest.ClusterConfig{})
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return &ClusterSet{t, c}
}

// Config returns what connects to the cluster.
func (c *ClusterSet) Config() rediskit.Config {
	return rediskit.Config{Addrs: c.c.Addrs(), Cluster: true}
}

// Client connects to the cluster. The client is closed when the test ends.
func (c *ClusterSet) Client() *rediskit.Client { return dial(c.t, c.Config()) }

// Owner returns the master that serves the slot of a key.
func (c *ClusterSet) Owner(key string) *RedisServer {
	c.t.Helper()
	slot, err := c.c.SlotOf(key)
	check(c.t, err)
	s, err := c.c.NodeForSlot(slot)
	check(c.t, err)
	return &RedisServer{c.t, s}
}

// MoveSlot moves the slot of a key, with the keys in it, to another master.
func (c *ClusterSet) MoveSlot(key string) {
	c.t.Helper()
	slot, err := c.c.SlotOf(key)
	check(c.t, err)
	owner, err := c.c.NodeForSlot(slot)
	check(c.t, err)
	masters, err := c.c.Masters()
	check(c.t, err)
	for _, m := range masters {
		if m.Addr() != owner.Addr() {
			check(c.t, c.c.MigrateSlot(slot, m))
			return
		}
	}
}

// KillMaster ends a master at once and returns when its replica has taken over.
func (c *ClusterSet) KillMaster(i int) {
	c.t.Helper()
	_, err := c.c.KillMaster(i)
	check(c.t, err)
	client := c.Client()
	defer client.Close()
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := client.Health(context.Background())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("rediskittest: no replica has taken over after a minute: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Proxy stands between a client and a server and breaks what a network can break.
type Proxy struct {
	t testing.TB
	p *redistest.FaultProxy
}

// FaultProxy starts a proxy to an address on this machine. It ends with the test.
func FaultProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	p, err := redistest.StartProxy(addr)
	check(t, err)
	t.Cleanup(func() { p.Close() })
	return &Proxy{t, p}
}

// Addr returns the address that clients connect to.
func (p *Proxy) Addr() string { return p.p.Addr() }

// Delay makes every round trip longer from now on; zero ends it. It is latency only: what is pipelined stays close
// together.
func (p *Proxy) Delay(d time.Duration) { p.p.SetDelay(d) }

// Cut resets all connections. New ones work.
func (p *Proxy) Cut() { p.p.Cut() }

// CutAfterReplyBytes lets n more bytes of replies through and then resets all connections, once: a reply cut in its
// middle, or for n of zero a command whose reply is lost with its connection.
func (p *Proxy) CutAfterReplyBytes(n int64) { p.p.CutAfterReplyBytes(n) }

// BlackHole makes the network swallow everything both ways, without closing anything, until Resume.
func (p *Proxy) BlackHole() { p.p.BlackHole() }

// BlackHoleReplies lets requests through and swallows the replies, until Resume: the server does what its client
// never hears of.
func (p *Proxy) BlackHoleReplies() { p.p.BlackHoleReplies() }

// RefuseNew refuses new connections, until Resume. Existing ones are left alone.
func (p *Proxy) RefuseNew() {
	p.t.Helper()
	check(p.t, p.p.RefuseNew(true))
}

// Resume ends BlackHole, BlackHoleReplies and RefuseNew, and resets the connections that lost bytes.
func (p *Proxy) Resume() {
	p.t.Helper()
	check(p.t, p.p.Resume())
}

func dial(t testing.TB, cfg rediskit.Config) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(context.Background(), cfg)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("rediskittest: %v", err)
	}
}

// needBinary skips the test where there is no server program to run, but never in CI.
func needBinary(t testing.TB) {
	t.Helper()
	if _, err := redistest.FindBinary(); err != nil {
		if redistest.Required() {
			t.Fatalf("rediskittest: %v", err)
		}
		t.Skipf("rediskittest: %v", err)
	}
}
