package stream_test

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
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/stream"
)

func TestValuesComeBackAsTheyWere(t *testing.T) {
	hostile := []string{"", "\x00\r\n", "{a}*?", "\xff\xfe", strings.Repeat("x", 1<<20), "nil", "$-1\r\n", " "}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			for _, k := range append(hostile[1:], "plain") {
				k = key(k)
				added := must[[]stream.ID](t)(s.AddMany(ctx, k, hostile...))
				entries := must[[]stream.Entry[string]](t)(s.Range(ctx, k, stream.Span{}, 0))
				if !slices.Equal(values(entries), hostile) || !slices.Equal(ids(entries), added) || entries[0].Key != k {
					t.Fatalf("key %.20q: entries changed", k)
				}
				read := must[[]stream.Entry[string]](t)(s.Read(ctx, 0, stream.From{Key: k}))
				if !slices.Equal(read, entries) {
					t.Fatalf("key %.20q: Read and Range differ", k)
				}
			}
		})
	}, everywhere...)
}

func TestFieldsAreReadAndWrittenAsOthersDo(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, d := range []time.Duration{time.Hour, rediskit.NoTTL} {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			raw := open[stream.Fields](t, c, d)
			want := stream.Fields{{"a", "1"}, {"", ""}, {"a", "2"}, {"v", `"x"`}}
			must[stream.ID](t)(raw.Add(ctx, key, want))
			command(t, c, key, "XADD", "*", "a", "1", "", "", "a", "2", "v", `"x"`)
			for _, e := range must[[]stream.Entry[stream.Fields]](t)(raw.Range(ctx, key, stream.Span{}, 0)) {
				if !slices.Equal(e.Value, want) {
					t.Error(e.Value)
				}
			}
			if v, ok := want.Get("a"); v != "1" || !ok {
				t.Error(v, ok)
			}
			if v, ok := want.Get("b"); v != "" || ok {
				t.Error(v, ok)
			}

			// The value of another T is one of the fields.
			type text string
			s, err := stream.New(c, stream.Config[text]{TTL: d, Codec: codec.JSON[text]()})
			if err != nil {
				t.Fatal(err)
			}
			must[stream.ID](t)(s.Add(ctx, key, "y"))
			if got := values(must[[]stream.Entry[text]](t)(s.Range(ctx, key, stream.Span{}, 0))); !slices.Equal(got, []text{"x", "x", "y"}) {
				t.Error(got)
			}
			other, err := stream.New(c, stream.Config[string]{TTL: d, Field: "a"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := other.Range(ctx, key, stream.Span{}, 0)
			var bad *stream.DecodeError
			if !slices.Equal(values(got), []string{"1", "1"}) || !errors.As(err, &bad) || len(bad.Entries) != 1 || !errors.Is(err, codec.ErrCorrupt) {
				t.Error(got, err)
			}
		}
	}, everywhere...)
}

func TestAnEntryHasThousandsOfFields(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	ctx, key := t.Context(), rediskittest.Keys(t)("k")
	s := open[stream.Fields](t, c, time.Hour)
	many := make(stream.Fields, 3000)
	must[stream.ID](t)(s.Add(ctx, key, many))
	if got := must[[]stream.Entry[stream.Fields]](t)(s.Range(ctx, key, stream.Span{}, 0)); len(got[0].Value) != 3000 {
		t.Error(len(got[0].Value))
	}
	if _, err := s.Add(ctx, key, append(many, stream.Field{})); err == nil || !strings.Contains(err.Error(), "3001 fields") {
		t.Error(err)
	}
}

