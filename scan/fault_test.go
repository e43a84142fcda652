package scan_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/scan"
)

// countCommand returns how often a server has run a command since it was started.
func countCommand(t testing.TB, s *redistest.Server, name string) int {
	t.Helper()
	reply, err := s.Do("INFO", "commandstats")
	check(t, err)
	_, rest, ok := strings.Cut(reply.(string), "cmdstat_"+name+":calls=")
	if !ok {
		return 0
	}
	var n int
	_, err = fmt.Sscanf(rest, "%d", &n)
	check(t, err)
	return n
}

// during runs do once, after the walk has found some keys and before it has found all.
func during(do func()) func(scan.Progress) {
	done := false
	return func(p scan.Progress) {
		if !done && p.Matched > 0 && p.Scanned < p.Total {
			done = true
			do()
		}
	}
}

func TestAWalkThatMeetsARestartBeginsThatNodeAnewAndMissesNothing(t *testing.T) {
	const n = 20_000
	server, cfg := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	restart := func() {
		server.Kill()
		check(t, server.Restart())
	}

	got, err := list(newScanner(t, c, scan.Config{Limit: -1, Batch: 500, Progress: during(restart)}), t.Context(), "k*")
	check(t, err)
	wantOnce(t, got, names)

	count, err := newScanner(t, c, scan.Config{Batch: 500, Progress: during(restart)}).Count(t.Context(), "k*")
	check(t, err)
	if count != n {
		t.Errorf("Count: got %d, want %d", count, n)
	}

	deleted, err := newScanner(t, c, scan.Config{Rate: -1, Progress: during(restart)}).Delete(t.Context(), "k*")
	check(t, err)
	left, err := newScanner(t, c, scan.Config{}).Count(t.Context(), "k*")
	check(t, err)
	if deleted != n || left != 0 {
		t.Errorf("Delete: got %d, want %d; %d are left", deleted, n, left)
	}
}

func TestABrokenConnectionToTheSameProcessCostsNothing(t *testing.T) {
	const n, batch = 5000, 100
	server, cfg := startServer(t)
	proxy, err := redistest.StartProxy(server.Addr())
	check(t, err)
	t.Cleanup(func() { proxy.Close() })
	cfg.Addrs = []string{proxy.Addr()}
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	cuts := 0
	got, err := list(newScanner(t, c, scan.Config{Batch: batch, Progress: func(p scan.Progress) {
		if p.Matched > n/2 && cuts < 3 {
			cuts++
			proxy.CutAfterReplyBytes(1000) // in the middle of the next reply, or of the new connection's first
		}
	}}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)
	if calls := countCommand(t, server, "scan"); calls > n/batch+10 {
		t.Errorf("SCAN was called %d times for %d batches", calls, n/batch)
	}
}

func TestAServerThatIsKilledAndStaysDownEndsTheWalkWithAConnectionError(t *testing.T) {
	server, cfg := startServer(t)
	cfg.CommandTimeout = 300 * time.Millisecond
	c := connect(t, cfg)
	fill(t, c, "k", 5000)
	for name, call := range map[string]func(cfg scan.Config) error{
		"Keys": func(cfg scan.Config) error {
			_, err := list(newScanner(t, c, cfg), context.Background(), "k*")
			return err
		},
		"Count": func(cfg scan.Config) error {
			_, err := newScanner(t, c, cfg).Count(context.Background(), "k*")
			return err
		},
		"Each": func(cfg scan.Config) error {
			return newScanner(t, c, cfg).Each(context.Background(), "k*", 3, func(context.Context, string) error { return nil })
		},
		"Delete": func(cfg scan.Config) error {
			n, err := newScanner(t, c, cfg).Delete(context.Background(), "k*")
			if n == 0 {
				t.Errorf("Delete does not say how many it had deleted")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := call(scan.Config{Batch: 100, Progress: during(server.Kill)})
			wantConnectionError(t, err, "k*")
			if !rediskit.IsUnavailable(err) || !strings.Contains(err.Error(), server.Addr()) {
				t.Errorf("got %v", err)
			}
			// The client and the same scanner's next walk recover by themselves.
			check(t, server.Restart())
			fill(t, c, "k", 5000)
			if n, err := newScanner(t, c, scan.Config{}).Count(t.Context(), "k*"); err != nil || n != 5000 {
				t.Errorf("afterwards: got %d, %v, want 5000", n, err)
			}
		})
	}
}

func TestASilentServerKeepsNobodyPastTheContext(t *testing.T) {
	server, cfg := startServer(t)
	cfg.CommandTimeout = time.Minute
	c := connect(t, cfg)
	fill(t, c, "k", 1000)
	t.Cleanup(func() { server.Resume() })

	for name, contextFor := range map[string]func() (context.Context, context.CancelFunc){
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 100*time.Millisecond)
		},
		"cancel": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
		"cancel before the deadline": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, server.Resume())
			ctx, cancel := contextFor()
			defer cancel()
			// The test's own time limit is what fails here if the context is not honoured.
			_, err := newScanner(t, c, scan.Config{Batch: 10, Progress: during(func() { check(t, server.Pause()) })}).Count(ctx, "*")
			wantConnectionError(t, err, "*")
			if !errors.Is(err, ctx.Err()) {
				t.Errorf("got %v, want %v", err, ctx.Err())
			}
		})
	}
	check(t, server.Resume())
}

