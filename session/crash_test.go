package session_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

type death struct{}

// dies lets f die at a place between two of its steps.
func dies[T any](t *testing.T, m *session.Manager[T], place string, f func()) {
	t.Helper()
	m.OnStep(func(at string) {
		if at == place {
			panic(death{})
		}
	})
	defer m.OnStep(nil)
	defer func() {
		t.Helper()
		switch r := recover(); r {
		case death{}:
		case nil:
			t.Fatalf("it did not come to %q", place)
		default:
			panic(r)
		}
	}()
	f()
}

// consistent checks what has to be true of Redis at any moment: data never outlive their entry in the index, an index has all
// its entries for as long as they are valid, and nothing lives for longer than a session may.
func consistent(t testing.TB, c *rediskit.Client, names keys.Builder, most time.Duration) {
	t.Helper()
	sessions, indexes := names.Sessions().String(), names.Prefix("user", "sessions").String()
	for _, key := range keysOf(t, c, names) {
		asked := time.Now()
		left := time.Duration(must(raw(c, "PTTL", key).AsInt64())(t)) * time.Millisecond
		if left == -2*time.Millisecond {
			continue
		}
		if left < 0 || left > most+2*time.Second {
			t.Errorf("%s lives for %v", key, left)
		}
		prefix := strings.TrimSuffix(sessions, "*")
		if !strings.HasPrefix(key, prefix) {
			if !strings.HasPrefix(key, strings.TrimSuffix(indexes, "*")) && !strings.HasSuffix(key, "session-events") {
				t.Errorf("there is a key %s", key)
				continue
			}
			if strings.HasSuffix(key, "session-events") {
				continue
			}
			ends := time.Now().Add(left + 2*time.Millisecond) // at the latest
			for _, text := range must(raw(c, "HGETALL", key).AsStrMap())(t) {
				if info := must(session.ParseEntry(text))(t); info.ExpiresAt.After(ends) {
					t.Errorf("an index ends %v before a session in it", info.ExpiresAt.Sub(ends))
				}
			}
			continue
		}
		tag, ref, _ := strings.Cut(strings.TrimPrefix(key, prefix), ":")
		index := names.UserSessions(strings.Trim(tag, "{}")).String()
		text, err := raw(c, "HGET", index, ref).ToString()
		if rueidis.IsRedisNil(err) {
			continue
		}
		ok(t, err)
		info := must(session.ParseEntry(text))(t)
		if over := asked.Add(left).Sub(info.ExpiresAt); over > 50*time.Millisecond { // the embedded server keeps time less exactly
			t.Errorf("data outlive their session by %v", over)
		}
	}
}

func TestALoginThatDiesLocksNobodyOut(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for name, login := range map[string]func(m *session.Manager[Visit]) session.ID{
			"before the second step": func(m *session.Manager[Visit]) session.ID {
				return must(m.CreateHalf(ctx, "ada", ada, phone, 0))(t)
			},
			"with the first step lost": func(m *session.Manager[Visit]) session.ID {
				return must(m.CreateHalf(ctx, "ada", ada, phone, 1))(t)
			},
			"before it answers": func(m *session.Manager[Visit]) (id session.ID) {
				dies(t, m, "create: admitted", func() { _, _ = m.Create(ctx, "ada", ada, phone) })
				return id
			},
		} {
			clock := newClock(t, c, session.Config{MaxPerUser: 1, TTL: 100 * time.Second})
			id := login(clock.m)
			consistent(t, c, clock.m.Keys(), 100*time.Second)
			gone(t, clock.m, id)
			evict := manager(t, c, session.Config{MaxPerUser: 1, OnLimit: session.EvictOldest, Keys: clock.m.Keys()})
			must(evict.RevokeUser(ctx, "ada"))(t)
			login(clock.m)
			if s, err := evict.Create(ctx, "ada", ada, phone); err != nil || s.Count != 1 {
				t.Fatalf("%s: %+v, %v", name, s, err)
			}
			must(evict.RevokeUser(ctx, "ada"))(t)
			login(clock.m)
			clock.advance(101 * time.Second)
			if s, err := clock.m.Create(ctx, "ada", ada, phone); err != nil || s.Count != 1 {
				t.Fatalf("%s: %+v, %v", name, s, err)
			}
			equal(t, "keys", len(keysOf(t, c, clock.m.Keys())), 2)
		}
	})
}

