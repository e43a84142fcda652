// Package embedded runs an in-process server that speaks Redis's protocol, for development and for unit
// tests that need no server installed. It is miniredis with a running clock.
//
// It is not Redis, and is not what proves rediskit or your service correct. It has no client tracking, no
// sharded pub/sub, no cluster and no replication; it knows no CLIENT UNBLOCK, so a blocking call notices the
// end of its context a little later (50 ms); its Lua prints floats differently; it keeps no data. Commands
// it lacks fail with "unknown command". For a real server in tests see package rediskittest.
package embedded
