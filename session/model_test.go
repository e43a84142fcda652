package session_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// The model's time goes in ticks. All limits are in the middle between two ticks, so that the time which really passes makes
// no difference.
const (
	tick         = 1000 * time.Second
	modelIdle    = 6500 * time.Second
	modelShort   = 2500 * time.Second // idle time of sessions that were given another
	modelAge     = 14_500 * time.Second
	modelGrace   = 1500 * time.Second
	modelTouchAt = 0.1 // of the idle time: at the next tick
)

// modelSession is what a session should be. Moments are ticks, and in them the order of what a user does.
type modelSession struct {
	id, old       session.ID
	oldUntil      time.Duration
	ref, userID   string
	name          string
	views         int64
	version       int64
	created, seen moment
	idle, age     time.Duration
	flashes       []string
}

type moment struct {
	at  time.Duration
	seq int
}

func (a moment) before(b moment) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// modelUser is a user with all sessions, and IDs that were once given out.
type modelUser struct {
	name     string
	sessions map[string]*modelSession // by ref
	known    []session.ID
	seq      int
	wrong    []string // what was not as it should be
}

func (s *modelSession) live(now time.Duration) bool {
	return now < s.seen.at+s.idle && now < s.created.at+s.age
}

// modelRun is one history.
type modelRun struct {
	m      *session.Manager[Visit]
	limit  int
	policy session.OnLimit
	now    time.Duration
}

func (r *modelRun) sweep(u *modelUser) {
	maps.DeleteFunc(u.sessions, func(_ string, s *modelSession) bool { return !s.live(r.now) })
}

// count is how many sessions count to the user's limit.
func (u *modelUser) count() (n int) {
	for _, s := range u.sessions {
		if s.userID != "" {
			n++
		}
	}
	return n
}

// holder is the session that an ID is good for.
func (r *modelRun) holder(u *modelUser, id session.ID) *modelSession {
	s := u.sessions[id.Ref()]
	switch {
	case s == nil:
		return nil
	case s.id.Equal(id), s.old.Equal(id) && !id.IsZero() && r.now < s.oldUntil:
		return s
	}
	return nil
}

func (u *modelUser) oops(format string, args ...any) {
	u.wrong = append(u.wrong, fmt.Sprintf(format, args...))
}

// matches checks the error of a call on a session that is there or not.
func (u *modelUser) matches(what string, err error, s *modelSession) bool {
	switch {
	case s == nil && !errors.Is(err, session.ErrNotFound):
		u.oops("%s: want ErrNotFound, got %v", what, err)
	case s != nil && err != nil:
		u.oops("%s: %v", what, err)
	}
	return s != nil && err == nil
}

func (u *modelUser) equals(what string, got session.Session[Visit], s *modelSession) {
	if got.Ref != s.ref || got.UserID != s.userID || got.Data.Name != s.name || got.Data.Views != s.views || got.Version != s.version ||
		got.Flashes != (len(s.flashes) > 0) {
		u.oops("%s: got %+v, want %+v", what, got, *s)
	}
}

// step is one thing that a user does. Which ID and which number it takes was drawn before.
type step struct {
	op, id, n int
}

var modelOps = []string{
	"create", "create", "get", "get", "touch", "update", "save", "incr", "rotate", "delete", "revoke", "others", "all", "anonymous", "login", "list", "count",
	"peek", "draft", "timeouts", "flash", "pop",
}

