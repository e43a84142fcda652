package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestALoginBeyondTheLimitIsRefusedAndLeavesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 2})
		ctx := t.Context()
		a, b := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
		_, err := m.Create(ctx, "ada", ada, phone)
		var le *session.LimitError
		if !errors.Is(err, session.ErrLimit) || !errors.As(err, &le) || *le != (session.LimitError{Limit: 2, Count: 2}) || rediskit.IsUnavailable(err) {
			t.Fatal(err)
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 3)
		must(m.Get(ctx, a.ID))(t)
		must(m.Get(ctx, b.ID))(t)
		must(m.Create(ctx, "bob", ada, phone))(t)
		ok(t, m.Delete(ctx, a.ID))
		equal(t, "count", must(m.Create(ctx, "ada", ada, phone))(t).Count, 2)
	})
}

func TestEvictOldestEndsTheSessionSeenLongestAgo(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest, TTL: 1000 * time.Second})
		m, ctx := clock.m, t.Context()
		a := must(m.Create(ctx, "ada", ada, session.Device{Name: "a"}))(t)
		clock.advance(10 * time.Second)
		b := must(m.Create(ctx, "ada", ada, session.Device{Name: "b"}))(t)
		clock.advance(100 * time.Second)
		must(m.Get(ctx, a.ID))(t) // seen
		d := must(m.Create(ctx, "ada", ada, session.Device{Name: "d"}))(t)
		equal(t, "count", d.Count, 2)
		if len(d.Evicted) != 1 || d.Evicted[0].Ref != b.Ref || d.Evicted[0].Device.Name != "b" || d.Evicted[0].Reason != session.ReasonLimit {
			t.Fatalf("evicted %+v", d.Evicted)
		}
		gone(t, m, b.ID)
		must(m.Get(ctx, a.ID))(t)
		must(m.Get(ctx, d.ID))(t)
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 3)
	})
}

func TestALimitThatWasLoweredEvictsAsManyAsNeeded(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 6})
		ctx := t.Context()
		var refs []string
		for range 6 {
			refs = append(refs, must(m.Create(ctx, "ada", ada, phone))(t).Ref)
		}
		low := manager(t, c, session.Config{MaxPerUser: 3, OnLimit: session.EvictOldest, Keys: m.Keys()})
		s := must(low.Create(ctx, "ada", ada, phone))(t)
		equal(t, "count", s.Count, 3)
		equal(t, "evicted", len(s.Evicted), 4)
		for i, e := range s.Evicted {
			equal(t, "evicted", e.Ref, refs[i])
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 4)
	})
}

func TestALimitThatWasLoweredRefusesAlsoWhoLogsInAgain(t *testing.T) {
	c := rediskittest.Embedded(t)
	m := manager(t, c, session.Config{MaxPerUser: 3})
	ctx := t.Context()
	var id session.ID
	for range 3 {
		id = must(m.Create(ctx, "ada", ada, phone))(t).ID
	}
	low := manager(t, c, session.Config{MaxPerUser: 2, Keys: m.Keys()})
	_, err := low.Login(ctx, id, "ada", nil, phone)
	var le *session.LimitError
	if !errors.As(err, &le) || *le != (session.LimitError{Limit: 2, Count: 3}) {
		t.Fatal(err)
	}
	must(m.Get(ctx, id))(t)
}

func TestExpiredSessionsDoNotCount(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{MaxPerUser: 2, TTL: 100 * time.Second})
		m, ctx := clock.m, t.Context()
		must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(60 * time.Second)
		b := must(m.Create(ctx, "ada", ada, phone))(t)
		if _, err := m.Create(ctx, "ada", ada, phone); !errors.Is(err, session.ErrLimit) {
			t.Fatal(err)
		}
		clock.advance(60 * time.Second)
		equal(t, "count", must(m.Count(ctx, "ada"))(t), 1)
		d := must(m.Create(ctx, "ada", ada, phone))(t)
		equal(t, "count", d.Count, 2)
		equal(t, "entries", must(raw(c, "HLEN", m.IndexKey(b.ID)).AsInt64())(t), 2)
	})
}

func TestAnIndexLivesAsLongAsTheSessionThatIsToLiveLongest(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 1, OnLimit: session.EvictOldest, TTL: time.Hour, AbsoluteTTL: 10 * time.Minute})
		ctx := t.Context()
		lives := func(id session.ID, most time.Duration) {
			t.Helper()
			left := time.Duration(must(raw(c, "PTTL", m.IndexKey(id)).AsInt64())(t)) * time.Millisecond
			if left > most || left < most-time.Minute {
				t.Errorf("the index lives for %v, want %v", left, most)
			}
		}
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		lives(s.ID, 10*time.Minute)
		s = must(m.Create(ctx, "ada", ada, phone, session.WithTimeouts(2*time.Hour, -1)))(t)
		lives(s.ID, 2*time.Hour)
		s = must(m.Create(ctx, "ada", ada, phone))(t) // an index that has become longer may stay so
		lives(s.ID, 2*time.Hour)
		ok(t, raw(c, "PERSIST", m.IndexKey(s.ID)).Error()) // by somebody's mistake
		s = must(m.Create(ctx, "ada", ada, phone, session.WithTimeouts(2*time.Hour, -1)))(t)
		lives(s.ID, 2*time.Hour)
		ok(t, raw(c, "PERSIST", m.IndexKey(s.ID)).Error())
		s = must(m.Create(ctx, "ada", ada, phone))(t)
		lives(s.ID, 2*time.Hour)
		ok(t, raw(c, "PERSIST", m.IndexKey(s.ID)).Error())
		must(m.Touch(ctx, s.ID))(t)
		lives(s.ID, 10*time.Minute)
	})
}

