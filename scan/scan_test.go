package scan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scan"
)

var allKinds = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded}

// uniquePrefix returns the beginning of names that no other test has; unlike those of rediskittest.Keys they are
// spread over all slots.
func uniquePrefix(t testing.TB) string {
	return strings.Trim(rediskittest.Keys(t)(""), "{}:") + ":"
}

func TestKeysListsEveryKeyThatMatchesOnce(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		want := fill(t, c, prefix+"a:", 2500)
		fill(t, c, prefix+"b:", 100)
		got, err := list(newScanner(t, c, scan.Config{}), t.Context(), prefix+"a:*")
		check(t, err)
		wantOnce(t, got, want)
	}, allKinds...)
}

func TestCountCountsWhatMatches(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix+"a:", 1234)
		fill(t, c, prefix+"b:", 100)
		s := newScanner(t, c, scan.Config{})
		for pattern, want := range map[string]int64{prefix + "a:*": 1234, prefix + "*": 1334, prefix + "c*": 0, prefix + "a:7": 1, prefix + "a:?": 10} {
			if got, err := s.Count(t.Context(), pattern); err != nil || got != want {
				t.Errorf("%s: got %d, %v, want %d", pattern, got, err, want)
			}
		}
	}, allKinds...)
}

func TestKeysOfOneHashTagAreAllFound(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)
		want := fill(t, c, key("x:"), 500)
		for _, pattern := range []string{key("*"), key("x:*"), key("?:*"), "*" + key("*")} {
			got, err := list(newScanner(t, c, scan.Config{}), t.Context(), pattern)
			check(t, err)
			wantOnce(t, got, want)
		}
	}, allKinds...)
}

func TestDeleteDeletesWhatMatchesAndNothingElse(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix+"a:", 2000)
		kept := fill(t, c, prefix+"b:", 100)
		s := newScanner(t, c, scan.Config{Rate: -1})
		if n, err := s.Delete(t.Context(), prefix+"a:*"); err != nil || n != 2000 {
			t.Errorf("got %d, %v, want 2000", n, err)
		}
		got, err := list(s, t.Context(), prefix+"*")
		check(t, err)
		wantOnce(t, got, kept)
		if n, err := s.Delete(t.Context(), prefix+"a:*"); err != nil || n != 0 {
			t.Errorf("again: got %d, %v, want 0", n, err)
		}
	}, allKinds...)
}

func TestDeleteGroupsKeysOfOneSlot(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix+"{one}:", 300)
		fill(t, c, prefix+"{two}:", 300)
		fill(t, c, prefix, 300)
		if n, err := newScanner(t, c, scan.Config{Rate: -1}).Delete(t.Context(), prefix+"*"); err != nil || n != 900 {
			t.Errorf("got %d, %v, want 900", n, err)
		}
	}, allKinds...)
}

func TestADryRunDeletesNothingAndCounts(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		want := fill(t, c, prefix, 300)
		s := newScanner(t, c, scan.Config{DryRun: true})
		if n, err := s.Delete(t.Context(), prefix+"*"); err != nil || n != 300 {
			t.Errorf("got %d, %v, want 300", n, err)
		}
		got, err := list(s, t.Context(), prefix+"*")
		check(t, err)
		wantOnce(t, got, want)
	}, allKinds...)
}

func TestTheTypeFilterKeepsOtherTypesOut(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix+"s:", 50)
		var hashes []string
		for i := range 30 {
			name := fmt.Sprintf("%sh:%d", prefix, i)
			hashes = append(hashes, name)
			check(t, c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
				return b.Hset().Key(name).FieldValue().FieldValue("f", "v").Build()
			}).Error())
		}
		s := newScanner(t, c, scan.Config{Type: "hash"})
		got, err := list(s, t.Context(), prefix+"*")
		check(t, err)
		wantOnce(t, got, hashes)
		if n, err := s.Delete(t.Context(), prefix+"*"); err != nil || n != 30 {
			t.Errorf("Delete: got %d, %v, want 30", n, err)
		}
		if n, err := newScanner(t, c, scan.Config{}).Count(t.Context(), prefix+"*"); err != nil || n != 50 {
			t.Errorf("left: got %d, %v, want 50", n, err)
		}
	}, allKinds...)
}

