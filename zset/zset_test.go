package zset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/zset"
)

func TestNewNamesWhatIsWrong(t *testing.T) {
	c := rediskittest.Embedded(t)
	for want, make := range map[string]func() error{
		"client is nil": func() error {
			_, err := zset.New(nil, zset.Config[string]{TTL: time.Hour})
			return err
		},
		"Config.TTL is not set": func() error {
			_, err := zset.New(c, zset.Config[string]{})
			return err
		},
		"Config.TTL is 1µs": func() error {
			_, err := zset.New(c, zset.Config[string]{TTL: time.Microsecond})
			return err
		},
	} {
		if err := make(); err == nil || !strings.HasPrefix(err.Error(), "zset: "+want) {
			t.Errorf("%v, want zset: %s", err, want)
		}
	}
}

// What cannot be meant is refused without a server: this one is gone.
func TestBadArgumentsAreRefusedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := open[string](t, c, time.Hour)
	c.Close()
	ctx, nan := t.Context(), math.NaN()
	none, badWait := []string(nil), 10*time.Microsecond
	million := make([]string, 1_000_001)
	for _, test := range []struct {
		op, want string
		call     func() error
	}{
		{"Add", "empty key", func() error { _, err := s.Add(ctx, "", e("m", 1)); return err }},
		{"Add", "score of entry 1 is NaN", func() error { _, err := s.Add(ctx, "k", e("m", 1), e("n", nan)); return err }},
		{"AddIf", "exclude each other", func() error { _, err := s.AddIf(ctx, "k", zset.NX|zset.GT, e("m", 1)); return err }},
		{"AddIf", "exclude each other", func() error { _, err := s.AddIf(ctx, "k", zset.GT|zset.LT, e("m", 1)); return err }},
		{"AddIf", "exclude each other", func() error { _, err := s.AddIf(ctx, "k", 1, e("m", 1)); return err }},
		{"Incr", "increment is NaN", func() error { _, err := s.Incr(ctx, "k", "m", nan); return err }},
		{"IncrIf", "exclude each other", func() error { _, _, err := s.IncrIf(ctx, "k", zset.NX|zset.XX, "m", 1); return err }},
		{"Score", "empty key", func() error { _, _, err := s.Score(ctx, "", "m"); return err }},
		{"Add", "at most 1000000", func() error {
			_, err := s.Add(ctx, "k", make([]zset.Entry[string], 500_001)...)
			return err
		}},
		{"Remove", "at most 1000000", func() error { _, err := s.Remove(ctx, "k", million...); return err }},
		{"Scores", "at most 1000000", func() error { _, err := s.Scores(ctx, "k", million...); return err }},
		{"Scores", "empty key", func() error { _, err := s.Scores(ctx, ""); return err }},
		{"Rank", "empty key", func() error { _, _, err := s.Rank(ctx, "", "m"); return err }},
		{"RankWithScore", "empty key", func() error { _, _, _, err := s.RankWithScore(ctx, "", "m"); return err }},
		{"Range", "empty key", func() error { _, err := s.Range(ctx, "", 0, -1); return err }},
		{"Top", "empty key", func() error { _, err := s.Top(ctx, "", 0); return err }},
		{"Top", "negative count", func() error { _, err := s.Top(ctx, "k", -1); return err }},
		{"RangeByScore", "empty key", func() error { _, err := s.RangeByScore(ctx, "", zset.ScoreRange{}, zset.Page{}); return err }},
		{"RangeByScore", "NaN", func() error {
			_, err := s.RangeByScore(ctx, "k", zset.ScoreRange{Max: zset.Incl(nan)}, zset.Page{})
			return err
		}},
		{"RangeByScore", "negative Page.Count", func() error {
			_, err := s.RangeByScore(ctx, "k", zset.ScoreRange{}, zset.Page{Count: -1})
			return err
		}},
		{"RangeByLex", "negative Page.Offset", func() error {
			_, err := s.RangeByLex(ctx, "k", zset.LexRange{}, zset.Page{Offset: -1})
			return err
		}},
		{"RangeByLex", "ExcludeMax without Max", func() error {
			_, err := s.RangeByLex(ctx, "k", zset.LexRange{ExcludeMax: true}, zset.Page{})
			return err
		}},
		{"Card", "empty key", func() error { _, err := s.Card(ctx, ""); return err }},
		{"Count", "NaN", func() error { _, err := s.Count(ctx, "k", zset.ScoreRange{Min: zset.Excl(nan)}); return err }},
		{"LexCount", "empty key", func() error { _, err := s.LexCount(ctx, "", zset.LexRange{}); return err }},
		{"All", "empty key", func() error {
			for _, err := range s.All(ctx, "") {
				return err
			}
			return nil
		}},
		{"PopMin", "negative count", func() error { _, err := s.PopMin(ctx, "k", -1); return err }},
		{"PopMax", "empty key", func() error { _, err := s.PopMax(ctx, "", 0); return err }},
		{"BPopMin", "no keys", func() error { _, _, err := s.BPopMin(ctx, none, 0); return err }},
		{"BPopMin", "empty key", func() error { _, _, err := s.BPopMin(ctx, []string{"k", ""}, 0); return err }},
		{"BPopMax", "wait is 10µs", func() error { _, _, err := s.BPopMax(ctx, []string{"k"}, badWait); return err }},
		{"BPopMax", "wait is -1s", func() error { _, _, err := s.BPopMax(ctx, []string{"k"}, -time.Second); return err }},
		{"Remove", "empty key", func() error { _, err := s.Remove(ctx, ""); return err }},
		{"RemoveByRank", "empty key", func() error { _, err := s.RemoveByRank(ctx, "", 0, -1); return err }},
		{"RemoveByScore", "NaN", func() error { _, err := s.RemoveByScore(ctx, "k", zset.ScoreRange{Min: zset.Incl(nan)}); return err }},
		{"RemoveByLex", "empty key", func() error { _, err := s.RemoveByLex(ctx, "", zset.LexRange{}); return err }},
		{"Delete", "empty key", func() error { _, err := s.Delete(ctx, ""); return err }},
		{"Union", "no keys", func() error { _, err := s.Union(ctx, none, zset.Combine{}); return err }},
		{"Inter", "as many Weights as keys", func() error {
			_, err := s.Inter(ctx, []string{"k"}, zset.Combine{Weights: []float64{1, 2}})
			return err
		}},
		{"Inter", "a weight is NaN", func() error {
			_, err := s.Inter(ctx, []string{"k"}, zset.Combine{Weights: []float64{nan}})
			return err
		}},
		{"Union", "unknown Aggregate", func() error { _, err := s.Union(ctx, []string{"k"}, zset.Combine{Aggregate: 3}); return err }},
		{"Diff", "empty key", func() error { _, err := s.Diff(ctx, []string{""}); return err }},
		{"UnionStore", "empty key", func() error { _, err := s.UnionStore(ctx, "", []string{"k"}, zset.Combine{}); return err }},
		{"InterStore", "no keys", func() error { _, err := s.InterStore(ctx, "d", none, zset.Combine{}); return err }},
		{"DiffStore", "at most", func() error { _, err := s.DiffStore(ctx, "d", slices.Repeat([]string{"k"}, 5000)); return err }},
	} {
		err := test.call()
		var op *rediskit.OpError
		if !errors.As(err, &op) || op.Op != "zset."+test.op || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an OpError with %q", test.op, err, test.want)
		}
		if rediskit.IsUnavailable(err) {
			t.Errorf("%s: %v came from the network", test.op, err)
		}
	}
}

