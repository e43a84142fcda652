package zset_test

import (
	"cmp"
	"context"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/zset"
)

// same takes nil and empty slices for the same.
func same(a, b any) bool {
	if v, w := reflect.ValueOf(a), reflect.ValueOf(b); v.Kind() == reflect.Slice && v.Len() == 0 && w.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a, b)
}

// model is what a sorted set should be.
type model map[string]float64

func (m model) sorted() []zset.Entry[string] {
	var out []zset.Entry[string]
	for member, score := range m {
		out = append(out, e(member, score))
	}
	slices.SortFunc(out, func(a, b zset.Entry[string]) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(a.Member, b.Member))
	})
	return out
}

func (m model) allows(cond zset.Condition, member string, score float64) bool {
	old, in := m[member]
	switch {
	case cond&zset.NX != 0:
		return !in
	case cond&zset.XX != 0 && !in:
		return false
	case cond&zset.GT != 0:
		return !in || score > old
	case cond&zset.LT != 0:
		return !in || score < old
	}
	return true
}

// add returns how many members are new and how many are new or have another score.
func (m model) add(cond zset.Condition, entries []zset.Entry[string]) (added, changed int64) {
	for _, e := range entries {
		if !m.allows(cond, e.Member, e.Score) {
			continue
		}
		old, in := m[e.Member]
		if !in {
			added++
		}
		if !in || old != e.Score {
			changed++
		}
		m[e.Member] = e.Score
	}
	return added, changed
}

func (m model) remove(entries []zset.Entry[string]) int64 {
	for _, e := range entries {
		delete(m, e.Member)
	}
	return int64(len(entries))
}

// byRank is the part of a slice that Redis's ranks mean.
func byRank[T any](s []T, start, stop int64) []T {
	n := int64(len(s))
	if start < 0 {
		start = max(start+n, 0)
	}
	if stop < 0 {
		stop += n
	}
	stop = min(stop, n-1)
	if start > stop {
		return nil
	}
	return s[start : stop+1]
}

func paged[T any](s []T, p zset.Page) []T {
	s = slices.Clone(s)
	if p.Reverse {
		slices.Reverse(s)
	}
	s = s[min(p.Offset, int64(len(s))):]
	if p.Count > 0 {
		s = s[:min(p.Count, int64(len(s)))]
	}
	return s
}

var (
	conditions = []zset.Condition{
		zset.Always, zset.NX, zset.XX, zset.GT, zset.LT, zset.XX | zset.GT, zset.XX | zset.LT,
	}
	members = rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "b", "ab", "\x00", "\xff\xff", "ä", "a b\r\n"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 5), func(b []byte) string { return string(b) }),
	)
	scores = rapid.OneOf(
		rapid.SampledFrom([]float64{
			0, 1, 1, 2, -1, 0.1, 1.5, 1e15 + 0.5, 1 << 53, -1e300, math.MaxFloat64, math.SmallestNonzeroFloat64,
			math.Inf(1), math.Inf(-1), math.Pi,
		}),
		rapid.Float64(),
	)
	pages = rapid.Custom(func(t *rapid.T) zset.Page {
		return zset.Page{
			Offset:  rapid.Int64Range(0, 3).Draw(t, "offset"),
			Count:   rapid.Int64Range(0, 5).Draw(t, "count"),
			Reverse: rapid.Bool().Draw(t, "reverse"),
		}
	})
	ranks = rapid.Int64Range(-8, 8)
)

// scoreRange draws a range and tells which scores are in it.
func scoreRange(t *rapid.T) (zset.ScoreRange, func(float64) bool) {
	bound := func(name string) (zset.Bound, float64, int) {
		f := scores.Draw(t, name)
		kind := rapid.IntRange(0, 2).Draw(t, name+"'s kind")
		return []zset.Bound{{}, zset.Incl(f), zset.Excl(f)}[kind], f, kind
	}
	lo, from, fromKind := bound("from")
	hi, to, toKind := bound("to")
	return zset.ScoreRange{Min: lo, Max: hi}, func(f float64) bool {
		return (fromKind == 0 || f > from || fromKind == 1 && f == from) && (toKind == 0 || f < to || toKind == 1 && f == to)
	}
}

