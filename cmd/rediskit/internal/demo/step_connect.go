package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/embedded"
)

// connect is the way in: it says which server the tour runs on.
func (t *tour) connect(ctx context.Context, redis *rediskit.Config) error {
	t.printf("%s\n\n", t.style.Bold("A tour of rediskit"))
	t.printf("The code that is shown is the code that runs; only checks of err are left out.\n")
	t.printf("key(name) makes a key in %s, the namespace of this tour. All its keys expire\n"+
		"within %s and are deleted at the end.\n", t.namespace.Prefix(), terminal.Span(ttl))
	if redis == nil {
		return t.start()
	}
	return t.dial(ctx, *redis)
}

func (t *tour) start() error {
	t.printf("\n%s the embedded one, in this process, because neither --url nor REDIS_* says where\n"+
		"another is. It is miniredis, not Redis: one node, nothing on disk, no replicas, no client-side\n"+
		"caching, and neither Redis's speed nor all of its commands. On a real server:\n"+
		"  REDIS_URL=redis://host:6379 rediskit demo\n", t.style.Bold("Server:"))

	t.show("A server for development and unit tests, with nothing installed.")
	server, err := embedded.Start()
	if err != nil {
		return err
	}
	client := server.Client()
	t.result("listening at %s", server.Addr())

	t.client, t.close = client, server.Close
	return nil
}

func (t *tour) dial(ctx context.Context, cfg rediskit.Config) error {
	t.printf("\n%s %s\n", t.style.Bold("Server:"), cfg)

	t.show("Single server, Sentinel or cluster: cfg differs, and nothing else.")
	client, err := rediskit.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	t.result("%v", client)
	t.client, t.close = client, client.Close

	t.show("Health asks every node, and is an error if rediskit could not work.")
	health, err := client.Health(ctx)
	if err != nil {
		return err
	}
	t.result("%s", serverLine(health))
	return nil
}

// serverLine says what answered: products and versions, kind, and how many nodes.
func serverLine(h rediskit.Health) string {
	var products []string
	for _, n := range h.Nodes {
		if name := n.Product + " " + n.Version; n.Err == "" && !slices.Contains(products, name) {
			products = append(products, name)
		}
	}
	nodes := "1 node"
	if len(h.Nodes) != 1 {
		nodes = fmt.Sprintf("%d nodes", len(h.Nodes))
	}
	return fmt.Sprintf("%s, %s, %s, answered in %s", strings.Join(products, " and "), h.Mode, nodes,
		terminal.Milliseconds(h.RTT))
}
