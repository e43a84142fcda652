// Command rediskit is rediskit for operators: it shows whether Redis is well, lists, counts and deletes keys on every
// master without hurting live traffic, works with rate limits and tries them on access logs, looks at sessions and ends
// them, and gives a guided tour of the toolkit.
//
//	rediskit ping
//	rediskit scan 'session:*' --info
//	rediskit delete 'cache:event:*' --yes
//	rediskit limit peek user:42 --limit sliding-window:100/1m
//	rediskit limit replay --limit sliding-window:100/1m access.log
//	rediskit session list user-42
//	rediskit demo
//
// Where Redis is, it reads from --url or from the environment, as rediskit.ConfigFromEnv does. docs/cli.md is its
// guide.
//
// It exits with 0 when it did what it was asked to, with 1 when it did not, with 2 when it was asked in a way that it does
// not understand, and with 3 when it asked a rate limit and was refused, or for a session that there is not. Errors go to the
// standard error in one line. No output contains a password, the secret of a session or the key of sessions' tags.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Whoever interrupts a second time does not want to wait for a clean end.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
