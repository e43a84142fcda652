package script_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

func TestABatchAppliesItsOperationsInOrderAndGivesTheirReplies(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		for _, key := range []string{"gone", "bounded", "unbounded"} {
			do(t, c, "SET", k(key), "old", "PX", "600000")
		}
		do(t, c, "PERSIST", k("unbounded"))
		var b script.Batch
		missing := b.Get(k("text"))
		b.Set(k("text"), "any\x00bytes\xff", time.Minute)
		text := b.Get(k("text"))
		there, notThere := b.Exists(k("text")), b.Exists(k("nothing"))
		deleted, notDeleted := b.Del(k("gone")), b.Del(k("nothing"))
		bound, notBound := b.Expire(k("unbounded"), time.Minute), b.Expire(k("nothing"), time.Minute)
		freed, notFreed := b.Persist(k("bounded")), b.Persist(k("bounded"))
		b.Set(k("n"), 0, time.Minute)
		one, up := b.IncrBy(k("n"), 1, time.Minute), b.IncrBy(k("n"), math.MaxInt64-1, time.Minute)
		down := b.IncrBy(k("n"), -7, time.Minute)
		newField, oldField := b.HSet(k("h"), "f", 5, time.Minute), b.HSet(k("h"), "f", 6, time.Minute)
		field, noField := b.HGet(k("h"), "f"), b.HGet(k("h"), "none")
		b.HSet(k("h"), "big", 0, time.Minute)
		count, large := b.HIncrBy(k("h"), "f", -10, time.Minute), b.HIncrBy(k("h"), "big", math.MinInt64, time.Minute)
		removed, notRemoved := b.HDel(k("h"), "f"), b.HDel(k("h"), "f")
		first, second := b.RPush(k("l"), "b", time.Minute), b.LPush(k("l"), "a", time.Minute)
		list := script.Op[[]string](&b, "lrange", k("l"), 0, -1)
		joined, already := b.SAdd(k("s"), "m", time.Minute), b.SAdd(k("s"), "m", time.Minute)
		left, leftBefore := b.SRem(k("s"), "m"), b.SRem(k("s"), "m")
		ranked, moved := b.ZAdd(k("z"), "m", 1.5, time.Minute), b.ZAdd(k("z"), "m", -2.25, time.Minute)
		score := script.Op[float64](&b, "ZSCORE", k("z"), "m")
		unranked := script.Op[int](&b, "ZRANK", k("z"), "other")
		all := script.Op[map[string]string](&b, "HGETALL", k("h"))
		kind := script.Op[string](&b, "TYPE", k("z"))
		if err := b.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}

		for name, r := range map[string]*script.Reply[bool]{
			"there": there, "deleted": deleted, "bound": bound, "freed": freed, "newField": newField,
			"removed": removed, "joined": joined, "left": left, "ranked": ranked,
		} {
			if !r.Value || !r.Found {
				t.Errorf("%s is %v", name, *r)
			}
		}
		for name, r := range map[string]*script.Reply[bool]{
			"notThere": notThere, "notDeleted": notDeleted, "notBound": notBound, "notFreed": notFreed,
			"oldField": oldField, "notRemoved": notRemoved, "already": already, "leftBefore": leftBefore, "moved": moved,
		} {
			if r.Value || !r.Found {
				t.Errorf("%s is %v", name, *r)
			}
		}
		for name, got := range map[string][2]any{
			"missing":  {*missing, script.Reply[string]{}},
			"text":     {*text, script.Reply[string]{Value: "any\x00bytes\xff", Found: true}},
			"one":      {one.Value, int64(1)},
			"up":       {up.Value, int64(math.MaxInt64)},
			"down":     {down.Value, int64(math.MaxInt64 - 7)},
			"field":    {*field, script.Reply[string]{Value: "6", Found: true}},
			"noField":  {*noField, script.Reply[string]{}},
			"count":    {count.Value, int64(-4)},
			"large":    {large.Value, int64(math.MinInt64)},
			"first":    {first.Value, int64(1)},
			"second":   {second.Value, int64(2)},
			"list":     {fmt.Sprint(list.Value), "[a b]"},
			"score":    {score.Value, -2.25},
			"unranked": {*unranked, script.Reply[int]{}},
			"all":      {fmt.Sprint(all.Value), "map[big:-9223372036854775808]"},
			"kind":     {kind.Value, "zset"},
		} {
			if got[0] != got[1] {
				t.Errorf("%s is %v: want %v", name, got[0], got[1])
			}
		}
		for _, key := range []string{"text", "unbounded", "n", "h", "l", "z"} {
			if ttl := num(t, c, "PTTL", k(key)); ttl <= 0 || ttl > 60_000 {
				t.Errorf("the TTL of %s is %d ms", key, ttl)
			}
		}
	}, everywhere...)
}