func TestCallsThatAskForNothingSendNothing(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := open[string](t, c, time.Hour)
	c.Close()
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Add":    func() error { _, err := s.Add(ctx, "k"); return err },
		"AddIf":  func() error { _, err := s.AddIf(ctx, "k", zset.XX); return err },
		"Scores": func() error { _, err := s.Scores(ctx, "k"); return err },
		"Top":    func() error { _, err := s.Top(ctx, "k", 0); return err },
		"PopMin": func() error { _, err := s.PopMin(ctx, "k", 0); return err },
		"Remove": func() error { _, err := s.Remove(ctx, "k"); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNotThereIsNoError(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("nothing")
			for round, what := range []string{"no key", "no member"} {
				if round == 1 {
					must[int64](t)(s.Add(ctx, key, e("other", 1)))
				}
				_, ok, err := s.Score(ctx, key, "m")
				equal(t, what+": Score", []any{ok, err}, []any{false, nil})
				_, ok, err = s.Rank(ctx, key, "m")
				equal(t, what+": Rank", []any{ok, err}, []any{false, nil})
				_, _, ok, err = s.RevRankWithScore(ctx, key, "m")
				equal(t, what+": RevRankWithScore", []any{ok, err}, []any{false, nil})
				equal(t, what+": Scores", must[[]zset.Score](t)(s.Scores(ctx, key, "m")), []zset.Score{{}})
				equal(t, what+": Remove", must[int64](t)(s.Remove(ctx, key, "m")), 0)
				_, ok, err = s.IncrIf(ctx, key, zset.XX, "m", 1)
				equal(t, what+": IncrIf", []any{ok, err}, []any{false, nil})
				must[int64](t)(s.Remove(ctx, key, "other"))
			}
			equal(t, "Range", must[[]zset.Entry[string]](t)(s.Range(ctx, key, 0, -1)), nil)
			equal(t, "PopMin", must[[]zset.Entry[string]](t)(s.PopMin(ctx, key, 5)), nil)
			equal(t, "Card", must[int64](t)(s.Card(ctx, key)), 0)
			equal(t, "Delete", must[bool](t)(s.Delete(ctx, key)), false)
			equal(t, "UnionStore", must[int64](t)(s.UnionStore(ctx, key, []string{key}, zset.Combine{})), 0)
			_, ok, err := s.BPopMin(ctx, []string{key}, time.Millisecond)
			equal(t, "BPopMin", []any{ok, err}, []any{false, nil})
			for e, err := range s.All(ctx, key) {
				t.Errorf("All: %v, %v", e, err)
			}
		})
	}, everywhere...)
}

