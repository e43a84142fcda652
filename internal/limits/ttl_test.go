package limits

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scan"
)

func scanner(t testing.TB, c *rediskit.Client) *scan.Scanner {
	t.Helper()
	return must[*scan.Scanner](t)(scan.New(c, scan.Config{}))
}

// remove deletes all keys of a test.
func remove(t testing.TB, c *rediskit.Client, key func(string) string) {
	t.Helper()
	must[int64](t)(scanner(t, c).Delete(context.Background(), key("")+"*"))
}

// expire fails the test unless all keys of a test will.
func expire(t testing.TB, c *rediskit.Client, key func(string) string, after string) {
	t.Helper()
	for k, err := range scanner(t, c).Keys(context.Background(), key("")+"*") {
		if err != nil {
			t.Fatal(err)
		}
		if ttl := num(t, c, "PTTL", k); ttl == -1 {
			t.Fatalf("after %s %s has no TTL", after, k)
		}
	}
}

// limitsOf are one of each algorithm, which allow 3 in a minute.
var limitsOf = []string{"sliding-window:3/1m", "sliding-counter:3/1m", "fixed-window:3/1m", "token-bucket:3/1m,burst=3", "gcra:3/1m,burst=3"}

func eachLimit(t *testing.T, test func(t *testing.T, c *rediskit.Client, s *Spec, key func(string) string)) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, text := range limitsOf {
			key := rediskittest.Keys(t)
			t.Run(text, func(t *testing.T) { test(t, c, limit(t, text), key) })
			remove(t, c, key)
		}
	}, rediskittest.OnSingle, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

func allow(t fataler, c *rediskit.Client, call Call) Reply {
	t.Helper()
	return must[Reply](t)(Server.Allow(context.Background(), c, call))
}

func TestEveryKeyHasATTLAfterEveryCall(t *testing.T) {
	eachLimit(t, func(t *testing.T, c *rediskit.Client, s *Spec, key func(string) string) {
		ctx := context.Background()
		call, bucket := Call{s, key("state"), 1}, s.Kind == TokenBucket || s.Kind == GCRA
		punishing := limit(t, s.String()+",penalty=1h")
		var calls []taken
		for i := range 5 {
			if r := allow(t, c, call); r.Verdict == 1 {
				calls = append(calls, taken{call, r})
			}
			expire(t, c, key, fmt.Sprint("Allow ", i))
		}
		if len(calls) != 3 {
			t.Fatalf("%d were allowed", len(calls))
		}
		for _, back := range calls[:2] {
			for _, want := range []bool{true, false} {
				if got := must[bool](t)(Server.Refund(ctx, c, call, marker(back.call, back.r), back.r)); got != want {
					t.Errorf("something came back: %v", got)
				}
				expire(t, c, key, "Refund")
			}
		}
		must[Reply](t)(Server.Peek(ctx, c, call))
		expire(t, c, key, "Peek")
		if bucket {
			for range 6 {
				must[Reply](t)(Server.Reserve(ctx, c, call, time.Minute))
				expire(t, c, key, "Reserve")
			}
		}
		other := Call{s, key("other"), 3}
		must[[]Reply](t)(Server.AllowAll(ctx, c, []Call{call, other}))
		expire(t, c, key, "AllowAll")
		for range 4 {
			allow(t, c, Call{punishing, call.Key, 3})
			expire(t, c, key, "a penalty")
		}
		for _, k := range []string{call.Key, key("absent")} {
			if err := Server.Block(ctx, c, s, k, time.Second); err != nil {
				t.Fatal(err)
			}
			expire(t, c, key, "Block")
		}
		if n := num(t, c, "PTTL", call.Key); n < 3_500_000 {
			t.Errorf("after a penalty of 1h and a shorter block the TTL is %d ms", n)
		}
	})
}

