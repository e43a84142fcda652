//go:build unix

package ratelimit_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// A process that is stopped for longer than its leases, at any moment, finds when it goes on that they are over.
func TestSoakStoppedProcessesDoNotUseLeasesThatAreOver(t *testing.T) {
	at := shared(t, rediskittest.OnSingle)
	for _, text := range []string{"sliding-window:400/200ms", "fixed-window:400/200ms", "token-bucket:2000/1s,burst=200"} {
		limit := ok[ratelimit.Limit](t)(ratelimit.ParseLimit(text))
		span := time.Second * time.Duration(soak.Scale())
		p := lease(t, 4, leaseOrders{Redis: at, Namespace: newNamespace(t, at), Limit: limit, Lease: hotLimits[text], Span: time.Hour})
		for end := time.Now().Add(span); time.Now().Before(end); {
			cmd := p.cmds[rand.N(len(p.cmds))]
			check(t, cmd.Process.Signal(syscall.SIGSTOP))
			<-time.After(hotLimits[text] + rand.N(2*hotLimits[text]))
			check(t, cmd.Process.Signal(syscall.SIGCONT))
			<-time.After(rand.N(10 * time.Millisecond))
		}
		p.stop()
		p.check(limit)
	}
}
