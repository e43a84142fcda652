package rediskit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

// fakeServer is a server whose answers the test gives: hook returns false to let the server answer.
func fakeServer(t *testing.T, hook func(c *server.Peer, cmd string, args []string) bool) *miniredis.Miniredis {
	t.Helper()
	s := miniredis.RunT(t)
	s.Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool { return hook(c, cmd, args) })
	return s
}

func fakeClient(t *testing.T, hook func(c *server.Peer, cmd string, args []string) bool) *rediskit.Client {
	t.Helper()
	s := fakeServer(t, func(c *server.Peer, cmd string, args []string) bool {
		if cmd == "INFO" {
			c.WriteBulk("redis_version:7.0.0\r\n")
			return true
		}
		return hook(c, cmd, args)
	})
	return connect(t, rediskit.Config{Addrs: []string{s.Addr()}, CommandTimeout: time.Second})
}

// refuse answers the first n commands of a name with an error.
func refuse(name, message string, n int64) func(*server.Peer, string, []string) bool {
	var seen atomic.Int64
	return func(c *server.Peer, cmd string, _ []string) bool {
		if cmd != name || seen.Add(1) > n {
			return false
		}
		c.WriteError(message)
		return true
	}
}

func TestACommandTheServerDidNotBeginIsSentAgain(t *testing.T) {
	for _, message := range []string{
		"LOADING Redis is loading the dataset in memory",
		"CLUSTERDOWN The cluster is down",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"READONLY You can't write against a read only replica.",
		"ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
	} {
		c := fakeClient(t, refuse("INCR", message, 2))
		if n, err := incr(c, t.Context(), "n"); n != 1 || err != nil {
			t.Errorf("%s: got %d, %v", message, n, err)
		}
		multi := fakeClient(t, refuse("INCR", message, 2))
		results := multi.DoMulti(t.Context(), 3, func(b rueidis.Builder, i int) rueidis.Completed {
			return b.Incr().Key("n" + strconv.Itoa(i)).Build()
		})
		for i, res := range results {
			if n, err := res.AsInt64(); n != 1 || err != nil {
				t.Errorf("%s: command %d: got %d, %v", message, i, n, err)
			}
		}
	}
}

func TestARefusalThatDoesNotEndIsReportedWithItsCause(t *testing.T) {
	c := fakeClient(t, refuse("INCR", "LOADING Redis is loading the dataset in memory", 1<<60))
	_, err := incr(c, t.Context(), "n")
	wantConnectionError(t, err, false)
	if re := new(rueidis.RedisError); !errors.As(err, &re) || !re.IsLoading() {
		t.Errorf("the cause is lost: %v", err)
	}
	if !rediskit.IsUnavailable(err) {
		t.Errorf("not unavailable: %v", err)
	}
}

func TestAnAnswerOfTheServerIsNotRepeated(t *testing.T) {
	for message, unavailable := range map[string]bool{
		"WRONGTYPE Operation against a key holding the wrong kind of value": false,
		"ERR value is not an integer or out of range":                       false,
		"NOSCRIPT No matching script. Please use EVAL.":                     false,
		"OOM command not allowed when used memory > 'maxmemory'.":           true,
		"BUSY Redis is busy running a script.":                              true,
		"NOREPLICAS Not enough good replicas to write.":                     true,
		"MISCONF Redis is configured to save RDB snapshots":                 true,
	} {
		var calls atomic.Int64
		c := fakeClient(t, func(c *server.Peer, cmd string, _ []string) bool {
			if cmd != "INCR" {
				return false
			}
			calls.Add(1)
			c.WriteError(message)
			return true
		})
		_, err := incr(c, t.Context(), "n")
		var re *rueidis.RedisError
		if !errors.As(err, &re) || calls.Load() != 1 {
			t.Errorf("%s: %d calls, %T %v", message, calls.Load(), err, err)
		}
		if rediskit.IsUnavailable(err) != unavailable || rediskit.MayHaveApplied(err) {
			t.Errorf("%s: IsUnavailable %v, MayHaveApplied %v", message, rediskit.IsUnavailable(err), rediskit.MayHaveApplied(err))
		}
	}
}

func TestAMissIsNotAnOutage(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		_, err := get(c, t.Context(), rediskittest.Keys(t)("missing"))
		if !rueidis.IsRedisNil(err) || rediskit.IsUnavailable(err) || rediskit.MayHaveApplied(err) {
			t.Errorf("%v", err)
		}
	})
}

func TestALostReplyIsRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: 10 * time.Second})
	ctx := t.Context()
	if err := set(c, ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}

	t.Run("a read", func(t *testing.T) {
		p.CutAfterReplyBytes(0)
		if v, err := get(c, ctx, "k"); v != "v" || err != nil {
			t.Fatalf("got %q, %v", v, err)
		}
	})
	t.Run("an idempotent write", func(t *testing.T) {
		p.CutAfterReplyBytes(2)
		if err := set(c, ctx, "k", "w"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a write that counts", func(t *testing.T) {
		for i := int64(1); i <= 20; i++ {
			p.CutAfterReplyBytes(i % 4)
			_, err := incr(c, ctx, "n")
			wantConnectionError(t, err, true)
			if !rediskit.IsUnavailable(err) {
				t.Fatal(err)
			}
			if got := serverValue(t, s, "n"); got != strconv.FormatInt(i, 10) {
				t.Fatalf("after %d calls the counter is %s", i, got)
			}
			if _, err := get(c, ctx, "n"); err != nil { // by now the connection is back
				t.Fatal(err)
			}
		}
	})
	t.Run("several at once", func(t *testing.T) {
		p.CutAfterReplyBytes(0)
		results := c.DoMulti(ctx, 3, func(b rueidis.Builder, i int) rueidis.Completed {
			switch i {
			case 0:
				return b.Get().Key("k").Build()
			case 1:
				return b.Incr().Key("m").Build()
			}
			return b.Set().Key("k").Value("x").Build().ToRetryable()
		})
		if v, err := results[0].ToString(); err != nil || v != "w" && v != "x" {
			t.Errorf("the read: %q, %v", v, err)
		}
		wantConnectionError(t, results[1].Error(), true)
		if err := results[2].Error(); err != nil {
			t.Errorf("the idempotent write: %v", err)
		}
		if got := serverValue(t, s, "m"); got != "1" {
			t.Errorf("the counter is %s", got)
		}
	})
}

func TestAServerThatIsAwayForAMomentIsWaitedFor(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, CommandTimeout: 20 * time.Second})
	s.Kill()
	restarted := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		<-begun
		restarted <- s.Restart()
	}()
	var once sync.Once
	// The first attempt may find the broken connection, whose command may have left; those after it cannot
	// connect, and so are safe to repeat.
	eventually(t, func() error {
		once.Do(func() { close(begun) })
		_, err := incr(c, t.Context(), "n")
		return err
	})
	if err := <-restarted; err != nil {
		t.Fatal(err)
	}
}

func TestAServerThatStaysAwayIsReportedAsUnavailable(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, CommandTimeout: 300 * time.Millisecond})
	s.Kill()
	eventually(t, func() error { // until the broken connection has been noticed
		_, err := incr(c, t.Context(), "n")
		if rediskit.MayHaveApplied(err) {
			return err
		}
		wantConnectionError(t, err, false)
		if !rediskit.IsUnavailable(err) {
			t.Fatal(err)
		}
		return nil
	})
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := incr(c, t.Context(), "n")
		return err
	})
}

func TestAContextThatEndedSendsNothing(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	key := rediskittest.Keys(t)("n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := incr(c, ctx, key)
	wantConnectionError(t, err, false)
	if !errors.Is(err, context.Canceled) || rediskit.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
	if _, err := get(c, t.Context(), key); !rueidis.IsRedisNil(err) {
		t.Errorf("the counter exists: %v", err)
	}
}

func TestAContextThatEndsInFlightLeavesTheOutcomeOpen(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}})
	p.BlackHoleReplies()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := incr(c, ctx, "n")
	wantConnectionError(t, err, true)
	if !errors.Is(err, context.DeadlineExceeded) || !rediskit.IsUnavailable(err) {
		t.Errorf("%v", err)
	}
	if _, err = get(c, ctx, "n"); rediskit.MayHaveApplied(err) {
		t.Errorf("a read may have been applied: %v", err)
	}
}

// Two hundred callers with short deadlines and a server that has gone silent: in this time they abandon many
// times more commands than a connection has room for.
func TestDeadlinesAreKeptWhenTheServerGoesSilent(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	// A time-out that cannot help.
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: 10 * time.Minute})
	impatient(t, 200, 200*time.Millisecond, time.Second, func(ctx context.Context) error { return set(c, ctx, "k", "v") })
	p.BlackHole()
	calls := impatient(t, 200, 4*time.Second, 20*time.Millisecond, func(ctx context.Context) error {
		if err := set(c, ctx, "k", "v"); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("want the deadline's error: %w", err)
		}
		return nil
	})
	if calls < 2000 {
		t.Errorf("%d calls: too few to fill a connection", calls)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return set(c, ctx, "k", "v")
	})
}