func TestWritesSetTheTTLAndCallsThatDoNothingLeaveIt(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		s := open[string](t, c, time.Hour)
		type call = func(key func(string) string) error
		for name, test := range map[string]struct {
			writes, nothing call
		}{
			"Add": {writes: func(key func(string) string) error { _, err := s.Add(ctx, key("k"), e("a", 1)); return err }},
			"AddIf": {
				func(key func(string) string) error {
					_, err := s.AddIf(ctx, key("k"), zset.NX, e("new", 1))
					return err
				},
				func(key func(string) string) error { _, err := s.AddIf(ctx, key("k"), zset.NX, e("a", 9)); return err },
			},
			"Incr": {writes: func(key func(string) string) error { _, err := s.Incr(ctx, key("k"), "a", 1); return err }},
			"IncrIf": {
				func(key func(string) string) error { _, _, err := s.IncrIf(ctx, key("k"), zset.XX, "a", 1); return err },
				func(key func(string) string) error {
					_, _, err := s.IncrIf(ctx, key("k"), zset.XX, "new", 1)
					return err
				},
			},
			"Remove": {
				func(key func(string) string) error { _, err := s.Remove(ctx, key("k"), "a"); return err },
				func(key func(string) string) error { _, err := s.Remove(ctx, key("k"), "new"); return err },
			},
			"RemoveByRank": {
				func(key func(string) string) error { _, err := s.RemoveByRank(ctx, key("k"), 0, 0); return err },
				func(key func(string) string) error { _, err := s.RemoveByRank(ctx, key("k"), 50, 60); return err },
			},
			"RemoveByScore": {
				func(key func(string) string) error {
					_, err := s.RemoveByScore(ctx, key("k"), zset.ScoreRange{Max: zset.Incl(1)})
					return err
				},
				func(key func(string) string) error {
					_, err := s.RemoveByScore(ctx, key("k"), zset.ScoreRange{Max: zset.Excl(1)})
					return err
				},
			},
			"RemoveByLex": {
				func(key func(string) string) error {
					_, err := s.RemoveByLex(ctx, key("k"), zset.Prefix("a"))
					return err
				},
				func(key func(string) string) error {
					_, err := s.RemoveByLex(ctx, key("k"), zset.Prefix("x"))
					return err
				},
			},
			"PopMin": {writes: func(key func(string) string) error { _, err := s.PopMin(ctx, key("k"), 1); return err }},
			"PopMax": {writes: func(key func(string) string) error { _, err := s.PopMax(ctx, key("k"), 2); return err }},
			"UnionStore": {writes: func(key func(string) string) error {
				_, err := s.UnionStore(ctx, key("k"), []string{key("k")}, zset.Combine{})
				return err
			}},
			"InterStore": {writes: func(key func(string) string) error {
				_, err := s.InterStore(ctx, key("k"), []string{key("k")}, zset.Combine{})
				return err
			}},
			"BPopMin": {nothing: func(key func(string) string) error {
				_, _, err := s.BPopMin(ctx, []string{key("k")}, 0)
				return err
			}},
		} {
			key := rediskittest.Keys(t)
			command(t, c, key("k"), "ZADD", "1", "a", "2", "b", "3", "c", "4", "d")
			command(t, c, key("k"), "PEXPIRE", "100000")
			if test.nothing != nil {
				if err := test.nothing(key); err != nil {
					t.Fatal(name, err)
				}
				if d := ttl(t, c, key("k")); d <= 0 || d > 100*time.Second {
					t.Errorf("%s did nothing and set the TTL to %v", name, d)
				}
			}
			if test.writes != nil {
				if err := test.writes(key); err != nil {
					t.Fatal(name, err)
				}
				if d := ttl(t, c, key("k")); d <= 100*time.Second || d > time.Hour {
					t.Errorf("%s wrote and the TTL is %v", name, d)
				}
			}
		}
	}, everywhere...)
}