func TestTheTTLIsSetAnewUnlessItIsNoTTL(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		writes := map[string]func(b *script.Batch, key string, ttl time.Duration){
			"Set":     func(b *script.Batch, key string, ttl time.Duration) { b.Set(key, 1, ttl) },
			"IncrBy":  func(b *script.Batch, key string, ttl time.Duration) { b.IncrBy(key, 1, ttl) },
			"HSet":    func(b *script.Batch, key string, ttl time.Duration) { b.HSet(key, "f", 1, ttl) },
			"HIncrBy": func(b *script.Batch, key string, ttl time.Duration) { b.HIncrBy(key, "f", 1, ttl) },
			"LPush":   func(b *script.Batch, key string, ttl time.Duration) { b.LPush(key, 1, ttl) },
			"RPush":   func(b *script.Batch, key string, ttl time.Duration) { b.RPush(key, 1, ttl) },
			"SAdd":    func(b *script.Batch, key string, ttl time.Duration) { b.SAdd(key, 1, ttl) },
			"ZAdd":    func(b *script.Batch, key string, ttl time.Duration) { b.ZAdd(key, 1, 1, ttl) },
		}
		for name, write := range writes {
			for _, step := range []struct {
				ttl      time.Duration
				from, to int64
			}{
				{rediskit.NoTTL, -1, -1},
				{time.Hour, 3_500_000, 3_600_000},
				{time.Minute + time.Nanosecond, 50_000, 60_001},
				{rediskit.NoTTL, 50_000, 60_001},
			} {
				var b script.Batch
				write(&b, k(name), step.ttl)
				if err := b.Run(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if name == "Set" && step.ttl == rediskit.NoTTL {
					step.from, step.to = -1, -1
				}
				if ttl := num(t, c, "PTTL", k(name)); ttl < step.from || ttl > step.to {
					t.Errorf("after %s with %v the TTL is %d ms", name, step.ttl, ttl)
				}
			}
			do(t, c, "DEL", k(name))
		}
	}, everywhere...)
}

func TestABatchWhoseConditionDoesNotHoldAppliesNothing(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		do(t, c, "SET", k("there"), "v\x00", "PX", "60000")
		do(t, c, "RPUSH", k("list"), "v")
		do(t, c, "PEXPIRE", k("list"), "60000")
		for _, row := range []struct {
			condition func(b *script.Batch)
			fails     string // the condition's name; "" if it holds
			key       string
		}{
			{func(b *script.Batch) { b.IfExists(k("there")) }, "", ""},
			{func(b *script.Batch) { b.IfExists(k("list")) }, "", ""},
			{func(b *script.Batch) { b.IfAbsent(k("not")) }, "", ""},
			{func(b *script.Batch) { b.IfAbsent(k("written")) }, "", ""},
			{func(b *script.Batch) { b.IfEquals(k("there"), "v\x00") }, "", ""},
			{func(b *script.Batch) { b.IfEquals(k("there"), []byte("v\x00")) }, "", ""},
			{func(b *script.Batch) { b.IfExists(k("not")) }, "IfExists", "not"},
			{func(b *script.Batch) { b.IfExists(k("written")) }, "IfExists", "written"},
			{func(b *script.Batch) { b.IfAbsent(k("there")) }, "IfAbsent", "there"},
			{func(b *script.Batch) { b.IfEquals(k("there"), "v") }, "IfEquals", "there"},
			{func(b *script.Batch) { b.IfEquals(k("not"), "") }, "IfEquals", "not"},
			{func(b *script.Batch) { b.IfExists(k("there")); b.IfAbsent(k("list")) }, "IfAbsent", "list"},
		} {
			var b script.Batch
			b.Set(k("written"), 1, time.Minute)
			row.condition(&b)
			n := b.IncrBy(k("n"), 1, time.Minute)
			err := b.Run(t.Context(), c)
			if row.fails == "" {
				if err != nil || n.Value != 1 {
					t.Errorf("%v, %v", err, *n)
				}
				do(t, c, "DEL", k("written"))
				do(t, c, "DEL", k("n"))
				continue
			}
			wantError(t, err, "script.Batch.Run", row.fails, k(row.key))
			var be *script.BatchError
			if !errors.As(err, &be) || be.Operation != row.fails || be.Key != k(row.key) || be.Applied != 0 ||
				!errors.Is(err, script.ErrCondition) || rediskit.IsUnavailable(err) || rediskit.MayHaveApplied(err) {
				t.Errorf("%s: %v", row.fails, err)
			}
			if n.Found || num(t, c, "EXISTS", k("written"))+num(t, c, "EXISTS", k("n")) != 0 {
				t.Errorf("%s: a part was applied", row.fails)
			}
		}
		var b script.Batch
		b.IfEquals(k("list"), "v")
		b.Set(k("written"), 1, time.Minute)
		if err := b.Run(t.Context(), c); script.Code(err) != "WRONGTYPE" || num(t, c, "EXISTS", k("written")) != 0 {
			t.Errorf("a list compared with a value: %v", err)
		}
	}, everywhere...)
}