func TestALostTTLIsRepairedAndNoShorterThanTheState(t *testing.T) {
	eachLimit(t, func(t *testing.T, c *rediskit.Client, s *Spec, key func(string) string) {
		ctx := context.Background()
		punishing := limit(t, s.String()+",penalty=2s")
		bucket := s.Kind == TokenBucket || s.Kind == GCRA
		full := func(name string) Call {
			call := Call{s, key(name), 1}
			for range 3 {
				if r := allow(t, c, call); r.Verdict != 1 {
					t.Fatalf("%+v", r)
				}
			}
			if n := num(t, c, "PERSIST", call.Key); n != 1 {
				t.Fatalf("%s had no TTL", call.Key)
			}
			return call
		}
		for name, repair := range map[string]func(call Call) error{
			"refusal": func(call Call) error {
				_, err := Server.Allow(ctx, c, call)
				return err
			},
			"penalty": func(call Call) error {
				_, err := Server.Allow(ctx, c, Call{punishing, call.Key, 1})
				return err
			},
			"block": func(call Call) error { return Server.Block(ctx, c, s, call.Key, 2*time.Second) },
			"refusal of one among others": func(call Call) error {
				_, err := Server.AllowAll(ctx, c, []Call{call, {s, key("fresh"), 1}})
				return err
			},
			"refusal of a reservation": func(call Call) error {
				if !bucket {
					return nil
				}
				_, err := Server.Reserve(ctx, c, call, 0)
				return err
			},
		} {
			if name == "refusal of a reservation" && !bucket {
				continue
			}
			call := full(name)
			if err := repair(call); err != nil {
				t.Fatal(err)
			}
			// 3 were taken within a minute: a bucket is full again after one, a counter forgets after two.
			if n := num(t, c, "PTTL", call.Key); n < 55_000 || n > 130_000 {
				t.Errorf("after a %s the TTL is %d ms", name, n)
			}
			if r := allow(t, c, call); r.Verdict == 1 {
				t.Errorf("after a %s the state is gone: %+v", name, r)
			}
		}
		call := full("allowed") // more, by a raised limit
		raised := limit(t, strings.NewReplacer("window:3", "window:9", "counter:3", "counter:9", "burst=3", "burst=9").Replace(s.String()))
		if r := allow(t, c, Call{raised, call.Key, 1}); r.Verdict != 1 {
			t.Errorf("%+v", r)
		}
		if n := num(t, c, "PTTL", call.Key); n < 55_000 {
			t.Errorf("after one more the TTL is %d ms", n)
		}
	})
}

func TestARefusalByABlockRepairsTheTTLOfWhatIsBehindIt(t *testing.T) {
	eachLimit(t, func(t *testing.T, c *rediskit.Client, s *Spec, key func(string) string) {
		call := Call{s, key("state"), 1}
		for range 2 {
			allow(t, c, call)
		}
		if err := Server.Block(context.Background(), c, s, call.Key, 2*time.Second); err != nil {
			t.Fatal(err)
		}
		num(t, c, "PERSIST", call.Key)
		if r := allow(t, c, call); r.Verdict >= 0 {
			t.Fatalf("not blocked: %+v", r)
		}
		if n := num(t, c, "PTTL", call.Key); n < 35_000 || n > 130_000 { // 2 of 3 were taken
			t.Errorf("the TTL is %d ms", n)
		}
	})
}

func TestBlocksDoNotPileUp(t *testing.T) {
	eachLimit(t, func(t *testing.T, c *rediskit.Client, s *Spec, key func(string) string) {
		call := Call{s, key("state"), 1}
		allow(t, c, call)
		var first int64
		for i := range 5 {
			if err := Server.Block(context.Background(), c, s, call.Key, time.Hour); err != nil {
				t.Fatal(err)
			}
			command := "STRLEN"
			if s.Kind == SlidingWindow {
				command = "LLEN"
			}
			if n := num(t, c, command, call.Key); i == 0 {
				first = n
			} else if n != first {
				t.Errorf("%s was %d and is %d", command, first, n)
			}
		}
	})
}

