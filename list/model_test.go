package list_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/list"
	"github.com/tickettoken/rediskit/rediskittest"
)

// A model is what the list should be.
type model []string

// span is what Redis makes of start and stop.
func (m model) span(start, stop int64) (from, to int) {
	n := int64(len(m))
	if start < 0 {
		start = max(start+n, 0)
	}
	if stop < 0 {
		stop += n
	}
	stop = min(stop, n-1)
	if start > stop {
		return 0, 0
	}
	return int(start), int(stop) + 1
}

// at turns an index that may be negative into one that is not.
func (m model) at(index int64) (int, bool) {
	if index < 0 {
		index += int64(len(m))
	}
	return int(index), index >= 0 && index < int64(len(m))
}

func (m *model) pop(end list.End) (string, bool) {
	s := *m
	if len(s) == 0 {
		return "", false
	}
	if end == list.Left {
		*m = slices.Clone(s[1:])
		return s[0], true
	}
	*m = slices.Clone(s[:len(s)-1])
	return s[len(s)-1], true
}

func (m *model) push(end list.End, values ...string) {
	for _, v := range values {
		if end == list.Left {
			*m = slices.Insert(*m, 0, v)
		} else {
			*m = append(*m, v)
		}
	}
}

func (m *model) remove(count int64, v string) (n int64) {
	if count < 0 {
		slices.Reverse(*m)
		defer func() { slices.Reverse(*m) }()
		count = -count
	}
	*m = slices.DeleteFunc(*m, func(s string) bool {
		if s != v || count > 0 && n == count {
			return false
		}
		n++
		return true
	})
	return n
}

func (m model) positions(v string, s list.Search) (at []int64) {
	rank, step, i := s.Rank, 1, 0
	if rank == 0 {
		rank = 1
	}
	if rank < 0 {
		rank, step, i = -rank, -1, len(m)-1
	}
	for compared := int64(0); i >= 0 && i < len(m) && (s.MaxLen == 0 || compared < s.MaxLen); i += step {
		compared++
		if m[i] != v {
			continue
		}
		if rank--; rank > 0 {
			continue
		}
		if at = append(at, int64(i)); s.Count > 0 && int64(len(at)) == s.Count {
			break
		}
	}
	return at
}

func TestAListIsWhatTheModelIs(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, l *list.List[string]) {
			rapid.Check(t, func(rt *rapid.T) {
				key := rediskittest.Keys(t)
				play(rt, t.Context(), l, [2]string{key("a"), key("b")})
			})
		})
	})
}

