package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// lossy is a Manager behind a proxy that can lose replies. direct goes round it.
func lossy(t *testing.T, cfg session.Config) (lost, direct *session.Manager[Visit], proxy *rediskittest.Proxy, c *rediskit.Client) {
	t.Helper()
	server := rediskittest.Server(t)
	proxy = rediskittest.FaultProxy(t, server.Addr())
	through, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{proxy.Addr()}})
	ok(t, err)
	t.Cleanup(through.Close)
	c = server.Client()
	cfg.Keys = namespace(t, c)
	lost, direct = manager(t, through, cfg), manager(t, c, cfg)
	ok(t, lost.Load(t.Context()))
	return lost, direct, proxy, c
}

func TestALoginWhoseReplyIsLostIsTakenBack(t *testing.T) {
	for _, first := range []bool{true, false} {
		loseLogins(t, first)
	}
}

// loseLogins does so from the first login of a Manager on, or later: the first one sends more.
func loseLogins(t *testing.T, first bool) {
	var d diary
	m, direct, proxy, c := lossy(t, session.Config{OnEvent: d.note})
	if !first {
		must(m.Create(t.Context(), "ada", ada, phone))(t)
		must(direct.RevokeUser(t.Context(), "ada"))(t)
		d.take()
	}
	for _, login := range []func() error{
		func() error { _, err := m.Create(t.Context(), "ada", ada, phone); return err },
		func() error { _, err := m.Login(t.Context(), session.ID{}, "ada", nil, phone); return err },
		func() error { _, err := m.Anonymous(t.Context(), ada, phone); return err },
	} {
		for _, n := range []int64{0, 5} { // 5 bytes are the first reply and the beginning of the second
			proxy.CutAfterReplyBytes(n)
			if err := login(); !rediskit.MayHaveApplied(err) || !rediskit.IsUnavailable(err) {
				t.Fatal(err)
			}
			equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
			equal(t, "count", must(direct.Count(t.Context(), "ada"))(t), 0)
		}
	}
	d.told(t)
}

func TestALoginThatIsGivenUpIsTakenBackWhenItsReplyDoesNotCome(t *testing.T) {
	m, direct, proxy, c := lossy(t, session.Config{})
	proxy.BlackHoleReplies()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		eventually(t, func() error {
			if n, err := direct.Count(t.Context(), "ada"); n == 0 {
				return fmt.Errorf("not yet, %w", err)
			}
			return nil
		})
	}()
	if _, err := m.Create(ctx, "ada", ada, phone); !errors.Is(err, context.Canceled) || !rediskit.MayHaveApplied(err) {
		t.Fatal(err)
	}
	proxy.Resume()
	eventually(t, func() error {
		if found := keysOf(t, c, m.Keys()); len(found) > 0 {
			return fmt.Errorf("there are %v", found)
		}
		return nil
	})
}