func TestAKeyOfTheWrongTypeRefusesTheWholeBatch(t *testing.T) {
	operations := map[string]func(b *script.Batch, key string){
		"GET":     func(b *script.Batch, key string) { b.Get(key) },
		"INCRBY":  func(b *script.Batch, key string) { b.IncrBy(key, 1, time.Minute) },
		"HSET":    func(b *script.Batch, key string) { b.HSet(key, "f", 1, time.Minute) },
		"HGET":    func(b *script.Batch, key string) { b.HGet(key, "f") },
		"HDEL":    func(b *script.Batch, key string) { b.HDel(key, "f") },
		"HINCRBY": func(b *script.Batch, key string) { b.HIncrBy(key, "f", 1, time.Minute) },
		"LPUSH":   func(b *script.Batch, key string) { b.LPush(key, 1, time.Minute) },
		"RPUSH":   func(b *script.Batch, key string) { b.RPush(key, 1, time.Minute) },
		"SADD":    func(b *script.Batch, key string) { b.SAdd(key, 1, time.Minute) },
		"SREM":    func(b *script.Batch, key string) { b.SRem(key, 1) },
		"ZADD":    func(b *script.Batch, key string) { b.ZAdd(key, 1, 1, time.Minute) },
		"XADD":    func(b *script.Batch, key string) { script.Op[string](b, "XADD", key, "*", "f", "v") },
	}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		do(t, c, "GEOADD", k("geo"), "13", "52", "here")
		do(t, c, "RPUSH", k("list"), "x")
		do(t, c, "PEXPIRE", k("geo"), "60000")
		do(t, c, "PEXPIRE", k("list"), "60000")
		for name, operation := range operations {
			key := k("geo")
			if name == "ZADD" {
				key = k("list")
			}
			var b script.Batch
			b.Set(k("first"), 1, time.Minute)
			b.Del(k("geo2"))
			operation(&b, key)
			err := b.Run(t.Context(), c)
			var be *script.BatchError
			if !errors.As(err, &be) || be.Operation != name || be.Key != key || be.Applied != 0 || script.Code(err) != "WRONGTYPE" {
				t.Errorf("%s: %v", name, err)
			}
			if num(t, c, "EXISTS", k("first")) != 0 {
				t.Fatalf("%s: the operation before it was applied", name)
			}

			// A key that the batch itself frees may take another type.
			b = script.Batch{}
			b.Del(key)
			operation(&b, key)
			b.Del(key)
			if err := b.Run(t.Context(), c); err != nil {
				t.Errorf("%s after Del: %v", name, err)
			}
			do(t, c, "GEOADD", k("geo"), "13", "52", "here")
			do(t, c, "RPUSH", k("list"), "x")
			do(t, c, "PEXPIRE", k("geo"), "60000")
			do(t, c, "PEXPIRE", k("list"), "60000")
		}
		var b script.Batch
		b.Set(k("list"), 1, time.Minute)
		b.IncrBy(k("list"), 1, time.Minute)
		if err := b.Run(t.Context(), c); err != nil {
			t.Errorf("Set replaces a key of any type: %v", err)
		}
	}, everywhere...)
}

