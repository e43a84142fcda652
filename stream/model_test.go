package stream_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/stream"
)

// A model is what a stream with one group should be.
type model struct {
	key       string
	entries   []stream.Entry[string]
	last      stream.ID
	delivered stream.ID            // the group's place
	pending   map[stream.ID]string // consumers by entry
}

func (m *model) in(first, last stream.ID) []stream.Entry[string] {
	var out []stream.Entry[string]
	for _, e := range m.entries {
		if e.ID.Compare(first) >= 0 && e.ID.Compare(last) <= 0 {
			out = append(out, e)
		}
	}
	return out
}

// span returns the entries of a span. Exclusive ends are checked by comparison, not by arithmetic.
func (m *model) span(s stream.Span) []stream.Entry[string] {
	to := s.To
	if to.IsZero() {
		to = stream.End
	}
	return slices.DeleteFunc(m.in(s.From, to), func(e stream.Entry[string]) bool {
		return !s.After.IsZero() && e.ID.Compare(s.After) <= 0 || !s.Before.IsZero() && e.ID.Compare(s.Before) >= 0
	})
}

func (m *model) remove(gone func(stream.ID) bool) (n int64) {
	before := len(m.entries)
	m.entries = slices.DeleteFunc(m.entries, func(e stream.Entry[string]) bool { return gone(e.ID) })
	return int64(before - len(m.entries))
}

func first[T any](s []T, count int) []T {
	if count > 0 && len(s) > count {
		return s[:count]
	}
	return s
}

// of returns the pending IDs of a consumer after an ID, in order; of all consumers if the name is empty.
func (m *model) of(consumer string, after stream.ID) []stream.ID {
	all := slices.SortedFunc(maps.Keys(m.pending), stream.ID.Compare)
	return slices.DeleteFunc(all, func(id stream.ID) bool {
		return consumer != "" && m.pending[id] != consumer || id.Compare(after) <= 0
	})
}

// split tells pending entries from pending IDs whose entry was deleted.
func (m *model) split(pending []stream.ID) (entries []stream.Entry[string], deleted []stream.ID) {
	for _, id := range pending {
		if e := m.in(id, id); len(e) > 0 {
			entries = append(entries, e[0])
		} else {
			deleted = append(deleted, id)
		}
	}
	return entries, deleted
}

func TestAStreamIsWhatTheModelIs(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			rapid.Check(t, func(rt *rapid.T) {
				play(rt, t.Context(), s, rediskittest.Keys(t)("k"))
			})
		})
	})
}