func TestALoginThatDiesBeforeItRemovesTheEvictedHasEndedThem(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 1, OnLimit: session.EvictOldest})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		dies(t, m, "create: admitted", func() { _, _ = m.Create(ctx, "ada", ada, phone) })
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 3)
		for name, err := range uses(ctx, m, s.ID) {
			if !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s of an evicted session: %v", name, err)
			}
		}
		consistent(t, c, m.Keys(), session.DefaultTTL)
		equal(t, "keys after the data were met", len(keysOf(t, c, m.Keys())), 2)
	})
}

// uses tries everything that a session can be used for, and returns the errors.
func uses(ctx context.Context, m *session.Manager[Visit], id session.ID) map[string]error {
	errs := map[string]error{}
	_, errs["Incr"] = m.Incr(ctx, id, "views", 1)
	_, errs["Rotate"] = m.Rotate(ctx, id, time.Minute)
	_, errs["RevokeOthers"] = m.RevokeOthers(ctx, id)
	_, errs["Update"] = m.Update(ctx, id, func(v *Visit) error { v.Name += "x"; return nil })
	_, errs["Save"] = m.Save(ctx, id, 1, Visit{})
	_, errs["PopFlashes"] = m.PopFlashes(ctx, id)
	errs["AddFlash"] = m.AddFlash(ctx, id, "late")
	_, errs["SetTimeouts"] = m.SetTimeouts(ctx, id, time.Hour, 0)
	_, errs["Peek"] = m.Peek(ctx, id)
	_, errs["Touch"] = m.Touch(ctx, id)
	_, errs["Get"] = m.Get(ctx, id)
	return errs
}

func TestARevokeThatDiesBeforeItRemovesTheDataHasEndedTheSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for name, revoke := range map[string]func(m *session.Manager[Visit], s, other session.Created[Visit]){
			"Revoke": func(m *session.Manager[Visit], s, _ session.Created[Visit]) { ok(t, m.RevokeHalf(ctx, s.ID)) },
			"RevokeUser": func(m *session.Manager[Visit], _, _ session.Created[Visit]) {
				dies(t, m, "revoke: removed", func() { _, _ = m.RevokeUser(ctx, "ada") })
			},
			"RevokeOthers": func(m *session.Manager[Visit], _, other session.Created[Visit]) {
				dies(t, m, "revoke: removed", func() { _, _ = m.RevokeOthers(ctx, other.ID) })
			},
		} {
			m := manager(t, c, session.Config{})
			s, other := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
			revoke(m, s, other)
			must(raw(c, "HGETALL", m.SessionKey(s.ID)).AsStrMap())(t) // it is there still
			for use, err := range uses(ctx, m, s.ID) {
				if !errors.Is(err, session.ErrNotFound) {
					t.Errorf("%s after %s: %v", use, name, err)
				}
			}
			consistent(t, c, m.Keys(), session.DefaultTTL)
			if n, err := raw(c, "EXISTS", m.SessionKey(s.ID)).AsInt64(); n != 0 || err != nil {
				t.Errorf("after %s the data are there still, %v", name, err)
			}
		}
	})
}

func TestATouchThatDiesInTheMiddleIsMadeGoodByTheNext(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second})
		m, ctx := clock.m, t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(80 * time.Second)
		dies(t, m, "touch: marked", func() { _, _ = m.Get(ctx, s.ID) })
		clock.advance(5 * time.Second) // by the index alone the next would not be due
		must(m.Get(ctx, s.ID))(t)
		clock.advance(80 * time.Second)
		must(m.Get(ctx, s.ID))(t)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
	})
}

func TestALoginThatDiesBeforeItEndsTheVisitLeavesAVisit(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	visit := must(m.Anonymous(ctx, ada, phone))(t)
	dies(t, m, "login: created", func() { _, _ = m.Login(ctx, visit.ID, "ada", nil, phone) })
	equal(t, "user", must(m.Get(ctx, visit.ID))(t).UserID, "")
	equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
}

