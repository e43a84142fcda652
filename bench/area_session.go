package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/boj/redistore"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/session"
)

const (
	loaded   = 1_000 // sessions that are loaded
	perUser  = 4     // of them, and of those that are created
	evicting = 500   // users who have as many sessions as they may

	// What is created goes into a database of its own for each subject, which begins every measurement empty.
	kitDB, peerDB = 1, 2
)

// sessionArea loads and creates sessions, and tells what they take.
func sessionArea() area {
	gob.Register(time.Time{}) // scs and gorilla have the time behind an interface
	data := profiles(loaded)
	operations := []operation{
		{name: "load", subjects: slices.Concat(
			loading(baseline, session.Config{}, data),
			loadingScs("scs", false, data),
			loadingScs("scs, idle time-out", true, data),
			loadingGorilla(data),
			loadingJSON(data),
		)},
		{name: "create", subjects: slices.Concat(
			creating(baseline, session.Config{}, data),
			creatingScs(data),
			creatingGorilla(data),
			creatingJSON(data),
		)},
		{name: "create, one is evicted", subjects: slices.Concat(
			evictingOldest(data),
			creatingScs(data),
		)},
	}
	return area{
		name: "session",
		about: "Sessions of six fields, as of the hash area. To load one is to read an ID that a client presents, and the fields. With " +
			"rediskit that includes the check of the secret, of the user's index, and when the session was seen last; it is marked as seen when " +
			"a tenth of its idle time is over. scs and gorilla read a string of encoding/gob; with an idle time-out scs writes it again after each " +
			"load. Users log in four times each, with rediskit under a limit of five that is decided with each login, with the others without " +
			"a limit, list or revocation; where one is evicted, each login is one more than its user may have. " +
			"scs is with goredisstore, gorilla/sessions with boj/redistore and with as many idle connections as there are callers; " +
			"`rueidis, JSON by hand` is a GET or SET of a string and no more.",
		operations: append(operations, sessionSizes()...),
	}
}

func newSessions[T any](ctx context.Context, s *stand, db int, cfg session.Config) (*session.Manager[T], error) {
	c, err := s.rediskit(ctx, rediskit.Config{DB: db})
	if err != nil {
		return nil, err
	}
	cfg.TagKey = bytes.Repeat([]byte("k"), session.MinTagKey)
	return session.New[T](c, cfg)
}

// users returns what names the user of every login. They are other users each time it is called.
func users() func(login int) string {
	prefix := rand.Text()[:8]
	return func(login int) string { return prefix + strconv.Itoa(login/perUser) }
}

// each makes n things, several at a time.
func each[V any](n int, make func(i int) (V, error)) ([]V, error) {
	const workers = 32
	out, errs := slices.Repeat([]V{*new(V)}, n), slices.Repeat([]error{nil}, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				out[i], errs[w] = make(i)
			}
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

func loading(name string, cfg session.Config, data []profile) []subject {
	return []subject{{name, func(ctx context.Context, s *stand) (probe, error) {
		m, err := newSessions[profile](ctx, s, 0, cfg)
		if err != nil {
			return nil, err
		}
		user := users()
		ids, err := each(loaded, func(i int) (string, error) {
			c, err := m.Create(ctx, user(i), data[i], session.Device{})
			return c.ID.Reveal(), err
		})
		if err != nil {
			return nil, err
		}
		return s.loop(func(ctx context.Context, g, n int) error {
			id, err := session.ParseID(ids[spread(g, n, loaded)])
			if err != nil {
				return err
			}
			got, err := m.Get(ctx, id)
			return checkProfile(got.Data, true, err)
		}), nil
	}}}
}

func creating(name string, cfg session.Config, data []profile) []subject {
	return []subject{{name, func(ctx context.Context, s *stand) (probe, error) {
		m, err := newSessions[profile](ctx, s, kitDB, cfg)
		if err != nil {
			return nil, err
		}
		user := users()
		var logins atomic.Int64
		return fromEmpty(s, kitDB, s.loop(func(ctx context.Context, g, n int) error {
			_, err := m.Create(ctx, user(int(logins.Add(1))), data[spread(g, n, loaded)], session.Device{})
			return err
		}))
	}}}
}

// evictingOldest goes round users who have as many sessions as they may.
func evictingOldest(data []profile) []subject {
	return []subject{{baseline, func(ctx context.Context, s *stand) (probe, error) {
		m, err := newSessions[profile](ctx, s, kitDB, session.Config{OnLimit: session.EvictOldest})
		if err != nil {
			return nil, err
		}
		name := users()
		user := func(i int) string { return name(perUser * (i % evicting)) }
		_, err = each(evicting*session.DefaultMaxPerUser, func(i int) (any, error) {
			return m.Create(ctx, user(i), data[0], session.Device{})
		})
		if err != nil {
			return nil, err
		}
		return s.loop(func(ctx context.Context, g, n int) error {
			c, err := m.Create(ctx, user(spread(g, n, evicting)), data[spread(g, n, loaded)], session.Device{})
			if err == nil && len(c.Evicted) != 1 {
				err = fmt.Errorf("%d sessions were evicted", len(c.Evicted))
			}
			return err
		}), nil
	}}}
}

// fromEmpty empties a database before every measurement, so that what it creates does not fill the machine.
func fromEmpty(s *stand, db int, p probe) (probe, error) {
	c, err := s.rueidis(rueidis.ClientOption{SelectDB: db})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, d time.Duration) (sample, error) {
		if err := c.Do(ctx, c.B().Flushdb().Sync().Build()).Error(); err != nil {
			return sample{}, err
		}
		return p(ctx, d)
	}, nil
}