func TestAnIDMayBeChosenIfItIsNewer(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			for _, id := range []stream.ID{{0, 1}, {5, 0}, {5, 1}, {math.MaxUint64, 0}} {
				if got, ok, err := s.AddWith(ctx, key, "x", stream.AddOptions{ID: id}); got != id || !ok || err != nil {
					t.Error(got, ok, err)
				}
				for _, old := range []stream.ID{id, id.Prev()} {
					if old.IsZero() {
						continue // stands for one that the server chooses
					}
					if _, ok, err := s.AddWith(ctx, key, "x", stream.AddOptions{ID: old}); ok || !errors.Is(err, stream.ErrNotNewer) {
						t.Error(ok, err)
					}
				}
			}
		})
	}, everywhere...)
}

func TestNoStreamIsCreatedThatShallNot(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			opt := stream.AddOptions{NoCreate: true}
			if id, ok, err := s.AddWith(ctx, key, "x", opt); !id.IsZero() || ok || err != nil {
				t.Error(id, ok, err)
			}
			if got := ttl(t, c, key); got != -2*time.Millisecond {
				t.Error("there is a stream, and it lives for", got)
			}
			must[stream.ID](t)(s.Add(ctx, key, "x"))
			if id, ok, err := s.AddWith(ctx, key, "x", opt); id.IsZero() || !ok || err != nil {
				t.Error(id, ok, err)
			}
		})
	}, everywhere...)
}

func TestStreamsAreTrimmed(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		for _, d := range []time.Duration{time.Hour, rediskit.NoTTL} {
			ctx, key := t.Context(), rediskittest.Keys(t)
			fill := func(s *stream.Stream[int], k string, n int) {
				t.Helper()
				for i := 1; i <= n; i++ {
					if _, _, err := s.AddWith(ctx, k, i, stream.AddOptions{ID: stream.ID{Ms: uint64(i)}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			length := func(k string, want int64) {
				t.Helper()
				if n := must[int64](t)(open[int](t, c, d).Len(ctx, k)); n != want {
					t.Errorf("%d entries, want %d", n, want)
				}
			}
			s, err := stream.New(c, stream.Config[int]{TTL: d, Trim: stream.MaxLen(3).Exact()})
			if err != nil {
				t.Fatal(err)
			}
			fill(s, key("a"), 10)
			length(key("a"), 3)
			must[[]stream.ID](t)(s.AddMany(ctx, key("a"), 1, 2, 3, 4))
			length(key("a"), 3)
			if _, _, err := s.AddWith(ctx, key("a"), 0, stream.AddOptions{Trim: stream.MaxLen(5).Exact()}); err != nil {
				t.Fatal(err)
			}
			length(key("a"), 4)

			s = open[int](t, c, d)
			fill(s, key("b"), 250)
			if n := must[int64](t)(s.Trim(ctx, key("b"), stream.MinID(stream.ID{Ms: 50}).Exact())); n != 49 {
				t.Error(n)
			}
			if n := must[int64](t)(s.Trim(ctx, key("b"), stream.MaxLen(10).AtMost(1))); n != 0 {
				t.Error("removed more than a limit allows:", n)
			}
			// Whole nodes only, of a hundred entries by default.
			if n := must[int64](t)(s.Trim(ctx, key("b"), stream.MaxLen(10))); n == 0 || n > 191 {
				t.Error(n)
			}
			if _, err := s.Trim(ctx, key("b"), stream.MaxLen(0).Exact()); err != nil {
				t.Error(err)
			}
			length(key("b"), 0)
		}
	})
}

func TestOnlyAddingSetsTheTTL(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("k")
		forever, minute, s := open[string](t, c, rediskit.NoTTL), open[string](t, c, time.Minute), open[string](t, c, time.Hour)
		me := stream.Consumer{Group: "g", Name: "c"}
		for name, write := range map[string]func() error{
			"Add":         func() error { _, err := s.Add(ctx, k, "a"); return err },
			"AddMany":     func() error { _, err := s.AddMany(ctx, k, "a", "b"); return err },
			"AddWith":     func() error { _, _, err := s.AddWith(ctx, k, "a", stream.AddOptions{NoCreate: true}); return err },
			"CreateGroup": func() error { _, err := s.CreateGroup(ctx, k, "new", stream.End); return err },
		} {
			command(t, c, k, "DEL")
			must[stream.ID](t)(forever.Add(ctx, k, "a"))
			if err := write(); err != nil {
				t.Fatal(err)
			}
			if got := ttl(t, c, k); got <= 0 || got > time.Hour {
				t.Errorf("%s: lives for %v", name, got)
			}
		}
		command(t, c, k, "DEL")
		must[bool](t)(s.CreateGroup(ctx, k, "g", stream.End))
		if got := ttl(t, c, k); got <= 0 || got > time.Hour {
			t.Errorf("a stream made for a group lives for %v", got)
		}

		var id stream.ID
		for name, touch := range map[string]func() error{
			"Trim":            func() error { _, err := s.Trim(ctx, k, stream.MaxLen(1).Exact()); return err },
			"Delete":          func() error { _, err := s.Delete(ctx, k, id); return err },
			"ReadGroup":       func() error { _, err := s.ReadGroup(ctx, me, 0, k); return err },
			"the same group":  func() error { _, err := s.CreateGroup(ctx, k, "g", stream.End); return err },
			"AddMany of none": func() error { _, err := s.AddMany(ctx, k); return err },
			"an Add of NoTTL": func() error { _, err := forever.Add(ctx, k, "a"); return err },
			"an Add that fails": func() error {
				if _, _, err := s.AddWith(ctx, k, "a", stream.AddOptions{ID: id}); !errors.Is(err, stream.ErrNotNewer) {
					return fmt.Errorf("not refused: %w", err)
				}
				return nil
			},
		} {
			command(t, c, k, "DEL")
			id = must[stream.ID](t)(minute.Add(ctx, k, "a"))
			must[bool](t)(minute.CreateGroup(ctx, k, "g", stream.ID{}))
			if err := touch(); err != nil {
				t.Fatal(err)
			}
			if got := ttl(t, c, k); got <= 0 || got > time.Minute {
				t.Errorf("%s: lives for %v", name, got)
			}
		}
	}, everywhere...)
}