func TestWithoutATTLWritesLeaveTheKeysTTL(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, rediskit.NoTTL)
		must[int64](t)(s.Add(ctx, key, e("a", 1)))
		if d := ttl(t, c, key); d >= 0 {
			t.Errorf("a new key has a TTL of %v", d)
		}
		command(t, c, key, "PEXPIRE", "100000")
		must[float64](t)(s.Incr(ctx, key, "a", 1))
		must[int64](t)(s.AddIf(ctx, key, zset.GT, e("a", 9), e("b", 1)))
		must[int64](t)(s.Remove(ctx, key, "b"))
		if d := ttl(t, c, key); d <= 0 || d > 100*time.Second {
			t.Errorf("the TTL was 100s and is %v", d)
		}
	}, everywhere...)
}

func TestOfAMemberGivenTwiceTheLastScoreCounts(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			key := rediskittest.Keys(t)("k")
			equal(t, "added", must[int64](t)(s.Add(t.Context(), key, e("a", 1), e("b", 2), e("a", 3))), 2)
			equal(t, "Range", must[[]zset.Entry[string]](t)(s.Range(t.Context(), key, 0, -1)),
				[]zset.Entry[string]{e("b", 2), e("a", 3)})
		})
	}, everywhere...)
}

// More than unpack() takes at once, so the script has to go in parts.
func TestOneCallTakesAnyNumberOfMembers(t *testing.T) {
	const n = 10_000
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			var entries []zset.Entry[string]
			var names []string
			for i := range n {
				names = append(names, strconv.Itoa(i))
				entries = append(entries, e(names[i], float64(i)))
			}
			equal(t, "added", must[int64](t)(s.Add(ctx, key, entries...)), n)
			equal(t, "Range", must[[]zset.Entry[string]](t)(s.Range(ctx, key, 0, -1)), entries)
			entries[n-1].Score++
			equal(t, "changed", must[int64](t)(s.AddIf(ctx, key, zset.GT, entries...)), 1)
			seen := map[string]float64{}
			for e, err := range s.All(ctx, key) {
				if err != nil {
					t.Fatal(err)
				}
				seen[e.Member] = e.Score
			}
			equal(t, "members in All", len(seen), n)
			equal(t, "a score in All", seen[names[n-1]], n)
			equal(t, "removed", must[int64](t)(s.Remove(ctx, key, names...)), n)
		})
	})
}