// play does random things to two lists and to two models.
func play(t *rapid.T, ctx context.Context, l *list.List[string], keys [2]string) {
	var models [2]model
	element := rapid.SampledFrom([]string{"a", "b", "c", "", "\x00"})
	elements := rapid.SliceOfN(element, 0, 4)
	index := rapid.Int64Range(-6, 6)
	end := rapid.SampledFrom([]list.End{list.Left, list.Right})
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		which := rapid.IntRange(0, 1).Draw(t, "list")
		k, m := keys[which], &models[which]
		want := func(what string, got, want any, err error) {
			t.Helper()
			if err != nil || got != want {
				t.Fatalf("%s: %v, %v; want %v", what, got, err, want)
			}
		}
		switch op := rapid.IntRange(0, 10).Draw(t, "op"); op {
		case 0, 1:
			vs, e := elements.Draw(t, "values"), end.Draw(t, "end")
			push := l.RPush
			if e == list.Left {
				push = l.LPush
			}
			n, err := push(ctx, k, vs...)
			m.push(e, vs...)
			want("push", n, int64(len(*m)), err)
		case 2:
			vs, e := elements.Draw(t, "values"), end.Draw(t, "end")
			push := l.RPushX
			if e == list.Left {
				push = l.LPushX
			}
			n, err := push(ctx, k, vs...)
			if len(*m) > 0 {
				m.push(e, vs...)
			}
			want("pushX", n, int64(len(*m)), err)
		case 3:
			e := end.Draw(t, "end")
			pop := l.RPop
			if e == list.Left {
				pop = l.LPop
			}
			v, ok, err := pop(ctx, k)
			wantV, wantOK := m.pop(e)
			want("pop", v, wantV, err)
			want("pop", ok, wantOK, err)
		case 4:
			e, n := end.Draw(t, "end"), rapid.Int64Range(0, 5).Draw(t, "n")
			pop := l.RPopN
			if e == list.Left {
				pop = l.LPopN
			}
			got, err := pop(ctx, k, n)
			var wantVs []string
			for range n {
				if v, ok := m.pop(e); ok {
					wantVs = append(wantVs, v)
				}
			}
			want("popN", slices.Equal(got, wantVs), true, err)
		case 5:
			i, v := index.Draw(t, "index"), element.Draw(t, "value")
			ok, err := l.Set(ctx, k, i, v)
			at, in := m.at(i)
			if in {
				(*m)[at] = v
			}
			want("Set", ok, in, err)
		case 6:
			pivot, v, after := element.Draw(t, "pivot"), element.Draw(t, "value"), rapid.IntRange(0, 1).Draw(t, "after")
			insert := l.InsertBefore
			if after == 1 {
				insert = l.InsertAfter
			}
			n, ok, err := insert(ctx, k, pivot, v)
			i := slices.Index(*m, pivot)
			want("insert", ok, i >= 0, err)
			if i >= 0 {
				*m = slices.Insert(*m, i+after, v)
				want("insert", n, int64(len(*m)), err)
			}
		case 7:
			count, v := rapid.Int64Range(-2, 2).Draw(t, "count"), element.Draw(t, "value")
			n, err := l.Remove(ctx, k, count, v)
			want("Remove", n, m.remove(count, v), err)
		case 8:
			start, stop := index.Draw(t, "start"), index.Draw(t, "stop")
			err := l.Trim(ctx, k, start, stop)
			from, to := m.span(start, stop)
			*m = slices.Clone((*m)[from:to])
			want("Trim", nil, nil, err)
		case 9:
			dst := rapid.IntRange(0, 1).Draw(t, "destination")
			from, to := end.Draw(t, "from"), end.Draw(t, "to")
			v, ok, err := l.Move(ctx, k, keys[dst], from, to)
			wantV, wantOK := m.pop(from)
			if wantOK {
				models[dst].push(to, wantV)
			}
			want("Move", v, wantV, err)
			want("Move", ok, wantOK, err)
		case 10:
			v := element.Draw(t, "value")
			s := list.Search{
				Rank:   rapid.Int64Range(-3, 3).Draw(t, "rank"),
				Count:  rapid.Int64Range(0, 3).Draw(t, "count"),
				MaxLen: rapid.Int64Range(0, 4).Draw(t, "maxlen"),
			}
			got, err := l.Positions(ctx, k, v, s)
			want("Positions", slices.Equal(got, m.positions(v, s)), true, err)
			i, ok, err := l.Pos(ctx, k, v)
			want("Pos", ok, slices.Index(*m, v) >= 0, err)
			if ok {
				want("Pos", i, int64(slices.Index(*m, v)), err)
			}
		}
		start, stop := index.Draw(t, "start"), index.Draw(t, "stop")
		got, err := l.Range(ctx, k, start, stop)
		from, to := m.span(start, stop)
		want("Range", slices.Equal(got, (*m)[from:to]), true, err)
		v, ok, err := l.Index(ctx, k, start)
		at, in := m.at(start)
		want("Index", ok, in, err)
		if in {
			want("Index", v, (*m)[at], err)
		}
		n, err := l.Len(ctx, k)
		want("Len", n, int64(len(*m)), err)
	}
	for i, k := range keys {
		got, err := l.Range(ctx, k, 0, -1)
		if err != nil || !slices.Equal(got, models[i]) {
			t.Fatalf("%q, %v; want %q", got, err, models[i])
		}
	}
}