func TestReadGoesOnFromWhereItWas(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		a := must[[]stream.ID](t)(s.AddMany(ctx, key("a"), "a1", "a2", "a3"))
		must[[]stream.ID](t)(s.AddMany(ctx, key("b"), "b1", "b2"))
		from := []stream.From{{Key: key("b")}, {Key: key("none")}, {Key: key("a"), After: a[0]}}
		if got := values(must[[]stream.Entry[string]](t)(s.Read(ctx, 0, from...))); !slices.Equal(got, []string{"b1", "b2", "a2", "a3"}) {
			t.Error(got)
		}
		got := must[[]stream.Entry[string]](t)(s.Read(ctx, 1, from...))
		if !slices.Equal(values(got), []string{"b1", "a2"}) || got[0].Key != key("b") || got[1].Key != key("a") {
			t.Error(got)
		}
		if got := must[[]stream.Entry[string]](t)(s.Read(ctx, 0, stream.From{Key: key("a"), After: stream.End})); got != nil {
			t.Error(got)
		}
	}, everywhere...)
}

func TestAllAndBackwardWalkWholeStreams(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)("k")
		s := open[int](t, c, time.Hour)
		for _, n := range []int{0, 1, 255, 256, 257, 1000} {
			command(t, c, key, "DEL")
			want := make([]int, n)
			for i := range want {
				want[i] = i
			}
			added := must[[]stream.ID](t)(s.AddMany(ctx, key, want...))
			var forward, backward []int
			for e, err := range s.All(ctx, key, stream.Span{}) {
				if err != nil {
					t.Fatal(err)
				}
				forward = append(forward, e.Value)
			}
			for e, err := range s.Backward(ctx, key, stream.Span{}) {
				if err != nil {
					t.Fatal(err)
				}
				backward = append(backward, e.Value)
			}
			slices.Reverse(backward)
			if !slices.Equal(forward, want) || !slices.Equal(backward, want) {
				t.Errorf("of %d entries: %d forward, %d backward", n, len(forward), len(backward))
			}
			if n == 0 {
				continue
			}
			last := stream.Span{From: added[n-1], To: added[n-1]}
			count := 0
			for e, err := range s.All(ctx, key, last) {
				if count++; e.Value != n-1 || err != nil {
					t.Error(e, err)
				}
			}
			for range s.Backward(ctx, key, stream.Span{}) {
				count++
				break
			}
			if count != 2 {
				t.Error(count)
			}
		}
		// What cannot be decoded is reported, and the walk goes on.
		command(t, c, key, "DEL")
		want := make([]int, 600)
		must[[]stream.ID](t)(s.AddMany(ctx, key, want...))
		command(t, c, key, "XADD", "*", "v", "x")
		command(t, c, key, "XADD", "*", "w", "1")
		must[[]stream.ID](t)(s.AddMany(ctx, key, want...))
		for _, walk := range []func(func(stream.Entry[int], error) bool){s.All(ctx, key, stream.Span{}), s.Backward(ctx, key, stream.Span{})} {
			var good, bad int
			for _, err := range walk {
				var d *stream.DecodeError
				if errors.As(err, &d) {
					bad += len(d.Entries)
				} else if err == nil {
					good++
				} else {
					t.Fatal(err)
				}
			}
			if good != 1200 || bad != 2 {
				t.Error(good, bad)
			}
		}
	})
}

