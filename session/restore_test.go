package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestRedisMakesAHashOfAnyFieldsThatAreDumped(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	many := make([]string, 0, 2*session.MaxFields)
	for i := range session.MaxFields {
		many = append(many, fmt.Sprintf("field %d", i), "12345")
	}
	lengths := []string{"any\x00bytes\xff\r\n", ""}
	for _, n := range []int{1, 63, 64, 127, 128, 255, 256, 1<<14 - 1, 1 << 14, 1 << 16} {
		lengths = append(lengths, fmt.Sprint(n), strings.Repeat("x", n))
	}
	for name, list := range map[string][]string{"one": {"a", "1"}, "many": many, "lengths": lengths} {
		key := rediskittest.Keys(t)(name)
		ok(t, raw(c, "RESTORE", key, "60000", session.DumpHash(list...)).Error())
		got := must(raw(c, "HGETALL", key).AsStrMap())(t)
		if len(got) != len(list)/2 {
			t.Errorf("%s: %d fields of %d", name, len(got), len(list)/2)
		}
		for i := 0; i < len(list); i += 2 {
			if value, ok := got[list[i]]; !ok || value != list[i+1] {
				t.Errorf("%s: the field %q is %.20q", name, list[i], value)
			}
		}
		if left := must(raw(c, "PTTL", key).AsInt64())(t); left <= 0 || left > 60_000 {
			t.Errorf("%s: it lives for %d ms", name, left)
		}
	}
}

func TestALoginIsTheSameWithAndWithoutRESTORE(t *testing.T) {
	server, err := redistest.StartServer(redistest.ServerConfig{})
	ok(t, err)
	t.Cleanup(func() { server.Close() })
	all := connectTo(t, rediskit.Config{Addrs: []string{server.Addr()}})
	ok(t, raw(all, "ACL", "SETUSER", "few", "on", "nopass", "~*", "&*", "+@all", "-restore").Error())
	few := connectTo(t, rediskit.Config{Addrs: []string{server.Addr()}, Username: "few", Password: "any"})
	embedded := rediskittest.Connect(t, rediskittest.OnEmbedded)
	for name, row := range map[string]struct {
		c        *rediskit.Client
		restores bool
	}{"all commands": {all, true}, "without RESTORE": {few, false}, "embedded, with another RESTORE": {embedded, false}} {
		m := manager(t, row.c, session.Config{})
		for n := range 3 {
			s := must(m.Create(t.Context(), "ada", ada, phone))(t)
			got := must(m.Get(t.Context(), s.ID))(t)
			same(t, got, s.Session)
			equal(t, "sessions", s.Count, n+1)
			if works, fails := m.Restores(); works != row.restores || fails == row.restores {
				t.Fatalf("%s: RESTORE works: %v, fails: %v", name, works, fails)
			}
			if left := must(raw(row.c, "PTTL", m.SessionKey(s.ID)).AsInt64())(t); left <= 0 || left > session.DefaultTTL.Milliseconds() {
				t.Fatalf("%s: the data live for %d ms", name, left)
			}
		}
	}
}
