package limits

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

var onEveryServer = []rediskittest.Kind{
	rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded,
}

// leases is a model of what a key holds: when each lease ends.
type leases map[string]int64

// live is when those end that have not, in order.
func (m leases) live(now int64) (ends []int64) {
	for _, end := range m {
		if end > now {
			ends = append(ends, end)
		}
	}
	slices.Sort(ends)
	return ends
}

func (m leases) acquire(now int64, lease string, n int, length time.Duration) Reply {
	if live := m.live(now); m[lease] <= now && len(live) >= n {
		return Reply{0, now, int64(len(live)), live[len(live)-n], live[len(live)-1]}
	}
	maps.DeleteFunc(m, func(_ string, end int64) bool { return end <= now })
	m[lease] = max(m[lease], now+us(length))
	live := m.live(now)
	return Reply{1, now, int64(len(live)), 0, live[len(live)-1]}
}

func (m leases) renew(now int64, lease string, length time.Duration) bool {
	if m[lease] <= now {
		return false
	}
	m[lease] = max(m[lease], now+us(length))
	return true
}

func (m leases) peek(now int64, n int) Reply {
	r, live := Reply{Verdict: 1, At: now}, m.live(now)
	if r.A = int64(len(live)); r.A > 0 {
		r.C = live[len(live)-1]
	}
	if len(live) >= n {
		r.Verdict, r.B = 0, live[len(live)-n]
	}
	return r
}

// stored is what the server has.
func stored(t fataler, c *rediskit.Client, key string) leases {
	all := leases{}
	for _, z := range must[[]rueidis.ZScore](t)(do(t, c, "ZRANGE", key, "0", "-1", "WITHSCORES").AsZScores()) {
		all[z.Member] = int64(z.Score)
	}
	return all
}

func TestTheScriptsOnLeasesDoAsTheModelDoes(t *testing.T) {
	for name, expiring := range map[string]bool{"keys expire": true, "the clock goes back": false} {
		t.Run(name, func(t *testing.T) {
			rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
				f := freeze(t, c, expiring)
				rapid.Check(t, func(t *rapid.T) { compareLeases(t, f) })
			}, rediskittest.OnSingle, rediskittest.OnEmbedded)
		})
	}
}

func compareLeases(t *rapid.T, f *frozen) {
	key, model, now := f.key("cc"), leases{}, int64(start)
	defer do(t, f.c, "DEL", key)
	f.setBefore = false
	lengths := []time.Duration{time.Millisecond, time.Millisecond + time.Microsecond, 20 * time.Millisecond, time.Minute, 366 * 24 * time.Hour}
	steps := []int64{0, 1, 999, 1000, 1001, 20_000, 59_999_999, 60_000_000}
	for range rapid.IntRange(1, 30).Draw(t, "calls") {
		step := rapid.SampledFrom(steps).Draw(t, "step")
		if !f.expiring && rapid.IntRange(0, 3).Draw(t, "back") == 0 {
			step = -step
		}
		now += step
		f.set(t, now)
		lease := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "lease")
		n := rapid.IntRange(1, 5).Draw(t, "n")
		length := rapid.SampledFrom(lengths).Draw(t, "length")
		switch rapid.SampledFrom([]string{"acquire", "acquire", "acquire", "renew", "release", "peek"}).Draw(t, "call") {
		case "acquire":
			want := model.acquire(now, lease, n, length)
			if got := must[Reply](t)(f.Acquire(f.ctx, f.c, key, lease, int64(n), length)); got != want {
				t.Fatalf("acquired %+v, want %+v", got, want)
			}
		case "renew":
			want := model.renew(now, lease, length)
			if got := must[bool](t)(f.Renew(f.ctx, f.c, key, lease, length)); got != want {
				t.Fatalf("renewed: %v, want %v", got, want)
			}
		case "release":
			delete(model, lease)
			if err := f.Release(f.ctx, f.c, key, lease); err != nil {
				t.Fatal(err)
			}
		case "peek":
			want := model.peek(now, n)
			if got := must[Reply](t)(f.Holders(f.ctx, f.c, key, int64(n))); got != want {
				t.Fatalf("holders %+v, want %+v", got, want)
			}
		}
		// Nothing is stored but what the model has: a refusal drops not even what has ended.
		if got := stored(t, f.c, key); !f.expiring && !maps.Equal(got, model) {
			t.Fatalf("stored %v, want %v", got, model)
		}
		if len(model.live(now)) > 0 {
			f.lasts(t, key)
		}
	}
}