// Sixty callers give up on hundreds of commands while the server runs a script. Whoever waits gets his reply.
func TestAServerThatIsOnlySlowKeepsItsConnection(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
	run := func(milliseconds string) error {
		return c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
			return b.Eval().Script(`
				local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
				local begin = now()
				repeat until now() > begin + ARGV[1]
				return redis.call('INCR', KEYS[1])`).Numkeys(1).Key("n").Arg(milliseconds).Build()
		}).Error()
	}
	if err := run("0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run("400"); err != nil {
			t.Error(err)
		}
	})
	for range 10 {
		wg.Go(func() {
			if _, err := incr(c, t.Context(), "n"); err != nil {
				t.Error(err)
			}
		})
	}
	impatient(t, 60, 400*time.Millisecond, 80*time.Millisecond, func(ctx context.Context) error {
		_ = set(c, ctx, "k", "v")
		return nil
	})
	wg.Wait()
}

// Somebody without a deadline is connecting to a server that accepts and says nothing.
func TestDeadlinesAreKeptWhileAConnectionIsBeingMade(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: time.Minute, DialTimeout: time.Minute})
	p.BlackHoleReplies()
	p.Cut()
	patient := make(chan error, 1)
	go func() { patient <- set(c, t.Context(), "k", "v") }()
	eventually(t, func() error {
		if p.Stats().Open == 0 {
			return errors.New("nobody is connecting")
		}
		return nil
	})
	impatient(t, 200, time.Second, 20*time.Millisecond, func(ctx context.Context) error {
		res := c.DoMulti(ctx, 2, func(b rueidis.Builder, _ int) rueidis.Completed { return b.Incr().Key("n").Build() })
		_, err := get(c, ctx, "k")
		for _, err := range []error{res[0].Error(), res[1].Error(), err} {
			if !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("want the deadline's error: %w", err)
			}
		}
		return nil
	})
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-patient; err != nil {
		t.Error(err)
	}
}

// impatient makes calls with a deadline from many goroutines for a time, and returns how many. It fails the
// test if calls do not end.
func impatient(t *testing.T, goroutines int, for_, deadline time.Duration, call func(context.Context) error) int64 {
	t.Helper()
	var wg sync.WaitGroup
	var calls atomic.Int64
	stop := time.Now().Add(for_)
	for range goroutines {
		wg.Go(func() {
			for time.Now().Before(stop) {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				if err := call(ctx); err != nil {
					t.Error(err)
				}
				cancel()
				calls.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(for_ + 30*time.Second):
		t.Fatalf("calls with a deadline of %v have not ended after half a minute", deadline)
	}
	return calls.Load()
}

func TestConnectionsThatBreakAllTheTimeNeverApplyAWriteTwice(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}})
	stop := make(chan struct{})
	var cutter sync.WaitGroup
	cutter.Go(func() {
		tick := time.NewTicker(7 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.Cut()
			}
		}
	})
	var wg sync.WaitGroup
	var applied, maybe atomic.Int64
	for g := range 64 {
		wg.Go(func() {
			for range 50 {
				key := fmt.Sprint("n", g%4)
				switch _, err := incr(c, t.Context(), key); {
				case err == nil:
					applied.Add(1)
				case rediskit.MayHaveApplied(err):
					maybe.Add(1)
				case !rediskit.IsUnavailable(err):
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	cutter.Wait()
	var total int64
	for i := range 4 {
		n, _ := strconv.ParseInt(serverValue(t, s, fmt.Sprint("n", i)), 10, 64)
		total += n
	}
	if total < applied.Load() || total > applied.Load()+maybe.Load() {
		t.Errorf("%d applied, at most %d more unknown, but the counters are at %d", applied.Load(), maybe.Load(), total)
	}
	t.Logf("%d acknowledged, %d unknown, %d on the server", applied.Load(), maybe.Load(), total)
}

func TestASuccessfulCallCostsNoAllocationOfRediskit(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	key := rediskittest.Keys(t)("k")
	ctx := context.Background()
	if err := set(c, ctx, key, "v"); err != nil {
		t.Fatal(err)
	}
	raw := testing.AllocsPerRun(2000, func() {
		_ = c.Redis().Do(ctx, c.Redis().B().Get().Key(key).Build())
	})
	ours := testing.AllocsPerRun(2000, func() {
		_ = c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key(key).Build() })
	})
	if ours > raw {
		t.Errorf("%v allocations, %v below rediskit", ours, raw)
	}
}

func TestCloseWaitsForCommandsThatAreUnderWay(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}})
	p.SetDelay(100 * time.Millisecond)
	const callers = 50
	var began, wg sync.WaitGroup
	began.Add(callers)
	var failed atomic.Int64
	for range callers {
		wg.Go(func() {
			began.Done()
			if _, err := incr(c, t.Context(), "n"); err != nil && !errors.Is(err, rediskit.ErrClosed) {
				failed.Add(1)
			}
		})
	}
	began.Wait()
	eventually(t, func() error {
		if serverValue(t, s, "n") == "" {
			return errors.New("no command has arrived")
		}
		return nil
	})
	c.Close()
	wg.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("Close lost the replies of %d commands", n)
	}
}

