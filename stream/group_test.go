package stream_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/stream"
)

var (
	ann = stream.Consumer{Group: group, Name: "ann"}
	bob = stream.Consumer{Group: group, Name: "bob"}
)

func TestAGroupIsCreatedOnce(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			ctx, k := t.Context(), rediskittest.Keys(t)("k")
			for i, want := range []bool{true, false, false} {
				if created, err := s.CreateGroup(ctx, k, group, stream.End); created != want || err != nil {
					t.Error(i, created, err)
				}
			}
			for i, want := range []bool{true, false} {
				if destroyed, err := s.DestroyGroup(ctx, k, group); destroyed != want || err != nil {
					t.Error(i, destroyed, err)
				}
			}
			if n := must[int64](t)(s.Len(ctx, k)); n != 0 {
				t.Error(n)
			}
		})
	}, everywhere...)
}

func TestAGroupBeginsWhereItIsTold(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			ctx, k := t.Context(), rediskittest.Keys(t)("k")
			added := must[[]stream.ID](t)(s.AddMany(ctx, k, "a", "b", "c"))
			want := func(entries []stream.Entry[string], err error, want ...string) {
				t.Helper()
				if err != nil || !slices.Equal(values(entries), want) {
					t.Errorf("%v, %v; want %v", values(entries), err, want)
				}
			}
			read := func(after stream.ID) ([]stream.Entry[string], error) {
				t.Helper()
				must[bool](t)(s.DestroyGroup(ctx, k, group))
				must[bool](t)(s.CreateGroup(ctx, k, group, after))
				return s.ReadGroup(ctx, ann, 0, k)
			}
			entries, err := read(stream.ID{})
			want(entries, err, "a", "b", "c")
			entries, err = read(added[0])
			want(entries, err, "b", "c")
			entries, err = read(stream.End)
			want(entries, err)

			if err := s.SetGroupID(ctx, k, group, added[1]); err != nil {
				t.Fatal(err)
			}
			entries, err = s.ReadGroup(ctx, bob, 0, k)
			want(entries, err, "c")
			if err := s.SetGroupID(ctx, k, group, stream.End); err != nil {
				t.Fatal(err)
			}
			must[stream.ID](t)(s.Add(ctx, k, "d"))
			entries, err = s.ReadGroup(ctx, bob, 0, k)
			want(entries, err, "d")
		})
	})
}

func TestAGroupThatIsMissingIsToldApart(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		must[stream.ID](t)(s.Add(ctx, key("without"), "a"))
		for _, k := range []string{key("without"), key("none")} {
			calls := map[string]error{}
			calls["SetGroupID"] = s.SetGroupID(ctx, k, group, stream.ID{})
			_, calls["DeleteConsumer"] = s.DeleteConsumer(ctx, k, ann)
			_, calls["ReadGroup"] = s.ReadGroup(ctx, ann, 0, k)
			_, calls["BReadGroup"] = s.BReadGroup(ctx, ann, 0, 0, k)
			_, calls["ReadPending"] = s.ReadPending(ctx, ann, k, stream.ID{}, 0)
			_, calls["Pending"] = s.Pending(ctx, k, group)
			_, calls["PendingEntries"] = s.PendingEntries(ctx, k, group, stream.PendingQuery{})
			_, calls["Claim"] = s.Claim(ctx, ann, k, 0, stream.ID{Ms: 1})
			_, calls["ClaimIDs"] = s.ClaimIDs(ctx, ann, k, 0, stream.ID{Ms: 1})
			_, calls["AutoClaim"] = s.AutoClaim(ctx, ann, k, 0, stream.ID{}, 0)
			_, calls["Consumers"] = s.Consumers(ctx, k, group)
			for name, err := range calls {
				var re *rueidis.RedisError
				if !errors.Is(err, stream.ErrNoGroup) || !errors.As(err, &re) || rediskit.IsUnavailable(err) {
					t.Errorf("%s of %q: %v", name, k, err)
				}
			}
		}
	})
}

