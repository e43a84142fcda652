package rediskittest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

func incr(ctx context.Context, c *rediskit.Client, key string) (int64, error) {
	return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Incr().Key(key).Build() }).AsInt64()
}

func TestEachReachesEveryKindOfServer(t *testing.T) {
	var modes []string
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		modes = append(modes, string(c.Redis().Mode()))
		if n, err := incr(t.Context(), c, rediskittest.Keys(t)("n")); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}, rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
	if len(modes) != 4 || modes[0] != "standalone" || modes[1] != "sentinel" || modes[2] != "cluster" {
		t.Errorf("%v", modes)
	}
}

func TestAServerCanBeKilledStoppedAndStartedAgain(t *testing.T) {
	s := rediskittest.Server(t, "--maxmemory", "10mb")
	c := s.Client()
	if got := s.Do("CONFIG", "GET", "maxmemory").([]any); got[1] != "10485760" {
		t.Errorf("%v", got)
	}
	s.Kill()
	if _, err := c.Health(t.Context()); !rediskit.IsUnavailable(err) {
		t.Errorf("after Kill: %v", err)
	}
	s.Restart()
	s.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := incr(ctx, c, "n"); !rediskit.IsUnavailable(err) {
		t.Errorf("after Pause: %v", err)
	}
	s.Resume()
	if _, err := c.Health(t.Context()); err != nil {
		t.Errorf("after Resume: %v", err)
	}
}

func TestSentinelsCanFailOver(t *testing.T) {
	set := rediskittest.Sentinel(t)
	c := set.Client()
	first := set.Primary().Addr()
	set.Failover()
	if second := set.Primary().Addr(); second == first {
		t.Errorf("the primary still is %s", first)
	}
	if _, err := incr(t.Context(), c, "n"); err != nil {
		t.Error(err)
	}
	set.KillPrimary()
	if back := set.Primary().Addr(); back != first {
		t.Errorf("the primary is %s, want %s", back, first)
	}
}

func TestAClusterCanMoveSlotsAndLoseAMaster(t *testing.T) {
	set := rediskittest.Cluster(t)
	c := set.Client()
	if _, err := incr(t.Context(), c, "n"); err != nil {
		t.Fatal(err)
	}
	owner := set.Owner("n").Addr()
	set.MoveSlot("n")
	if set.Owner("n").Addr() == owner {
		t.Error("the slot did not move")
	}
	if n, err := incr(t.Context(), c, "n"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	set.KillMaster(0)
	if _, err := incr(t.Context(), c, "m"); err != nil {
		t.Error(err)
	}
}

func TestAProxyLosesTheReplyAndNotTheCommand(t *testing.T) {
	s := rediskittest.Server(t)
	p := rediskittest.FaultProxy(t, s.Addr())
	c, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{p.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p.CutAfterReplyBytes(0)
	if _, err := incr(t.Context(), c, "n"); !rediskit.MayHaveApplied(err) {
		t.Errorf("%v", err)
	}
	if got := s.Do("GET", "n"); got != "1" {
		t.Errorf("the counter is %v", got)
	}
}