func TestMembersMayBeAnyBytes(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx := t.Context()
			key := rediskittest.Keys(t)("\x00 \r\n\xff*?[")
			for i, m := range []string{"", "\x00\r\n$5", "\xff\xfe", "+inf", "(1", strings.Repeat("long", 1<<18)} {
				must[int64](t)(s.Add(ctx, key, e(m, float64(i))))
				rank, ok, err := s.Rank(ctx, key, m)
				equal(t, "Rank", []any{rank, ok, err}, []any{int64(i), true, nil})
				equal(t, "Top", must[[]zset.Entry[string]](t)(s.Top(ctx, key, 1)), []zset.Entry[string]{e(m, float64(i))})
			}
		})
	}, everywhere...)
}

func TestDeleteLeavesNothing(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			must[int64](t)(s.Add(ctx, key, e("a", 1), e("b", 2)))
			equal(t, "Delete", must[bool](t)(s.Delete(ctx, key)), true)
			equal(t, "Card", must[int64](t)(s.Card(ctx, key)), 0)
		})
	}, everywhere...)
}

func TestScoresKeepEveryDigit(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			for _, f := range []float64{
				0.1, 1.0 / 3, math.Pi, 1<<53 - 1, 1e22, 1.7976931348623157e308, 5e-324, -0.30000000000000004,
				1234567890.123456789, math.Inf(1), math.Inf(-1),
			} {
				must[int64](t)(s.Add(ctx, key, e("m", f)))
				score, _, err := s.Score(ctx, key, "m")
				equal(t, "Score", []any{score, err}, []any{f, nil})
				equal(t, "by its score", must[int64](t)(s.Count(ctx, key, zset.ScoreRange{Min: zset.Incl(f), Max: zset.Incl(f)})), 1)
				if !math.IsInf(f, 0) {
					score, err = s.Incr(ctx, key, "m", 0)
					equal(t, "Incr", []any{score, err}, []any{f, nil})
				}
				equal(t, "PopMin", must[[]zset.Entry[string]](t)(s.PopMin(ctx, key, 1)), []zset.Entry[string]{e("m", f)})
			}
		})
	}, everywhere...)
}

func TestTheSumOfOppositeInfinitiesIsAnErrorAndChangesNothing(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			must[int64](t)(s.Add(ctx, key, e("m", math.Inf(1))))
			if f, err := s.Incr(ctx, key, "m", math.Inf(-1)); err == nil || rediskit.MayHaveApplied(err) {
				t.Errorf("%v, %v", f, err)
			}
			score, _, err := s.Score(ctx, key, "m")
			equal(t, "Score", []any{score, err}, []any{math.Inf(1), nil})
		})
	})
}

func TestMembersOfAnyTypeGoThroughTheCodec(t *testing.T) {
	type seat struct {
		Row    string `json:"row"`
		Number int    `json:"number"`
	}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		s := open[seat](t, c, time.Hour)
		must[int64](t)(s.Add(ctx, key, zset.Entry[seat]{seat{"B", 2}, 20}, zset.Entry[seat]{seat{"A", 1}, 10}))
		equal(t, "Range", must[[]zset.Entry[seat]](t)(s.Range(ctx, key, 0, -1)),
			[]zset.Entry[seat]{{seat{"A", 1}, 10}, {seat{"B", 2}, 20}})
		equal(t, "as text", must[[]zset.Entry[string]](t)(open[string](t, c, time.Hour).Range(ctx, key, 0, 0)),
			[]zset.Entry[string]{e(`{"row":"A","number":1}`, 10)})
		equal(t, "Remove", must[int64](t)(s.Remove(ctx, key, seat{"A", 1})), 1)
		members := must[[]seat](t)(s.RangeByLex(ctx, key, zset.LexRange{}, zset.Page{}))
		equal(t, "RangeByLex", members, []seat{{"B", 2}})
	}, everywhere...)
}

