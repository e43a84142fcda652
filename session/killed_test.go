package session_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

const stepEnv = "REDISKIT_SESSION_STEP" // address, namespace, number of the step, and IDs of a session, of another and of a visit

// steps are the places between two steps of all methods, with a call that comes there. What is sent together, in one write,
// is there by halves.
var steps = []struct {
	place string
	ends  bool // the session
	call  func(ctx context.Context, m *session.Manager[Visit], id, other, visit session.ID)
}{
	{"create: data", false, func(ctx context.Context, m *session.Manager[Visit], _, _, _ session.ID) {
		_, _ = m.CreateHalf(ctx, "ada", ada, phone, 0)
		die()
	}},
	{"create: admission", true, func(ctx context.Context, m *session.Manager[Visit], _, _, _ session.ID) {
		_, _ = m.CreateHalf(ctx, "ada", ada, phone, 1) // which evicts
		die()
	}},
	{"create: admitted", true, func(ctx context.Context, m *session.Manager[Visit], _, _, _ session.ID) {
		_, _ = m.Create(ctx, "ada", ada, phone) // which evicts
	}},
	{"create: admitted", false, func(ctx context.Context, m *session.Manager[Visit], _, _, _ session.ID) {
		_, _ = m.Anonymous(ctx, ada, phone)
	}},
	{"create: admitted", true, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_, _ = m.Login(ctx, id, "ada", nil, phone)
	}},
	{"login: read", false, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_, _ = m.Login(ctx, id, "ada", nil, phone)
	}},
	{"login: created", true, func(ctx context.Context, m *session.Manager[Visit], _, _, visit session.ID) {
		_, _ = m.Login(ctx, visit, "ada", nil, phone) // which evicts
	}},
	{"touch: marked", false, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_, _ = m.Touch(ctx, id)
	}},
	{"touch: marked", false, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_, _ = m.SetTimeouts(ctx, id, stepTTL, stepTTL)
	}},
	{"update: read", false, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_, _ = m.Update(ctx, id, func(v *Visit) error { v.Views++; return nil })
	}},
	{"delete: checked", false, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_ = m.Delete(ctx, id)
	}},
	{"revoke: entry", true, func(ctx context.Context, m *session.Manager[Visit], id, _, _ session.ID) {
		_ = m.RevokeHalf(ctx, id)
		die()
	}},
	{"others: checked", false, func(ctx context.Context, m *session.Manager[Visit], _, other, _ session.ID) {
		_, _ = m.RevokeOthers(ctx, other)
	}},
	{"revoke: removed", true, func(ctx context.Context, m *session.Manager[Visit], _, other, _ session.ID) {
		_, _ = m.RevokeOthers(ctx, other)
	}},
	{"revoke: removed", true, func(ctx context.Context, m *session.Manager[Visit], _, _, _ session.ID) {
		_, _ = m.RevokeUser(ctx, "ada")
	}},
}

const stepTTL = 100 * time.Second

func stepConfig(names keys.Builder) session.Config {
	return session.Config{Keys: names, TagKey: tagKey, TTL: stepTTL, MaxPerUser: 2, OnLimit: session.EvictOldest}
}

// die kills the process as kill -9 does.
func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}

// runStep comes to one of the steps and dies there.
func runStep(env string) {
	f := strings.Fields(env)
	ctx := context.Background()
	c, err := rediskit.Connect(ctx, rediskit.Config{Addrs: f[:1]})
	if err != nil {
		panic(err)
	}
	m, err := session.New[Visit](c, stepConfig(keys.MustNew(f[1])))
	if err != nil {
		panic(err)
	}
	step := steps[len(f[2])-1]
	m.OnStep(func(at string) {
		if at == step.place {
			die()
		}
	})
	var ids [3]session.ID
	for i := range ids {
		if ids[i], err = session.ParseID(f[3+i]); err != nil {
			panic(err)
		}
	}
	step.call(ctx, m, ids[0], ids[1], ids[2])
	panic("it did not come to " + step.place)
}

func TestAProcessThatIsKilledBetweenTwoStepsLeavesNothingForGoodAndLocksNobodyOut(t *testing.T) {
	server := rediskittest.Server(t)
	c := server.Client()
	for i, step := range steps {
		t.Run(strings.NewReplacer(": ", " ").Replace(step.place), func(t *testing.T) {
			names := namespace(t, c)
			clock := newClock(t, c, stepConfig(names))
			m, ctx := clock.m, t.Context()
			s, other := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
			visit := must(m.Anonymous(ctx, ada, phone))(t)
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), stepEnv+"="+strings.Join([]string{
				server.Addr(), names.Namespace(), strings.Repeat("x", i+1), s.ID.Reveal(), other.ID.Reveal(), visit.ID.Reveal(),
			}, " "))
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Exited() {
				t.Fatalf("it was not killed: %v: %s", err, out)
			}
			consistent(t, c, names, stepTTL)
			if n := must(m.Count(ctx, "ada"))(t); n > 2 {
				t.Errorf("there are %d sessions", n)
			}
			if _, err := m.Get(ctx, s.ID); step.ends != errors.Is(err, session.ErrNotFound) {
				t.Errorf("the session: %v", err)
			}
			must(m.Get(ctx, visit.ID))(t)
			next := must(m.Create(ctx, "ada", ada, phone))(t) // nobody is locked out
			must(m.Get(ctx, next.ID))(t)
			consistent(t, c, names, stepTTL)

			clock.advance(stepTTL + time.Second)
			equal(t, "keys", len(keysOf(t, c, names)), 0)
		})
	}
}