func TestConsumersShareAStreamAndEndWithItsEntries(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		k := key("k")
		added := must[[]stream.ID](t)(s.AddMany(ctx, k, "a", "b", "c", "d"))
		must[bool](t)(s.CreateGroup(ctx, k, group, stream.ID{}))
		if got := values(must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, ann, 1, k))); !slices.Equal(got, []string{"a"}) {
			t.Error(got)
		}
		if got := values(must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, bob, 2, k))); !slices.Equal(got, []string{"b", "c"}) {
			t.Error(got)
		}

		p := must[stream.Pending](t)(s.Pending(ctx, k, group))
		if p.Count != 3 || p.First != added[0] || p.Last != added[2] || len(p.Consumers) != 2 || p.Consumers["ann"] != 1 || p.Consumers["bob"] != 2 {
			t.Errorf("%+v", p)
		}
		list := must[[]stream.PendingEntry](t)(s.PendingEntries(ctx, k, group, stream.PendingQuery{
			Span: stream.Span{After: added[0]}, Consumer: "bob", Count: 1,
		}))
		if len(list) != 1 || list[0].ID != added[1] || list[0].Consumer != "bob" || list[0].Deliveries != 1 || list[0].Idle < 0 || list[0].Idle > time.Hour {
			t.Errorf("%+v", list)
		}
		if list := must[[]stream.PendingEntry](t)(s.PendingEntries(ctx, k, group, stream.PendingQuery{MinIdle: time.Hour})); len(list) != 0 {
			t.Errorf("idle for an hour: %+v", list)
		}

		// A consumer that starts again gets what is its own, and in parts if it likes.
		first := must[stream.Batch[string]](t)(s.ReadPending(ctx, bob, k, stream.ID{}, 1))
		if !slices.Equal(values(first.Entries), []string{"b"}) || first.Next != added[1] {
			t.Errorf("%+v", first)
		}
		second := must[stream.Batch[string]](t)(s.ReadPending(ctx, bob, k, first.Next, 1))
		third := must[stream.Batch[string]](t)(s.ReadPending(ctx, bob, k, second.Next, 1))
		if !slices.Equal(values(second.Entries), []string{"c"}) || len(third.Entries) != 0 || !third.Next.IsZero() {
			t.Errorf("%+v, %+v", second, third)
		}

		// Another takes them over, unless somebody is at work on them.
		if got := must[[]stream.Entry[string]](t)(s.Claim(ctx, ann, k, time.Hour, added[1], added[2])); got != nil {
			t.Error("claimed what was in use:", got)
		}
		if got := values(must[[]stream.Entry[string]](t)(s.Claim(ctx, ann, k, 0, added[1], added[3]))); !slices.Equal(got, []string{"b"}) {
			t.Error(got)
		}
		if got := must[[]stream.ID](t)(s.ClaimIDs(ctx, ann, k, 0, added[2])); !slices.Equal(got, added[2:3]) {
			t.Error(got)
		}
		if n := must[int64](t)(s.DeleteConsumer(ctx, k, bob)); n != 0 {
			t.Error(n)
		}
		page := must[stream.Batch[string]](t)(s.AutoClaim(ctx, bob, k, 0, stream.ID{}, 2))
		if !slices.Equal(values(page.Entries), []string{"a", "b"}) || page.Next.IsZero() {
			t.Errorf("%+v", page)
		}
		page = must[stream.Batch[string]](t)(s.AutoClaim(ctx, bob, k, 0, page.Next, 0))
		if !slices.Equal(values(page.Entries), []string{"c"}) || !page.Next.IsZero() {
			t.Errorf("%+v", page)
		}

		if n := must[int64](t)(s.Ack(ctx, k, group, added...)); n != 3 {
			t.Error(n)
		}
		if p := must[stream.Pending](t)(s.Pending(ctx, k, group)); p.Count != 0 || !p.First.IsZero() || p.Consumers != nil {
			t.Errorf("%+v", p)
		}
	})
}

func TestOneReadOfAGroupIsOfSeveralStreams(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		for _, k := range []string{"a", "b", "c"} {
			must[bool](t)(s.CreateGroup(ctx, key(k), group, stream.ID{}))
		}
		must[[]stream.ID](t)(s.AddMany(ctx, key("c"), "c1", "c2"))
		must[[]stream.ID](t)(s.AddMany(ctx, key("a"), "a1"))
		got := must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, ann, 0, key("c"), key("b"), key("a")))
		if !slices.Equal(values(got), []string{"c1", "c2", "a1"}) || got[0].Key != key("c") || got[2].Key != key("a") {
			t.Error(got)
		}
	}, everywhere...)
}

func TestWithoutAcknowledgementNothingIsPending(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, time.Hour)
		must[stream.ID](t)(s.Add(ctx, k, "a"))
		must[bool](t)(s.CreateGroup(ctx, k, group, stream.ID{}))
		careless := stream.Consumer{Group: group, Name: "ann", NoAck: true}
		if got := values(must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, careless, 0, k))); !slices.Equal(got, []string{"a"}) {
			t.Error(got)
		}
		if p := must[stream.Pending](t)(s.Pending(ctx, k, group)); p.Count != 0 {
			t.Errorf("%+v", p)
		}
	})
}

