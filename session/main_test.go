package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestMain(m *testing.M) {
	if env := os.Getenv(childEnv); env != "" {
		runChild(env)
	}
	if env := os.Getenv(stepEnv); env != "" {
		runStep(env)
	}
	leaks.VerifyTestMain(m)
}

// Visit is the data of most tests.
type Visit struct {
	Name  string            `redis:"name"`
	Email string            `redis:"email,omitempty"`
	Views int64             `redis:"views"`
	Cart  map[string]int    `redis:"cart,omitempty"`
	Roles []string          `redis:"roles,omitempty"`
	Notes map[string]string `redis:"notes,omitempty"`
}

var tagKey = bytes.Repeat([]byte("k"), session.MinTagKey)

// everywhere runs a test on every kind of server, the embedded one among them.
func everywhere(t *testing.T, test func(t *testing.T, c *rediskit.Client)) {
	t.Helper()
	rediskittest.Each(t, test,
		rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

// manager makes a Manager with a namespace of its own, and looks at the end whether every key in it has a TTL.
func manager(t testing.TB, c *rediskit.Client, cfg session.Config) *session.Manager[Visit] {
	t.Helper()
	return managerOf[Visit](t, c, cfg)
}

func managerOf[T any](t testing.TB, c *rediskit.Client, cfg session.Config) *session.Manager[T] {
	t.Helper()
	if cfg.TagKey == nil {
		cfg.TagKey = tagKey
	}
	if cfg.Keys == (keys.Builder{}) {
		cfg.Keys = namespace(t, c)
	}
	m, err := session.New[T](c, cfg)
	ok(t, err)
	return m
}

// namespace makes names that nobody else uses.
func namespace(t testing.TB, c *rediskit.Client) keys.Builder {
	t.Helper()
	name := strings.Trim(rediskittest.Keys(t)(""), "{}:")
	names, err := keys.New(name)
	ok(t, err)
	t.Cleanup(func() {
		for _, key := range keysOf(t, c, names) {
			if ms, err := raw(c, "PTTL", key).AsInt64(); err != nil || ms == -1 {
				t.Errorf("%s has no TTL (%v)", key, err)
			}
		}
	})
	return names
}

// keysOf returns all keys of a namespace.
func keysOf(t fataler, c *rediskit.Client, names keys.Builder) (found []string) {
	t.Helper()
	for _, node := range c.Redis().Nodes() {
		role, err := node.Do(context.Background(), node.B().Arbitrary("ROLE").Build()).ToArray()
		if err == nil {
			if name, err := role[0].ToString(); err == nil && name == "slave" {
				continue
			}
		}
		for cursor := uint64(0); ; {
			page, err := node.Do(context.Background(), node.B().Scan().Cursor(cursor).Match(names.Prefix().String()).Count(1000).Build()).AsScanEntry()
			ok(t, err)
			found = append(found, page.Elements...)
			if cursor = page.Cursor; cursor == 0 {
				break
			}
		}
	}
	return found
}

// raw runs a command beside the package.
func raw(c *rediskit.Client, command, key string, args ...string) rueidis.RedisResult {
	return c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary(command).Keys(key).Args(args...).Build()
	})
}

// fataler is a test, or a run of a property.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func ok(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[V any](v V, err error) func(t fataler) V {
	return func(t fataler) V {
		t.Helper()
		ok(t, err)
		return v
	}
}

func equal[V comparable](t testing.TB, what string, got, want V) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// gone checks that an ID is no session's.
func gone[T any](t testing.TB, m *session.Manager[T], id session.ID) {
	t.Helper()
	if s, err := m.Get(context.Background(), id); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("%v is a session still: %v, %v", id, s, err)
	}
}

// eventually polls until try returns nil.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func user(i int) string { return fmt.Sprintf("user-%d", i) }