// scsPut puts a struct's fields, as an application of scs does.
func scsPut(ctx context.Context, m *scs.SessionManager, p profile) {
	m.Put(ctx, "id", p.ID)
	m.Put(ctx, "name", p.Name)
	m.Put(ctx, "email", p.Email)
	m.Put(ctx, "active", p.Active)
	m.Put(ctx, "score", p.Score)
	m.Put(ctx, "created", p.Created)
}

func scsGet(ctx context.Context, m *scs.SessionManager) profile {
	return profile{
		ID: m.GetInt64(ctx, "id"), Name: m.GetString(ctx, "name"), Email: m.GetString(ctx, "email"),
		Active: m.GetBool(ctx, "active"), Score: m.GetFloat(ctx, "score"), Created: m.GetTime(ctx, "created"),
	}
}

// newScs is what scs.New makes, which also begins a goroutine that is hard to end.
func newScs(c *redis.Client) *scs.SessionManager {
	return &scs.SessionManager{Lifetime: 24 * time.Hour, Codec: scs.GobCodec{}, Store: goredisstore.New(c)}
}

func scsCreate(ctx context.Context, m *scs.SessionManager, put func(ctx context.Context)) (token string, err error) {
	if ctx, err = m.Load(ctx, ""); err != nil {
		return "", err
	}
	put(ctx)
	token, _, err = m.Commit(ctx)
	return token, err
}

func loadingScs(name string, idle bool, data []profile) []subject {
	return onGoRedis(name, func(ctx context.Context, s *stand, c *redis.Client) (probe, error) {
		m := newScs(c)
		if idle {
			m.IdleTimeout = session.DefaultTTL
		}
		tokens, err := each(loaded, func(i int) (string, error) {
			return scsCreate(ctx, m, func(ctx context.Context) { scsPut(ctx, m, data[i]) })
		})
		if err != nil {
			return nil, err
		}
		return s.loop(func(ctx context.Context, g, n int) error {
			ctx, err := m.Load(ctx, tokens[spread(g, n, loaded)])
			if err != nil {
				return err
			}
			err = checkProfile(scsGet(ctx, m), true, nil)
			if err == nil && idle {
				_, _, err = m.Commit(ctx)
			}
			return err
		}), nil
	})
}

func creatingScs(data []profile) []subject {
	return onGoRedis("scs", func(_ context.Context, s *stand, c *redis.Client) (probe, error) {
		opt := *c.Options()
		opt.DB = peerDB
		m := newScs(s.goRedis(opt))
		return fromEmpty(s, peerDB, s.loop(func(ctx context.Context, g, n int) error {
			_, err := scsCreate(ctx, m, func(ctx context.Context) { scsPut(ctx, m, data[spread(g, n, loaded)]) })
			return err
		}))
	})
}

// gorilla is a store of gorilla/sessions. With fewer idle connections than callers it makes new ones all the time.
func gorilla(s *stand, db int) (*redistore.RediStore, error) {
	store, err := redistore.NewRediStoreWithDB(s.goroutines, "tcp", s.addr, "", "", strconv.Itoa(db), bytes.Repeat([]byte("k"), 32))
	if err != nil {
		return nil, err
	}
	s.onClose(func() { store.Close() })
	return store, nil
}

