package limits_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/rediskittest"
)

var onServers = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnCluster, rediskittest.OnEmbedded}

// five are of every algorithm, and give nothing back while a test runs.
var five = []string{"sliding-window:5/24h", "fixed-window:5/24h", "sliding-counter:5/8784h", "token-bucket:1/86400s,burst=5", "gcra:1/24h,burst=5"}

func command(t *testing.T, c *rediskit.Client, args ...string) rueidis.RedisResult {
	t.Helper()
	res := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(args[0]).Keys(args[1]).Args(args[2:]...).Build()
	})
	if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatalf("%v: %v", args, err)
	}
	return res
}

func integer(t *testing.T, c *rediskit.Client, args ...string) int64 {
	t.Helper()
	n, err := command(t, c, args...).AsInt64()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return n
}

func batch(t *testing.T, c *rediskit.Client, call limits.BatchCall) limits.Batch {
	t.Helper()
	_, b, err := limits.ServerBatches.Take(t.Context(), c, call)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// content is all there is of a state.
func content(t *testing.T, c *rediskit.Client, key string) string {
	t.Helper()
	if kind, _ := command(t, c, "TYPE", key).ToString(); kind == "list" {
		all, err := command(t, c, "LRANGE", key, "0", "-1").AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, "\n")
	}
	s, _ := command(t, c, "GET", key).ToString()
	return s
}

func TestOnTheServersClockABatchIsWhatIsWantedOrWhatIsLeftOrNothing(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, text := range five {
			key := rediskittest.Keys(t)("k")
			call := limits.BatchCall{Limit: spec(t, text), Key: key, Lease: time.Second, Need: 1, Want: 3}
			if b := batch(t, c, call); b.Permits != 3 || b.Lasts != time.Second {
				t.Errorf("%v: %+v of 5", text, b)
			}
			call.Want = 4
			second := batch(t, c, call)
			if left := call.Limit.MostLeased(time.Second) - 3; second.Permits != left { // of a bucket one less
				t.Errorf("%v: %+v, of %d", text, second, left)
			}
			before, ttl := content(t, c, key), integer(t, c, "PTTL", key)
			if b := batch(t, c, call); b.Permits != 0 {
				t.Errorf("%v: %+v of nothing", text, b)
			}
			if after := content(t, c, key); after != before || integer(t, c, "PTTL", key) > ttl {
				t.Errorf("%v: a refusal made %q of %q", text, after, before)
			}
			command(t, c, "PERSIST", key)
			batch(t, c, call)
			if integer(t, c, "PTTL", key) < ttl-10_000 {
				t.Errorf("%v: a refusal left the key without its TTL", text)
			}
			command(t, c, "PERSIST", key)
			call.Returns = []limits.Return{{Name: second.Name, Unused: second.Permits}}
			call.Need, call.Want = 0, 0
			batch(t, c, call)
			if integer(t, c, "PTTL", key) < 0 {
				t.Errorf("%v: what was given back left the key without a TTL", text)
			}
			call.Need, call.Want, call.Returns = 1, second.Permits, nil
			if b := batch(t, c, call); b.Permits != second.Permits {
				t.Errorf("%v: %+v, after %d were given back", text, b, second.Permits)
			}
		}
	}, onServers...)
}

func TestWhenAllIsGivenBackThereIsNoState(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, text := range []string{"sliding-window:5/24h", "fixed-window:5/24h", "sliding-counter:5/8784h"} {
			call := limits.BatchCall{Limit: spec(t, text), Key: rediskittest.Keys(t)("k"), Lease: time.Second, Need: 1, Want: 3}
			b := batch(t, c, call)
			call.Need, call.Want = 0, 0
			call.Returns = []limits.Return{{Name: b.Name, Unused: b.Permits}}
			if err := limits.ServerBatches.Return(t.Context(), c, []limits.BatchCall{call, call}); err != nil {
				t.Fatal(err)
			}
			if integer(t, c, "EXISTS", call.Key) == 1 {
				t.Errorf("%v: %q is left", text, content(t, c, call.Key))
			}
		}
	}, onServers...)
}

func TestABatchIsNotTakenFromWhatIsNoState(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, text := range five {
			for _, foreign := range []string{"", "x", "5", "1 2", "1 2 x", "a b c d", "1 2 3 4 5", "-1 -1", "9|9"} {
				key := rediskittest.Keys(t)("k")
				limit := spec(t, text)
				if limit.Kind == limits.FixedWindow && foreign == "1 2" {
					continue // a window long past
				}
				if limit.Kind == limits.SlidingWindow {
					command(t, c, "RPUSH", key, foreign, "x")
				} else {
					command(t, c, "SET", key, foreign)
				}
				command(t, c, "EXPIRE", key, "100")
				before := content(t, c, key)
				_, b, err := limits.ServerBatches.Take(t.Context(), c, limits.BatchCall{Limit: limit, Key: key, Lease: time.Second, Need: 1, Want: 1})
				if err == nil || !strings.Contains(err.Error(), "no state of this limit") || content(t, c, key) != before {
					t.Errorf("%v in %q: %+v, %v, and then %q", text, foreign, b, err, content(t, c, key))
				}
				command(t, c, "DEL", key)
				command(t, c, "HSET", key, "f", "v")
				command(t, c, "EXPIRE", key, "100")
				if _, _, err := limits.ServerBatches.Take(t.Context(), c, limits.BatchCall{Limit: limit, Key: key, Lease: time.Second, Need: 1, Want: 1}); err == nil {
					t.Errorf("%v took a batch from a hash", text)
				}
			}
		}
	}, onServers...)
}

// Of ten thousand batches of one that have left, no call drops many more than it takes.
func TestManySmallBatchesLeaveByAndBy(t *testing.T) {
	const n = 10_000
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	frozen := limits.FreezeBatches(t, c, false)
	call := limits.BatchCall{Limit: spec(t, "sliding-window:10000/1s"), Key: frozen.Key("k"), Lease: time.Millisecond, Need: 1, Want: 1}
	now := int64(beginning)
	for range n {
		if _, b := frozen.Take(t, now, call); b.Permits != 1 {
			t.Fatal("refused too early")
		}
	}
	if r, b := frozen.Take(t, now, call); b.Permits != 0 || r.A != n {
		t.Fatalf("%+v, %+v of nothing", r, b)
	}
	now += 1_001_000 + n/2 // half of them have left
	length := func() int64 { return integer(t, c, "LLEN", call.Key) }
	for left, want := length(), int64(1); want <= n/2-1; left, want = length(), want*3 {
		call.Want = min(want, n/2-1)
		if _, b := frozen.Take(t, now, call); b.Permits > call.Want || b.Permits < min(call.Want, 1000) {
			t.Fatalf("%d of %d", b.Permits, call.Want)
		}
		if dropped := left + 1 - length(); dropped > 1000 {
			t.Fatalf("%d batches were dropped for %d permits", dropped, call.Want)
		}
	}
	now += 10_000_000 // all of them have
	call.Want = n
	if _, b := frozen.Take(t, now, call); b.Permits != n || length() != 2 {
		t.Fatalf("%+v, and a list of %d", b, length())
	}
}