func TestAMissIsNotAnError(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("none")
		s := open[string](t, c, time.Hour)
		check := func(name string, hit bool, err error) {
			t.Helper()
			if hit || err != nil {
				t.Errorf("%s: %v, %v", name, hit, err)
			}
		}
		n, err := s.Len(ctx, k)
		check("Len", n != 0, err)
		n, err = s.Delete(ctx, k, stream.ID{Ms: 1})
		check("Delete", n != 0, err)
		n, err = s.Trim(ctx, k, stream.MaxLen(1))
		check("Trim", n != 0, err)
		n, err = s.Ack(ctx, k, "g", stream.ID{Ms: 1})
		check("Ack", n != 0, err)
		entries, err := s.Range(ctx, k, stream.Span{}, 0)
		check("Range", entries != nil, err)
		entries, err = s.RevRange(ctx, k, stream.Span{}, 1)
		check("RevRange", entries != nil, err)
		entries, err = s.Read(ctx, 1, stream.From{Key: k, After: stream.End})
		check("Read", entries != nil, err)
		entries, err = s.BRead(ctx, time.Millisecond, 1, stream.From{Key: k})
		check("BRead", entries != nil, err)
		_, ok, err := s.Info(ctx, k)
		check("Info", ok, err)
		groups, err := s.Groups(ctx, k)
		check("Groups", groups != nil, err)
		ok, err = s.DestroyGroup(ctx, k, "g")
		check("DestroyGroup", ok, err)
		for range s.All(ctx, k, stream.Span{}) {
			t.Error("All yielded something")
		}
		// Nothing to do is done without the server.
		added, err := s.AddMany(ctx, k)
		check("AddMany of none", added != nil, err)
		n, err = s.Delete(ctx, k)
		check("Delete of none", n != 0, err)
		n, err = s.Ack(ctx, k, "g")
		check("Ack of none", n != 0, err)
		me := stream.Consumer{Group: "g", Name: "c"}
		entries, err = s.Claim(ctx, me, k, 0)
		check("Claim of none", entries != nil, err)
		claimed, err := s.ClaimIDs(ctx, me, k, 0)
		check("ClaimIDs of none", claimed != nil, err)
	}, everywhere...)
}

func TestWrongArgumentsAreRefusedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := open[string](t, c, time.Hour)
	raw := open[stream.Fields](t, c, time.Hour)
	floats := open[float64](t, c, time.Hour)
	c.Close() // nothing gets as far as noticing
	ctx, me, id := t.Context(), stream.Consumer{Group: "g", Name: "c"}, stream.ID{Ms: 1}
	many := make([]stream.ID, 1_000_001)
	for want, call := range map[string]func() error{
		`stream.Add: empty key`:                   func() error { _, err := s.Add(ctx, "", "a"); return err },
		`stream.Add "k": codec: encode: `:         func() error { _, err := floats.Add(ctx, "k", math.NaN()); return err },
		`stream.Add "k": an entry needs at least`: func() error { _, err := raw.Add(ctx, "k", nil); return err },
		`stream.AddMany: empty key`:               func() error { _, err := s.AddMany(ctx, "", "a"); return err },
		`stream.AddMany "k": an entry needs`:      func() error { _, err := raw.AddMany(ctx, "k", nil); return err },
		`stream.AddWith "k": AddOptions.Trim: MaxLen`: func() error {
			_, _, err := s.AddWith(ctx, "k", "a", stream.AddOptions{Trim: stream.MaxLen(-1)})
			return err
		},
		`stream.Len: empty key`:                        func() error { _, err := s.Len(ctx, ""); return err },
		`stream.Delete: empty key`:                     func() error { _, err := s.Delete(ctx, "", id); return err },
		`stream.Delete "k": 1000001 IDs`:               func() error { _, err := s.Delete(ctx, "k", many...); return err },
		`stream.Trim "k": nothing to trim to`:          func() error { _, err := s.Trim(ctx, "k", stream.Trim{}); return err },
		`stream.Trim "k": MaxLen(-1): must`:            func() error { _, err := s.Trim(ctx, "k", stream.MaxLen(-1)); return err },
		`stream.Trim "k": AtMost(-1): must`:            func() error { _, err := s.Trim(ctx, "k", stream.MaxLen(1).AtMost(-1)); return err },
		`stream.Trim "k": Exact and AtMost exclude`:    func() error { _, err := s.Trim(ctx, "k", stream.MaxLen(1).AtMost(1).Exact()); return err },
		`stream.Trim "k": neither MaxLen nor MinID`:    func() error { _, err := s.Trim(ctx, "k", stream.Trim{}.Exact()); return err },
		`stream.Range: empty key`:                      func() error { _, err := s.Range(ctx, "", stream.Span{}, 0); return err },
		`stream.Range "k": count is -1: must`:          func() error { _, err := s.Range(ctx, "k", stream.Span{}, -1); return err },
		`stream.RevRange "k": Span: both From and`:     func() error { _, err := s.RevRange(ctx, "k", stream.Span{From: id, After: id}, 0); return err },
		`stream.Range "k": Span: both To and Before`:   func() error { _, err := s.Range(ctx, "k", stream.Span{To: id, Before: id}, 0); return err },
		`stream.Read: no streams`:                      func() error { _, err := s.Read(ctx, 0); return err },
		`stream.Read: empty key`:                       func() error { _, err := s.Read(ctx, 0, stream.From{}); return err },
		`stream.Read "k": the stream is named twice`:   func() error { _, err := s.Read(ctx, 0, stream.From{Key: "k"}, stream.From{Key: "k"}); return err },
		`stream.BRead "k": wait is -1ns: want zero`:    func() error { _, err := s.BRead(ctx, -1, 0, stream.From{Key: "k"}); return err },
		`stream.BRead "k": count is -1: must`:          func() error { _, err := s.BRead(ctx, 0, -1, stream.From{Key: "k"}); return err },
		`stream.CreateGroup: empty key`:                func() error { _, err := s.CreateGroup(ctx, "", "g", id); return err },
		`stream.CreateGroup "k": empty group`:          func() error { _, err := s.CreateGroup(ctx, "k", "", id); return err },
		`stream.DestroyGroup "k": empty group`:         func() error { _, err := s.DestroyGroup(ctx, "k", ""); return err },
		`stream.SetGroupID "k": empty group`:           func() error { return s.SetGroupID(ctx, "k", "", id) },
		`stream.DeleteConsumer "k": Consumer.Group is`: func() error { _, err := s.DeleteConsumer(ctx, "k", stream.Consumer{}); return err },
		`stream.ReadGroup "k": Consumer.Name is empty`: func() error { _, err := s.ReadGroup(ctx, stream.Consumer{Group: "g"}, 0, "k"); return err },
		`stream.ReadGroup: no streams`:                 func() error { _, err := s.ReadGroup(ctx, me, 0); return err },
		`stream.BReadGroup "k": wait is 1µs: want`:     func() error { _, err := s.BReadGroup(ctx, me, time.Microsecond, 0, "k"); return err },
		`stream.BReadGroup "k": count is -1`:           func() error { _, err := s.BReadGroup(ctx, me, 0, -1, "k"); return err },
		`stream.ReadPending "k": count is -1`:          func() error { _, err := s.ReadPending(ctx, me, "k", id, -1); return err },
		`stream.ReadPending: empty key`:                func() error { _, err := s.ReadPending(ctx, me, "", id, 0); return err },
		`stream.Ack "k": empty group`:                  func() error { _, err := s.Ack(ctx, "k", "", id); return err },
		`stream.Ack "k": 1000001 IDs`:                  func() error { _, err := s.Ack(ctx, "k", "g", many...); return err },
		`stream.Pending "k": empty group`:              func() error { _, err := s.Pending(ctx, "k", ""); return err },
		`stream.PendingEntries "k": the idle time is`:  func() error { _, err := s.PendingEntries(ctx, "k", "g", stream.PendingQuery{MinIdle: -1}); return err },
		`stream.PendingEntries "k": count is -1`:       func() error { _, err := s.PendingEntries(ctx, "k", "g", stream.PendingQuery{Count: -1}); return err },
		`stream.Claim "k": the idle time is -1ns`:      func() error { _, err := s.Claim(ctx, me, "k", -1, id); return err },
		`stream.ClaimIDs "k": Consumer.Name is empty`:  func() error { _, err := s.ClaimIDs(ctx, stream.Consumer{Group: "g"}, "k", 0, id); return err },
		`stream.AutoClaim "k": the idle time is -1ns`:  func() error { _, err := s.AutoClaim(ctx, me, "k", -1, id, 0); return err },
		`stream.AutoClaim "k": count is -1`:            func() error { _, err := s.AutoClaim(ctx, me, "k", 0, id, -1); return err },
		`stream.Info: empty key`:                       func() error { _, _, err := s.Info(ctx, ""); return err },
		`stream.Groups: empty key`:                     func() error { _, err := s.Groups(ctx, ""); return err },
		`stream.Consumers "k": empty group`:            func() error { _, err := s.Consumers(ctx, "k", ""); return err },
	} {
		err := call()
		var op *rediskit.OpError
		if !errors.As(err, &op) || !strings.HasPrefix(fmt.Sprint(err), want) || rediskit.IsUnavailable(err) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
	for want, span := range map[string]stream.Span{"stream.All: empty key": {}} {
		for _, err := range s.All(ctx, "", span) {
			if fmt.Sprint(err) != want {
				t.Error(err)
			}
		}
	}
	// No entry can be there, so nobody is asked.
	for _, span := range []stream.Span{{After: stream.End}, {From: stream.ID{Ms: 2}, To: id}, {After: id, Before: id}} {
		if entries, err := s.Range(ctx, "k", span, 0); entries != nil || err != nil {
			t.Error(span, entries, err)
		}
		for range s.All(ctx, "k", span) {
			t.Error(span)
		}
	}
}