func TestACounterThatCannotTakeItRefusesTheWholeBatch(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		for _, row := range []struct {
			value string // that the counter has
			by    []int64
			fails bool
		}{
			{"", []int64{1}, false},
			{"0", []int64{-1}, false},
			{"-5", []int64{math.MaxInt64 / 2}, false},
			{"9000000000000000000", []int64{1}, false},
			{"9223372036854775807", []int64{1}, true},
			{"9223372036854775807", []int64{-9223372036854775807}, true}, // cautious
			{"-9223372036854775808", []int64{-1}, true},
			{"5000000000000000000", []int64{5000000000000000000, -5000000000000000000}, true},
			{"-5000000000000000000", []int64{5000000000000000000, 5000000000000000000 - 1}, true}, // the sum alone
			{"abc", []int64{1}, true},
			{"1.5", []int64{1}, true},
			{" 1", []int64{1}, true},
			{"1\n", []int64{1}, true},
			{"+1", []int64{1}, true},
			{"01", []int64{1}, true},
			{"-0", []int64{1}, true},
			{"0x10", []int64{1}, true},
			{"1e3", []int64{1}, true},
			{"92233720368547758070", []int64{1}, true},
			{strings.Repeat("9", 400), []int64{1}, true},
		} {
			for _, field := range []bool{false, true} {
				if row.value != "" && field {
					do(t, c, "HSET", k("c"), "f", row.value)
				} else if row.value != "" {
					do(t, c, "SET", k("c"), row.value)
				}
				var b script.Batch
				b.Set(k("first"), 1, time.Minute)
				for _, by := range row.by {
					if field {
						b.HIncrBy(k("c"), "f", by, time.Minute)
					} else {
						b.IncrBy(k("c"), by, time.Minute)
					}
				}
				err := b.Run(t.Context(), c)
				applied := num(t, c, "EXISTS", k("first")) == 1
				if (err != nil) != row.fails || applied == row.fails {
					t.Errorf("%q with %v, a field: %v: %v, applied: %v", row.value, row.by, field, err, applied)
				}
				do(t, c, "DEL", k("first"))
				do(t, c, "DEL", k("c"))
			}
		}
	}, everywhere...)
}

func TestWhatTheBatchItselfSetsIsKnownToItsCounters(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnEmbedded)
	for name, row := range map[string]struct {
		build func(b *script.Batch)
		want  string // in the error; "" for none
	}{
		"a number":      {func(b *script.Batch) { b.Set("k", 41, time.Minute); b.IncrBy("k", 1, time.Minute) }, ""},
		"text":          {func(b *script.Batch) { b.Set("k", "x", time.Minute); b.IncrBy("k", 1, time.Minute) }, `INCRBY "k": `},
		"a float":       {func(b *script.Batch) { b.Set("k", 1.5, time.Minute); b.IncrBy("k", 1, time.Minute) }, "not an integer"},
		"the largest":   {func(b *script.Batch) { b.Set("k", math.MaxInt64, time.Minute); b.IncrBy("k", 1, time.Minute) }, "overflows"},
		"the smallest":  {func(b *script.Batch) { b.Set("k", math.MinInt64, time.Minute); b.IncrBy("k", -1, time.Minute) }, "overflows"},
		"a field":       {func(b *script.Batch) { b.HSet("k", "f", "x", time.Minute); b.HIncrBy("k", "f", 1, time.Minute) }, `HINCRBY "k": `},
		"another field": {func(b *script.Batch) { b.HSet("k", "f", "x", time.Minute); b.HIncrBy("k", "g", 1, time.Minute) }, ""},
		"a removed field": {func(b *script.Batch) {
			b.HSet("k", "f", "x", time.Minute)
			b.HDel("k", "f")
			b.HIncrBy("k", "f", 1, time.Minute)
		}, ""},
		"a removed key": {func(b *script.Batch) { b.Set("k", "x", time.Minute); b.Del("k"); b.IncrBy("k", 1, time.Minute) }, ""},
		"an unlinked key": {func(b *script.Batch) {
			b.Set("k", "x", time.Minute)
			script.Op[int](b, "UNLINK", "k")
			b.HIncrBy("k", "f", 1, time.Minute)
		}, ""},
		"an operation's doing": {func(b *script.Batch) {
			b.Set("k", "x", time.Minute)
			script.Op[any](b, "SETRANGE", "k", 0, "7")
			b.IncrBy("k", 1, time.Minute)
		}, ""},
		"another type":          {func(b *script.Batch) { b.Set("k", "x", time.Minute); b.HSet("k", "f", 1, time.Minute) }, `HSET "k": the batch has used the key as a string`},
		"another type, reading": {func(b *script.Batch) { b.LPush("k", "x", time.Minute); b.Get("k") }, `GET "k": the batch has used the key as a list`},
	} {
		var b script.Batch
		b.Del("k")
		row.build(&b)
		err := b.Run(t.Context(), c)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v", name, err)
		}
		do(t, c, "DEL", "k")
	}
}