func TestAThousandSessionsIsWhatAUserCanHave(t *testing.T) {
	m := manager(t, rediskittest.Connect(t, rediskittest.OnSingle), session.Config{MaxPerUser: -1})
	ctx := t.Context()
	for i := range session.MaxPerUser {
		equal(t, "count", must(m.Create(ctx, "ada", Visit{}, phone))(t).Count, i+1)
	}
	if _, err := m.Create(ctx, "ada", Visit{}, phone); !errors.Is(err, session.ErrLimit) {
		t.Fatal(err)
	}
	equal(t, "listed", len(must(m.List(ctx, "ada"))(t)), session.MaxPerUser)
	equal(t, "revoked", must(m.RevokeUser(ctx, "ada"))(t), session.MaxPerUser)
	equal(t, "keys", len(keysOf(t, rediskittest.Connect(t, rediskittest.OnSingle), m.Keys())), 0)
}

const (
	crowd      = 4000
	crowdUsers = 20
	crowdLimit = 3
)

// logIn lets everybody log in at once, with one secret, and returns the sessions that were created. All the while it looks at
// the keys: each has a TTL, and data that were there without their login having been admitted are nobody's session.
func logIn(t *testing.T, c *rediskit.Client, m *session.Manager[Visit]) (created []session.Created[Visit]) {
	t.Helper()
	secret := []byte("the same secret for everybody...")
	var mu sync.Mutex
	var logins, watch sync.WaitGroup
	begin, end := make(chan struct{}), make(chan struct{})
	for i := range crowd {
		logins.Go(func() {
			<-begin
			s, err := m.Create(context.Background(), user(i%crowdUsers), Visit{Views: int64(i)}, phone, session.WithSecret(secret))
			switch {
			case err == nil:
				mu.Lock()
				created = append(created, s)
				mu.Unlock()
			case !errors.Is(err, session.ErrLimit):
				t.Error(err)
			}
		})
	}
	seen := map[string]bool{} // public parts of IDs
	prefix := strings.TrimSuffix(m.Keys().Sessions().String(), "*")
	watch.Go(func() {
		for done := false; !done; {
			select {
			case <-end:
				done = true
			default:
			}
			for _, key := range keysOf(t, c, m.Keys()) {
				if ms, err := raw(c, "PTTL", key).AsInt64(); err != nil || ms == -1 {
					t.Errorf("%s has no TTL (%v)", key, err)
				}
				if name, is := strings.CutPrefix(key, prefix); is {
					tag, ref, _ := strings.Cut(name, ":")
					seen[strings.Trim(tag, "{}")+"."+ref] = true
				}
			}
		}
	})
	close(begin)
	logins.Wait()
	close(end)
	watch.Wait()
	for _, s := range created {
		delete(seen, s.ID.Public())
	}
	for public := range seen {
		gone(t, m, must(session.JoinID(public, secret))(t))
	}
	t.Logf("%d logins left data for a moment", len(seen))
	return created
}

func TestOfThousandsOfLoginsAtOnceExactlyTheLimitIsAdmitted(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: crowdLimit})
		created := logIn(t, c, m)
		equal(t, "created", len(created), crowdUsers*crowdLimit)
		for _, s := range created {
			equal(t, "data", must(m.Get(t.Context(), s.ID))(t).Data.Views, s.Data.Views)
		}
		for i := range crowdUsers {
			equal(t, "count", must(m.Count(t.Context(), user(i)))(t), crowdLimit)
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), crowdUsers*(crowdLimit+1))
	}, rediskittest.OnSingle, rediskittest.OnCluster)
}

func TestOfThousandsOfLoginsAtOnceNoUserEverHasMoreThanTheLimit(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: crowdLimit, OnLimit: session.EvictOldest})
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		var looks atomic.Int64
		for i := range crowdUsers {
			wg.Go(func() {
				for ctx.Err() == nil {
					n, err := m.Count(context.Background(), user(i))
					if err != nil || n > crowdLimit {
						t.Errorf("%s has %d sessions, %v", user(i), n, err)
						return
					}
					looks.Add(1)
				}
			})
		}
		created := logIn(t, c, m)
		cancel()
		wg.Wait()
		equal(t, "created", len(created), crowd)
		evicted, valid := map[string]bool{}, map[string]int{}
		for _, s := range created {
			if s.Count > crowdLimit {
				t.Errorf("a login counted %d", s.Count)
			}
			for _, e := range s.Evicted {
				if evicted[e.Ref] {
					t.Errorf("%s was evicted twice", e.Ref)
				}
				evicted[e.Ref] = true
			}
		}
		for _, s := range created {
			_, err := m.Get(context.Background(), s.ID)
			switch {
			case err == nil && evicted[s.Ref]:
				t.Errorf("%s was evicted and is valid", s.Ref)
			case err == nil:
				valid[s.UserID]++
			case !errors.Is(err, session.ErrNotFound) || !evicted[s.Ref]:
				t.Errorf("%s, evicted: %v: %v", s.Ref, evicted[s.Ref], err)
			}
		}
		equal(t, "evicted", len(evicted), crowd-crowdUsers*crowdLimit)
		for i := range crowdUsers {
			equal(t, "valid sessions", valid[user(i)], crowdLimit)
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), crowdUsers*(crowdLimit+1))
		t.Logf("looked %d times", looks.Load())
	}, rediskittest.OnSingle, rediskittest.OnCluster)
}
