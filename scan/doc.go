// Package scan walks over the keys of every master: it lists, counts, visits and deletes those that match a
// pattern, and tells about single ones. It sends SCAN and never KEYS, so the server answers others in between.
//
//	scanner, err := scan.New(client, scan.Config{})
//	if err != nil {
//		return err
//	}
//	n, err := scanner.Count(ctx, "session:*")
//
// # Map
//
//   - [Scanner.Keys] lists, up to Config.Limit keys.
//   - [Scanner.Count] counts, [Scanner.Each] calls a function for each key, [Scanner.Delete] deletes.
//   - [Scanner.Info] tells a key's type, TTL and size.
//   - [Config] has what all of them share: rate, batch, type filter, dry run, progress.
//
// # Guarantees
//
//   - A walk that returns without an error has met every key that matches and existed from its beginning to
//     its end. That includes restarts, failovers, slots that move, and slots that stay half moved; a cursor
//     belongs to one run of one server, and what it could have missed is walked again. When that does not come
//     to an end, the error is [rediskit.ErrTopologyChanged].
//   - Keys lists no key twice; Each as a rule calls for no key twice. See there for the bound.
//   - Memory is bounded: Count and Delete keep one batch, Keys also the keys it has listed, Each the names of
//     200,000 at most.
//   - A walk ends with its context or its loop, and leaves no goroutine and no cursor behind.
//
// # Limits
//
//   - A key that is created, deleted or renamed meanwhile may be met or not.
//   - Count may count a key again that SCAN repeats, which happens while the server's table grows or shrinks.
//   - A walk knows of a slot's move by its owner, the owner's epoch and the marks of a migration, as they are
//     before and after it. Somebody who moves keys to another node and back by hand, and takes the marks away
//     again, all within one walk, can hide keys from it.
//   - Keys on their way to a node that serves no slot yet are found by a redirect to it. The client library
//     keeps to itself such a node that is also among the addresses the client was made with: then, until the
//     slot is moved, a walk ends with [rediskit.ErrTopologyChanged].
//   - A failover loses what was not replicated: a walk after it does not meet it.
//   - Every walk reads the whole keyspace of the nodes it visits, whatever the pattern. The exception is a
//     cluster and a pattern that tells the hash tag ("{user:7}:*"): one node is visited.
//   - The nodes of a cluster are walked one after another, each over a connection of its own, which the client
//     library keeps for a minute.
//   - The user needs INFO, and CLUSTER NODES on a cluster. Where INFO is denied, and on the embedded server,
//     whoever breaks a connection makes that node's walk begin anew.
package scan