func TestAnUpdateThatDiesChangesNothing(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	dies(t, m, "update: read", func() {
		_, _ = m.Update(ctx, s.ID, func(v *Visit) error { v.Name = ""; return nil })
	})
	same(t, must(m.Get(ctx, s.ID))(t), s.Session)
}

const (
	childEnv   = "REDISKIT_SESSION_CHILD" // the server's address and the namespace
	childTTL   = 20 * time.Second
	childUsers = 4
	childLimit = 3
)

func childConfig(namespace string, policy session.OnLimit) session.Config {
	return session.Config{
		Keys: keys.MustNew(namespace), TagKey: tagKey, TTL: childTTL, MaxPerUser: childLimit,
		OnLimit: policy, TouchFraction: -1, EventStream: true,
	}
}

// runChild uses sessions at random and tells of what it has done, until it is killed.
func runChild(env string) {
	addr, namespace, _ := strings.Cut(env, " ")
	ctx := context.Background()
	c, err := rediskit.Connect(ctx, rediskit.Config{Addrs: []string{addr}})
	if err != nil {
		panic(err)
	}
	m, err := session.New[Visit](c, childConfig(namespace, session.OnLimit(rand.IntN(2))))
	if err != nil {
		panic(err)
	}
	for range childUsers {
		go func() {
			var last, before session.ID
			for {
				userID := user(rand.IntN(childUsers))
				var err error
				switch rand.IntN(11) {
				case 0, 1:
					var s session.Created[Visit]
					if s, err = m.Create(ctx, userID, ada, phone); err == nil {
						last, before = s.ID, last
					}
				case 2:
					_, err = m.Touch(ctx, last)
				case 3:
					_, err = m.Update(ctx, last, func(v *Visit) error { v.Views++; return nil })
				case 4:
					var next session.ID
					if next, err = m.Rotate(ctx, last, time.Second); err == nil {
						last = next
					}
				case 5:
					var s session.Created[Visit]
					if s, err = m.Login(ctx, before, userID, nil, phone); err == nil {
						last, before = s.ID, last
					}
				case 6:
					var ended bool
					if ended, err = m.Revoke(ctx, userID, last.Ref()); ended {
						fmt.Printf("revoked %s\n", last.Reveal())
					}
				case 7:
					_, err = m.RevokeOthers(ctx, last)
				case 8:
					_, err = m.RevokeUser(ctx, userID)
				case 9:
					_, err = m.SetTimeouts(ctx, last, 2*childTTL, 0)
				case 10:
					err = saveDraft(ctx, m, last)
				}
				fmt.Printf("did %v\n", err)
			}
		}()
	}
	select {}
}

func TestSoakAProcessThatIsKilledLeavesNothingForGoodAndLocksNobodyOut(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	names := namespace(t, c)
	for range 5 * soak.Scale() {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childEnv+"="+server.Addr()+" "+names.Namespace())
		out, err := child.StdoutPipe()
		ok(t, err)
		ok(t, child.Start())
		lines := bufio.NewScanner(out)
		var revoked []string
		// It dies in the middle of what comes after.
		for i, n := 0, 200+rand.IntN(400); i < n && lines.Scan(); i++ {
			switch text := lines.Text(); {
			case strings.HasPrefix(text, "revoked "):
				revoked = append(revoked, strings.Fields(text)[1:]...)
			case text == "did <nil>", strings.Contains(text, session.ErrNotFound.Error()), strings.Contains(text, session.ErrLimit.Error()),
				strings.Contains(text, session.ErrConflict.Error()):
			default:
				t.Errorf("the child says %q", text)
			}
		}
		ok(t, child.Process.Kill())
		_ = child.Wait()

		m := must(session.New[Visit](c, childConfig(names.Namespace(), session.EvictOldest)))(t)
		consistent(t, c, names, 24*time.Hour)
		for _, text := range revoked {
			gone(t, m, must(session.ParseID(text))(t))
		}
		for i := range childUsers {
			if n := must(m.Count(t.Context(), user(i)))(t); n > childLimit {
				t.Errorf("%s has %d sessions", user(i), n)
			}
			s := must(m.Create(t.Context(), user(i), ada, phone))(t)
			must(m.Get(t.Context(), s.ID))(t)
		}
	}
}