func TestARefusalAndALookWriteNothing(t *testing.T) {
	server := rediskittest.Server(t)
	c, ctx, key := server.Client(), t.Context(), "cc"
	for _, lease := range []string{"a", "b"} {
		must[Reply](t)(Server.Acquire(ctx, c, key, lease, 2, time.Hour))
	}
	for range 2 { // the first time they are loaded
		changes := changesOf(server)
		if r := must[Reply](t)(Server.Acquire(ctx, c, key, "c", 2, time.Hour)); r.Verdict != 0 {
			t.Fatalf("%+v", r)
		}
		if held := must[bool](t)(Server.Renew(ctx, c, key, "c", time.Hour)); held {
			t.Fatal("a lease that never was is held")
		}
		if r := must[Reply](t)(Server.Holders(ctx, c, key, 2)); r.Verdict != 0 || r.A != 2 {
			t.Fatalf("%+v", r)
		}
		if now := changesOf(server); now != changes {
			t.Errorf("the server counts %s changes, and %s before", now, changes)
		}
	}
}

// changesOf is how often the server wrote something.
func changesOf(s *rediskittest.RedisServer) string {
	for line := range strings.Lines(s.Do("INFO", "persistence").(string)) {
		if n, ok := strings.CutPrefix(line, "rdb_changes_since_last_save:"); ok {
			return strings.TrimSpace(n)
		}
	}
	return "?"
}

func TestAKeyLivesAsLongAsItsLongestLease(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key, ctx := rediskittest.Keys(t)("cc"), context20(t)
		wantTTL := func(most time.Duration) {
			t.Helper()
			ttl := time.Duration(num(t, c, "PTTL", key)) * time.Millisecond
			if ttl <= most-time.Minute || ttl > most+2*time.Millisecond {
				t.Errorf("the TTL is %v, want %v", ttl, most)
			}
		}
		must[Reply](t)(Server.Acquire(ctx, c, key, "short", 5, time.Hour))
		wantTTL(time.Hour)
		must[Reply](t)(Server.Acquire(ctx, c, key, "long", 5, 3*time.Hour))
		wantTTL(3 * time.Hour)
		must[bool](t)(Server.Renew(ctx, c, key, "short", time.Hour))
		wantTTL(3 * time.Hour)
		must[bool](t)(Server.Renew(ctx, c, key, "short", 5*time.Hour))
		wantTTL(5 * time.Hour)

		for name, repair := range map[string]func(){
			"a refusal":  func() { must[Reply](t)(Server.Acquire(ctx, c, key, "third", 2, time.Hour)) },
			"a renewal":  func() { must[bool](t)(Server.Renew(ctx, c, key, "long", time.Hour)) },
			"a new hold": func() { must[Reply](t)(Server.Acquire(ctx, c, key, "fourth", 3, time.Hour)) },
		} {
			do(t, c, "PERSIST", key)
			repair()
			if ttl := num(t, c, "PTTL", key); ttl <= 0 {
				t.Errorf("after %s the TTL is still %d", name, ttl)
			}
		}
		for _, lease := range []string{"short", "long", "fourth"} {
			if err := Server.Release(ctx, c, key, lease); err != nil {
				t.Fatal(err)
			}
		}
		if num(t, c, "EXISTS", key) != 0 {
			t.Error("the last release left something behind")
		}
	}, onEveryServer...)
}