// The client library closes a cluster's nodes in the background.
func TestCloseWaitsForCommandsThatAreUnderWayOnACluster(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnCluster)
	key := rediskittest.Keys(t)("n")
	const callers = 20
	answered := make(chan struct{}, callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			if err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
				return b.Eval().Script(`
					local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
					local begin = now()
					repeat until now() > begin + 20
					return redis.call('INCR', KEYS[1])`).Numkeys(1).Key(key).Build()
			}).Error(); err != nil && !errors.Is(err, rediskit.ErrClosed) {
				t.Error(err)
			}
			answered <- struct{}{}
		})
	}
	<-answered
	c.Close()
	wg.Wait()
}

func TestManyCommandsThatFailTogetherShareTheTimeForRepeating(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, CommandTimeout: 200 * time.Millisecond})
	s.Kill()
	begin := time.Now()
	results := c.DoMulti(t.Context(), 1000, func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Get().Key(strconv.Itoa(i)).Build()
	})
	for _, res := range results {
		wantConnectionError(t, res.Error(), false)
	}
	if d := time.Since(begin); d > time.Minute { // one after the other they would take 200 s
		t.Errorf("took %v", d)
	}
}

// The client library makes a connection with the context of whoever needs it first.
func TestACallerWhoLeavesWhileAConnectionIsBeingMadeTroublesNobodyElse(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: 20 * time.Second})
	p.SetDelay(40 * time.Millisecond)
	const rounds, others = 10, 8
	for range rounds {
		p.Cut()
		before := p.Stats().Accepted
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = get(c, ctx, "n") }) // notices the cut and connects anew
		eventually(t, func() error {
			if p.Stats().Accepted == before {
				return errors.New("nobody is connecting")
			}
			return nil
		})
		for range others {
			wg.Go(func() {
				if _, err := incr(c, t.Context(), "n"); err != nil {
					t.Error(err)
				}
			})
		}
		cancel()
		wg.Wait()
	}
	if got := serverValue(t, s, "n"); got != strconv.Itoa(rounds*others) {
		t.Errorf("the counter is %s", got)
	}
}

// A proxy whose server is gone, or a server that has enough clients or hangs, accepts connections all the same.
func TestAConnectionThatIsNotGreetedSentNothing(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	connectTo := func(commands time.Duration) *rediskit.Client {
		return connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: commands, DialTimeout: 100 * time.Millisecond})
	}
	notice := func(c *rediskit.Client) { // that the connection has gone
		eventually(t, func() error {
			if _, err := get(c, t.Context(), "k"); err == nil {
				return errors.New("the connection is still there")
			}
			return nil
		})
	}
	t.Run("closed", func(t *testing.T) {
		c := connectTo(100 * time.Millisecond)
		s.Kill()
		notice(c)
		_, err := incr(c, t.Context(), "n")
		wantConnectionError(t, err, false)
		if !rediskit.IsUnavailable(err) {
			t.Error(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("full", func(t *testing.T) {
		c := connectTo(100 * time.Millisecond)
		other := connect(t, rediskit.Config{Addrs: []string{s.Addr()}})
		limit := func(n string) {
			if err := other.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
				return b.ConfigSet().ParameterValue().ParameterValue("maxclients", n).Build()
			}).Error(); err != nil {
				t.Fatal(err)
			}
		}
		limit("1")
		p.Cut()
		notice(c)
		eventually(t, func() error { // the reset of the connection may overtake the reason
			_, err := incr(c, t.Context(), "n")
			wantConnectionError(t, err, false)
			if !strings.Contains(err.Error(), "max number of clients") {
				return err
			}
			return nil
		})
		limit("100")
	})
	t.Run("silent", func(t *testing.T) {
		c := connectTo(20 * time.Second)
		p.BlackHoleReplies()
		p.Cut()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _ = get(c, ctx, "k")
		before := p.Stats().Accepted
		got := make(chan error, 1)
		go func() {
			_, err := incr(c, t.Context(), "n")
			got <- err
		}()
		eventually(t, func() error {
			if p.Stats().Accepted < before+2 {
				return errors.New("it has not tried again")
			}
			return nil
		})
		if err := p.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// On a connection without traffic the client library lets a caller write and read by himself, with his deadline.
func TestADeadlineOfOneCallerIsNoFailureOfAnother(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	const rounds = 10
	for i := range rounds {
		p.SetDelay(0)
		c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: 20 * time.Second})
		p.SetDelay(60 * time.Millisecond)
		before := p.Stats().RequestBytes
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, _ = get(c, ctx, "k")
		})
		eventually(t, func() error {
			if p.Stats().RequestBytes == before {
				return errors.New("nothing was sent")
			}
			return nil
		})
		if n, err := incr(c, t.Context(), "n"); err != nil || n != int64(i+1) {
			t.Errorf("round %d: %d, %v", i, n, err)
		}
		wg.Wait()
	}
}