func TestAMistakeInABatchIsNamedAndNothingIsSent(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnEmbedded)
	c.Close() // so that sending would be another error
	many := make([]any, 4001)
	for i := range many {
		many[i] = i
	}
	for want, build := range map[string]func(b *script.Batch){
		"no operation":                            func(*script.Batch) {},
		`SET "": empty key`:                       func(b *script.Batch) { b.Set("", 1, time.Minute) },
		`SET "k": the TTL is zero`:                func(b *script.Batch) { b.Set("k", 1, 0) },
		`INCRBY "k": the TTL is zero`:             func(b *script.Batch) { b.IncrBy("k", 1, 0) },
		`HSET "k": the TTL is 1µs`:                func(b *script.Batch) { b.HSet("k", "f", 1, time.Microsecond) },
		`ZADD "k": the TTL is -1s`:                func(b *script.Batch) { b.ZAdd("k", 1, 1, -time.Second) },
		`ZADD "k": argument 1: NaN`:               func(b *script.Batch) { b.ZAdd("k", 1, math.NaN(), time.Minute) },
		`PEXPIRE "k": the TTL is 0s`:              func(b *script.Batch) { b.Expire("k", 0) },
		`PEXPIRE "k": the TTL is -1ns`:            func(b *script.Batch) { b.Expire("k", rediskit.NoTTL) },
		`PEXPIRE "k": argument 1`:                 func(b *script.Batch) { b.Expire("k", time.Microsecond) },
		`SADD "k": argument 1: []string`:          func(b *script.Batch) { b.SAdd("k", []string{"a"}, time.Minute) },
		`IfEquals "k": argument 1`:                func(b *script.Batch) { b.IfEquals("k", nil) },
		`IfExists "": empty key`:                  func(b *script.Batch) { b.IfExists("") },
		`Token "": empty key`:                     func(b *script.Batch) { b.Token("", time.Minute) },
		`Token "k": the TTL is zero`:              func(b *script.Batch) { b.Token("k", 0) },
		`Token "k": the TTL is rediskit.NoTTL`:    func(b *script.Batch) { b.Token("k", rediskit.NoTTL) },
		`Token "l": the batch has a token`:        func(b *script.Batch) { b.Token("k", time.Minute); b.Token("l", time.Minute) },
		`GET "k": the key is the token's`:         func(b *script.Batch) { b.Get("k"); b.Token("k", time.Minute) },
		`IfAbsent "t": the key is the token's`:    func(b *script.Batch) { b.Get("k"); b.IfAbsent("t"); b.Token("t", time.Minute) },
		`MGET "k": not a command`:                 func(b *script.Batch) { script.Op[any](b, "mget", "k", "l") },
		`EVAL "k": not a command`:                 func(b *script.Batch) { script.Op[any](b, "EVAL", "k") },
		`BLPOP "k": not a command`:                func(b *script.Batch) { script.Op[any](b, "BLPOP", "k", 0) },
		`RENAME "k": not a command`:               func(b *script.Batch) { script.Op[any](b, "RENAME", "k", "l") },
		`SUNIONSTORE "k": not a command`:          func(b *script.Batch) { script.Op[any](b, "SUNIONSTORE", "k", "l") },
		`FLUSHALL "k": not a command`:             func(b *script.Batch) { script.Op[any](b, "flushall", "k") },
		`XREAD "k": not a command`:                func(b *script.Batch) { script.Op[any](b, "XREAD", "k") },
		`DEL "k": takes one key`:                  func(b *script.Batch) { script.Op[any](b, "DEL", "k", "l") },
		`EXISTS "k": takes one key`:               func(b *script.Batch) { script.Op[any](b, "EXISTS", "k", "l") },
		`RPUSH "k": 4001 arguments: at most 4000`: func(b *script.Batch) { script.Op[any](b, "RPUSH", "k", many...) },
		"values in all: at most 100000": func(b *script.Batch) {
			for range 30 {
				script.Op[any](b, "RPUSH", "k", many[:4000]...)
			}
		},
	} {
		var b script.Batch
		build(&b)
		if want != "no operation" {
			b.Set("fine", 1, time.Minute)
		}
		err := b.Run(t.Context(), c)
		wantError(t, err, "script.Batch.Run", want)
	}
}

