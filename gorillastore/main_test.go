package gorillastore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/gorillastore"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

var tagKey = bytes.Repeat([]byte("k"), session.MinTagKey)

// everywhere runs a test on every kind of server, the embedded one among them.
func everywhere(t *testing.T, test func(t *testing.T, c *rediskit.Client)) {
	t.Helper()
	rediskittest.Each(t, test,
		rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

func userOf(values map[any]any) string {
	user, _ := values["user"].(string)
	return user
}

// stand is a Store with keys of its own.
type stand struct {
	*gorillastore.Store
	sessions *session.Manager[gorillastore.Data]
	c        *rediskit.Client
	names    keys.Builder
}

// newStand makes a Store. User is set if it is not.
func newStand(t testing.TB, c *rediskit.Client, cfg session.Config, storeCfg gorillastore.Config) *stand {
	t.Helper()
	s := &stand{c: c, names: cfg.Keys}
	if s.names == (keys.Builder{}) {
		s.names = namespace(t, c)
	}
	cfg.TagKey, cfg.Keys = tagKey, s.names
	if storeCfg.User == nil {
		storeCfg.User = userOf
	}
	var err error
	s.sessions, err = session.New[gorillastore.Data](c, cfg)
	ok(t, err)
	s.Store, err = gorillastore.New(s.sessions, storeCfg)
	ok(t, err)
	return s
}

// namespace makes names that nobody else uses, and looks at the end whether every key of them has a TTL.
func namespace(t testing.TB, c *rediskit.Client) keys.Builder {
	t.Helper()
	names, err := keys.New(rand.Text())
	ok(t, err)
	t.Cleanup(func() {
		for _, key := range keysOf(t, c, names) {
			ms, err := c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed { return b.Pttl().Key(key).Build() }).AsInt64()
			if err != nil || ms == -1 {
				t.Errorf("%s has no TTL (%v)", key, err)
			}
		}
	})
	return names
}

// keysOf returns all keys of a namespace that contain a text.
func keysOf(t testing.TB, c *rediskit.Client, names keys.Builder, kind ...string) (found []string) {
	t.Helper()
	masters, err := c.Masters(context.Background())
	ok(t, err)
	for _, node := range masters {
		for cursor := uint64(0); ; {
			page, err := node.Redis.Do(context.Background(),
				node.Redis.B().Scan().Cursor(cursor).Match(names.Prefix().String()).Count(1000).Build()).AsScanEntry()
			ok(t, err)
			for _, key := range page.Elements {
				if strings.Contains(key, strings.Join(kind, "")) {
					found = append(found, key)
				}
			}
			if cursor = page.Cursor; cursor == 0 {
				break
			}
		}
	}
	return found
}

// counts checks how many sessions a user has.
func (s *stand) counts(t testing.TB, user string, want int) {
	t.Helper()
	n, err := s.sessions.Count(context.Background(), user)
	ok(t, err)
	equal(t, user+"'s sessions", n, want)
}

// only is a user's only session.
func (s *stand) only(t testing.TB, user string) session.Info {
	t.Helper()
	all, err := s.sessions.List(context.Background(), user)
	ok(t, err)
	if len(all) != 1 {
		t.Fatalf("%s has %d sessions: %v", user, len(all), all)
	}
	return all[0]
}

// cookieName is that of most tests.
const cookieName = "__Host-id"

// browser keeps the cookies that it is given.
type browser struct{ cookies map[string]string }

func newBrowser() *browser { return &browser{map[string]string{}} }

// request is a request of the browser, and what takes the response.
func (b *browser) request(ctx context.Context) (*http.Request, *httptest.ResponseRecorder) {
	r := httptest.NewRequestWithContext(ctx, "GET", "https://example.com/", nil)
	r.Header.Set("User-Agent", "Browser/1")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r, httptest.NewRecorder()
}

// takes keeps the cookies of a response, and returns how many there are.
func (b *browser) takes(w *httptest.ResponseRecorder) int {
	all := w.Result().Cookies()
	for _, c := range all {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return len(all)
}

// copy is another browser with the same cookies.
func (b *browser) copy() *browser {
	other := newBrowser()
	for name, value := range b.cookies {
		other.cookies[name] = value
	}
	return other
}

// visit is a request that may change the session, and saves it.
func (b *browser) visit(t testing.TB, s *stand, change func(g *sessions.Session)) error {
	t.Helper()
	r, w := b.request(context.Background())
	g, err := s.Get(r, cookieName)
	ok(t, err)
	change(g)
	err = g.Save(r, w)
	if set := b.takes(w); err != nil && set > 0 {
		t.Fatalf("%v, and a cookie is set", err)
	}
	return err
}

// puts is a visit that sets values: pairs of names and values.
func (b *browser) puts(t testing.TB, s *stand, pairs ...string) {
	t.Helper()
	ok(t, b.visit(t, s, put(pairs...)))
}

func put(pairs ...string) func(g *sessions.Session) {
	return func(g *sessions.Session) {
		for i := 0; i < len(pairs); i += 2 {
			g.Values[pairs[i]] = pairs[i+1]
		}
	}
}

// sees checks the values that a request without a Save finds.
func (b *browser) sees(t testing.TB, s *stand, want string) {
	t.Helper()
	r, _ := b.request(context.Background())
	g, err := s.Get(r, cookieName)
	ok(t, err)
	equal(t, "values", fmt.Sprint(g.Values), want)
	equal(t, "new", g.IsNew, want == "map[]")
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v, want %v", err, want)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// within checks that a moment is not before another, and not more than half a minute after it.
func within(t testing.TB, what string, got, want time.Time) {
	t.Helper()
	if late := got.Sub(want); late < -time.Second || late > 30*time.Second {
		t.Fatalf("%s is %v late", what, late)
	}
}