func entriesOf(t *rapid.T, n int) []zset.Entry[string] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) zset.Entry[string] {
		return e(members.Draw(t, "member"), scores.Draw(t, "score"))
	}), 0, n).Draw(t, "entries")
}

// check fails when a call failed or its result is not the model's.
func check[T any](t *rapid.T, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if !same(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestASetIsWhatTheModelIs(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		sets := []*zset.Set[string]{open[string](t, c, time.Hour), open[string](t, c, rediskit.NoTTL)}
		rapid.Check(t, func(rt *rapid.T) {
			playModel(rt, rapid.SampledFrom(sets).Draw(rt, "with a TTL or without"), rediskittest.Keys(t)("set"))
		})
	})
}

func playModel(rt *rapid.T, s *zset.Set[string], key string) {
	ctx := context.Background()
	m := model{}
	inSet := func(t *rapid.T) string {
		if len(m) == 0 || rapid.Bool().Draw(t, "any member") {
			return members.Draw(t, "member")
		}
		return rapid.SampledFrom(m.sorted()).Draw(t, "entry").Member
	}
	where := func(in func(float64) bool) []zset.Entry[string] {
		return slices.DeleteFunc(m.sorted(), func(e zset.Entry[string]) bool { return !in(e.Score) })
	}
	rt.Repeat(map[string]func(*rapid.T){
		"Add": func(t *rapid.T) {
			entries := entriesOf(t, 6)
			added, _ := m.add(zset.Always, entries)
			check(t, added)(s.Add(ctx, key, entries...))
		},
		"AddIf": func(t *rapid.T) {
			cond := rapid.SampledFrom(conditions).Draw(t, "condition")
			entries := entriesOf(t, 6)
			_, changed := m.add(cond, entries)
			check(t, changed)(s.AddIf(ctx, key, cond, entries...))
		},
		"IncrIf": func(t *rapid.T) {
			cond := rapid.SampledFrom(conditions).Draw(t, "condition")
			member, by := inSet(t), scores.Draw(t, "by")
			sum := m[member] + by
			if math.IsNaN(sum) {
				t.Skip("opposite infinities have no sum")
			}
			allowed := m.allows(cond, member, sum)
			got, ok, err := s.IncrIf(ctx, key, cond, member, by)
			if err != nil {
				t.Fatal(err)
			}
			if ok != allowed || ok && got != sum {
				t.Fatalf("got %v, %v, want %v, %v", got, ok, sum, allowed)
			}
			if allowed {
				m[member] = sum
			}
		},
		"Remove": func(t *rapid.T) {
			names := []string{inSet(t), inSet(t)}
			var gone []zset.Entry[string]
			for _, name := range names {
				if score, in := m[name]; in && !slices.Contains(gone, e(name, score)) {
					gone = append(gone, e(name, score))
				}
			}
			check(t, m.remove(gone))(s.Remove(ctx, key, names...))
		},
		"RemoveByRank": func(t *rapid.T) {
			start, stop := ranks.Draw(t, "start"), ranks.Draw(t, "stop")
			check(t, m.remove(byRank(m.sorted(), start, stop)))(s.RemoveByRank(ctx, key, start, stop))
		},
		"RemoveByScore": func(t *rapid.T) {
			r, in := scoreRange(t)
			check(t, m.remove(where(in)))(s.RemoveByScore(ctx, key, r))
		},
		"PopMin": func(t *rapid.T) {
			n := rapid.Int64Range(0, 3).Draw(t, "n")
			want := paged(m.sorted(), zset.Page{Count: max(n, 1)})
			if n == 0 {
				want = nil
			}
			m.remove(want)
			check(t, want)(s.PopMin(ctx, key, n))
		},
		"PopMax": func(t *rapid.T) {
			n := rapid.Int64Range(1, 3).Draw(t, "n")
			want := paged(m.sorted(), zset.Page{Count: n, Reverse: true})
			m.remove(want)
			check(t, want)(s.PopMax(ctx, key, n))
		},
		"Range": func(t *rapid.T) {
			start, stop := ranks.Draw(t, "start"), ranks.Draw(t, "stop")
			check(t, byRank(m.sorted(), start, stop))(s.Range(ctx, key, start, stop))
			reversed := paged(m.sorted(), zset.Page{Reverse: true})
			check(t, byRank(reversed, start, stop))(s.RevRange(ctx, key, start, stop))
			if stop > 0 {
				check(t, byRank(reversed, 0, stop-1))(s.Top(ctx, key, stop))
			}
		},
		"RangeByScore": func(t *rapid.T) {
			r, in := scoreRange(t)
			page := pages.Draw(t, "page")
			check(t, paged(where(in), page))(s.RangeByScore(ctx, key, r, page))
			check(t, int64(len(where(in))))(s.Count(ctx, key, r))
		},
		"": func(t *rapid.T) { checkMember(t, s, key, m, inSet(t)) },
	})
}