func (r *modelRun) do(u *modelUser, st step) {
	ctx := context.Background()
	r.sweep(u)
	u.seq++
	now := moment{r.now, u.seq}
	op := modelOps[st.op]
	var id session.ID
	if len(u.known) > 0 {
		id = u.known[len(u.known)-1-st.id%len(u.known)] // of the latest
	}
	s := r.holder(u, id)
	what := fmt.Sprintf("%s %s %v at %v", u.name, op, id, now)
	use := func() { // marks as seen if that is due
		if s != nil && r.now-s.seen.at >= tick {
			s.seen = now
		}
	}
	switch op {
	case "create":
		r.created(u, what, now, nil, func() (session.Created[Visit], error) {
			return r.m.Create(ctx, u.name, Visit{Name: "new", Views: int64(st.n)}, phone)
		}, &modelSession{userID: u.name, name: "new", views: int64(st.n)})
	case "anonymous":
		r.created(u, what, now, nil, func() (session.Created[Visit], error) {
			s, err := r.m.Anonymous(ctx, Visit{Name: "visitor"}, phone)
			return session.Created[Visit]{Session: s, Count: u.count()}, err
		}, &modelSession{name: "visitor"})
	case "login":
		made := &modelSession{userID: u.name}
		if s != nil {
			made.name, made.views = s.name, s.views
		}
		r.created(u, what, now, s, func() (session.Created[Visit], error) {
			return r.m.Login(ctx, id, u.name, nil, phone)
		}, made)
	case "get":
		use()
		if got, err := r.m.Get(ctx, id); u.matches(what, err, s) {
			u.equals(what, got, s)
		}
	case "touch":
		if s != nil {
			s.seen = now
		}
		if got, err := r.m.Touch(ctx, id); u.matches(what, err, s) {
			u.equals(what, got, s)
		}
	case "peek":
		if got, err := r.m.Peek(ctx, id); u.matches(what, err, s) {
			u.equals(what, got, s)
		}
	case "timeouts":
		idle, age := modelIdle, modelAge
		if st.n == 1 {
			idle, age = modelShort, 1000*tick
		}
		if s != nil {
			s.seen, s.idle, s.age = now, idle, age
		}
		if got, err := r.m.SetTimeouts(ctx, id, idle, age); u.matches(what, err, s) {
			u.equals(what, got, s)
			r.sweep(u)
		}
	case "flash":
		message := fmt.Sprint("message ", st.n)
		if err := r.m.AddFlash(ctx, id, message, ""); u.matches(what, err, s) {
			s.flashes = append(s.flashes, message, "")
		}
	case "pop":
		if got, err := r.m.PopFlashes(ctx, id); u.matches(what, err, s) {
			if !slices.Equal(got, s.flashes) {
				u.oops("%s: %q, want %q", what, got, s.flashes)
			}
			s.flashes = nil
		}
	case "draft":
		r.drafted(u, what, id, s, st.n)
	case "update":
		use()
		got, err := r.m.Update(ctx, id, func(v *Visit) error { v.Name = fmt.Sprint("name", st.n); return nil })
		if u.matches(what, err, s) {
			if name := fmt.Sprint("name", st.n); s.name != name {
				s.name = name
				s.version++
			}
			u.equals(what, got, s)
		}
	case "save":
		use()
		got, err := r.m.Save(ctx, id, int64(st.n), Visit{Name: "saved", Views: 7})
		if s != nil && s.version != int64(st.n) {
			if !errors.Is(err, session.ErrConflict) {
				u.oops("%s over version %d of %d: %v", what, st.n, s.version, err)
			}
			return
		}
		if u.matches(what, err, s) {
			if s.name != "saved" || s.views != 7 {
				s.name, s.views = "saved", 7
				s.version++
			}
			u.equals(what, got, s)
		}
	case "incr":
		if sum, err := r.m.Incr(ctx, id, "views", int64(st.n)); u.matches(what, err, s) {
			if s.views += int64(st.n); sum != s.views {
				u.oops("%s: the sum is %d, want %d", what, sum, s.views)
			}
		}
	case "rotate":
		grace := time.Duration(st.n%2) * modelGrace
		next, err := r.m.Rotate(ctx, id, grace)
		if s != nil && !s.id.Equal(id) {
			if !errors.Is(err, session.ErrConflict) {
				u.oops("%s with the old ID: %v", what, err)
			}
			return
		}
		if u.matches(what, err, s) {
			s.old, s.id, s.oldUntil = id, next, r.now+grace
			u.known = append(u.known, next)
		}
	case "delete":
		if err := r.m.Delete(ctx, id); err != nil {
			u.oops("%s: %v", what, err)
		}
		if s != nil {
			delete(u.sessions, s.ref)
		}
	case "revoke":
		ended, err := r.m.Revoke(ctx, u.name, id.Ref())
		listed := u.sessions[id.Ref()]
		if want := listed != nil && listed.userID != ""; err != nil || ended != want {
			u.oops("%s: %v, want %v, %v", what, ended, want, err)
		} else if ended {
			delete(u.sessions, id.Ref())
		}
	case "others":
		n, err := r.m.RevokeOthers(ctx, id)
		if !u.matches(what, err, s) {
			return
		}
		want := 0
		maps.DeleteFunc(u.sessions, func(_ string, other *modelSession) bool {
			ends := other != s && other.userID != "" && s.userID != ""
			if ends {
				want++
			}
			return ends
		})
		if n != want {
			u.oops("%s: %d, want %d", what, n, want)
		}
	case "all":
		n, err := r.m.RevokeUser(ctx, u.name)
		if want := u.count(); err != nil || n != want {
			u.oops("%s: %d, want %d, %v", what, n, want, err)
		}
		maps.DeleteFunc(u.sessions, func(_ string, s *modelSession) bool { return s.userID != "" })
	case "list":
		r.listed(u, what)
	case "count":
		if n, err := r.m.Count(ctx, u.name); err != nil || n != u.count() {
			u.oops("%s: %d, want %d, %v", what, n, u.count(), err)
		}
	}
}