func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	c := rediskittest.Embedded(t)
	for want, cfg := range map[string]stream.Config[string]{
		"stream: Config.TTL is not set":     {},
		"stream: Config.TTL is 1µs":         {TTL: time.Microsecond},
		"stream: Config.Trim: MaxLen(-1)":   {TTL: time.Hour, Trim: stream.MaxLen(-1)},
		"stream: Config.Trim: Exact and At": {TTL: time.Hour, Trim: stream.MinID(stream.ID{Ms: 1}).Exact().AtMost(5)},
	} {
		if _, err := stream.New(c, cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
	for want, cfg := range map[string]stream.Config[stream.Fields]{
		"stream: Config.Field is set": {TTL: time.Hour, Field: "v"},
		"stream: Config.Codec is set": {TTL: time.Hour, Codec: codec.JSON[stream.Fields]()},
	} {
		if _, err := stream.New(c, cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
	if _, err := stream.New(nil, stream.Config[string]{TTL: time.Hour}); err == nil || err.Error() != "stream: client is nil" {
		t.Error(err)
	}
}

func TestKeysOfDifferentSlotsAreRefused(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnCluster)
	s := open[string](t, c, time.Hour)
	ctx, from, me := t.Context(), []stream.From{{Key: "{a}"}, {Key: "{b}"}}, stream.Consumer{Group: "g", Name: "c"}
	_, readErr := s.Read(ctx, 0, from...)
	_, breadErr := s.BRead(ctx, 0, 0, from...)
	_, groupErr := s.ReadGroup(ctx, me, 0, "{a}", "{b}")
	_, bgroupErr := s.BReadGroup(ctx, me, 0, 0, "{a}", "{b}")
	for _, err := range []error{readErr, breadErr, groupErr, bgroupErr} {
		if !errors.Is(err, rediskit.ErrCrossSlot) {
			t.Error(err)
		}
	}
}

func TestAKeyOfAnotherTypeIsTheServersAnswer(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *stream.Stream[string]) {
			ctx, k := t.Context(), rediskittest.Keys(t)("string")
			command(t, c, k, "SET", "v")
			_, addErr := s.Add(ctx, k, "a")
			_, manyErr := s.AddMany(ctx, k, "a", "b")
			_, groupErr := s.CreateGroup(ctx, k, "g", stream.ID{})
			_, readErr := s.Read(ctx, 0, stream.From{Key: k, After: stream.End})
			_, rangeErr := s.Range(ctx, k, stream.Span{}, 0)
			_, _, infoErr := s.Info(ctx, k)
			for _, err := range []error{addErr, manyErr, groupErr, readErr, rangeErr, infoErr} {
				var re *rueidis.RedisError
				if !errors.As(err, &re) || !strings.Contains(re.Error(), "WRONGTYPE") || rediskit.MayHaveApplied(err) {
					t.Error(err)
				}
			}
		})
	})
}

func TestAStreamDescribesItself(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, k := t.Context(), rediskittest.Keys(t)("k")
		s := open[string](t, c, time.Hour)
		added := must[[]stream.ID](t)(s.AddMany(ctx, k, "a", "b", "c"))
		must[bool](t)(s.CreateGroup(ctx, k, "g", stream.ID{}))
		must[int64](t)(s.Delete(ctx, k, added[2]))
		info, ok, err := s.Info(ctx, k)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		// Servers before Redis 7 do not tell the last two.
		if info.Added == -1 {
			info.Added, info.MaxDeleted = 3, added[2]
		}
		want := stream.Info{Length: 2, Groups: 1, First: added[0], Last: added[1], LastID: added[2], MaxDeleted: added[2], Added: 3}
		if info != want {
			t.Errorf("%+v, want %+v", info, want)
		}
		must[int64](t)(s.Trim(ctx, k, stream.MaxLen(0).Exact()))
		if info, _, err := s.Info(ctx, k); !info.First.IsZero() || !info.Last.IsZero() || info.LastID != added[2] || err != nil {
			t.Errorf("empty: %+v, %v", info, err)
		}
	})
}