// checkMember compares what is known of one member.
func checkMember(t *rapid.T, s *zset.Set[string], key string, m model, member string) {
	ctx := context.Background()
	sorted := m.sorted()
	at := slices.IndexFunc(sorted, func(e zset.Entry[string]) bool { return e.Member == member })
	wantScore, in := m[member]
	wantRank, wantRev := int64(at), int64(len(sorted)-1-at)
	if !in {
		wantRank, wantRev = 0, 0
	}
	score, ok, err := s.Score(ctx, key, member)
	if err != nil || score != wantScore || ok != in {
		t.Fatalf("Score: %v, %v, %v, want %v, %v", score, ok, err, wantScore, in)
	}
	rank, ok, err := s.Rank(ctx, key, member)
	if err != nil || rank != wantRank || ok != in {
		t.Fatalf("Rank: %v, %v, %v, want %v, %v", rank, ok, err, wantRank, in)
	}
	rank, ok, err = s.RevRank(ctx, key, member)
	if err != nil || rank != wantRev || ok != in {
		t.Fatalf("RevRank: %v, %v, %v, want %v, %v", rank, ok, err, wantRev, in)
	}
	rank, score, ok, err = s.RankWithScore(ctx, key, member)
	if err != nil || rank != wantRank || score != wantScore || ok != in {
		t.Fatalf("RankWithScore: %v, %v, %v, %v, want %v, %v, %v", rank, score, ok, err, wantRank, wantScore, in)
	}
	rank, score, ok, err = s.RevRankWithScore(ctx, key, member)
	if err != nil || rank != wantRev || score != wantScore || ok != in {
		t.Fatalf("RevRankWithScore: %v, %v, %v, %v, want %v, %v, %v", rank, score, ok, err, wantRev, wantScore, in)
	}
	check(t, []zset.Score{{wantScore, in}, {wantScore, in}})(s.Scores(ctx, key, member, member))
	check(t, int64(len(m)))(s.Card(ctx, key))
	walked := model{}
	for e, err := range s.All(ctx, key) {
		if err != nil {
			t.Fatal(err)
		}
		walked[e.Member] = e.Score
	}
	if !same(walked, m) {
		t.Fatalf("All: %v, want %v", walked, m)
	}
}

