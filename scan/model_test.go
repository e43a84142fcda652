package scan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scan"
)

// churn sets and deletes other keys, thousands at a time so that the server's table grows and shrinks, until stop
// is called.
func churn(t *testing.T, c *rediskit.Client, prefix string) (stop func()) {
	var stopped atomic.Bool
	var wg sync.WaitGroup
	command := func(i int, del bool) func(b rueidis.Builder, _ int) rueidis.Completed {
		return func(b rueidis.Builder, j int) rueidis.Completed {
			key := fmt.Sprintf("%s%d", prefix, i+j)
			if del {
				return b.Del().Key(key).Build()
			}
			return b.Set().Key(key).Value("v").Build()
		}
	}
	wg.Go(func() {
		const chunk = 100 // a SCAN waits for no more than these
		for !stopped.Load() {
			n := 100 + rand.N(3000)
			for _, del := range []bool{false, true} {
				for i := 0; i < n; i += chunk {
					for _, res := range c.DoMulti(t.Context(), chunk, command(i, del)) {
						if err := res.Error(); err != nil {
							t.Error(err)
							return
						}
					}
				}
			}
		}
	})
	return func() {
		stopped.Store(true)
		wg.Wait()
	}
}

func TestSoakKeysThatExistThroughoutAreFoundWhileOthersComeAndGo(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		stay := fill(t, c, prefix+"stay:", 1000)
		defer churn(t, c, prefix+"churn:")()
		for _, batch := range []int{10, 100, 1000} {
			s := newScanner(t, c, scan.Config{Batch: batch, Limit: -1})
			for range soak.Scale() {
				got, err := list(s, t.Context(), prefix+"stay:*")
				check(t, err)
				wantOnce(t, got, stay)
				// Those that come and go may be listed, but nothing twice.
				got, err = list(s, t.Context(), prefix+"*")
				check(t, err)
				maps.DeleteFunc(got, func(key string, n int) bool { return n == 1 && strings.HasPrefix(key, prefix+"churn:") })
				wantOnce(t, got, stay)
				// SCAN repeats keys while its table changes, and Count counts them.
				if n, err := s.Count(t.Context(), prefix+"stay:*"); err != nil || n < 1000 {
					t.Errorf("Count: got %d, %v", n, err)
				}
			}
		}
	})
}

func TestSoakDeleteLeavesNothingThatExistedThroughout(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		defer churn(t, c, prefix+"churn:")()
		s := newScanner(t, c, scan.Config{Rate: -1})
		for range 3 * soak.Scale() {
			fill(t, c, prefix+"del:", 2000)
			if n, err := s.Delete(t.Context(), prefix+"del:*"); err != nil || n != 2000 {
				t.Errorf("Delete: got %d, %v, want 2000", n, err)
			}
			if n, err := s.Count(t.Context(), prefix+"del:*"); err != nil || n != 0 {
				t.Errorf("%d keys are left, %v", n, err)
			}
		}
	})
}

// hostile are names that have meant something to somebody on the way.
var hostile = []string{
	"", " ", "\n", "\r\n", "\x00", "\xff\xfe", "*", "?", "[a]", "[^a]", "[", "]", `\`, `\*`, "{", "}", "{}", "{}{a}", "{a", "a}", "}{",
	"{a}{b}", "日本", "%00", "'", `"`, "$5\r\nhello\r\n", "*3\r\n$3\r\nSET", "-ERR", strings.Repeat("x", 100_000),
}

func TestHostileKeysAreListedAsTheyAre(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		var names []string
		for _, name := range hostile {
			names = append(names, prefix+name, "{"+prefix+"}"+name)
		}
		set(t, c, names...)
		s := newScanner(t, c, scan.Config{Rate: -1})
		got, err := list(s, t.Context(), "*"+prefix+"*")
		check(t, err)
		wantOnce(t, got, names)
		if n, err := s.Delete(t.Context(), "*"+prefix+"*"); err != nil || n != int64(len(names)) {
			t.Errorf("Delete: got %d, %v, want %d", n, err, len(names))
		}
	}, allKinds...)
}

// A pattern finds on a cluster, where it may tell the slot, what it finds on a single server.
func TestPatternsMeanTheSameOnEveryKindOfServer(t *testing.T) {
	single, cluster := rediskittest.Connect(t, rediskittest.OnSingle), rediskittest.Connect(t, rediskittest.OnCluster)
	prefix := "{" + uniquePrefix(t) + "}" // in one slot, because the servers are shared and patterns begin anyhow
	alphabet := []string{"a", "b", "{", "}", "*", "?", "[", "]", "^", "-", `\`, "{a}", "{b}"}
	word := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 6).Draw(t, "parts"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		where := rapid.SampledFrom([]string{prefix, strings.Trim(prefix, "{}")}).Draw(t, "where")
		names := rapid.SliceOfNDistinct(word, 1, 12, rapid.ID[string]).Draw(t, "names")
		for i := range names {
			names[i] = where + names[i]
		}
		pattern := where + word.Draw(t, "pattern")
		var found [2][]string
		for i, c := range []*rediskit.Client{single, cluster} {
			for _, res := range c.DoMulti(t.Context(), len(names), func(b rueidis.Builder, i int) rueidis.Completed {
				return b.Set().Key(names[i]).Value("v").Build()
			}) {
				if err := res.Error(); err != nil {
					t.Fatal(err)
				}
			}
			s, err := scan.New(c, scan.Config{Rate: -1})
			if err != nil {
				t.Fatal(err)
			}
			for key, err := range s.Keys(t.Context(), pattern) {
				if err != nil {
					t.Fatal(err)
				}
				found[i] = append(found[i], key)
			}
			slices.Sort(found[i])
			if n, err := s.Count(t.Context(), pattern); err != nil || int(n) != len(found[i]) {
				t.Fatalf("Count: got %d, %v, want %d", n, err, len(found[i]))
			}
			if n, err := s.Delete(t.Context(), where+"*"); err != nil || int(n) != len(names) {
				t.Fatalf("Delete: got %d, %v, want %d", n, err, len(names))
			}
		}
		if !slices.Equal(found[0], found[1]) {
			t.Fatalf("%q among %q: the single server finds %q, the cluster %q", pattern, names, found[0], found[1])
		}
	})
}

func TestSoakCountNeedsNoMemoryPerKey(t *testing.T) {
	_, cfg := startServer(t)
	c := connect(t, cfg)
	n := 200_000 * soak.Scale()
	fillFast(t, c, n)
	var most uint64
	count, err := newScanner(t, c, scan.Config{Progress: func(scan.Progress) { most = max(most, heapInUse()) }}).Count(t.Context(), "*")
	check(t, err)
	if count != int64(n) {
		t.Errorf("got %d, want %d", count, n)
	}
	// The names alone would take more than this.
	if limit := uint64(16 << 20); most > limit {
		t.Errorf("the heap grew to %d bytes", most)
	}
	t.Logf("%d keys; at most %d KiB of heap", n, most>>10)
}