func TestABareCounterIsAFixedWindowAndGetsATTL(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)
		s := limit(t, "fixed-window:3/1m")
		near := func(d, want time.Duration) bool { return d > want-5*time.Second && d <= want+10*time.Millisecond }

		do(t, c, "SET", key("lost"), "3")
		peek := must[Reply](t)(Server.Peek(context.Background(), c, Call{s, key("lost"), 1}))
		if peek.Verdict != 0 || peek.A != 3 || num(t, c, "PTTL", key("lost")) != -1 {
			t.Errorf("a counter that is full: %+v, or looking at it changed it", peek)
		}
		for range 3 {
			r := allow(t, c, Call{s, key("lost"), 1})
			if d := s.Decide(r, 1, true); d.Allowed || !near(d.Wait, time.Minute) {
				t.Errorf("a counter that is full: %+v, %+v", r, d)
			}
			if ttl := micros(1000 * num(t, c, "PTTL", key("lost"))); !near(ttl, time.Minute) {
				t.Errorf("its TTL is %v", ttl)
			}
		}

		do(t, c, "SET", key("room"), "1")
		if r := allow(t, c, Call{s, key("room"), 2}); r.Verdict != 1 || r.A != 3 {
			t.Errorf("a counter of 1: %+v", r)
		}
		if r := allow(t, c, Call{s, key("room"), 1}); r.Verdict != 0 {
			t.Errorf("a counter of 1 and 2 more: %+v", r)
		}

		do(t, c, "SET", key("lasting"), "2", "PX", "30000") // its window ends with it
		r := allow(t, c, Call{s, key("lasting"), 1})
		if d := s.Decide(r, 1, true); !d.Allowed || d.Remaining != 0 || !near(d.Reset, 30*time.Second) {
			t.Errorf("a counter of 2 with a TTL: %+v, %+v", r, d)
		}
		expire(t, c, key, "all this")
		remove(t, c, key)
	}, singleAndEmbedded...)
}

func TestAKeyWithForeignContentIsAClearErrorAndLeftAlone(t *testing.T) {
	eachLimit(t, func(t *testing.T, c *rediskit.Client, s *Spec, key func(string) string) {
		ctx := context.Background()
		call := Call{s, key("foreign"), 1}
		for _, with := range [][]string{
			{"SET", call.Key, "hello"}, {"SET", call.Key, "1 2 x"}, {"SET", call.Key, "-1"}, {"SET", call.Key, "1.5"}, {"SET", call.Key, "nan"},
			{"SET", call.Key, "hello|123"}, {"SET", call.Key, ""},
			{"RPUSH", call.Key, "hello", "world"}, {"RPUSH", call.Key, "1700000000000000", "world"}, {"HSET", call.Key, "a", "b"}, {"SADD", call.Key, "a"},
		} {
			if s.Kind != SlidingWindow && with[0] == "SET" && with[2] == "" {
				continue // what a block leaves of nothing
			}
			do(t, c, "DEL", call.Key)
			do(t, c, with...)
			read := map[string][]string{"SET": {"GET", call.Key}, "RPUSH": {"LRANGE", call.Key, "0", "-1"},
				"HSET": {"HGETALL", call.Key}, "SADD": {"SMEMBERS", call.Key}}[with[0]]
			before := must[any](t)(do(t, c, read...).ToAny())
			_, err1 := Server.Allow(ctx, c, call)
			_, err2 := Server.Peek(ctx, c, call)
			_, err3 := Server.AllowAll(ctx, c, []Call{call})
			for _, err := range []error{err1, err2, err3} {
				if err == nil || rediskit.IsUnavailable(err) || !strings.Contains(err.Error(), "no state of this limit: "+call.Key) && !strings.Contains(err.Error(), "WRONGTYPE") {
					t.Errorf("%v: %v", with, err)
				}
			}
			if after := must[any](t)(do(t, c, read...).ToAny()); !reflect.DeepEqual(after, before) || num(t, c, "PTTL", call.Key) != -1 {
				t.Errorf("%v was changed to %v", with, after)
			}
		}
	})
}

