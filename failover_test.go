package rediskit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/keys"
)

func startSentinel(t *testing.T) (*redistest.Sentinel, rediskit.Config) {
	t.Helper()
	set, err := redistest.StartSentinel(redistest.SentinelConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set, rediskit.Config{Addrs: set.Addrs(), Sentinel: rediskit.Sentinel{Master: set.MasterName()}, CommandTimeout: 20 * time.Second}
}

func startCluster(t *testing.T) (*redistest.Cluster, rediskit.Config) {
	t.Helper()
	cl, err := redistest.StartCluster(redistest.ClusterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl, rediskit.Config{Addrs: cl.Addrs(), Cluster: true, CommandTimeout: 20 * time.Second}
}

// load keeps idempotent writes, counters and reads going until stop is called, and returns what went wrong.
type load struct {
	stop func()
	acks atomic.Int64
	open atomic.Int64 // counters whose outcome is unknown
	bad  atomic.Int64
	last atomic.Value // the last error that should not have been
}

func startLoad(t *testing.T, c *rediskit.Client, goroutines int) *load {
	ctx := context.Background()
	l := &load{}
	var wg sync.WaitGroup
	var stopped atomic.Bool
	l.stop = func() { stopped.Store(true); wg.Wait() }
	t.Cleanup(l.stop)
	fail := func(err error) {
		if err != nil {
			l.bad.Add(1)
			l.last.Store(err)
		}
	}
	for g := range goroutines {
		wg.Go(func() {
			key := "load" + strconv.Itoa(g)
			for i := 0; !stopped.Load(); i++ {
				fail(set(c, ctx, key, strconv.Itoa(i)))
				if _, err := get(c, ctx, key); !rueidis.IsRedisNil(err) { // a failover may lose the write
					fail(err)
				}
				switch _, err := incr(c, ctx, key+"n"); {
				case err == nil:
					l.acks.Add(1)
				case rediskit.MayHaveApplied(err):
					l.open.Add(1)
				default:
					fail(err)
				}
			}
		})
	}
	return l
}

// goesOn waits until n more counters have been acknowledged.
func (l *load) goesOn(t *testing.T, n int64) {
	t.Helper()
	from := l.acks.Load()
	eventually(t, func() error {
		if got := l.acks.Load() - from; got < n {
			return fmt.Errorf("%d of %d calls so far; last error: %v", got, n, l.last.Load())
		}
		return nil
	})
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	if n := l.bad.Load(); n > 0 {
		t.Errorf("%d calls failed that should have been repeated, the last with %v", n, l.last.Load())
	}
	t.Logf("%d counters acknowledged, %d unknown", l.acks.Load(), l.open.Load())
}

func TestAClientFollowsAFailover(t *testing.T) {
	set, cfg := startSentinel(t)
	c := connect(t, cfg)
	l := startLoad(t, c, 16)
	l.goesOn(t, 100)
	for range 2 { // there and back
		old, err := set.Primary()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Failover(); err != nil {
			t.Fatal(err)
		}
		l.goesOn(t, 1000)
		for addr := range c.Redis().Nodes() {
			if addr == old.Addr() {
				t.Errorf("still connected to %s, which is a replica now", addr)
			}
		}
		if err := set.WaitOK(); err != nil {
			t.Fatal(err)
		}
	}
	l.end(t)
}

// The client cannot hear of the failover: it reaches the sentinels through proxies that say nothing from the
// moment on. A READONLY answer of the demoted primary has to be enough.
func TestREADONLYFromADemotedPrimaryMakesTheClientLookForTheNewOne(t *testing.T) {
	set, cfg := startSentinel(t)
	cfg.TopologyRefresh = -1
	c := connect(t, cfg)
	if err := setKey(t, c); err != nil {
		t.Fatal(err)
	}
	// REPLICAOF makes a replica of the primary without the sentinels' messages that name a new one.
	primary, err := set.Primary()
	if err != nil {
		t.Fatal(err)
	}
	replica, err := set.Replica()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range set.Sentinels() {
		if err := s.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := replica.Do("REPLICAOF", "NO", "ONE"); err != nil {
		t.Fatal(err)
	}
	if _, err := primary.Do("REPLICAOF", "127.0.0.1", strconv.Itoa(replica.Port())); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() { got <- setKey(t, c) }()
	for _, s := range set.Sentinels() {
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func setKey(t *testing.T, c *rediskit.Client) error {
	return c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed { return b.Set().Key("k").Value("v").Build() }).Error()
}

// A single address that leads to another server after a failover, as a virtual address or a name does.
func TestREADONLYBehindAnAddressThatMovesIsLeftBehind(t *testing.T) {
	set, _ := startSentinel(t)
	replica, err := set.Replica()
	if err != nil {
		t.Fatal(err)
	}
	primary, err := set.Primary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := dir + "/redis.sock"
	if err := relink(replica.Socket(), path); err != nil {
		t.Fatal(err)
	}
	c := connect(t, rediskit.Config{Addrs: []string{path}, CommandTimeout: 20 * time.Second})
	if err := relink(primary.Socket(), path); err != nil {
		t.Fatal(err)
	}
	if err := setKey(t, c); err != nil {
		t.Fatal(err)
	}
}

func TestAClientSurvivesTheDeathOfThePrimary(t *testing.T) {
	set, cfg := startSentinel(t)
	c := connect(t, cfg)
	l := startLoad(t, c, 16)
	l.goesOn(t, 100)
	old, err := set.KillPrimary()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.WaitPromoted(old); err != nil {
		t.Fatal(err)
	}
	l.goesOn(t, 1000)
	l.end(t)
}

func TestAClientSurvivesTheDeathOfAMaster(t *testing.T) {
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	l := startLoad(t, c, 16)
	l.goesOn(t, 100)
	if _, err := cl.KillMaster(0); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // the whole cluster serves again
		_, err := c.Health(t.Context())
		return err
	})
	l.goesOn(t, 1000)
	l.end(t)
}

func TestAClientFollowsSlotsThatMove(t *testing.T) {
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	l := startLoad(t, c, 16)
	l.goesOn(t, 100)
	for g := range 16 {
		slot := int(keys.Slot("load" + strconv.Itoa(g)))
		if err := cl.MigrateSlot(slot, otherMaster(t, cl, slot)); err != nil {
			t.Fatal(err)
		}
	}
	l.goesOn(t, 1000)
	l.end(t)
	if n := l.open.Load(); n > 0 {
		t.Errorf("%d unknown outcomes, though no connection broke", n)
	}
}

func otherMaster(t *testing.T, cl *redistest.Cluster, slot int) *redistest.Server {
	t.Helper()
	owner, err := cl.NodeForSlot(slot)
	if err != nil {
		t.Fatal(err)
	}
	masters, err := cl.Masters()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range masters {
		if m.Addr() != owner.Addr() {
			return m
		}
	}
	t.Fatal("one master only")
	return nil
}

// While a slot migrates, a command with two keys of which one has gone is refused by the old owner and by the
// new one (TRYAGAIN), until the other key has gone too.
func TestTRYAGAINIsWaitedOut(t *testing.T) {
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	for _, key := range []string{"{tag}a", "{tag}b"} {
		if err := set(c, t.Context(), key, "v"); err != nil {
			t.Fatal(err)
		}
	}
	slot := int(keys.Slot("{tag}a"))
	migration, err := cl.BeginMigrate(slot, otherMaster(t, cl, slot))
	if err != nil {
		t.Fatal(err)
	}
	if err := migration.MoveKeys("{tag}a"); err != nil {
		t.Fatal(err)
	}
	type reply struct {
		values []string
		err    error
	}
	got := make(chan reply, 1)
	go func() {
		values, err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
			return b.Eval().Script("return {redis.call('GETSET', KEYS[1], 'w'), redis.call('GETSET', KEYS[2], 'w')}").
				Numkeys(2).Key("{tag}a", "{tag}b").Build()
		}).AsStrSlice()
		got <- reply{values, err}
	}()
	select {
	case r := <-got:
		t.Fatalf("returned in the middle of the migration: %v", r)
	case <-time.After(100 * time.Millisecond):
	}
	if err := migration.Finish(); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.err != nil || r.values[0] != "v" || r.values[1] != "v" {
		t.Fatalf("%v", r)
	}
}

func TestKeysOfSeveralSlotsAreAnErrorOnAClusterOnly(t *testing.T) {
	_, cfg := startCluster(t)
	c := connect(t, cfg)
	if err := c.CheckSlot("a", "b"); !errors.Is(err, rediskit.ErrCrossSlot) {
		t.Errorf("%v", err)
	}
	if err := c.CheckSlot("{x}a", "{x}b"); err != nil {
		t.Errorf("%v", err)
	}
	single := connect(t, rediskit.Config{Addrs: []string{startServer(t, redistest.ServerConfig{}).Addr()}})
	if err := single.CheckSlot("a", "b"); err != nil {
		t.Errorf("%v", err)
	}
}

// relink makes path a link to target, atomically.
func relink(target, path string) error {
	if err := os.Symlink(target, path+".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
