package rediskittest

import (
	"crypto/rand"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/internal/redistest"
)

// Kind is a kind of server that a client can be connected to.
type Kind string

// The kinds of server.
const (
	OnSingle   Kind = "single"   // a server by itself
	OnSentinel Kind = "sentinel" // a primary and a replica behind three sentinels
	OnCluster  Kind = "cluster"  // three masters with a replica each
	OnEmbedded Kind = "embedded" // the in-process server
)

// Each runs a test as a subtest on each kind of server: on a real single server, behind real sentinels and on a
// real cluster unless kinds says otherwise. The real servers are shared with other tests, so a test uses keys of
// its own (see [Keys]), flushes nothing, and breaks nothing. What holds for [Server] without a program, holds here.
func Each(t *testing.T, test func(t *testing.T, c *rediskit.Client), kinds ...Kind) {
	t.Helper()
	if len(kinds) == 0 {
		kinds = []Kind{OnSingle, OnSentinel, OnCluster}
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			test(t, Connect(t, kind))
		})
	}
}

// Connect connects to the shared server of a kind and closes the client when the test ends.
func Connect(t testing.TB, kind Kind) *rediskit.Client {
	t.Helper()
	if kind == OnEmbedded {
		return Embedded(t)
	}
	needBinary(t)
	cfg, err := sharedConfig(kind)
	check(t, err)
	return dial(t, cfg)
}

// Embedded starts an in-process server and returns a client for it. Both end with the test.
func Embedded(t testing.TB) *rediskit.Client {
	t.Helper()
	s, err := embedded.Start()
	check(t, err)
	t.Cleanup(s.Close)
	return s.Client()
}

// Keys returns a function that makes keys nobody else uses. All keys of one call share a hash tag, and so a slot.
func Keys(t testing.TB) func(name string) string {
	tag := "{" + rand.Text() + "}:"
	return func(name string) string { return tag + name }
}

func sharedConfig(kind Kind) (rediskit.Config, error) {
	switch kind {
	case OnSingle:
		addr, err := redistest.SharedServer()
		return rediskit.Config{Addrs: []string{addr}}, err
	case OnSentinel:
		set, err := redistest.SharedSentinel()
		return rediskit.Config{Addrs: set.Addrs, Sentinel: rediskit.Sentinel{Master: set.MasterName}}, err
	default:
		addrs, err := redistest.SharedCluster()
		return rediskit.Config{Addrs: addrs, Cluster: true}, err
	}
}
