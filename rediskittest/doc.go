// Package rediskittest is for tests of code that uses rediskit.
//
//   - [Embedded]: an in-process server; nothing to install.
//   - [Each], [Connect], [Keys]: real servers of every kind, shared among tests.
//   - [Server], [Sentinel], [Cluster]: real servers of a test's own, to kill, stop and fail over.
//   - [FaultProxy]: a network between client and server, to delay, cut and black-hole.
//
// Real servers are processes on free ports of 127.0.0.1. They end with the test, or, when shared, with the process,
// also when that is killed. They need redis-server or valkey-server in $PATH, or its path in $REDISKIT_SERVER. Where
// there is none, tests are skipped, and with CI=true or REDISKIT_REQUIRE_SERVER=1 they fail; both say how to install
// one.
package rediskittest