func TestAnEncodingErrorIsTheCallersAndSendsNothing(t *testing.T) {
	c := rediskittest.Embedded(t)
	s, err := zset.New(c, zset.Config[any]{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	var bad any = func() {}
	var unsupported *json.UnsupportedTypeError
	for name, call := range map[string]func() error{
		"Add": func() error {
			_, err := s.Add(t.Context(), "k", zset.Entry[any]{bad, 1})
			return err
		},
		"Score":  func() error { _, _, err := s.Score(t.Context(), "k", bad); return err },
		"Scores": func() error { _, err := s.Scores(t.Context(), "k", bad); return err },
		"Remove": func() error { _, err := s.Remove(t.Context(), "k", bad); return err },
	} {
		if err := call(); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, want the codec's error", name, err)
		}
	}
}

func TestUndecodableMembersComeInTheErrorAndTheOthersWithIt(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		s := open[int](t, c, time.Hour)
		fill := func() { command(t, c, key, "ZADD", "1", "1", "2", "bad", "3", "3", "4", "worse") }
		bad, good := []zset.Entry[string]{e("bad", 2), e("worse", 4)}, []zset.Entry[int]{{1, 1}, {3, 3}}
		wantError := func(name string, err error, raw []zset.Entry[string]) {
			t.Helper()
			var undecodable *zset.DecodeError
			if !errors.As(err, &undecodable) || !errors.Is(err, codec.ErrCorrupt) || !same(undecodable.Raw, raw) {
				t.Errorf("%s: %v, want a DecodeError with %v", name, err, raw)
			}
		}
		fill()
		got, err := s.Range(ctx, key, 0, -1)
		equal(t, "Range", got, good)
		wantError("Range", err, bad)

		var walked []zset.Entry[int]
		for e, err := range s.All(ctx, key) {
			if err != nil {
				wantError("All", err, bad)
			} else {
				walked = append(walked, e)
			}
		}
		equal(t, "All", walked, good)

		got, err = s.PopMin(ctx, key, 4)
		equal(t, "PopMin", got, good)
		wantError("PopMin", err, bad)
		fill()
		popped, ok, err := s.BPopMax(ctx, []string{key}, 0)
		equal(t, "BPopMax", []any{popped, ok}, []any{zset.Popped[int]{}, false})
		wantError("BPopMax", err, bad[1:])
		equal(t, "Card", must[int64](t)(s.Card(ctx, key)), 3)

		command(t, c, key+"lex", "ZADD", "0", "7", "0", "x")
		numbers, err := s.RangeByLex(ctx, key+"lex", zset.LexRange{}, zset.Page{})
		equal(t, "RangeByLex", numbers, []int{7})
		wantError("RangeByLex", err, []zset.Entry[string]{e("x", 0)})
	}, everywhere...)
}

func TestTheServersAnswerComesBackWithOperationAndKey(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("text")
			command(t, c, key, "SET", "no set")
			for op, call := range map[string]func() error{
				"Add":           func() error { _, err := s.Add(ctx, key, e("m", 1)); return err },
				"Incr":          func() error { _, err := s.Incr(ctx, key, "m", 1); return err },
				"Score":         func() error { _, _, err := s.Score(ctx, key, "m"); return err },
				"Scores":        func() error { _, err := s.Scores(ctx, key, "m"); return err },
				"Rank":          func() error { _, _, err := s.Rank(ctx, key, "m"); return err },
				"RankWithScore": func() error { _, _, _, err := s.RankWithScore(ctx, key, "m"); return err },
				"Range":         func() error { _, err := s.Range(ctx, key, 0, -1); return err },
				"PopMax":        func() error { _, err := s.PopMax(ctx, key, 1); return err },
				"BPopMin":       func() error { _, _, err := s.BPopMin(ctx, []string{key}, 0); return err },
				"Remove":        func() error { _, err := s.Remove(ctx, key, "m"); return err },
				"UnionStore":    func() error { _, err := s.UnionStore(ctx, key, []string{key}, zset.Combine{}); return err },
				"All": func() error {
					for _, err := range s.All(ctx, key) {
						return err
					}
					return nil
				},
			} {
				err := call()
				var oe *rediskit.OpError
				if !errors.As(err, &oe) || oe.Op != "zset."+op || oe.Key != key || !strings.HasPrefix(oe.Err.Error(), "WRONGTYPE") {
					t.Errorf("%s: %v", op, err)
				}
				if rediskit.MayHaveApplied(err) || rediskit.IsUnavailable(err) {
					t.Errorf("%s: %v is taken for an outage", op, err)
				}
			}
		})
	}, everywhere...)
}

