// Package leaks fails a package's tests when they leave goroutines behind.
package leaks

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyTestMain runs the tests and then looks for goroutines. Two of the client library's are passed over: for some
// seconds after a client of a cluster was closed, it may still look at the slots once more, and closes the
// connections to nodes that have left. Both end by themselves. A package may name more that it cannot help.
func VerifyTestMain(m *testing.M, more ...goleak.Option) {
	goleak.VerifyTestMain(m, append(more,
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))...)
}