// drafted saves a draft of one field while another field and the version change under it.
func (r *modelRun) drafted(u *modelUser, what string, id session.ID, s *modelSession, n int) {
	ctx := context.Background()
	read, err := r.m.Peek(ctx, id)
	if !u.matches(what, err, s) {
		return
	}
	d, err := r.m.Draft(read)
	if err != nil {
		u.oops("%s: %v", what, err)
		return
	}
	if _, err := r.m.Incr(ctx, id, "views", 1); err != nil {
		u.oops("%s: %v", what, err)
	}
	s.views++
	d.Session.Data.Name = fmt.Sprint("name", n)
	changes := d.Session.Data.Name != s.name
	if changed, err := d.Save(ctx); err != nil || changed != changes {
		u.oops("%s: %v, want %v, %v", what, changed, changes, err)
	}
	if changes {
		s.name = d.Session.Data.Name
		s.version++
	}
	if d.Session.Version != s.version {
		u.oops("%s: version %d, want %d", what, d.Session.Version, s.version)
	}
}

// created does what makes a session, and checks what became of the others by it. exchanged is the one that ends then.
func (r *modelRun) created(u *modelUser, what string, now moment, exchanged *modelSession, create func() (session.Created[Visit], error), s *modelSession) {
	var others []*modelSession
	for _, other := range u.sessions {
		if other.userID != "" && other != exchanged {
			others = append(others, other)
		}
	}
	got, err := create()
	excess := len(others) + 1 - r.limit
	if s.userID == "" {
		excess = 0
	}
	if excess > 0 && r.policy == session.Reject {
		var le *session.LimitError
		if !errors.As(err, &le) || le.Count != u.count() || le.Limit != r.limit {
			u.oops("%s: want a refusal at %d of %d, got %v", what, u.count(), r.limit, err)
		}
		return
	}
	if err != nil {
		u.oops("%s: %v", what, err)
		return
	}
	if exchanged != nil {
		delete(u.sessions, exchanged.ref)
	}
	slices.SortFunc(others, func(a, b *modelSession) int {
		if a.seen.before(b.seen) {
			return -1
		}
		return 1
	})
	var want, evicted []string
	for _, other := range others[:max(excess, 0)] {
		want = append(want, other.ref)
		delete(u.sessions, other.ref)
	}
	for _, e := range got.Evicted {
		evicted = append(evicted, e.Ref)
	}
	if !slices.Equal(evicted, want) {
		u.oops("%s: evicted %v, want %v", what, evicted, want)
	}
	s.id, s.ref, s.version, s.created, s.seen = got.ID, got.Ref, 1, now, now
	s.idle, s.age = modelIdle, modelAge
	u.sessions[s.ref] = s
	u.known = append(u.known, got.ID)
	u.equals(what, got.Session, s)
	if s.userID != "" && got.Count != u.count() {
		u.oops("%s: counted %d, want %d", what, got.Count, u.count())
	}
}

