// Package tools pins the programs that make check runs. They have a module of
// their own so that nobody who imports rediskit ever sees their dependencies.
package tools
