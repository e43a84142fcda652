package script_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

var (
	incr = script.New(`
		local n = redis.call('INCRBY', KEYS[1], ARGV[1])
		redis.call('PEXPIRE', KEYS[1], 600000)
		return n`, script.Once)
	// record is repeatable: the same member again changes nothing.
	record = script.New(`
		redis.call('SADD', KEYS[1], ARGV[1])
		redis.call('PEXPIRE', KEYS[1], 600000)
		return redis.call('SISMEMBER', KEYS[1], ARGV[1])`, script.Idempotent)
)

// fresh makes a script that no server knows.
func fresh(t *testing.T, source string, repeat script.Repeat) *script.Script {
	return script.New("-- "+t.Name()+" "+strconv.FormatInt(time.Now().UnixNano(), 10)+"\n"+source, repeat)
}

func TestAScriptThatTheServerDoesNotKnowIsSentToIt(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		s := fresh(t, `return {KEYS[1], ARGV[1]}`, script.Once)
		for range 2 {
			got, err := script.Run[[]string](t.Context(), c, s, []string{k("a")}, "x")
			if err != nil || !slices.Equal(got, []string{k("a"), "x"}) {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}, everywhere...)
}

func TestExecMultiRunsEachCallInOrder(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		s := fresh(t, `return {KEYS[1], ARGV[1]}`, script.Once)
		for range 2 {
			calls := make([]script.Call, 50)
			for i := range calls {
				calls[i] = script.Call{Keys: []string{rediskittest.Keys(t)("k")}, Args: []string{strconv.Itoa(i)}}
			}
			for i, res := range s.ExecMulti(t.Context(), c, calls) {
				got, err := script.Decode[[]string](res)
				if err != nil || !slices.Equal(got, []string{calls[i].Keys[0], calls[i].Args[0]}) {
					t.Fatalf("call %d: %q, %v", i, got, err)
				}
			}
		}
	}, everywhere...)
}

func TestAScriptThatIsLoadedIsKnownToEveryMaster(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		source := "return 1 -- " + rediskittest.Keys(t)("")
		if err := script.New(source, script.Idempotent).Load(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		masters, err := c.Masters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sha := rueidis.NewLuaScript(source)
		for _, node := range masters {
			if n, err := sha.Exec(t.Context(), node.Redis, nil, nil).AsInt64(); err != nil || n != 1 {
				t.Errorf("%s: %d, %v", node.Addr, n, err)
			}
		}
	}, everywhere...)
}

func TestLoadFindsAMistakeOfSyntax(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		err := script.New(`return {`, script.Once).Load(t.Context(), c)
		wantError(t, err, "script.Load")
		masters, err2 := c.Masters(t.Context())
		if err2 != nil {
			t.Fatal(err2)
		}
		for _, node := range masters {
			if !strings.Contains(err.Error(), node.Addr) {
				t.Errorf("%v does not name %s", err, node.Addr)
			}
		}
		if rediskit.IsUnavailable(err) {
			t.Errorf("%v is no outage", err)
		}
	}, everywhere...)
}

func TestLoadReportsAnOutage(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnEmbedded)
	c.Close()
	err := incr.Load(t.Context(), c)
	wantError(t, err, "script.Load")
	if !errors.Is(err, rediskit.ErrClosed) || !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
}

func TestKeysOfDifferentSlotsAreRefusedBeforeAnythingIsSent(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnCluster)
	k, other := rediskittest.Keys(t), rediskittest.Keys(t)
	both := []string{k("a"), other("b")}
	set := script.New(`return redis.call('SET', KEYS[1], '1', 'PX', 60000)`, script.Once)

	_, err := script.Run[string](t.Context(), c, set, both)
	wantError(t, err, "script.Run")
	errs := []error{err, set.Exec(t.Context(), c, both, nil).Error()}
	for _, res := range set.ExecMulti(t.Context(), c, []script.Call{{Keys: []string{k("a")}}, {Keys: both}}) {
		errs = append(errs, res.Error())
	}
	var b script.Batch
	b.Set(k("a"), 1, time.Minute)
	b.Set(other("b"), 1, time.Minute)
	errs = append(errs, b.Run(t.Context(), c))
	for i, err := range errs {
		if !errors.Is(err, rediskit.ErrCrossSlot) || rediskit.MayHaveApplied(err) {
			t.Errorf("way %d: %v", i, err)
		}
	}
	if str(t, c, "GET", k("a")) != "(nil)" {
		t.Error("something was written")
	}
}

func TestAScriptsOwnErrorHasItsCode(t *testing.T) {
	s := script.New(`return redis.error_reply('SOLDOUT no seat is left')`, script.Once)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		_, err := script.Run[int](t.Context(), c, s, []string{"k"})
		wantError(t, err, "script.Run", "no seat is left", `"k"`)
		var re *rueidis.RedisError
		if !errors.As(err, &re) || script.Code(err) != "SOLDOUT" {
			t.Fatalf("the code of %v is %q", err, script.Code(err))
		}
		if rediskit.IsUnavailable(err) || rediskit.MayHaveApplied(err) {
			t.Fatalf("%v is taken for an outage", err)
		}
	}, everywhere...)
}

func TestAnErrorCaughtInAScriptHasItsCode(t *testing.T) {
	s := script.New(`return redis.pcall('INCR', KEYS[1])`, script.Once)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		do(t, c, "RPUSH", k("list"), "x")
		do(t, c, "PEXPIRE", k("list"), "60000")
		_, err := script.Run[int](t.Context(), c, s, []string{k("list")})
		if script.Code(err) != "WRONGTYPE" {
			t.Fatal(err)
		}
	}, everywhere...)
}

