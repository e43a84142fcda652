// Package goredis makes a rediskit.Config of the options of a go-redis client, so that a service that has
// both reads its settings once.
//
// Address, user, password, database, TLS, client name, and the dial and read time-outs are carried over.
// Options that say how go-redis pools, retries, buffers and pipelines are left behind: rediskit has one
// pipelined connection to each node and its own rules for repeating. Options that say where to connect, as
// whom, or to read from replicas, and that a Config cannot express, are an error, so that nothing of the kind
// is dropped in silence.
//
// Give it the options as you wrote them, not those that a client's Options method returns: go-redis fills in
// its own Dialer there.
package goredis