// play does random things to a stream and to a model.
func play(t *rapid.T, ctx context.Context, s *stream.Stream[string], key string) {
	if _, err := s.CreateGroup(ctx, key, group, stream.ID{}); err != nil {
		t.Fatal(err)
	}
	m := model{key: key, pending: make(map[stream.ID]string)}
	anID := rapid.Custom(func(t *rapid.T) stream.ID {
		return stream.ID{Ms: rapid.Uint64Range(0, 6).Draw(t, "ms"), Seq: rapid.Uint64Range(0, 2).Draw(t, "seq")}
	})
	someIDs := rapid.SliceOfN(anID, 1, 4)
	who := rapid.SampledFrom([]stream.Consumer{ann, bob})
	count := rapid.IntRange(0, 3)
	check := func(what string, ok bool, err error) {
		t.Helper()
		if !ok || err != nil {
			t.Fatalf("%s is wrong, error %v; the model is %+v", what, err, m)
		}
	}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		switch rapid.IntRange(0, 9).Draw(t, "op") {
		case 0, 1, 2:
			id := anID.Draw(t, "id")
			if id.IsZero() {
				continue
			}
			value := rapid.StringN(0, 3, -1).Draw(t, "value")
			got, ok, err := s.AddWith(ctx, key, value, stream.AddOptions{ID: id})
			if id.Compare(m.last) <= 0 {
				if ok || err == nil {
					t.Fatalf("added %v after %v", id, m.last)
				}
				continue
			}
			check("AddWith", got == id && ok, err)
			m.last = id
			m.entries = append(m.entries, stream.Entry[string]{Key: key, ID: id, Value: value})
		case 3:
			ids := someIDs.Draw(t, "ids")
			n, err := s.Delete(ctx, key, ids...)
			check("Delete", n == m.remove(func(id stream.ID) bool { return slices.Contains(ids, id) }), err)
		case 4:
			var trim stream.Trim
			var gone func(stream.ID) bool
			if n := rapid.IntRange(-1, 4).Draw(t, "maxlen"); n >= 0 {
				trim = stream.MaxLen(int64(n))
				gone = func(id stream.ID) bool { return len(m.in(id, stream.End)) > n }
			} else {
				least := anID.Draw(t, "minid")
				trim = stream.MinID(least)
				gone = func(id stream.ID) bool { return id.Compare(least) < 0 }
			}
			var old []stream.ID
			for _, e := range m.entries {
				if gone(e.ID) {
					old = append(old, e.ID)
				}
			}
			n, err := s.Trim(ctx, key, trim.Exact())
			check("Trim", n == m.remove(func(id stream.ID) bool { return slices.Contains(old, id) }), err)
		case 5:
			c, n := who.Draw(t, "consumer"), count.Draw(t, "count")
			got, err := s.ReadGroup(ctx, c, n, key)
			want := first(m.span(stream.Span{After: m.delivered}), n)
			check("ReadGroup", slices.Equal(got, want), err)
			for _, e := range want {
				m.delivered = e.ID
				m.pending[e.ID] = c.Name
			}
		case 6:
			c, n, after := who.Draw(t, "consumer"), rapid.IntRange(1, 3).Draw(t, "count"), anID.Draw(t, "after")
			got, err := s.ReadPending(ctx, c, key, after, n)
			ids := first(m.of(c.Name, after), n)
			entries, deleted := m.split(ids)
			check("ReadPending", slices.Equal(got.Entries, entries) && slices.Equal(got.Deleted, deleted), err)
			next := stream.ID{}
			if len(ids) == n {
				next = ids[n-1]
			}
			check("Next", got.Next == next, nil)
		case 7:
			ids := someIDs.Draw(t, "ids")
			n, err := s.Ack(ctx, key, group, ids...)
			before := len(m.pending)
			for _, id := range ids {
				delete(m.pending, id)
			}
			check("Ack", n == int64(before-len(m.pending)), err)
		case 8:
			// What was deleted is claimed differently from version to version.
			c := who.Draw(t, "consumer")
			ids := slices.DeleteFunc(someIDs.Draw(t, "ids"), func(id stream.ID) bool { return len(m.in(id, id)) == 0 })
			slices.SortFunc(ids, stream.ID.Compare)
			ids = slices.Compact(ids)
			got, err := s.Claim(ctx, c, key, 0, ids...)
			var want []stream.Entry[string]
			for _, id := range ids {
				if _, ok := m.pending[id]; ok {
					m.pending[id] = c.Name
					want = append(want, m.in(id, id)...)
				}
			}
			check("Claim", slices.Equal(got, want), err)
		case 9:
			after := anID.Draw(t, "after")
			if err := s.SetGroupID(ctx, key, group, after); err != nil {
				t.Fatal(err)
			}
			m.delivered = after
		}

		// Every step is looked at from a few sides.
		span := stream.Span{}
		if rapid.Bool().Draw(t, "from") {
			span.From = anID.Draw(t, "from")
		} else {
			span.After = anID.Draw(t, "after")
		}
		if rapid.Bool().Draw(t, "to") {
			span.To = anID.Draw(t, "to")
		} else {
			span.Before = anID.Draw(t, "before")
		}
		n := count.Draw(t, "count")
		got, err := s.Range(ctx, key, span, n)
		check("Range", slices.Equal(got, first(m.span(span), n)), err)
		got, err = s.RevRange(ctx, key, span, n)
		reversed := m.span(span)
		slices.Reverse(reversed)
		check("RevRange", slices.Equal(got, first(reversed, n)), err)
		got, err = s.Read(ctx, n, stream.From{Key: key, After: span.After})
		check("Read", slices.Equal(got, first(m.span(stream.Span{After: span.After}), n)), err)
		length, err := s.Len(ctx, key)
		check("Len", length == int64(len(m.entries)), err)
		p, err := s.Pending(ctx, key, group)
		check("Pending", p.Count == int64(len(m.pending)), err)
		list, err := s.PendingEntries(ctx, key, group, stream.PendingQuery{})
		ids := m.of("", stream.ID{})
		check("PendingEntries", slices.EqualFunc(list, ids, func(p stream.PendingEntry, id stream.ID) bool {
			return p.ID == id && p.Consumer == m.pending[id]
		}), err)
		info, _, err := s.Info(ctx, key)
		check("Info", info.LastID == m.last && info.Length == length, err)
	}
}