func TestANilReplyIsNoError(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, source := range []string{`return nil`, `return false`, `return`, `return redis.call('GET', KEYS[1])`} {
			s := script.New(source, script.Idempotent)
			key := []string{rediskittest.Keys(t)("missing")}
			if got, err := script.Run[*string](t.Context(), c, s, key); err != nil || got != nil {
				t.Errorf("%s: %v, %v", source, got, err)
			}
			_, err := script.Run[string](t.Context(), c, s, key)
			wantError(t, err, "script.Run", "got nil, want string")
		}
	}, everywhere...)
}

func TestRunRefusesBadArgumentsBeforeAnythingIsSent(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnEmbedded)
	c.Close() // so that sending would be another error
	_, err := script.Run[int](t.Context(), c, incr, []string{"k"}, "ok", []string{"a"})
	wantError(t, err, "script.Run", `"k"`, "argument 2", "[]string")
	_, err = script.Run[int](t.Context(), c, incr, []string{"k", ""})
	wantError(t, err, "script.Run", "key 2 is empty")
	_, err = script.Run[int](t.Context(), c, incr, []string{"k"}, 1)
	if !errors.Is(err, rediskit.ErrClosed) {
		t.Fatal(err)
	}
}

func TestTheServersTimeIsReadAsTheGuideSays(t *testing.T) {
	s := script.New(`
		if redis.replicate_commands then redis.replicate_commands() end
		local t = redis.call('TIME')
		local now = t[1] * 1000000 + t[2]
		redis.call('SET', KEYS[1], string.format('%.0f', now), 'PX', 60000)
		return string.format('%.0f', now)`, script.Once)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		before := time.Now().Add(-time.Hour)
		at, err := script.Run[time.Time](t.Context(), c, s, []string{rediskittest.Keys(t)("now")})
		if err != nil || at.Before(before) || at.After(time.Now().Add(time.Hour)) {
			t.Fatalf("%v, %v", at, err)
		}
	}, everywhere...)
}

func TestAScriptThatFailsHalfWayKeepsItsEarlierWrites(t *testing.T) {
	s := script.New(`
		redis.call('SET', KEYS[1], 'kept', 'PX', 60000)
		redis.call('LPUSH', KEYS[1], 'x')`, script.Once)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		if _, err := script.Run[any](t.Context(), c, s, []string{k("a")}); err == nil {
			t.Fatal("no error")
		}
		if got := str(t, c, "GET", k("a")); got != "kept" {
			t.Fatalf("the key holds %q", got)
		}
	}, everywhere...)
}

// flushable are servers of the test's own, whose scripts it may make them forget.
func flushable(t *testing.T) map[string]rediskit.Config {
	t.Helper()
	server, err := redistest.StartServer(redistest.ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	set, err := redistest.StartSentinel(redistest.SentinelConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	cluster, err := redistest.StartCluster(redistest.ClusterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	return map[string]rediskit.Config{
		"single":   {Addrs: []string{server.Addr()}},
		"sentinel": {Addrs: set.Addrs(), Sentinel: rediskit.Sentinel{Master: set.MasterName()}},
		"cluster":  {Addrs: cluster.Addrs(), Cluster: true},
	}
}

func TestScriptsAreForgottenUnderwayAndEachRunCountsOnce(t *testing.T) {
	const workers, runs = 200, 25
	for name, cfg := range flushable(t) {
		t.Run(name, func(t *testing.T) {
			forgetUnderway(t, connect(t, cfg), connect(t, cfg), workers, runs)
		})
	}
	t.Run("embedded", func(t *testing.T) {
		c := rediskittest.Connect(t, rediskittest.OnEmbedded)
		forgetUnderway(t, c, c, workers, 5)
	})
}

// forgetUnderway has scripts run through c while other makes the servers forget them.
func forgetUnderway(t *testing.T, c, other *rediskit.Client, workers, runs int) {
	masters, err := other.Masters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := make([]string, 8)
	for i := range k {
		k[i] = rediskittest.Keys(t)("n")
	}
	var wg sync.WaitGroup
	var done atomic.Bool
	flushes := 0
	flusher := make(chan struct{})
	go func() {
		defer close(flusher)
		for !done.Load() {
			for _, node := range masters {
				if node.Redis.Do(t.Context(), node.Redis.B().ScriptFlush().Build()).Error() == nil {
					flushes++
				}
			}
		}
	}()
	for w := range workers {
		wg.Go(func() {
			for r := range runs {
				if (w+r)%2 == 0 {
					if _, err := script.Run[int64](t.Context(), c, incr, k[w%8:w%8+1], 1); err != nil {
						t.Error(err)
					}
					continue
				}
				call := script.Call{Keys: k[w%8 : w%8+1], Args: []string{"1"}}
				for _, res := range incr.ExecMulti(t.Context(), c, []script.Call{call, call}) {
					if err := res.Error(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	done.Store(true)
	<-flusher
	var sum, want int64
	for _, key := range k {
		sum += num(t, c, "GET", key)
	}
	for w := range workers {
		for r := range runs {
			want += int64(1 + (w+r)%2)
		}
	}
	if sum != want {
		t.Errorf("%d runs counted %d, with %d flushes", want, sum, flushes)
	}
	if flushes == 0 {
		t.Error("nothing was flushed")
	}
}

func connect(t *testing.T, cfg rediskit.Config) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(fmt.Errorf("%v: %w", cfg, err))
	}
	t.Cleanup(c.Close)
	return c
}