func TestASilentServerIsGivenUpWithoutADeadline(t *testing.T) {
	server, cfg := startServer(t)
	cfg.CommandTimeout = 200 * time.Millisecond
	c := connect(t, cfg)
	fill(t, c, "k", 1000)
	_, err := newScanner(t, c, scan.Config{Batch: 10, Progress: during(func() { check(t, server.Pause()) })}).Count(context.Background(), "*")
	wantConnectionError(t, err, "*")
	check(t, server.Resume())
	if n, err := newScanner(t, c, scan.Config{}).Count(t.Context(), "*"); err != nil || n != 1000 {
		t.Errorf("afterwards: got %d, %v, want 1000", n, err)
	}
}

func TestAServerThatIsDownFromTheStartIsAConnectionError(t *testing.T) {
	server, cfg := startServer(t)
	cfg.CommandTimeout = 100 * time.Millisecond
	c := connect(t, cfg)
	server.Kill()
	_, err := newScanner(t, c, scan.Config{}).Count(context.Background(), "*")
	wantConnectionError(t, err, "*")
}

func TestAWalkFollowsASentinelFailover(t *testing.T) {
	const n = 5000
	set, cfg := startSentinel(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	primary, err := set.Primary()
	check(t, err)
	replica, err := set.Replica()
	check(t, err)
	replicated(t, primary, replica)
	for name, failover := range map[string]func(){
		"asked for": func() {
			_, err := set.Failover()
			check(t, err)
		},
		"killed": func() {
			old, err := set.KillPrimary()
			check(t, err)
			_, err = set.WaitPromoted(old)
			check(t, err)
			check(t, old.Restart())
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := list(newScanner(t, c, scan.Config{Batch: 100, Progress: during(failover)}), t.Context(), "*")
			check(t, err)
			wantOnce(t, got, names)
			check(t, set.WaitOK())
			count, err := newScanner(t, c, scan.Config{Batch: 100, Progress: during(failover)}).Count(t.Context(), "*")
			check(t, err)
			if count != n {
				t.Errorf("Count: got %d, want %d", count, n)
			}
			check(t, set.WaitOK())
		})
	}
	t.Run("during Delete", func(t *testing.T) {
		_, err := newScanner(t, c, scan.Config{Rate: -1, Progress: during(func() {
			_, err := set.Failover()
			check(t, err)
		})}).Delete(t.Context(), "*")
		check(t, err)
		if left, err := newScanner(t, c, scan.Config{}).Count(t.Context(), "*"); err != nil || left != 0 {
			t.Errorf("%d keys are left, %v", left, err)
		}
	})
}