func TestScriptsMayBeForgottenAnyTime(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	ctx := context.Background()
	for _, text := range limitsOf {
		s := limit(t, text)
		call := Call{s, "{state}" + text, 1}
		for i := range 3 {
			server.Do("SCRIPT", "FLUSH")
			if r := allow(t, c, call); r.Verdict != 1 {
				t.Fatalf("%s: hit %d: %+v", text, i, r)
			} else if i == 2 {
				server.Do("SCRIPT", "FLUSH")
				if !must[bool](t)(Server.Refund(ctx, c, call, marker(call, r), r)) {
					t.Fatalf("%s: nothing came back", text)
				}
			}
		}
		server.Do("SCRIPT", "FLUSH")
		replies, errs := Server.AllowEach(ctx, c, []Call{call, call, {s, call.Key + "2", 3}})
		for i, want := range []int64{1, 0, 1} {
			if errs[i] != nil || replies[i].Verdict != want {
				t.Errorf("%s: %d: %+v, %v", text, i, replies[i], errs[i])
			}
		}
		server.Do("SCRIPT", "FLUSH")
		if all := must[[]Reply](t)(Server.AllowAll(ctx, c, []Call{call, {s, call.Key + "3", 1}})); all[0].Verdict != 0 || all[1].Verdict != 1 {
			t.Errorf("%s: %+v", text, all)
		}
		if n := num(t, c, "EXISTS", call.Key+"3"); n != 0 {
			t.Errorf("%s: one was charged though another refused", text)
		}
	}
}

func TestAStateTakesLittleMemory(t *testing.T) {
	c := rediskittest.Server(t).Client()
	usage := func(key string) int64 {
		n, err := c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary("MEMORY", "USAGE").Keys(key).Args("SAMPLES", "0").Build()
		}).AsInt64()
		return must[int64](t)(n, err)
	}
	for text, most := range map[string]int64{
		"sliding-counter:1000/1m": 112, "fixed-window:1000/1m": 112, "token-bucket:1000/1m,burst=1000": 96, "gcra:1000/1m,burst=1000": 96,
		"gcra:7/1m,burst=1000": 128, "sliding-window:1000/1m": 192,
	} {
		call := Call{limit(t, text), "rl:{0123456789}:x", 1}
		do(t, c, "DEL", call.Key)
		allow(t, c, call)
		n := usage(call.Key)
		t.Logf("%s: %d bytes after one hit", text, n)
		if n > most {
			t.Errorf("%s: %d bytes after one hit, want at most %d", text, n, most)
		}
	}
	bucket := Call{limit(t, "gcra:1000/1h,burst=1000"), "rl:{0123456789}:refunds", 1}
	var calls []taken
	for range 60 {
		calls = append(calls, taken{bucket, allow(t, c, bucket)})
	}
	for i, back := range slices.Backward(calls) {
		if !must[bool](t)(Server.Refund(context.Background(), c, bucket, marker(bucket, back.r), back.r)) {
			t.Errorf("nothing came back of %+v", back.r)
		}
		switch n := usage(bucket.Key); {
		case i == len(calls)-1:
			t.Logf("a bucket after a refund: %d bytes", n)
		case i == 0:
			t.Logf("a bucket after 60 refunds: %d bytes", n)
			fallthrough
		default:
			if n > 768 {
				t.Fatalf("after %d refunds a bucket takes %d bytes", len(calls)-i, n)
			}
		}
	}
	call := Call{limit(t, "sliding-window:1000/1h"), "rl:{0123456789}:hits", 1}
	for range 1000 {
		allow(t, c, call)
	}
	if n := usage(call.Key); n > 11*1000 {
		t.Errorf("1,000 hits take %d bytes", n)
	} else {
		t.Logf("1,000 hits: %d bytes", n)
	}
}
