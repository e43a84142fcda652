// Package rediskittest is for tests of code that uses rediskit: an embedded server, and real servers, sentinels
// and clusters that are started for a test and end with it.
package rediskittest