func TestEachIsCalledForEveryKeyByNoMoreThanTheWorkers(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		want := fill(t, c, prefix, 700)
		var mu sync.Mutex
		times := make(map[string]int)
		var running, most atomic.Int64
		err := newScanner(t, c, scan.Config{Batch: 50}).Each(t.Context(), prefix+"*", 4, func(ctx context.Context, key string) error {
			n := running.Add(1)
			defer running.Add(-1)
			mu.Lock()
			defer mu.Unlock()
			most.Store(max(most.Load(), n))
			times[key]++
			return ctx.Err()
		})
		check(t, err)
		wantOnce(t, times, want)
		if most.Load() > 4 {
			t.Errorf("%d calls at once", most.Load())
		}
	}, allKinds...)
}

func TestEachEndsWithTheFirstErrorAsItIs(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix, 500)
		mine := errors.New("mine")
		var calls atomic.Int64
		err := newScanner(t, c, scan.Config{Batch: 10}).Each(t.Context(), prefix+"*", 3, func(ctx context.Context, key string) error {
			if calls.Add(1) == 5 {
				return mine
			}
			if calls.Load() > 5 {
				<-ctx.Done() // ends because of the other's error
			}
			return nil
		})
		if err != mine {
			t.Errorf("got %v, want the function's own error", err)
		}
		if n := calls.Load(); n > 10 {
			t.Errorf("called %d times", n)
		}
	}, allKinds...)
}

func TestEachWhoseContextEndsSaysSo(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix, 20)
		ctx, cancel := context.WithCancel(t.Context())
		err := newScanner(t, c, scan.Config{}).Each(ctx, prefix+"*", 2, func(context.Context, string) error {
			cancel()
			return nil
		})
		wantConnectionError(t, err, prefix+"*")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}, allKinds...)
}

func TestAListingEndsAtTheLimit(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		names := fill(t, c, prefix, 101)
		got, err := list(newScanner(t, c, scan.Config{Limit: 100}), t.Context(), prefix+"*")
		wantScanError(t, err, prefix+"*")
		if !errors.Is(err, scan.ErrLimit) || len(got) != 100 || !strings.Contains(err.Error(), "100") {
			t.Errorf("got %d keys and %v", len(got), err)
		}
		for _, limit := range []int{101, -1} {
			got, err := list(newScanner(t, c, scan.Config{Limit: limit}), t.Context(), prefix+"*")
			check(t, err)
			wantOnce(t, got, names)
		}
	}, allKinds...)
}

func TestTheLimitIsTenThousandUnlessSaidOtherwise(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	prefix := uniquePrefix(t)
	fill(t, c, prefix, 10_001)
	got, err := list(newScanner(t, c, scan.Config{}), t.Context(), prefix+"*")
	if !errors.Is(err, scan.ErrLimit) || len(got) != 10_000 {
		t.Errorf("got %d keys and %v", len(got), err)
	}
}

func TestALoopMayEndEarlyAndBeginAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		want := fill(t, c, prefix, 300)
		seq := newScanner(t, c, scan.Config{Batch: 10}).Keys(t.Context(), prefix+"*")
		for range 50 {
			for _, err := range seq {
				check(t, err)
				break
			}
		}
		times := make(map[string]int)
		for key, err := range seq {
			check(t, err)
			times[key]++
		}
		wantOnce(t, times, want)
	}, allKinds...)
}

func TestAContextThatEndsEndsTheWalk(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix, 200)
		s := newScanner(t, c, scan.Config{Batch: 10, Rate: 1000})
		before, cancelled := context.WithCancel(t.Context())
		cancelled()
		_, err := s.Count(before, prefix+"*")
		wantConnectionError(t, err, prefix+"*")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		during, cancel := context.WithCancel(t.Context())
		defer cancel()
		times := 0
		for _, err = range s.Keys(during, prefix+"*") {
			times++
			cancel()
		}
		if c.Redis().Mode() == rueidis.ClientModeStandalone && times == 200 && err == nil {
			return // the embedded server sends everything at once
		}
		wantConnectionError(t, err, prefix+"*")
		if !errors.Is(err, context.Canceled) || rediskit.IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
	}, allKinds...)
}

