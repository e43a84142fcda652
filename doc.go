// Package rediskit connects a service to Redis or Valkey and is what rediskit's other packages stand on.
//
//	client, err := rediskit.Connect(ctx, rediskit.Config{Addrs: []string{"localhost:6379"}})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//
// # Map
//
//   - [Config], [ConfigFromEnv], [ParseURL]: where Redis is. A single server, a primary behind sentinels, and a
//     cluster differ here and nowhere else.
//   - [Connect], [Wrap], [Client.Close], [Client.Health], [Client.Masters].
//   - [Client.Do], [Client.DoMulti], [Client.Block]: run commands that rediskit has no call for, with its rules
//     for failures. [Client.Redis] is the rueidis client below, without them.
//   - [ConnectionError], [OpError], [ScanError], [IsUnavailable], [MayHaveApplied]: what went wrong.
//
// # Guarantees
//
//   - A command is sent again only where that is safe: see the table at [Client.Do].
//   - A call ends with its context. Without a deadline it ends within about twice Config.CommandTimeout; a
//     call that blocks ends when it is told to.
//   - A context that ends takes no element out of a list, set or stream unseen: see [Client.Block].
//   - After a failover the client finds the new primary by itself, also where the old one stays reachable and
//     answers READONLY. After an outage of any length it recovers by itself.
//   - A password appears in no error, no log line and no String.
//
// # Limits
//
//   - Redis replicates asynchronously. A failover can lose writes that were acknowledged, with any client.
//   - A command whose reply was lost may have been applied; [MayHaveApplied] tells. Nothing can tell more.
//   - PUBLISH to a demoted primary succeeds and reaches nobody behind the new one, because a replica does not
//     refuse it.
//   - A connection holds 1,024 commands in flight. With more callers than that, a call may wait for room a little
//     past its deadline; when replies stop, connections full of abandoned commands are replaced.
//   - On a connection that nobody else uses, a call whose context has a deadline may notice that it was cancelled
//     before only when the reply comes, or after Config.CommandTimeout.
//   - One pipelined connection serves each node. It was measured to be as fast as several, or faster.
package rediskit