const (
	gorillaSubject = "gorilla, pool = goroutines"
	gorillaCookie  = "session"
)

// gorillaCreate saves a new session and returns its cookie.
func gorillaCreate(store *redistore.RediStore, p profile) (string, error) {
	r := &http.Request{Header: http.Header{}}
	s, err := store.New(r, gorillaCookie)
	if err != nil {
		return "", err
	}
	s.Values["id"], s.Values["name"], s.Values["email"] = p.ID, p.Name, p.Email
	s.Values["active"], s.Values["score"], s.Values["created"] = p.Active, p.Score, p.Created
	w := response{http.Header{}}
	err = store.Save(r, w, s)
	return w.Header().Get("Set-Cookie"), err
}

// response is where gorilla puts its cookie.
type response struct{ header http.Header }

func (r response) Header() http.Header         { return r.header }
func (r response) Write(b []byte) (int, error) { return len(b), nil }
func (r response) WriteHeader(int)             {}

func loadingGorilla(data []profile) []subject {
	return []subject{{gorillaSubject, func(ctx context.Context, s *stand) (probe, error) {
		store, err := gorilla(s, 0)
		if err != nil {
			return nil, err
		}
		requests, err := each(loaded, func(i int) (*http.Request, error) {
			cookie, err := gorillaCreate(store, data[i])
			return &http.Request{Header: http.Header{"Cookie": {cookie}}}, err
		})
		if err != nil {
			return nil, err
		}
		return s.loop(func(_ context.Context, g, n int) error {
			got, err := store.New(requests[spread(g, n, loaded)], gorillaCookie)
			if err != nil {
				return err
			}
			var p profile
			p.ID, _ = got.Values["id"].(int64)
			p.Name, _ = got.Values["name"].(string)
			p.Email, _ = got.Values["email"].(string)
			p.Active, _ = got.Values["active"].(bool)
			p.Score, _ = got.Values["score"].(float64)
			p.Created, _ = got.Values["created"].(time.Time)
			return checkProfile(p, !got.IsNew, nil)
		}), nil
	}}}
}

func creatingGorilla(data []profile) []subject {
	return []subject{{gorillaSubject, func(ctx context.Context, s *stand) (probe, error) {
		store, err := gorilla(s, peerDB)
		if err != nil {
			return nil, err
		}
		return fromEmpty(s, peerDB, s.loop(func(_ context.Context, g, n int) error {
			_, err := gorillaCreate(store, data[spread(g, n, loaded)])
			return err
		}))
	}}}
}

const jsonSubject = "rueidis, JSON by hand"

// setJSON writes a session as one string, under a name that nobody guesses.
func setJSON(ctx context.Context, c rueidis.Client, v any) (key string, err error) {
	key = "session:" + rand.Text() + rand.Text()
	return key, writeJSON(ctx, c, key, v)
}

func writeJSON(ctx context.Context, c rueidis.Client, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Do(ctx, c.B().Set().Key(key).Value(rueidis.BinaryString(text)).Ex(session.DefaultTTL).Build()).Error()
}

func getJSON(ctx context.Context, c rueidis.Client, key string, v any) error {
	text, err := c.Do(ctx, c.B().Get().Key(key).Build()).AsBytes()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

func loadingJSON(data []profile) []subject {
	return []subject{{jsonSubject, func(ctx context.Context, s *stand) (probe, error) {
		c, err := s.rueidis(rueidis.ClientOption{})
		if err != nil {
			return nil, err
		}
		ids, err := each(loaded, func(i int) (string, error) { return setJSON(ctx, c, data[i]) })
		if err != nil {
			return nil, err
		}
		return s.loop(func(ctx context.Context, g, n int) error {
			var p profile
			err := getJSON(ctx, c, ids[spread(g, n, loaded)], &p)
			return checkProfile(p, true, err)
		}), nil
	}}}
}

func creatingJSON(data []profile) []subject {
	return []subject{{jsonSubject, func(ctx context.Context, s *stand) (probe, error) {
		c, err := s.rueidis(rueidis.ClientOption{SelectDB: peerDB})
		if err != nil {
			return nil, err
		}
		return fromEmpty(s, peerDB, s.loop(func(ctx context.Context, g, n int) error {
			_, err := setJSON(ctx, c, data[spread(g, n, loaded)])
			return err
		}))
	}}}
}