func TestProgressReachesTheTotal(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		prefix := uniquePrefix(t)
		fill(t, c, prefix, 500)
		var reports []scan.Progress
		s := newScanner(t, c, scan.Config{Batch: 20, Rate: -1, Progress: func(p scan.Progress) { reports = append(reports, p) }})
		n, err := s.Delete(t.Context(), prefix+"*")
		check(t, err)
		last := reports[len(reports)-1]
		if last.Scanned != last.Total || last.Total < 500 || last.Matched != 500 || last.Deleted != n {
			t.Errorf("the last report is %+v", last)
		}
		if !slices.IsSortedFunc(reports, func(a, b scan.Progress) int {
			return int(a.Scanned - b.Scanned + a.Matched - b.Matched + a.Deleted - b.Deleted)
		}) {
			t.Errorf("the reports fall: %+v", reports)
		}
	}, allKinds...)
}

func TestKEYSIsNeverSent(t *testing.T) {
	server, cfg := startServer(t)
	c := connect(t, cfg)
	fill(t, c, "k", 100)
	s := newScanner(t, c, scan.Config{})
	_, err := list(s, t.Context(), "*")
	check(t, err)
	_, err = s.Count(t.Context(), "*")
	check(t, err)
	check(t, s.Each(t.Context(), "*", 2, func(context.Context, string) error { return nil }))
	_, err = s.Delete(t.Context(), "*")
	check(t, err)
	stats, err := server.Do("INFO", "commandstats")
	check(t, err)
	if text := stats.(string); strings.Contains(text, "cmdstat_keys:") || !strings.Contains(text, "cmdstat_scan:") {
		t.Error(text)
	}
}

func TestWhatTheServerForbidsIsItsAnswer(t *testing.T) {
	server, cfg := startServer(t)
	acl := func(rules ...string) {
		_, err := server.Do(append([]string{"ACL", "SETUSER", "app"}, rules...)...)
		check(t, err)
	}
	acl("on", ">secret", "~k*", "+@all", "-dbsize")
	cfg.Username, cfg.Password = "app", "secret"
	c := connect(t, cfg)
	fill(t, c, "k", 100)
	silent, loud := newScanner(t, c, scan.Config{}), newScanner(t, c, scan.Config{Progress: func(scan.Progress) {}})
	if n, err := silent.Count(t.Context(), "*"); err != nil || n != 100 {
		t.Errorf("got %d, %v, want 100", n, err)
	}
	wantForbidden := func(s *scan.Scanner) {
		_, err := s.Count(t.Context(), "*")
		wantScanError(t, err, "*")
		if re, ok := rueidis.IsRedisErr(errors.Unwrap(err)); !ok || !strings.HasPrefix(re.Error(), "NOPERM") {
			t.Errorf("got %v", err)
		}
	}
	wantForbidden(loud) // it asks for the total
	acl("-scan")
	wantForbidden(silent)
	// Only to tell one process from another INFO is needed, and one can do without.
	acl("+scan", "-info")
	if n, err := silent.Count(t.Context(), "*"); err != nil || n != 100 {
		t.Errorf("without INFO: got %d, %v, want 100", n, err)
	}
}

func TestBadArgumentsAreRefusedBeforeAnythingIsSent(t *testing.T) {
	for _, row := range []struct {
		cfg  scan.Config
		want string
	}{
		{scan.Config{Batch: -1}, "scan: Config.Batch is -1"},
		{scan.Config{Batch: 100_001}, "scan: Config.Batch is 100001"},
	} {
		if _, err := scan.New(nil, row.cfg); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: got %v, want %q", row.cfg, err, row.want)
		}
	}
	c := rediskittest.Embedded(t)
	c.Close() // whatever is sent would fail otherwise
	s := newScanner(t, c, scan.Config{})
	_, err := s.Count(t.Context(), "")
	wantScanError(t, err, "")
	if !strings.Contains(err.Error(), "empty pattern") {
		t.Error(err)
	}
	err = s.Each(t.Context(), "a*", 0, nil)
	wantScanError(t, err, "a*")
	if !strings.Contains(err.Error(), "workers is 0") {
		t.Error(err)
	}
	_, _, err = s.Info(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "empty key") {
		t.Error(err)
	}
	_, err = s.Count(t.Context(), "*")
	wantConnectionError(t, err, "*")
	if !errors.Is(err, rediskit.ErrClosed) {
		t.Error(err)
	}
}