func TestRangesByLexAreWhatTheModelIs(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		s := open[string](t, c, time.Hour)
		rapid.Check(t, func(rt *rapid.T) {
			key := rediskittest.Keys(t)("set")
			names := rapid.SliceOfNDistinct(members, 1, 10, rapid.ID).Draw(rt, "members")
			var entries []zset.Entry[string]
			for _, name := range names {
				entries = append(entries, e(name, 7))
			}
			check(rt, int64(len(names)))(s.Add(ctx, key, entries...))

			r := zset.LexRange{
				Min: members.Draw(rt, "min"), ExcludeMin: rapid.Bool().Draw(rt, "excludeMin"),
				Max: members.Draw(rt, "max"),
			}
			r.ExcludeMax = r.Max != "" && rapid.Bool().Draw(rt, "excludeMax")
			if rapid.Bool().Draw(rt, "prefix") {
				r = zset.Prefix(r.Min)
			}
			var want []string
			for _, e := range (model{}).with(entries).sorted() {
				m := e.Member
				if (m > r.Min || m == r.Min && !r.ExcludeMin) && (r.Max == "" || m < r.Max || m == r.Max && !r.ExcludeMax) {
					want = append(want, m)
				}
			}
			page := pages.Draw(rt, "page")
			check(rt, paged(want, page))(s.RangeByLex(ctx, key, r, page))
			check(rt, int64(len(want)))(s.LexCount(ctx, key, r))
			check(rt, int64(len(want)))(s.RemoveByLex(ctx, key, r))
			check(rt, int64(len(names)-len(want)))(s.Card(ctx, key))
		})
	})
}

func (m model) with(entries []zset.Entry[string]) model {
	m.add(zset.Always, entries)
	return m
}

func TestSetsCombineAsTheModelDoes(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		s := open[string](t, c, time.Hour)
		rapid.Check(t, func(rt *rapid.T) {
			key := rediskittest.Keys(t)
			keys := []string{key("a"), key("b"), key("c")}[:rapid.IntRange(1, 3).Draw(rt, "sets")]
			sets := make([]model, len(keys))
			for i := range keys {
				sets[i] = model{}
				for range rapid.IntRange(0, 4).Draw(rt, "size") {
					// Sums of small whole numbers do not depend on their order.
					entry := e(rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(rt, "member"),
						float64(rapid.IntRange(-9, 9).Draw(rt, "score")))
					sets[i].add(zset.Always, []zset.Entry[string]{entry})
				}
				must[int64](t)(s.Add(ctx, keys[i], sets[i].sorted()...))
			}
			how := zset.Combine{Aggregate: rapid.SampledFrom([]zset.Aggregate{zset.Sum, zset.Min, zset.Max}).Draw(rt, "aggregate")}
			if rapid.Bool().Draw(rt, "weighted") {
				for range keys {
					how.Weights = append(how.Weights, float64(rapid.IntRange(-3, 3).Draw(rt, "weight")))
				}
			}
			union, inter, diff := combined(sets, how)
			check(rt, union)(s.Union(ctx, keys, how))
			check(rt, inter)(s.Inter(ctx, keys, how))
			check(rt, diff)(s.Diff(ctx, keys))
			dest := key("dest")
			for _, store := range []struct {
				want []zset.Entry[string]
				call func() (int64, error)
			}{
				{union, func() (int64, error) { return s.UnionStore(ctx, dest, keys, how) }},
				{inter, func() (int64, error) { return s.InterStore(ctx, dest, keys, how) }},
				{diff, func() (int64, error) { return s.DiffStore(ctx, dest, keys) }},
			} {
				check(rt, int64(len(store.want)))(store.call())
				check(rt, store.want)(s.Range(ctx, dest, 0, -1))
			}
		})
	})
}

func combined(sets []model, how zset.Combine) (union, inter, diff []zset.Entry[string]) {
	u, count, d := model{}, map[string]int{}, model{}
	for i, set := range sets {
		for member, score := range set {
			if how.Weights != nil {
				score *= how.Weights[i]
			}
			if old, in := u[member]; in {
				switch how.Aggregate {
				case zset.Sum:
					score += old
				case zset.Min:
					score = min(score, old)
				case zset.Max:
					score = max(score, old)
				}
			}
			u[member] = score + 0 // no negative zero, which orders like zero
			count[member]++
		}
	}
	n := model{}
	for member, score := range u {
		if count[member] == len(sets) {
			n[member] = score
		}
	}
	for member, score := range sets[0] {
		if count[member] == 1 {
			d[member] = score
		}
	}
	return u.sorted(), n.sorted(), d.sorted()
}