func TestOneLeaseTakesOnePlaceHoweverOftenItAsks(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key, ctx := rediskittest.Keys(t)("cc"), context20(t)
		for range 3 {
			if r := must[Reply](t)(Server.Acquire(ctx, c, key, "mine", 1, time.Hour)); r.Verdict != 1 || r.A != 1 {
				t.Fatalf("%+v", r)
			}
		}
		if r := must[Reply](t)(Server.Acquire(ctx, c, key, "yours", 1, time.Hour)); r.Verdict != 0 || r.A != 1 || r.B != r.C {
			t.Fatalf("%+v", r)
		}
		for range 2 {
			if err := Server.Release(ctx, c, key, "mine"); err != nil {
				t.Fatal(err)
			}
		}
		if r := must[Reply](t)(Server.Acquire(ctx, c, key, "yours", 1, time.Hour)); r.Verdict != 1 {
			t.Fatalf("%+v", r)
		}
	}, onEveryServer...)
}

func TestAKeyOfAnotherTypeIsAnErrorAndStays(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key, ctx := rediskittest.Keys(t)("cc"), context20(t)
		do(t, c, "SET", key, "mine", "PX", "60000")
		if _, err := Server.Acquire(ctx, c, key, "a", 1, time.Hour); err == nil {
			t.Error("it was acquired")
		}
		if _, err := Server.Renew(ctx, c, key, "a", time.Hour); err == nil {
			t.Error("it was renewed")
		}
		if _, err := Server.Holders(ctx, c, key, 1); err == nil {
			t.Error("it has holders")
		}
		if err := Server.Release(ctx, c, key, "a"); err == nil {
			t.Error("it was released")
		}
		if got := must[string](t)(do(t, c, "GET", key).ToString()); got != "mine" {
			t.Errorf("it is %q", got)
		}
	}, onEveryServer...)
}

func TestNamesOfLeasesDiffer(t *testing.T) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]bool{}
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				lease := NewLease()
				mu.Lock()
				if seen[lease] || len(lease) < 22 {
					t.Errorf("%q", lease)
				}
				seen[lease] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestDecideReckonsWithLeases(t *testing.T) {
	s := limit(t, "concurrency:3/30s")
	for _, row := range []struct {
		reply Reply
		want  Decision
	}{
		{Reply{1, start, 0, 0, 0}, Decision{Allowed: true, Remaining: 3}},
		{Reply{1, start, 2, 0, start + 5}, Decision{Allowed: true, Remaining: 1, Reset: 5 * time.Microsecond}},
		{Reply{0, start, 3, start + 2, start + 5}, Decision{Wait: 2 * time.Microsecond, Reset: 5 * time.Microsecond}},
		{Reply{0, start, 9, start + 2, start + 5}, Decision{Wait: 2 * time.Microsecond, Reset: 5 * time.Microsecond}},
	} {
		if got := s.Decide(row.reply, 1, true); got != row.want {
			t.Errorf("%+v: %+v, want %+v", row.reply, got, row.want)
		}
	}
}

// Whoever uses the scripts without a Limiter repeats them, too.
func TestScriptsOnLeasesSurviveScriptFlush(t *testing.T) {
	server := rediskittest.Server(t)
	c, ctx := server.Client(), context.Background()
	for _, call := range []func() error{
		func() error { _, err := Server.Acquire(ctx, c, "cc", "a", 1, time.Hour); return err },
		func() error { _, err := Server.Renew(ctx, c, "cc", "a", time.Hour); return err },
		func() error { _, err := Server.Holders(ctx, c, "cc", 1); return err },
	} {
		for range 2 {
			server.Do("SCRIPT", "FLUSH")
			if err := call(); err != nil {
				t.Error(err)
			}
		}
	}
	if n := server.Do("ZCARD", "cc"); n != int64(1) {
		t.Errorf("%v leases", n)
	}
}
