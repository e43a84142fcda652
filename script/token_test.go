package script_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

// order is a batch with replies of every kind.
type order struct {
	script.Batch
	replies []any
}

func newOrder(k func(string) string) *order {
	o := new(order)
	b := &o.Batch
	b.Token(k("token"), time.Minute)
	b.Set(k("text"), "*1\n$3\nany\x00\xff", time.Minute)
	o.replies = []any{
		b.Get(k("text")),
		b.Get(k("missing")),
		b.IncrBy(k("n"), 1, time.Minute),
		b.IncrBy(k("large"), 1<<53+1, time.Minute),
		b.HSet(k("h"), "f", "", time.Minute),
		b.RPush(k("l"), "x", time.Minute),
		script.Op[[]string](b, "LRANGE", k("l"), 0, -1),
		script.Op[[]string](b, "LRANGE", k("missing list"), 0, -1),
		script.Op[[]*string](b, "HMGET", k("h"), "f", "none", "f"),
		script.Op[map[string]string](b, "HGETALL", k("h")),
		script.Op[string](b, "TYPE", k("h")),
		script.Op[any](b, "XADD", k("x"), "*", "f", "v"),
		script.Op[any](b, "XRANGE", k("x"), "-", "+"),
	}
	script.Op[bool](b, "PEXPIRE", k("x"), 60_000)
	return o
}

// said is what the replies are.
func (o *order) said() string {
	s := ""
	for _, r := range o.replies {
		v := reflect.ValueOf(r).Elem()
		s += fmt.Sprintf("%v %v\n", plain(v.Field(0).Interface()), v.Field(1))
	}
	return s
}

// plain shows what pointers point to.
func plain(v any) any {
	list, ok := v.([]*string)
	if !ok {
		return v
	}
	var out []string
	for _, p := range list {
		if p == nil {
			out = append(out, "nil")
		} else {
			out = append(out, fmt.Sprintf("%q", *p))
		}
	}
	return out
}

func TestABatchWithATokenIsAppliedOnceAndRepliesTheSameAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		first := newOrder(k)
		if err := first.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		want := first.said()
		// The same by another process, which builds it anew, after the keys have changed.
		do(t, c, "DEL", k("n"))
		do(t, c, "HSET", k("h"), "f", "changed", "g", "new")
		second := newOrder(k)
		for _, o := range []*order{first, second, second} {
			if err := o.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got := o.said(); got != want {
				t.Fatalf("the replies are\n%s\nand were\n%s", got, want)
			}
		}
		if num(t, c, "EXISTS", k("n")) != 0 || num(t, c, "LLEN", k("l")) != 1 {
			t.Fatal("the batch was applied again")
		}
		if ttl := num(t, c, "PTTL", k("token")); ttl <= 0 || ttl > 60_000 {
			t.Fatalf("the token's TTL is %d ms", ttl)
		}
	}, everywhere...)
}

func TestATokenIsForOneBatch(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		build := func(change func(b *script.Batch)) *script.Batch {
			var b script.Batch
			b.Token(k("token"), time.Minute)
			b.IfAbsent(k("stop"))
			b.IncrBy(k("n"), 1, time.Minute)
			change(&b)
			return &b
		}
		if err := build(func(*script.Batch) {}).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(b *script.Batch){
			"another operation": func(b *script.Batch) { b.IncrBy(k("n"), 1, time.Minute) },
			"another condition": func(b *script.Batch) { b.IfAbsent(k("stop2")) },
		} {
			err := build(change).Run(t.Context(), c)
			wantError(t, err, "script.Batch.Run")
			if !errors.Is(err, script.ErrTokenUsed) || rediskit.MayHaveApplied(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, other := range map[string]func(b *script.Batch){
			"another value": func(b *script.Batch) { b.IfAbsent(k("stop")); b.IncrBy(k("n"), 2, time.Minute) },
			"another key":   func(b *script.Batch) { b.IfAbsent(k("stop")); b.IncrBy(k("m"), 1, time.Minute) },
			"another TTL":   func(b *script.Batch) { b.IfAbsent(k("stop")); b.IncrBy(k("n"), 1, time.Hour) },
		} {
			var b script.Batch
			b.Token(k("token"), time.Minute)
			other(&b)
			if err := b.Run(t.Context(), c); !errors.Is(err, script.ErrTokenUsed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// How long the token lasts is no part of what it stands for.
		var b script.Batch
		b.Token(k("token"), time.Hour)
		b.IfAbsent(k("stop"))
		n := b.IncrBy(k("n"), 1, time.Minute)
		if err := b.Run(t.Context(), c); err != nil || n.Value != 1 {
			t.Errorf("%v, %v", err, *n)
		}
		if num(t, c, "GET", k("n")) != 1 {
			t.Error("something was applied again")
		}
	}, everywhere...)
}

func TestARefusedBatchLeavesNoToken(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		var b script.Batch
		b.Token(k("token"), time.Minute)
		b.IfExists(k("go"))
		b.IncrBy(k("n"), 1, time.Minute)
		if err := b.Run(t.Context(), c); !errors.Is(err, script.ErrCondition) {
			t.Fatal(err)
		}
		if num(t, c, "EXISTS", k("token")) != 0 {
			t.Fatal("there is a token")
		}
		do(t, c, "SET", k("go"), "1", "PX", "60000")
		do(t, c, "RPUSH", k("n"), "x")
		if err := b.Run(t.Context(), c); script.Code(err) != "WRONGTYPE" || num(t, c, "EXISTS", k("token")) != 0 {
			t.Fatal(err)
		}
		do(t, c, "DEL", k("n"))
		if err := b.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}, everywhere...)
}