func TestKeysOfOneCallMustShareASlotOnACluster(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnCluster)
	ctx, s := t.Context(), open[string](t, c, time.Hour)
	apart := []string{"{a}1", "{b}2"}
	for name, call := range map[string]func() error{
		"Union":      func() error { _, err := s.Union(ctx, apart, zset.Combine{}); return err },
		"DiffStore":  func() error { _, err := s.DiffStore(ctx, "{a}dest", apart); return err },
		"UnionStore": func() error { _, err := s.UnionStore(ctx, "{a}dest", apart[1:], zset.Combine{}); return err },
		"BPopMin":    func() error { _, _, err := s.BPopMin(ctx, apart, 0); return err },
	} {
		if err := call(); !errors.Is(err, rediskit.ErrCrossSlot) {
			t.Errorf("%s: %v, want ErrCrossSlot", name, err)
		}
	}
}

func TestSeveralSetsMayBeOneOfThem(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *zset.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			must[int64](t)(s.Add(ctx, key("a"), e("x", 1), e("y", 2)))
			command(t, c, key("plain"), "SADD", "y", "z")
			equal(t, "UnionStore", must[int64](t)(s.UnionStore(ctx, key("a"), []string{key("a"), key("plain")},
				zset.Combine{Weights: []float64{10, 0.5}})), 3)
			equal(t, "Range", must[[]zset.Entry[string]](t)(s.Range(ctx, key("a"), 0, -1)),
				[]zset.Entry[string]{e("z", 0.5), e("x", 10), e("y", 20.5)})
			equal(t, "InterStore", must[int64](t)(s.InterStore(ctx, key("a"), []string{key("a"), key("none")}, zset.Combine{})), 0)
			equal(t, "Card", must[int64](t)(s.Card(ctx, key("a"))), 0)
		})
	}, everywhere...)
}

func TestAWalkMayStopEarly(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, time.Hour)
		for i := range 2000 {
			must[int64](t)(s.Add(ctx, key, e(fmt.Sprint(i), 0)))
		}
		n := 0
		for _, err := range s.All(ctx, key) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 700 {
				break
			}
		}
		equal(t, "entries", n, 700)

		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var ended error
		for _, err := range s.All(ctx, key) {
			cancel()
			ended = err
		}
		if !errors.Is(ended, context.Canceled) {
			t.Errorf("a walk whose context ended says %v", ended)
		}
	}, rediskittest.OnSingle, rediskittest.OnCluster)
}

func TestAPrefixIsTheRangeOfTheMembersThatBeginWithIt(t *testing.T) {
	all := []string{"", "\x00", "a", "a\x00", "ab", "a\xff", "a\xff\xff", "b", "\xfe", "\xff", "\xff\xff", "\xff\xffz"}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, time.Hour)
		for _, m := range all {
			must[int64](t)(s.Add(ctx, key, e(m, 0)))
		}
		for _, prefix := range all {
			var want []string
			for _, m := range all {
				if strings.HasPrefix(m, prefix) {
					want = append(want, m)
				}
			}
			got := must[[]string](t)(s.RangeByLex(ctx, key, zset.Prefix(prefix), zset.Page{}))
			equal(t, fmt.Sprintf("with prefix %q", prefix), got, want)
		}
	}, everywhere...)
}

func TestAnErrorOfDecodingSaysHowMuchItIsAbout(t *testing.T) {
	err := errors.New("codec")
	one := &zset.DecodeError{Raw: []zset.Entry[string]{e("four", 1)}, Err: err}
	equal(t, "one", one.Error(), "a member of 4 bytes: codec")
	two := &zset.DecodeError{Raw: []zset.Entry[string]{e("a", 1), e("b", 1)}, Err: err}
	equal(t, "two", two.Error(), "2 members: codec")
}