func TestALoginThatWasNeverSentLeavesNothing(t *testing.T) {
	m, _, proxy, c := lossy(t, session.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Create(ctx, "ada", ada, phone); !errors.Is(err, context.Canceled) || rediskit.MayHaveApplied(err) {
		t.Fatal(err)
	}
	proxy.Cut()
	equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
}

func TestWhatMayBeRepeatedIsRepeatedAfterALostReply(t *testing.T) {
	var d diary
	m, direct, proxy, _ := lossy(t, session.Config{OnEvent: d.note})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, session.Device{Name: "a"}))(t)
	lose := func() { proxy.CutAfterReplyBytes(0) }
	lose()
	must(m.Get(ctx, s.ID))(t)
	lose()
	must(m.Touch(ctx, s.ID))(t)
	m.OnStep(func(place string) {
		if place == "touch: marked" {
			lose()
		}
	})
	must(m.Touch(ctx, s.ID))(t)
	m.OnStep(nil)
	lose()
	must(m.Peek(ctx, s.ID))(t)
	m.OnStep(func(place string) {
		if place == "touch: marked" {
			lose()
		}
	})
	equal(t, "idle time", must(m.SetTimeouts(ctx, s.ID, time.Hour, 0))(t).ExpiresAt.Sub(must(direct.Peek(ctx, s.ID))(t).LastSeenAt), time.Hour)
	m.OnStep(nil)
	lose()
	must(m.List(ctx, "ada"))(t)
	lose()
	equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
	d.take()

	lose()
	id := must(m.Rotate(ctx, s.ID, 0))(t)
	d.told(t, "rotated  ada a")
	same(t, must(direct.Get(ctx, id))(t), must(m.Get(ctx, id))(t))
	gone(t, direct, s.ID)

	lose()
	equal(t, "revoked", must(m.Revoke(ctx, "ada", s.Ref))(t), true)
	d.told(t, "revoked revoked ada ") // whose device is not known any more
	gone(t, direct, id)

	s = must(m.Create(ctx, "ada", ada, session.Device{Name: "b"}))(t)
	d.take()
	lose()
	ok(t, m.Delete(ctx, s.ID))
	d.told(t, "revoked logout ada b")
	gone(t, direct, s.ID)

	other := must(m.Create(ctx, "ada", ada, phone))(t)
	s = must(m.Create(ctx, "ada", ada, phone))(t)
	lose()
	equal(t, "revoked", must(m.RevokeOthers(ctx, s.ID))(t), 1)
	gone(t, direct, other.ID)
	lose()
	equal(t, "revoked, of which nothing is known any more", must(m.RevokeUser(ctx, "ada"))(t), 0)
	gone(t, direct, s.ID)
}