func TestABatchTakesAsManyArgumentsAsItSays(t *testing.T) {
	values := make([]any, 4000)
	for i := range values {
		values[i] = i
	}
	fill := func(pushes, fields int) func(t *testing.T, c *rediskit.Client) {
		return func(t *testing.T, c *rediskit.Client) {
			k := rediskittest.Keys(t)
			var b script.Batch
			for range pushes {
				script.Op[int](&b, "RPUSH", k("l"), values...)
			}
			length := script.Op[int](&b, "LLEN", k("l"))
			for i := range fields {
				b.HSet(k("h"), fmt.Sprint(i), i, rediskit.NoTTL)
			}
			b.Del(k("h"))
			b.Del(k("l"))
			if err := b.Run(t.Context(), c); err != nil || length.Value != pushes*len(values) {
				t.Fatalf("%d, %v", length.Value, err)
			}
		}
	}
	rediskittest.Each(t, fill(10, 9_000))
	rediskittest.Each(t, fill(1, 10), rediskittest.OnEmbedded) // more takes it seconds
}

func TestABatchMayBeRunAgain(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		var b script.Batch
		b.IfAbsent(k("stop"))
		n := b.IncrBy(k("n"), 1, time.Minute)
		for want := range int64(3) {
			if err := b.Run(t.Context(), c); err != nil || n.Value != want+1 {
				t.Fatalf("%v, %v", err, *n)
			}
		}
		do(t, c, "SET", k("stop"), "1", "PX", "60000")
		if err := b.Run(t.Context(), c); !errors.Is(err, script.ErrCondition) || n.Found || n.Value != 0 {
			t.Fatalf("%v, and the reply of the run before is %v", err, *n)
		}
	}, everywhere...)
}

func TestAReplyThatIsNotAsWantedIsReportedAndTheOthersAreThere(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		var b script.Batch
		b.Set(k("a"), "text", time.Minute)
		wrong := script.Op[int](&b, "GET", k("a"))
		right := b.Get(k("a"))
		err := b.Run(t.Context(), c)
		wantError(t, err, "script.Batch.Run", "GET", k("a"), "want int", "operations applied: 3")
		var be *script.BatchError
		if !errors.As(err, &be) || be.Applied != 3 || wrong.Found || right.Value != "text" {
			t.Fatalf("%v, %v, %v", err, *wrong, *right)
		}
	}, everywhere...)
}

func TestConcurrentBatchesNeverSeeHalfOfEachOther(t *testing.T) {
	const workers = 200
	concurrently := func(runs int) func(t *testing.T, c *rediskit.Client) {
		return func(t *testing.T, c *rediskit.Client) {
			k := rediskittest.Keys(t)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for r := range runs {
						var b script.Batch
						out := b.IncrBy(k("from"), -1, time.Minute)
						in := b.HIncrBy(k("to"), "f", 1, time.Minute)
						length := b.RPush(k("log"), fmt.Sprint(w, r), time.Minute)
						if (w+r)%3 == 0 {
							b.Token(k(fmt.Sprint("token", w, "-", r)), time.Minute)
						}
						if err := b.Run(t.Context(), c); err != nil {
							t.Error(err)
							return
						}
						if -out.Value != in.Value || in.Value != length.Value {
							t.Errorf("a batch saw %d, %d and %d", out.Value, in.Value, length.Value)
						}
					}
				})
			}
			wg.Wait()
			if got := num(t, c, "LLEN", k("log")); got != int64(workers*runs) {
				t.Errorf("%d of %d batches were applied", got, workers*runs)
			}
		}
	}
	rediskittest.Each(t, concurrently(10))
	rediskittest.Each(t, concurrently(1), rediskittest.OnEmbedded) // it takes milliseconds for each
}

func TestOfManyBatchesOnOneConditionOneIsApplied(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		k := rediskittest.Keys(t)
		winners := make([]bool, 50)
		var wg sync.WaitGroup
		for w := range winners {
			wg.Go(func() {
				var b script.Batch
				b.IfAbsent(k("owner"))
				b.Set(k("owner"), w, time.Minute)
				b.IncrBy(k("owners"), 1, time.Minute)
				err := b.Run(t.Context(), c)
				if err != nil && !errors.Is(err, script.ErrCondition) {
					t.Error(err)
				}
				winners[w] = err == nil
			})
		}
		wg.Wait()
		w := slices.Index(winners, true)
		if w < 0 || slices.Contains(winners[w+1:], true) {
			t.Fatalf("the winners are %v", winners)
		}
		if str(t, c, "GET", k("owner")) != fmt.Sprint(w) || num(t, c, "GET", k("owners")) != 1 {
			t.Fatal("somebody else's batch was applied")
		}
	}, everywhere...)
}