// listed checks the list, which is in the order in which the sessions were seen last.
func (r *modelRun) listed(u *modelUser, what string) {
	list, err := r.m.List(context.Background(), u.name)
	var got []string
	for _, info := range list {
		got = append(got, info.Ref)
	}
	var want []*modelSession
	for _, s := range u.sessions {
		if s.userID != "" {
			want = append(want, s)
		}
	}
	slices.SortFunc(want, func(a, b *modelSession) int {
		if b.seen.before(a.seen) {
			return -1
		}
		return 1
	})
	if err != nil || !slices.EqualFunc(got, want, func(ref string, s *modelSession) bool { return ref == s.ref }) {
		u.oops("%s: got %v, want %d, %v", what, got, len(want), err)
	}
}

func TestSessionsDoWhatTheModelSays(t *testing.T) {
	// The servers are the test's own, because it looks for keys all the time.
	for kind, connect := range map[string]func(t *testing.T) *rediskit.Client{
		"single":  func(t *testing.T) *rediskit.Client { return rediskittest.Server(t).Client() },
		"cluster": func(t *testing.T) *rediskit.Client { return rediskittest.Cluster(t).Client() },
	} {
		t.Run(kind, func(t *testing.T) {
			c := connect(t)
			rapid.Check(t, func(rt *rapid.T) { checkModel(t, rt, c) })
		})
	}
}

func checkModel(t *testing.T, rt *rapid.T, c *rediskit.Client) {
	r := &modelRun{limit: rapid.IntRange(1, 4).Draw(rt, "limit")}
	if rapid.Bool().Draw(rt, "evict") {
		r.policy = session.EvictOldest
	}
	clock := newClock(t, c, session.Config{
		TTL: modelIdle, AbsoluteTTL: modelAge, MaxPerUser: r.limit, OnLimit: r.policy, TouchFraction: modelTouchAt,
	})
	r.m = clock.m
	users := make([]*modelUser, 3)
	for i := range users {
		users[i] = &modelUser{name: user(i), sessions: map[string]*modelSession{}}
	}
	steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
		return step{rapid.IntRange(0, len(modelOps)-1).Draw(rt, "op"), rapid.IntRange(0, 9).Draw(rt, "id"), rapid.IntRange(1, 3).Draw(rt, "n")}
	}), 0, 8)
	for round := range rapid.IntRange(1, 8).Draw(rt, "rounds") {
		var wg sync.WaitGroup
		for _, u := range users {
			todo := steps.Draw(rt, u.name)
			wg.Go(func() {
				for _, st := range todo {
					r.do(u, st)
				}
			})
		}
		wg.Wait()
		r.check(rt, c, users, round)
		ticks := rapid.SampledFrom([]int{0, 1, 1, 2, 5, 7}).Draw(rt, "ticks")
		if ticks > 0 {
			clock.advance(time.Duration(ticks) * tick)
			r.now += time.Duration(ticks) * tick
		}
	}
	for _, u := range users {
		if _, err := r.m.RevokeUser(context.Background(), u.name); err != nil {
			rt.Fatal(err)
		}
	}
}

// check compares everything.
func (r *modelRun) check(rt *rapid.T, c *rediskit.Client, users []*modelUser, round int) {
	ctx := context.Background()
	data := 0
	for _, u := range users {
		r.sweep(u)
		data += len(u.sessions)
		r.listed(u, u.name)
		for _, id := range u.known {
			s := r.holder(u, id)
			what := fmt.Sprintf("%s, %v after round %d", u.name, id, round)
			if u.seq++; s != nil && r.now-s.seen.at >= tick {
				s.seen = moment{r.now, u.seq}
			}
			if got, err := r.m.Get(ctx, id); u.matches(what, err, s) {
				u.equals(what, got, s)
			}
		}
		if len(u.wrong) > 0 {
			rt.Fatal(strings.Join(u.wrong, "\n"))
		}
	}
	prefix := strings.TrimSuffix(r.m.Keys().Sessions().String(), "*")
	for _, key := range keysOf(rt, c, r.m.Keys()) {
		if strings.HasPrefix(key, prefix) {
			data--
		}
	}
	if data != 0 {
		rt.Fatalf("%d keys of sessions too few", data)
	}
}
