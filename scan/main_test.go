package scan_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/scan"
)

func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m)
}

func newScanner(t testing.TB, c *rediskit.Client, cfg scan.Config) *scan.Scanner {
	t.Helper()
	s, err := scan.New(c, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func connect(t testing.TB, cfg rediskit.Config) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func startServer(t testing.TB, args ...string) (*redistest.Server, rediskit.Config) {
	t.Helper()
	s, err := redistest.StartServer(redistest.ServerConfig{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, rediskit.Config{Addrs: []string{s.Addr()}}
}

func startSentinel(t testing.TB) (*redistest.Sentinel, rediskit.Config) {
	t.Helper()
	s, err := redistest.StartSentinel(redistest.SentinelConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, rediskit.Config{
		Addrs:          s.Addrs(),
		Sentinel:       rediskit.Sentinel{Master: s.MasterName()},
		CommandTimeout: 20 * time.Second,
	}
}

func startCluster(t testing.TB, args ...string) (*redistest.Cluster, rediskit.Config) {
	t.Helper()
	cl, err := redistest.StartCluster(redistest.ClusterConfig{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl, rediskit.Config{Addrs: cl.Addrs(), Cluster: true, CommandTimeout: 20 * time.Second}
}

// fill sets keys that begin with prefix and returns them.
func fill(t testing.TB, c *rediskit.Client, prefix string, n int) []string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	set(t, c, names...)
	return names
}

func set(t testing.TB, c *rediskit.Client, names ...string) {
	t.Helper()
	for chunk := range slices.Chunk(names, 1000) {
		for _, res := range c.DoMulti(context.Background(), len(chunk), func(b rueidis.Builder, i int) rueidis.Completed {
			return b.Set().Key(chunk[i]).Value("v").Build().ToRetryable()
		}) {
			if err := res.Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// list collects what Keys yields, with the number of times, up to the error.
func list(s *scan.Scanner, ctx context.Context, pattern string) (map[string]int, error) {
	times := make(map[string]int)
	for key, err := range s.Keys(ctx, pattern) {
		if err != nil {
			return times, err
		}
		times[key]++
	}
	return times, nil
}

// wantOnce fails unless exactly these keys were found, each once.
func wantOnce(t testing.TB, times map[string]int, names []string) {
	t.Helper()
	missing := 0
	for _, name := range names {
		if times[name] == 0 {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d keys are missing", missing, len(names))
	}
	if extra := len(times) - (len(names) - missing); extra > 0 {
		t.Errorf("%d keys are there that should not be", extra)
	}
	for _, n := range times {
		if n != 1 {
			t.Errorf("keys were repeated: %v times", slices.Max(slices.Collect(maps.Values(times))))
			break
		}
	}
}

func wantScanError(t testing.TB, err error, pattern string) {
	t.Helper()
	var se *rediskit.ScanError
	if !errors.As(err, &se) || se.Pattern != pattern {
		t.Fatalf("got %T %v, want a ScanError about %q", err, err, pattern)
	}
}

func wantConnectionError(t testing.TB, err error, pattern string) {
	t.Helper()
	wantScanError(t, err, pattern)
	var ce *rediskit.ConnectionError
	if !errors.As(err, &ce) {
		t.Fatalf("got %v, want a ConnectionError within", err)
	}
}

// check reports an error of something that a test does in the middle of a walk.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fillFast sets n keys with long names.
func fillFast(t testing.TB, c *rediskit.Client, n int) {
	t.Helper()
	const chunk = 10_000
	pad := strings.Repeat("x", 100)
	for from := 0; from < n; from += chunk {
		err := c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
			cmd := b.Mset().KeyValue()
			for i := from; i < min(from+chunk, n); i++ {
				cmd = cmd.KeyValue(fmt.Sprintf("%s%d", pad, i), "v")
			}
			return cmd.Build().ToRetryable()
		}).Error()
		check(t, err)
	}
}

// heapInUse returns what is reachable, and what the collector has not got round to yet.
func heapInUse() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// eventually waits until what is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// replicated waits until a replica has as many keys as its primary: what it has not, a failover loses.
func replicated(t testing.TB, primary, replica *redistest.Server) {
	t.Helper()
	eventually(t, "the keys to be replicated", func() bool {
		want, err := primary.Do("DBSIZE")
		check(t, err)
		got, err := replica.Do("DBSIZE")
		check(t, err)
		return got == want
	})
}
