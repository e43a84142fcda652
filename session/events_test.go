package session_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
	"github.com/tickettoken/rediskit/stream"
)

// diary notes events.
type diary struct {
	mu     sync.Mutex
	events []session.Event
}

func (d *diary) note(_ context.Context, e session.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// take returns what was noted since the last time.
func (d *diary) take() []session.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	events := d.events
	d.events = nil
	return events
}

// told checks that these events happened since the last time, in this order, each as "kind reason user device".
func (d *diary) told(t testing.TB, want ...string) {
	t.Helper()
	var got []string
	for _, e := range d.take() {
		got = append(got, fmt.Sprint(e.Kind, " ", e.Reason, " ", e.UserID, " ", e.Device.Name))
		if e.Ref == "" || e.At.Before(time.Unix(1_600_000_000, 0)) {
			t.Errorf("incomplete: %+v", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestEveryEventIsToldOnceWithItsReason(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		var d diary
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second, AbsoluteTTL: 150 * time.Second, MaxPerUser: 2, OnLimit: session.EvictOldest, OnEvent: d.note})
		m, ctx := clock.m, t.Context()
		create := func(name string) session.ID {
			t.Helper()
			return must(m.Create(ctx, "ada", ada, session.Device{Name: name}))(t).ID
		}
		a := create("a")
		d.told(t, "created  ada a")
		must(m.Get(ctx, a))(t)
		must(m.Touch(ctx, a))(t)
		must(m.Update(ctx, a, func(v *Visit) error { v.Name = ""; return nil }))(t)
		must(m.Incr(ctx, a, "views", 1))(t)
		must(m.List(ctx, "ada"))(t)
		d.told(t)
		a = must(m.Rotate(ctx, a, time.Minute))(t)
		d.told(t, "rotated  ada a")
		clock.advance(time.Second)
		b := create("b")
		d.take()
		clock.advance(time.Second)
		create("c")
		d.told(t, "evicted limit ada a", "created  ada c")
		ok(t, m.Delete(ctx, a))
		d.told(t)
		ok(t, m.Delete(ctx, b))
		d.told(t, "revoked logout ada b")

		s := create("s")
		e := must(m.Login(ctx, s, "ada", nil, session.Device{Name: "e"}))(t)
		d.told(t, "created  ada s", "revoked login ada s", "created  ada e")
		visit := must(m.Anonymous(ctx, ada, session.Device{Name: "visit"}))(t)
		must(m.Login(ctx, visit.ID, "bob", nil, session.Device{Name: "f"}))(t)
		d.told(t, "created   visit", "created  bob f", "revoked login  visit")

		must(m.RevokeOthers(ctx, e.ID))(t)
		d.told(t, "revoked others ada c")
		must(m.Revoke(ctx, "ada", e.Ref))(t)
		must(m.Revoke(ctx, "ada", e.Ref))(t)
		d.told(t, "revoked revoked ada e")
		must(m.RevokeUser(ctx, "bob"))(t)
		must(m.RevokeUser(ctx, "bob"))(t)
		d.told(t, "revoked user bob f")

		// Of what expires there is only an event if it is met: by its ID before, or by a login or a revoke after.
		g, h := create("g"), create("h")
		clock.advance(80 * time.Second)
		must(m.Touch(ctx, h))(t)
		d.take()
		clock.advance(60 * time.Second)
		gone(t, m, g)
		gone(t, m, g)
		d.told(t, "expired idle  g")
		clock.advance(20 * time.Second)
		create("i")
		clock.advance(110 * time.Second)
		create("j")
		d.told(t, "created  ada i", "created  ada j")
		must(m.RevokeUser(ctx, "ada"))(t)
		d.told(t, "revoked user ada j")
	})
}

func TestASessionThatExpiredIsToldWhenALoginMeetsIt(t *testing.T) {
	var d diary
	clock := newClock(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{TTL: 100 * time.Second, AbsoluteTTL: 150 * time.Second, MaxPerUser: 3, OnEvent: d.note})
	m, ctx := clock.m, t.Context()
	a := must(m.Create(ctx, "ada", ada, session.Device{Name: "a"}))(t).ID
	must(m.Create(ctx, "ada", ada, session.Device{Name: "b"}))(t)
	// One that lives on, so that the index does.
	must(m.Create(ctx, "ada", ada, session.Device{Name: "long"}, session.WithTimeouts(time.Hour, time.Hour)))(t)
	clock.advance(60 * time.Second)
	must(m.Touch(ctx, a))(t)
	clock.advance(50 * time.Second)
	d.take()
	must(m.Create(ctx, "ada", ada, session.Device{Name: "d"}))(t)
	d.told(t, "expired idle ada b", "created  ada d")
	if _, err := m.Create(ctx, "ada", ada, phone); !errors.Is(err, session.ErrLimit) {
		t.Fatal(err)
	}
	d.told(t)
	clock.advance(50 * time.Second)
	equal(t, "revoked", must(m.RevokeUser(ctx, "ada"))(t), 2)
	events := d.take()
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Kind, " ", e.Reason, " ", e.Device.Name))
	}
	slices.Sort(got)
	if want := []string{"expired absolute a", "revoked user d", "revoked user long"}; !slices.Equal(got, want) {
		t.Fatalf("told %q", got)
	}
}

func TestASessionWhoseDataWereLostIsForgottenWhenItIsMet(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		var d diary
		clock := newClock(t, c, session.Config{MaxPerUser: 1, OnEvent: d.note})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		ok(t, raw(c, "DEL", m.SessionKey(s.ID)).Error())
		d.take()
		// A login that is under way could look like this.
		gone(t, m, s.ID)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
		d.told(t)
		clock.advance(2 * time.Minute)
		gone(t, m, s.ID)
		d.told(t, "expired lost  Ada's phone")
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 0)
		must(m.Create(ctx, "ada", ada, phone))(t)
	})
}

