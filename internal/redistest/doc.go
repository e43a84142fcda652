// Package redistest starts real Redis or Valkey processes for tests, breaks
// them in the ways production does, and cleans up after them.
//
//	StartServer    one server: kill, stop, restart, pause, resume
//	StartSentinel  a primary, a replica and three sentinels: fail over
//	StartCluster   three masters and three replicas: fail over, move slots
//	StartProxy     a TCP proxy that delays, cuts and black-holes
//	SharedServer, SharedSentinel, SharedCluster
//	               fixtures that several test packages attach to
//
// It knows nothing of testing.T and nothing of any client library: what it
// starts is an address, and everything has a Close that may be called twice.
//
// # Guarantees
//
//   - A server that was returned answers commands, on a port that belongs to
//     it: the check runs over a unix socket in a directory of its own, so a
//     stranger on the same port is never taken for it.
//   - Close ends and reaps the process and removes what was made for it.
//   - When the process that called Start dies, however it dies, its servers
//     are killed and their temporary directories removed.
//   - There is no goroutine behind a server, a sentinel set or a cluster, so
//     leak checkers stay quiet even about those that live as long as the
//     process. A FaultProxy has goroutines; its Close ends them.
//   - Errors carry the end of the server's log.
//
// # Limits
//
// It needs a Unix: elsewhere StartServer returns [errors.ErrUnsupported].
// No call takes a context: each has a bound of its own, at most a minute, and
// reports what it still waited for when the bound is reached. Everything
// listens on 127.0.0.1 only. Servers keep nothing on disk unless Args say so.
package redistest
