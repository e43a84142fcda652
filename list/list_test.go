package list_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/list"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestElementsComeBackAsTheyWere(t *testing.T) {
	hostile := []string{"", "\x00\r\n", "{a}*?", "\xff\xfe", strings.Repeat("x", 1<<20), "nil", "$-1\r\n", " "}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, l *list.List[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			for _, k := range append(hostile[1:], "plain") {
				k = key(k)
				must[int64](t)(l.RPush(ctx, k, hostile...))
				if got := must[[]string](t)(l.Range(ctx, k, 0, -1)); !slices.Equal(got, hostile) {
					t.Fatalf("key %.20q: elements changed", k)
				}
				for i, want := range hostile {
					if got, ok, err := l.LPop(ctx, k); got != want || !ok || err != nil {
						t.Fatalf("key %.20q, element %d: %.20q, %v, %v", k, i, got, ok, err)
					}
				}
			}
		})
	}, everywhere...)
}

type job struct {
	ID   int
	Tags []string
}

func TestElementsAreOfAnyType(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	ctx, key := t.Context(), rediskittest.Keys(t)
	l := open[job](t, c, time.Hour)
	a, b := job{1, []string{"x"}}, job{2, nil}
	must[int64](t)(l.RPush(ctx, key("k"), a, b))
	if i, ok, err := l.Pos(ctx, key("k"), b); i != 1 || !ok || err != nil {
		t.Error(i, ok, err)
	}
	if n := must[int64](t)(l.Remove(ctx, key("k"), 0, a)); n != 1 {
		t.Error(n)
	}
	if got, ok, err := l.Move(ctx, key("k"), key("l"), list.Left, list.Right); got.ID != 2 || !ok || err != nil {
		t.Error(got, ok, err)
	}
}

func TestAManyThousandElementsArePushedAtOnceAndWalked(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, d := range []time.Duration{time.Hour, rediskit.NoTTL} {
			ctx, key := t.Context(), rediskittest.Keys(t)
			l := open[int](t, c, d)
			values := make([]int, 20_001)
			for i := range values {
				values[i] = i
			}
			if n := must[int64](t)(l.RPush(ctx, key("k"), values...)); n != int64(len(values)) {
				t.Fatal(n)
			}
			var got []int
			for v, err := range l.All(ctx, key("k")) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
			if !slices.Equal(got, values) {
				t.Errorf("walked %d elements, not the same", len(got))
			}
			for v, err := range l.All(ctx, key("k")) {
				if v == 300 || err != nil {
					break // must not go on
				}
			}
			if got := must[[]int](t)(l.RPopN(ctx, key("k"), 3)); !slices.Equal(got, []int{20_000, 19_999, 19_998}) {
				t.Error(got)
			}
		}
	})
}

