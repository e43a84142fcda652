package scsstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scsstore"
	"github.com/tickettoken/rediskit/session"
)

// TestMain passes over the store in memory that scs.New makes, which never ends.
func TestMain(m *testing.M) {
	leaks.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/alexedwards/scs/v2/memstore.(*MemStore).startCleanup"))
}

var tagKey = bytes.Repeat([]byte("k"), session.MinTagKey)

// everywhere runs a test on every kind of server, the embedded one among them.
func everywhere(t *testing.T, test func(t *testing.T, c *rediskit.Client)) {
	t.Helper()
	rediskittest.Each(t, test,
		rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

func userOf(values map[string]any) string {
	user, _ := values["user"].(string)
	return user
}

// stand is a Store with keys of its own.
type stand struct {
	*scsstore.Store
	sessions *session.Manager[scsstore.Data]
	c        *rediskit.Client
	names    keys.Builder
}

func newStand(t testing.TB, c *rediskit.Client, cfg session.Config) *stand {
	t.Helper()
	s := &stand{c: c, names: cfg.Keys}
	if s.names == (keys.Builder{}) {
		s.names = namespace(t, c)
	}
	cfg.TagKey, cfg.Keys = tagKey, s.names
	var err error
	s.sessions, err = session.New[scsstore.Data](c, cfg)
	ok(t, err)
	s.Store, err = scsstore.New(c, s.sessions, scsstore.Config{User: userOf, Keys: s.names})
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
			if left(t, c, key) < 0 {
				t.Errorf("%s has no TTL", key)
			}
		}
	})
	return names
}

// left is how long a key lives.
func left(t testing.TB, c *rediskit.Client, key string) time.Duration {
	t.Helper()
	ms, err := c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
		return b.Pttl().Key(key).Build()
	}).AsInt64()
	ok(t, err)
	return time.Duration(ms) * time.Millisecond
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

// values encodes what scs would: pairs of names and values.
func values(t testing.TB, pairs ...string) []byte {
	t.Helper()
	all := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	b, err := scs.GobCodec{}.Encode(time.Now().Add(time.Hour), all)
	ok(t, err)
	return b
}

func inAnHour() time.Time { return time.Now().Add(time.Hour) }

// finds checks what is found under a token.
func (s *stand) finds(t testing.TB, token string, want []byte) {
	t.Helper()
	b, found, err := s.Find(token)
	ok(t, err)
	if !found || !bytes.Equal(b, want) {
		t.Fatalf("found %v %q, want %q", found, b, want)
	}
}

// findsNone checks that nothing is found under a token.
func (s *stand) findsNone(t testing.TB, token string) {
	t.Helper()
	if b, found, err := s.Find(token); found || b != nil || err != nil {
		t.Fatalf("found %v %q, %v", found, b, err)
	}
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

// eventually polls until try returns true.
func eventually(t testing.TB, what string, try func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !try(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
