package session_test

import (
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