func TestABatchWithATokenThatFailedHalfWaySaysSoAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		do(t, c, "SET", k("text"), "x", "PX", "60000")
		var b script.Batch
		b.Token(k("token"), time.Minute)
		n := b.IncrBy(k("n"), 1, time.Minute)
		script.Op[float64](&b, "INCRBYFLOAT", k("text"), 1.5)
		b.Set(k("after"), 1, time.Minute)
		for range 2 {
			err := b.Run(t.Context(), c)
			var be *script.BatchError
			if !errors.As(err, &be) || be.Operation != "INCRBYFLOAT" || be.Applied != 1 || script.Code(err) != "ERR" || n.Found {
				t.Fatal(err)
			}
		}
		if num(t, c, "GET", k("n")) != 1 || num(t, c, "EXISTS", k("after")) != 0 {
			t.Fatal("it was not applied up to the failure, once")
		}
	}, everywhere...)
}

func TestATokensKeyThatHoldsSomethingElseIsNotTouched(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		do(t, c, "RPUSH", k("list"), "x")
		do(t, c, "PEXPIRE", k("list"), "60000")
		do(t, c, "SET", k("text"), "x", "PX", "60000")
		var b, b2 script.Batch
		b.Token(k("list"), time.Minute)
		b.IncrBy(k("n"), 1, time.Minute)
		err := b.Run(t.Context(), c)
		var be *script.BatchError
		if !errors.As(err, &be) || be.Operation != "Token" || be.Key != k("list") || script.Code(err) != "WRONGTYPE" {
			t.Error(err)
		}
		b2.Token(k("text"), time.Minute)
		b2.IncrBy(k("n"), 1, time.Minute)
		if err := b2.Run(t.Context(), c); !errors.Is(err, script.ErrTokenUsed) {
			t.Error(err)
		}
		if str(t, c, "GET", k("text")) != "x" || num(t, c, "LLEN", k("list")) != 1 || num(t, c, "EXISTS", k("n")) != 0 {
			t.Error("something was written")
		}
	}, everywhere...)
}

func TestAnExpiredTokenIsForgotten(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		var b script.Batch
		b.Token(k("token"), time.Millisecond)
		n := b.IncrBy(k("n"), 1, time.Minute)
		eventually(t, func() error {
			if err := b.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if n.Value < 2 {
				return errors.New("applied once")
			}
			return nil
		})
	}, everywhere...)
}

func TestOfManyRunsWithOneTokenOneIsAppliedAndAllGetItsReplies(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				var b script.Batch
				b.Token(k("token"), time.Minute)
				n := b.IncrBy(k("n"), 1, time.Minute)
				if err := b.Run(t.Context(), c); err != nil || n.Value != 1 {
					t.Errorf("%v, %v", err, *n)
				}
			})
		}
		wg.Wait()
		if num(t, c, "GET", k("n")) != 1 {
			t.Error("it was applied more than once")
		}
	}, everywhere...)
}
