package session_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/session"
)

// clock lets time pass for a Manager and its keys, on any server, without waiting.
type clock struct {
	t     testing.TB
	c     *rediskit.Client
	m     *session.Manager[Visit]
	later time.Duration
}

func newClock(t testing.TB, c *rediskit.Client, cfg session.Config) *clock {
	t.Helper()
	return &clock{t: t, c: c, m: manager(t, c, cfg)}
}

// advance makes it later for the scripts, and brings the ends of all keys as much closer. What ends is gone.
func (k *clock) advance(d time.Duration) {
	k.t.Helper()
	k.later += d
	k.m.SetClock(k.later)
	for _, key := range keysOf(k.t, k.c, k.m.Keys()) {
		left, err := raw(k.c, "PTTL", key).AsInt64()
		ok(k.t, err)
		switch left -= d.Milliseconds(); {
		case left > 0:
			ok(k.t, raw(k.c, "PEXPIRE", key, strconv.FormatInt(left, 10)).Error())
		default:
			ok(k.t, raw(k.c, "DEL", key).Error())
		}
	}
}

func TestTheServersClockMayGoBack(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		clock := newClock(t, c, session.Config{TTL: 100 * time.Second, AbsoluteTTL: 300 * time.Second, MaxPerUser: 1})
		m, ctx := clock.m, t.Context()
		clock.advance(200 * time.Second)
		s := must(m.Create(ctx, "ada", ada, phone))(t)
		clock.advance(-50 * time.Second)
		same(t, must(m.Get(ctx, s.ID))(t), s.Session)
		same(t, must(m.Touch(ctx, s.ID))(t), s.Session) // it was seen later than now
		if _, err := m.Create(ctx, "ada", ada, phone); !errors.Is(err, session.ErrLimit) {
			t.Fatal(err)
		}
		clock.advance(140 * time.Second)
		must(m.Peek(ctx, s.ID))(t)
		clock.advance(11 * time.Second)
		gone(t, m, s.ID)
		must(m.Create(ctx, "ada", ada, phone))(t)
	})
}
