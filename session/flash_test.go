package session_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestMessagesWaitUntilTheyArePopped(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		equal(t, "messages", len(must(m.PopFlashes(ctx, s.ID))(t)), 0)
		hostile := "3:a\x00\xff\r\n:f" + strings.Repeat("x", 300)
		ok(t, m.AddFlash(ctx, s.ID, "saved", ""))
		ok(t, m.AddFlash(ctx, s.ID))
		ok(t, m.AddFlash(ctx, s.ID, hostile))
		got := must(m.Get(ctx, s.ID))(t)
		equal(t, "messages wait", got.Flashes, true)
		equal(t, "version", got.Version, 1)
		if messages := must(m.PopFlashes(ctx, s.ID))(t); !slices.Equal(messages, []string{"saved", "", hostile}) {
			t.Fatalf("%q", messages)
		}
		equal(t, "messages wait", must(m.Get(ctx, s.ID))(t).Flashes, false)
		equal(t, "messages", len(must(m.PopFlashes(ctx, s.ID))(t)), 0)
		_, values, err := m.Inspect(ctx, "ada", s.Ref)
		ok(t, err)
		for name := range values {
			if strings.HasPrefix(name, ":") {
				t.Errorf("%q is shown", name)
			}
		}
	})
}

func TestEachMessageIsPoppedByOne(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		const all = 200
		var mu sync.Mutex
		popped := map[string]int{}
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				if err := m.AddFlash(ctx, s.ID, user(i)); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				messages, err := m.PopFlashes(ctx, s.ID)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, message := range messages {
					popped[message]++
				}
			})
		}
		wg.Wait()
		for _, message := range must(m.PopFlashes(ctx, s.ID))(t) {
			popped[message]++
		}
		for i := range all {
			equal(t, "popped "+user(i), popped[user(i)], 1)
		}
	})
}

func TestTooManyMessagesAreRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		half := strings.Repeat("x", session.MaxFlashes/2-10)
		ok(t, m.AddFlash(ctx, s.ID, half))
		ok(t, m.AddFlash(ctx, s.ID, half))
		for _, messages := range [][]string{{half}, {half, half, half}} {
			if err := m.AddFlash(ctx, s.ID, messages...); !errors.Is(err, session.ErrTooLarge) {
				t.Fatal(err)
			}
		}
		if messages := must(m.PopFlashes(ctx, s.ID))(t); !slices.Equal(messages, []string{half, half}) {
			t.Fatalf("%q", messages)
		}
	})
}

func TestMessagesOfNoSession(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		ok(t, m.RevokeHalf(ctx, s.ID)) // the data are there still
		for _, id := range []session.ID{{}, s.ID} {
			if err := m.AddFlash(ctx, id, "late"); !errors.Is(err, session.ErrNotFound) {
				t.Error(err)
			}
			if _, err := m.PopFlashes(ctx, id); !errors.Is(err, session.ErrNotFound) {
				t.Error(err)
			}
		}
	})
}

func TestMessagesWhoseReplyIsLostAreAddedAndPoppedOnce(t *testing.T) {
	m, direct, proxy, _ := lossy(t, session.Config{})
	ctx := t.Context()
	s := must(direct.Create(ctx, "ada", ada, phone))(t)
	proxy.CutAfterReplyBytes(0)
	if err := m.AddFlash(ctx, s.ID, "once"); !rediskit.MayHaveApplied(err) {
		t.Fatal(err)
	}
	if messages := must(direct.PopFlashes(ctx, s.ID))(t); len(messages) > 1 {
		t.Fatalf("%q", messages)
	}
	ok(t, m.AddFlash(ctx, s.ID, "lost")) // connects again
	proxy.CutAfterReplyBytes(0)
	if messages, err := m.PopFlashes(ctx, s.ID); !rediskit.MayHaveApplied(err) {
		t.Fatal(messages, err)
	}
}

func TestMessagesThatCannotBeReadAreSaid(t *testing.T) {
	c := rediskittest.Embedded(t)
	m := manager(t, c, session.Config{})
	ctx := t.Context()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	ok(t, raw(c, "HSET", m.SessionKey(s.ID), ":f", "1:a999:b").Error())
	messages, err := m.PopFlashes(ctx, s.ID)
	if err == nil || !slices.Equal(messages, []string{"a"}) {
		t.Fatal(messages, err)
	}
}