func TestDataWithoutAnEntryAreRemovedWhenTheyAreMet(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		ok(t, raw(c, "DEL", m.IndexKey(s.ID)).Error())
		guess := must(session.JoinID(s.ID.Public(), make([]byte, 32)))(t)
		gone(t, m, guess)
		equal(t, "keys after somebody guessed", len(keysOf(t, c, m.Keys())), 1)
		gone(t, m, s.ID)
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
	})
}

func TestAHookMayUseTheManagerAndMayPanic(t *testing.T) {
	var m *session.Manager[Visit]
	var told []session.EventKind
	bad := session.EventKind("")
	m = manager(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{
		MaxPerUser: 1, OnLimit: session.EvictOldest, EventStream: true,
		OnEvent: func(ctx context.Context, e session.Event) {
			told = append(told, e.Kind)
			if n, err := m.Count(ctx, "ada"); err != nil || n > 1 {
				t.Errorf("%d sessions, %v", n, err)
			}
			if e.Kind == bad {
				panic(bad)
			}
			if e.Kind == session.EventRevoked {
				if _, err := m.Revoke(ctx, "ada", e.Ref); err != nil {
					t.Error(err)
				}
			}
		},
	})
	ctx := t.Context()
	panics := func(f func()) {
		t.Helper()
		defer func() {
			if r := recover(); r != bad {
				t.Errorf("panic: %v", r)
			}
		}()
		f()
	}
	for _, bad = range []session.EventKind{session.EventCreated, session.EventEvicted} {
		panics(func() { _, _ = m.Create(ctx, "ada", ada, phone) })
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
	}
	bad = session.EventRevoked
	panics(func() { _, _ = m.RevokeUser(ctx, "ada") })
	equal(t, "count", must(m.Count(ctx, "ada"))(t), 0)
	bad = ""
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	equal(t, "revoked", must(m.Revoke(ctx, "ada", s.Ref))(t), true)
	equal(t, "events", fmt.Sprint(told), "[created evicted revoked created revoked]")
}

func TestEventsReachOtherProcessesThroughAStream(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		var d diary
		m := manager(t, c, session.Config{EventStream: true, StreamMaxLen: 1000, OnEvent: d.note})
		ctx := t.Context()
		events := must(stream.New(c, stream.Config[stream.Fields]{TTL: time.Hour}))(t)
		device := session.Device{IP: "\x00", Name: "\xff", Extra: map[string]string{"a": "b"}}
		const n = 150 // more than are written at once
		for range n {
			s := must(m.Create(ctx, "a\x00da", ada, device))(t)
			ok(t, m.Delete(ctx, s.ID))
		}
		var got []session.Event
		eventually(t, func() error {
			entries, err := events.Range(ctx, m.EventStream(), stream.Span{}, 10*n)
			if err != nil || len(entries) < 2*n {
				return fmt.Errorf("%d events, %w", len(entries), err)
			}
			for _, e := range entries {
				got = append(got, must(session.ReadEvent(e.Value))(t))
			}
			return nil
		})
		want := d.take()
		for i := range want { // Redis has microseconds
			want[i].At = want[i].At.Truncate(time.Microsecond)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the stream has %d events, the first %+v; want %d, the first %+v", len(got), got[0], len(want), want[0])
		}
	})
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	var good stream.Fields
	for _, f := range [][2]string{{"kind", "created"}, {"reason", ""}, {"user", "ada"}, {"ref", "x"}, {"device", "0:0:0:"}, {"at", "1700000000000000"}} {
		good = append(good, stream.Field{Name: f[0], Value: f[1]})
	}
	if _, err := session.ReadEvent(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := session.ReadEvent(slices.Delete(slices.Clone(good), i, i+1)); err == nil {
			t.Errorf("without %s", good[i].Name)
		}
	}
	for i, text := range map[int]string{4: "7:x", 5: "now"} {
		bad := slices.Clone(good)
		bad[i].Value = text
		if _, err := session.ReadEvent(bad); err == nil {
			t.Errorf("with %q", text)
		}
	}
}

func TestAnEventHasTheDeviceOfTheLoginWhateverBecomesOfItsMap(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	m := manager(t, c, session.Config{EventStream: true, MaxPerUser: -1})
	ctx := t.Context()
	device := session.Device{Extra: map[string]string{}}
	const n = 50
	for i := range n {
		device.Extra["app"] = user(i)
		must(m.Create(ctx, "ada", ada, device))(t)
	}
	device.Extra["app"] = ""
	events := must(stream.New(c, stream.Config[stream.Fields]{TTL: time.Hour}))(t)
	eventually(t, func() error {
		entries, err := events.Range(ctx, m.EventStream(), stream.Span{}, n)
		if err != nil || len(entries) < n {
			return fmt.Errorf("%d events, %w", len(entries), err)
		}
		for i, e := range entries {
			equal(t, "app", must(session.ReadEvent(e.Value))(t).Device.Extra["app"], user(i))
		}
		return nil
	})
}

// Whoever reads while the session is marked as seen may find that its data live on and not yet for how long: as if it were late.
func TestASessionThatSeemsToHaveExpiredButHasNotStays(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(2 * time.Minute)
		real := must(m.Stored(ctx, s.ID, ":x"))(t)
		ok(t, raw(c, "HSET", m.SessionKey(s.ID), ":x", "9000000000000000").Error())
		gone(t, m, s.ID)
		ok(t, raw(c, "HSET", m.SessionKey(s.ID), ":x", real).Error())
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
		must(m.Get(ctx, s.ID))(t)
	})
}