func TestWhatPutsElementsInSetsTheTTLAndWhatTakesThemOutDoesNot(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		k, dst := key("k"), key("dst")
		forever := open[string](t, c, rediskit.NoTTL)
		l := open[string](t, c, time.Hour)

		for name, write := range map[string]func() error{
			"LPush":  func() error { _, err := l.LPush(ctx, k, "p"); return err },
			"RPush":  func() error { _, err := l.RPush(ctx, k, "p"); return err },
			"LPushX": func() error { _, err := l.LPushX(ctx, k, "p"); return err },
			"RPushX": func() error { _, err := l.RPushX(ctx, k, "p"); return err },
			"Set":    func() error { _, err := l.Set(ctx, k, 0, "p"); return err },
			"Insert": func() error { _, _, err := l.InsertAfter(ctx, k, "a", "p"); return err },
			"Move":   func() error { _, _, err := l.Move(ctx, dst, k, list.Left, list.Left); return err },
		} {
			must[bool](t)(l.Delete(ctx, k))
			must[int64](t)(forever.RPush(ctx, k, "a", "a"))
			must[int64](t)(forever.RPush(ctx, dst, "a", "a"))
			if err := write(); err != nil {
				t.Fatal(err)
			}
			if got := ttl(t, c, k); got <= 0 || got > time.Hour {
				t.Errorf("%s: lives for %v", name, got)
			}
		}
		if got := ttl(t, c, dst); got >= 0 {
			t.Errorf("moving away gave a TTL of %v", got)
		}

		// A minute is left; nothing of this makes it an hour again, or none.
		for name, touch := range map[string]func() error{
			"LPop":              func() error { _, _, err := l.LPop(ctx, k); return err },
			"RPopN":             func() error { _, err := l.RPopN(ctx, k, 1); return err },
			"BLPop":             func() error { _, _, err := l.BLPop(ctx, []string{k}, 0); return err },
			"Remove":            func() error { _, err := l.Remove(ctx, k, 1, "a"); return err },
			"Trim":              func() error { return l.Trim(ctx, k, 1, -1) },
			"Move":              func() error { _, _, err := l.Move(ctx, k, dst, list.Left, list.Left); return err },
			"Set beyond":        func() error { _, err := l.Set(ctx, k, 100, "p"); return err },
			"Insert at nothing": func() error { _, _, err := l.InsertAfter(ctx, k, "?", "p"); return err },
			"no values":         func() error { _, err := l.RPush(ctx, k); return err },
			"NoTTL":             func() error { _, err := forever.RPush(ctx, k, "p"); return err },
		} {
			must[bool](t)(l.Delete(ctx, k))
			must[int64](t)(open[string](t, c, time.Minute).RPush(ctx, k, "a", "a", "a"))
			if err := touch(); err != nil {
				t.Fatal(err)
			}
			if got := ttl(t, c, k); got <= 0 || got > time.Minute {
				t.Errorf("%s: lives for %v", name, got)
			}
		}
	}, everywhere...)
}

func TestTheTTLIsRoundedUp(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	key := rediskittest.Keys(t)
	l := open[string](t, c, time.Hour+time.Nanosecond)
	must[int64](t)(l.RPush(t.Context(), key("k"), "a"))
	if got := ttl(t, c, key("k")); got <= time.Hour-time.Minute || got > time.Hour+time.Millisecond {
		t.Error(got)
	}
}

func TestAMissIsNotAnError(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, l *list.List[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			k := key("none")
			check := func(name string, hit bool, err error) {
				t.Helper()
				if hit || err != nil {
					t.Errorf("%s: %v, %v", name, hit, err)
				}
			}
			_, ok, err := l.LPop(ctx, k)
			check("LPop", ok, err)
			_, ok, err = l.RPop(ctx, k)
			check("RPop", ok, err)
			vs, err := l.LPopN(ctx, k, 3)
			check("LPopN", vs != nil, err)
			vs, err = l.RPopN(ctx, k, 0)
			check("RPopN of none", vs != nil, err)
			_, ok, err = l.Index(ctx, k, 0)
			check("Index", ok, err)
			ok, err = l.Set(ctx, k, 0, "a")
			check("Set", ok, err)
			_, ok, err = l.InsertBefore(ctx, k, "a", "b")
			check("InsertBefore", ok, err)
			n, err := l.Remove(ctx, k, 0, "a")
			check("Remove", n != 0, err)
			check("Trim", false, l.Trim(ctx, k, 0, 1))
			ok, err = l.Delete(ctx, k)
			check("Delete", ok, err)
			n, err = l.Len(ctx, k)
			check("Len", n != 0, err)
			n, err = l.RPushX(ctx, k, "a")
			check("RPushX", n != 0, err)
			n, err = l.LPushX(ctx, k, "a")
			check("LPushX", n != 0, err)
			n, err = l.RPush(ctx, k)
			check("RPush of nothing", n != 0, err)
			vs, err = l.Range(ctx, k, 0, -1)
			check("Range", vs != nil, err)
			_, ok, err = l.Pos(ctx, k, "a")
			check("Pos", ok, err)
			at, err := l.Positions(ctx, k, "a", list.Search{})
			check("Positions", len(at) != 0, err)
			_, ok, err = l.Move(ctx, k, key("dst"), list.Left, list.Left)
			check("Move", ok, err)
			_, ok, err = l.BMove(ctx, k, key("dst"), list.Left, list.Left, time.Millisecond)
			check("BMove", ok, err)
			_, ok, err = l.BRPop(ctx, []string{k}, time.Millisecond)
			check("BRPop", ok, err)
			for range l.All(ctx, k) {
				t.Error("All yielded something")
			}
			must[int64](t)(l.RPush(ctx, k, "a"))
			ok, err = l.Set(ctx, k, -2, "b")
			check("Set before the first", ok, err)
			ok, err = l.Set(ctx, k, 1, "b")
			check("Set after the last", ok, err)
		})
	}, everywhere...)
}

func TestWrongArgumentsAreRefusedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	l := open[string](t, c, time.Hour)
	floats := open[float64](t, c, time.Hour)
	c.Close() // nothing gets as far as noticing
	ctx := t.Context()
	for want, call := range map[string]func() error{
		`list.LPush: empty key`:                      func() error { _, err := l.LPush(ctx, "", "a"); return err },
		`list.RPushX: empty key`:                     func() error { _, err := l.RPushX(ctx, "", "a"); return err },
		`list.LPop: empty key`:                       func() error { _, _, err := l.LPop(ctx, ""); return err },
		`list.LPopN: empty key`:                      func() error { _, err := l.LPopN(ctx, "", 1); return err },
		`list.RPopN "k": n is -1: must`:              func() error { _, err := l.RPopN(ctx, "k", -1); return err },
		`list.Index: empty key`:                      func() error { _, _, err := l.Index(ctx, "", 1); return err },
		`list.Set: empty key`:                        func() error { _, err := l.Set(ctx, "", 1, "a"); return err },
		`list.InsertAfter: empty key`:                func() error { _, _, err := l.InsertAfter(ctx, "", "a", "a"); return err },
		`list.Remove: empty key`:                     func() error { _, err := l.Remove(ctx, "", 1, "a"); return err },
		`list.Trim: empty key`:                       func() error { return l.Trim(ctx, "", 1, 1) },
		`list.Delete: empty key`:                     func() error { _, err := l.Delete(ctx, ""); return err },
		`list.Len: empty key`:                        func() error { _, err := l.Len(ctx, ""); return err },
		`list.Range: empty key`:                      func() error { _, err := l.Range(ctx, "", 0, 1); return err },
		`list.Pos: empty key`:                        func() error { _, _, err := l.Pos(ctx, "", "a"); return err },
		`list.Positions "k": Search{Count: -1,`:      func() error { _, err := l.Positions(ctx, "k", "a", list.Search{Count: -1}); return err },
		`list.Move: empty key`:                       func() error { _, _, err := l.Move(ctx, "", "k", list.Left, list.Left); return err },
		`list.Move "k": empty destination`:           func() error { _, _, err := l.Move(ctx, "k", "", list.Left, list.Left); return err },
		`list.Move "k": from is "": want list.Left`:  func() error { _, _, err := l.Move(ctx, "k", "k", "", list.Left); return err },
		`list.Move "k": to is "left": want list.Lef`: func() error { _, _, err := l.Move(ctx, "k", "k", list.Left, "left"); return err },
		`list.BMove "k": wait is -1ns: want zero, o`: func() error { _, _, err := l.BMove(ctx, "k", "k", list.Left, list.Left, -1); return err },
		`list.BLPop "k": wait is 1µs: want zero, or`: func() error { _, _, err := l.BLPop(ctx, []string{"k"}, time.Microsecond); return err },
		`list.BLPop: no keys`:                        func() error { _, _, err := l.BLPop(ctx, nil, 0); return err },
		`list.BRPop: empty key`:                      func() error { _, _, err := l.BRPop(ctx, []string{"k", ""}, 0); return err },
		`list.RPush "k": 1000001 values: at most`:    func() error { _, err := l.RPush(ctx, "k", make([]string, 1_000_001)...); return err },
		`list.RPush "k": codec: encode: `:            func() error { _, err := floats.RPush(ctx, "k", math.NaN()); return err },
		`list.Set "k": codec: encode: `:              func() error { _, err := floats.Set(ctx, "k", 0, math.NaN()); return err },
	} {
		err := call()
		var op *rediskit.OpError
		if !errors.As(err, &op) || !strings.HasPrefix(fmt.Sprint(err), want) || rediskit.IsUnavailable(err) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
	for _, err := range l.All(ctx, "") {
		if fmt.Sprint(err) != `list.All: empty key` {
			t.Error(err)
		}
	}
}

