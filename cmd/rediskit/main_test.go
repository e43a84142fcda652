package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "REDIS_") {
			os.Unsetenv(name)
		}
	}
	leaks.VerifyTestMain(m)
}

// outcome is what a run of the program left on the screen.
type outcome struct {
	out, errs string
	code      int
}

func rediskitRuns(ctx context.Context, args ...string) outcome {
	var out, errs bytes.Buffer
	code := run(ctx, args, &out, &errs)
	return outcome{out.String(), errs.String(), code}
}

// succeeds runs the program and returns its output.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	o := rediskitRuns(t.Context(), args...)
	if o.code != exitDone || o.errs != "" {
		t.Fatalf("rediskit %s: exit code %d, stderr %q", strings.Join(args, " "), o.code, o.errs)
	}
	return o.out
}

// fails runs the program, wants an error in one line, and returns what came.
func fails(t *testing.T, code int, args ...string) outcome {
	t.Helper()
	o := rediskitRuns(t.Context(), args...)
	if o.code != code || strings.Count(o.errs, "\n") != 1 || !strings.HasPrefix(o.errs, "rediskit") {
		t.Errorf("rediskit %s: exit code %d, stderr %q; want code %d and one line", strings.Join(args, " "), o.code, o.errs, code)
	}
	return o
}

// each runs a test on each kind of server, with the URL to give to the program.
func each(t *testing.T, test func(t *testing.T, url string, c *rediskit.Client)) {
	t.Helper()
	for _, kind := range []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster} {
		t.Run(string(kind), func(t *testing.T) {
			test(t, urlOf(t, kind), rediskittest.Connect(t, kind))
		})
	}
}

func urlOf(t *testing.T, kind rediskittest.Kind) string {
	t.Helper()
	var url string
	var err error
	switch kind {
	case rediskittest.OnSingle:
		url, err = redistest.SharedServer()
	case rediskittest.OnSentinel:
		var set redistest.SentinelFixture
		set, err = redistest.SharedSentinel()
		url = strings.Join(set.Addrs, ",") + "/" + set.MasterName
	default:
		var addrs []string
		addrs, err = redistest.SharedCluster()
		url = strings.Join(addrs, ",")
	}
	if err != nil {
		t.Fatal(err)
	}
	if kind == rediskittest.OnSentinel {
		return "redis+sentinel://" + url
	}
	return "redis://" + url
}

// private starts a server that nobody else uses.
func private(t *testing.T, cfg redistest.ServerConfig) *redistest.Server {
	t.Helper()
	server, err := redistest.StartServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// fill sets keys to a text.
func fill(t *testing.T, c *rediskit.Client, names []string) {
	t.Helper()
	results := c.DoMulti(t.Context(), len(names), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Set().Key(names[i]).Value("value").Ex(10 * time.Minute).Build()
	})
	for _, res := range results {
		if err := res.Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// existing counts the keys that exist.
func existing(t *testing.T, c *rediskit.Client, names []string) int {
	t.Helper()
	n := 0
	for _, res := range c.DoMulti(t.Context(), len(names), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Exists().Key(names[i]).Build()
	}) {
		one, err := res.AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		n += int(one)
	}
	return n
}

// numbered makes names that begin with a prefix, in many slots of a cluster.
func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return names
}