func TestPendingEntriesThatWereDeletedAreNamed(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, time.Hour)
		added := must[[]stream.ID](t)(s.AddMany(ctx, k, "a", "b", "c"))
		must[bool](t)(s.CreateGroup(ctx, k, group, stream.ID{}))
		must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, ann, 0, k))
		must[int64](t)(s.Delete(ctx, k, added[0], added[1]))

		b := must[stream.Batch[string]](t)(s.ReadPending(ctx, ann, k, stream.ID{}, 2))
		if len(b.Entries) != 0 || !slices.Equal(b.Deleted, added[:2]) || b.Next != added[1] {
			t.Errorf("%+v", b)
		}
		if n := must[int64](t)(s.Ack(ctx, k, group, added[0])); n != 1 {
			t.Error(n)
		}
		if got := values(must[[]stream.Entry[string]](t)(s.Claim(ctx, bob, k, 0, added[2]))); !slices.Equal(got, []string{"c"}) {
			t.Error(got)
		}
		b = must[stream.Batch[string]](t)(s.AutoClaim(ctx, bob, k, 0, stream.ID{}, 0))
		if !slices.Equal(values(b.Entries), []string{"c"}) {
			t.Errorf("%+v", b)
		}
		// Servers before Redis 7 leave it pending and do not tell.
		pending := must[stream.Pending](t)(s.Pending(ctx, k, group))
		if told := slices.Equal(b.Deleted, added[1:2]); told != (pending.Count == 1) {
			t.Errorf("%d pending, and deleted were %v", pending.Count, b.Deleted)
		}
	})
}

func TestAnEntryThatCannotBeDecodedIsPendingAndHidesNoOther(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("k")
		s := open[int](t, c, time.Hour)
		must[bool](t)(s.CreateGroup(ctx, k, group, stream.ID{}))
		first := must[stream.ID](t)(s.Add(ctx, k, 1))
		command(t, c, k, "XADD", "*", "v", "poison", "more", "x")
		must[stream.ID](t)(s.Add(ctx, k, 2))
		poison := must[[]stream.Entry[stream.Fields]](t)(open[stream.Fields](t, c, time.Hour).Range(ctx, k, stream.Span{After: first}, 1))[0]
		want := func(name string, entries []stream.Entry[int], err error) {
			t.Helper()
			var d *stream.DecodeError
			if !slices.Equal(values(entries), []int{1, 2}) || !errors.As(err, &d) || len(d.Entries) != 1 {
				t.Fatalf("%s: %v, %v", name, entries, err)
			}
			if got := d.Entries[0]; got.ID != poison.ID || got.Key != k || !slices.Equal(got.Value, poison.Value) {
				t.Errorf("%s: %+v", name, got)
			}
		}
		entries, err := s.BReadGroup(ctx, ann, 0, 0, k)
		want("BReadGroup", entries, err)
		b, err := s.ReadPending(ctx, ann, k, stream.ID{}, 3)
		want("ReadPending", b.Entries, err)
		if b.Next.IsZero() {
			t.Error("ReadPending forgets that there may be more")
		}
		b, err = s.AutoClaim(ctx, bob, k, 0, stream.ID{}, 0)
		want("AutoClaim", b.Entries, err)
		all := []stream.ID{first, poison.ID, b.Entries[1].ID}
		entries, err = s.Claim(ctx, ann, k, 0, all...)
		want("Claim", entries, err)
		if n := must[int64](t)(s.Ack(ctx, k, group, poison.ID)); n != 1 {
			t.Error(n)
		}
	})
}

func TestAGroupDescribesItself(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, time.Hour)
		added := must[[]stream.ID](t)(s.AddMany(ctx, k, "a", "b", "c"))
		must[bool](t)(s.CreateGroup(ctx, k, group, stream.ID{}))
		must[bool](t)(s.CreateGroup(ctx, k, "other", added[0]))
		must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, ann, 2, k))

		groups := must[[]stream.GroupInfo](t)(s.Groups(ctx, k))
		if len(groups) != 2 {
			t.Fatalf("%+v", groups)
		}
		g := groups[slices.IndexFunc(groups, func(g stream.GroupInfo) bool { return g.Name == group })]
		if g.Read == -1 { // before Redis 7
			g.Read, g.Lag = 2, 1
		}
		if want := (stream.GroupInfo{Name: group, Consumers: 1, Pending: 2, LastDelivered: added[1], Read: 2, Lag: 1}); g != want {
			t.Errorf("%+v, want %+v", g, want)
		}
		consumers := must[[]stream.ConsumerInfo](t)(s.Consumers(ctx, k, group))
		if len(consumers) != 1 || consumers[0].Name != "ann" || consumers[0].Pending != 2 || consumers[0].Idle > time.Hour ||
			consumers[0].Inactive < -1 || consumers[0].Inactive > time.Hour {
			t.Errorf("%+v", consumers)
		}
		if got := must[[]stream.ConsumerInfo](t)(s.Consumers(ctx, k, "other")); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