func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	c := rediskittest.Embedded(t)
	for _, d := range []time.Duration{0, -2, time.Microsecond} {
		if _, err := list.New(c, list.Config[string]{TTL: d}); err == nil || !strings.HasPrefix(err.Error(), "list: Config.TTL is ") {
			t.Error(d, err)
		}
	}
	if _, err := list.New[string](nil, list.Config[string]{TTL: time.Hour}); err == nil || err.Error() != "list: client is nil" {
		t.Error(err)
	}
}

func TestKeysOfDifferentSlotsAreRefused(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnCluster)
	l := open[string](t, c, time.Hour)
	ctx := t.Context()
	_, _, moveErr := l.Move(ctx, "{a}", "{b}", list.Left, list.Left)
	_, _, bmoveErr := l.BMove(ctx, "{a}", "{b}", list.Left, list.Left, 0)
	_, _, popErr := l.BLPop(ctx, []string{"{a}", "{b}"}, 0)
	for _, err := range []error{moveErr, bmoveErr, popErr} {
		if !errors.Is(err, rediskit.ErrCrossSlot) {
			t.Error(err)
		}
	}
}

func TestAKeyOfAnotherTypeIsTheServersAnswer(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, l *list.List[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			k := key("string")
			if err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Set().Key(k).Value("v").Build() }).Error(); err != nil {
				t.Fatal(err)
			}
			_, pushErr := l.RPush(ctx, k, "a")
			_, setErr := l.Set(ctx, k, 0, "a")
			_, _, insertErr := l.InsertAfter(ctx, k, "a", "b")
			_, _, moveErr := l.Move(ctx, k, key("dst"), list.Left, list.Left)
			_, _, popErr := l.BLPop(ctx, []string{k}, 0)
			_, rangeErr := l.Range(ctx, k, 0, -1)
			for _, err := range []error{pushErr, setErr, insertErr, moveErr, popErr, rangeErr} {
				var re *rueidis.RedisError
				if !errors.As(err, &re) || !strings.Contains(re.Error(), "WRONGTYPE") || rediskit.MayHaveApplied(err) {
					t.Error(err)
				}
			}
		})
	})
}

func TestAnElementThatCannotBeDecodedIsInTheError(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		l := open[int](t, c, time.Hour)
		want := func(name string, err error, elements ...string) {
			t.Helper()
			var d *list.DecodeError
			if !errors.As(err, &d) || !slices.Equal(d.Raw, elements) || !errors.Is(err, codec.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
		fill := func() { must[bool](t)(l.Delete(ctx, key("k"))); raw(t, c, key("k"), "x", "1", "y", "2") }

		fill()
		got, err := l.Range(ctx, key("k"), 0, -1)
		want("Range", err, "x", "y")
		if !slices.Equal(got, []int{1, 2}) {
			t.Error(got)
		}
		var good int
		for v, err := range l.All(ctx, key("k")) {
			if err == nil {
				good += v
			}
		}
		if good != 3 {
			t.Error("All stopped at what cannot be decoded")
		}
		_, ok, err := l.LPop(ctx, key("k"))
		want("LPop", err, "x")
		if ok {
			t.Error("LPop returned an element")
		}
		fill()
		got, err = l.LPopN(ctx, key("k"), 3)
		want("LPopN", err, "x", "y")
		if !slices.Equal(got, []int{1}) {
			t.Error(got)
		}
		fill()
		p, ok, err := l.BLPop(ctx, []string{key("k")}, 0)
		want("BLPop", err, "x")
		if ok || p.Key != key("k") {
			t.Error(p, ok)
		}
		fill()
		_, _, err = l.BMove(ctx, key("k"), key("dst"), list.Left, list.Left, 0)
		want("BMove", err, "x")
		if ttl(t, c, key("dst")) <= 0 {
			t.Error("what BMove moved does not expire")
		}
	}, everywhere...)
}