func TestWhatMayNotBeRepeatedSaysThatItMayHaveHappened(t *testing.T) {
	m, direct, proxy, _ := lossy(t, session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	proxy.CutAfterReplyBytes(0)
	if _, err := m.Incr(ctx, s.ID, "views", 1); !rediskit.MayHaveApplied(err) {
		t.Fatal(err)
	}
	equal(t, "views", must(direct.Get(ctx, s.ID))(t).Data.Views, ada.Views+1)

	m.OnStep(func(place string) {
		if place == "update: read" {
			proxy.CutAfterReplyBytes(0)
		}
	})
	calls := 0
	if _, err := m.Update(ctx, s.ID, func(v *Visit) error { calls++; v.Views *= 2; return nil }); !rediskit.MayHaveApplied(err) || calls != 1 {
		t.Fatal(calls, err)
	}
	equal(t, "views", must(direct.Get(ctx, s.ID))(t).Data.Views, 2*(ada.Views+1))
	m.OnStep(nil)

	d := must(m.Draft(must(m.Get(ctx, s.ID))(t)))(t)
	d.Session.Data.Name = "draft"
	proxy.CutAfterReplyBytes(0)
	if saved, err := d.Save(ctx); saved || !rediskit.MayHaveApplied(err) {
		t.Fatal(saved, err)
	}
	equal(t, "name", must(direct.Get(ctx, s.ID))(t).Data.Name, "draft")
	equal(t, "saved again", must(d.Save(ctx))(t), true)
	equal(t, "name", must(direct.Get(ctx, s.ID))(t).Data.Name, "draft")
}

func TestAServerThatIsFullStillServesSessions(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	var out strings.Builder
	m := manager(t, c, session.Config{TouchFraction: -1, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	same(t, must(m.Get(ctx, s.ID))(t), s.Session)
	if !strings.Contains(out.String(), "not marked as seen") || strings.Contains(out.String(), s.ID.Secret()) {
		t.Errorf("the log says %q", out.String())
	}
	for name, err := range map[string]error{
		"Touch":  second(m.Touch(ctx, s.ID)),
		"Create": second(m.Create(ctx, "ada", ada, phone)),
		"Update": second(m.Update(ctx, s.ID, func(v *Visit) error { v.Views++; return nil })),
	} {
		if !rediskit.IsUnavailable(err) || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(m.List(ctx, "ada"))(t)
	server.Do("CONFIG", "SET", "maxmemory", "0")
	equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
}

func TestALoginThatAFullServerRefusesEvictsNobody(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	var d diary
	m := manager(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest, OnEvent: d.note})
	ctx := t.Context()
	a, b := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
	d.take()
	server.Do("CONFIG", "SET", "maxmemory", "1")
	for name, err := range map[string]error{
		"Create": second(m.Create(ctx, "ada", ada, phone)),
		"Login":  second(m.Login(ctx, a.ID, "ada", nil, phone)),
	} {
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	must(m.Get(ctx, a.ID))(t)
	must(m.Get(ctx, b.ID))(t)
	equal(t, "count", must(m.Count(ctx, "ada"))(t), 2)
	d.told(t)
}

func second[V any](_ V, err error) error { return err }

// load uses sessions all the time and counts what fails that should not.
type load struct {
	stop func()
	mu   sync.Mutex
	done int
	errs map[string]int
}

// startLoad lets each user log in and use sessions over and over, with everything there is.
func startLoad(t *testing.T, m *session.Manager[Visit], users int, report func(name string, err error) bool) *load {
	l := &load{errs: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	l.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(l.stop)
	for i := range users {
		wg.Go(func() {
			for ctx.Err() == nil {
				useAll(context.Background(), m, user(i), func(name string, err error) {
					l.mu.Lock()
					defer l.mu.Unlock()
					l.done++
					if err != nil && report(name, err) {
						l.errs[fmt.Sprintf("%s: %v", name, err)]++
					}
				})
			}
		})
	}
	return l
}

// useAll is the life of two sessions of a user.
func useAll(ctx context.Context, m *session.Manager[Visit], userID string, did func(name string, err error)) {
	visit, err := m.Anonymous(ctx, Visit{}, phone)
	did("Anonymous", err)
	s, err := m.Login(ctx, visit.ID, userID, nil, phone)
	did("Login", err)
	other, err := m.Create(ctx, userID, ada, phone)
	did("Create", err)
	if s.ID.IsZero() || other.ID.IsZero() {
		return
	}
	did("Get", second(m.Get(ctx, s.ID)))
	did("Touch", second(m.Touch(ctx, s.ID)))
	did("Update", second(m.Update(ctx, s.ID, func(v *Visit) error { v.Name += "x"; return nil })))
	did("Incr", second(m.Incr(ctx, s.ID, "views", 1)))
	did("Peek", second(m.Peek(ctx, s.ID)))
	did("SetTimeouts", second(m.SetTimeouts(ctx, s.ID, time.Hour, 0)))
	did("Draft.Save", saveDraft(ctx, m, s.ID))
	did("AddFlash", m.AddFlash(ctx, s.ID, "hello"))
	did("PopFlashes", second(m.PopFlashes(ctx, s.ID)))
	if next, err := m.Rotate(ctx, s.ID, time.Minute); err == nil {
		s.ID = next
	} else {
		did("Rotate", err)
	}
	did("List", second(m.List(ctx, userID)))
	_, _, err = m.Inspect(ctx, userID, s.Ref)
	did("Inspect", err)
	did("RevokeOthers", second(m.RevokeOthers(ctx, s.ID)))
	did("Delete", m.Delete(ctx, s.ID))
	did("RevokeUser", second(m.RevokeUser(ctx, userID)))
}

func saveDraft(ctx context.Context, m *session.Manager[Visit], id session.ID) error {
	s, err := m.Peek(ctx, id)
	if err != nil {
		return err
	}
	d, err := m.Draft(s)
	if err != nil {
		return err
	}
	d.Session.Data.Name += "y"
	_, err = d.Save(ctx)
	return err
}

func (l *load) goesOn(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	from := l.done
	l.mu.Unlock()
	eventually(t, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.done-from < n {
			return fmt.Errorf("%d of %d calls; %v", l.done-from, n, l.errs)
		}
		return nil
	})
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	for text, n := range l.errs {
		t.Errorf("%d × %s", n, text)
	}
	t.Logf("%d calls", l.done)
}
