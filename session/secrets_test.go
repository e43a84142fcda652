package session_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// revealing tells which secret a text shows, in any usual spelling.
func revealing(text string, secrets ...string) string {
	for _, secret := range secrets {
		for _, spelling := range []string{
			secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
			base64.StdEncoding.EncodeToString([]byte(secret)), strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
			strings.Trim(fmt.Sprintf("%#v", []byte(secret)), "[]byte{}"),
		} {
			if strings.Contains(text, spelling) {
				return spelling
			}
		}
	}
	return ""
}

func TestNothingThatIsPrintedShowsASecret(t *testing.T) {
	c := rediskittest.Embedded(t)
	cfg := session.Config{TagKey: []byte("the key by which tags are made of user IDs")}
	m := manager(t, c, cfg)
	secret := []byte("the secret that nobody may see..")
	created := must(m.Create(t.Context(), "ada", ada, phone, session.WithSecret(secret)))(t)
	id := created.ID
	secrets := []string{id.Secret(), string(secret), string(cfg.TagKey)}
	if revealing("x"+id.Reveal(), secrets...) == "" || revealing(fmt.Sprintf("%x", cfg.TagKey), secrets...) == "" || revealing(fmt.Sprint(secret), secrets...) == "" {
		t.Fatal("the test sees nothing")
	}
	draft := must(m.Draft(created.Session))(t)
	type hidden struct{ id session.ID }
	things := []any{
		id, &id, created, &created, created.Session, &created.Session, m, cfg, &cfg, hidden{id}, &hidden{id}, []session.ID{id}, []*session.ID{&id},
		map[string]session.ID{"id": id}, struct{ Any any }{id}, struct{ any }{hidden{id}}, session.WithSecret(secret),
		draft, *draft, struct{ d *session.Draft[Visit] }{draft}, struct{ Cfg *session.Config }{&cfg}, struct{ m *session.Manager[Visit] }{m}, [1]session.Session[Visit]{created.Session},
	}
	for _, thing := range things {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%#q", "%x", "%X", "% x", "%d", "%t", "%p", "%T", "%c", "%U", "%b", "%o", "%e", "%10v", "%!"} {
			if _, is := thing.(session.Config); is && verb == "%p" {
				continue // the one verb that asks no method, on the one thing that has its secret in a field
			}
			texts = append(texts, fmt.Sprintf(verb, thing))
		}
		texts = append(texts, fmt.Sprint(thing), fmt.Sprintln(thing), fmt.Errorf("%v", thing).Error())
		if b, err := json.Marshal(thing); err == nil {
			texts = append(texts, string(b))
		}
		if b, err := xml.Marshal(thing); err == nil {
			texts = append(texts, string(b))
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "thing", thing)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "thing", thing)
		texts = append(texts, log.String())
		for i, text := range texts {
			if shows := revealing(text, secrets...); shows != "" {
				t.Errorf("%T printed in way %d shows %s: %s", thing, i, shows, text)
			}
		}
	}
	equal(t, "String", id.String(), id.Public()+".…")
	equal(t, "GoString", fmt.Sprintf("%#v", id), id.String())
	equal(t, "the zero ID", fmt.Sprintf("%v%s%s", session.ID{}, session.ID{}.Reveal(), session.ID{}.Public()), "")
	if id.Equal(session.ID{}) || !id.Equal(id) || !(session.ID{}).Equal(session.ID{}) {
		t.Error("Equal is wrong")
	}
}

// monitor returns a function that stops listening to a server and returns all commands it has been sent meanwhile.
func monitor(t *testing.T, s *rediskittest.RedisServer) (stop func() string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	ok(t, err)
	t.Cleanup(func() { conn.Close() })
	ok(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprint(conn, "MONITOR\r\n")
	ok(t, err)
	in := bufio.NewReader(conn)
	_, err = in.ReadString('\n')
	ok(t, err)
	return func() string {
		t.Helper()
		s.Do("ECHO", "that is all")
		var all strings.Builder
		for {
			line, err := in.ReadString('\n')
			ok(t, err)
			if strings.Contains(line, "that is all") {
				return all.String()
			}
			all.WriteString(line)
		}
	}
}

func TestRedisTheLogsAndTheErrorsNeverSeeASecret(t *testing.T) {
	server := rediskittest.Server(t)
	proxy := rediskittest.FaultProxy(t, server.Addr())
	c, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{proxy.Addr()}, CommandTimeout: 200 * time.Millisecond})
	ok(t, err)
	t.Cleanup(c.Close)
	var out bytes.Buffer // of logs, events and errors
	key := []byte("the key by which tags are made of user IDs")
	m := manager(t, server.Client(), session.Config{TagKey: key})
	other := managerOf[Visit](t, c, session.Config{
		TagKey: key, Keys: m.Keys(), TTL: time.Hour, TouchFraction: -1, OnLimit: session.EvictOldest, MaxPerUser: 2,
		Logger:  slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnEvent: func(_ context.Context, e session.Event) { fmt.Fprintf(&out, "%+v\n", e) },
	})
	stop := monitor(t, server)
	ctx := t.Context()
	chosen := []byte("the secret that nobody may see..")
	secrets := []string{string(key), string(chosen)}

	everything := func() {
		note := func(what any, err error) { fmt.Fprintf(&out, "%+v %v %#v\n", what, err, err) }
		known := func(id session.ID) session.ID {
			if !id.IsZero() {
				secrets = append(secrets, id.Secret())
			}
			return id
		}
		created, err := other.Create(ctx, "ada", ada, phone, session.WithSecret(chosen))
		note(created, err)
		id := known(created.ID)
		if id.IsZero() { // the server is away
			s, err := m.Create(ctx, "ada", ada, phone)
			if err == nil {
				id = known(s.ID)
			}
		}
		for range 2 {
			s, err := other.Create(ctx, "ada", ada, phone)
			note(s, err)
			if err == nil {
				id = known(s.ID)
			}
		}
		visit, err := other.Anonymous(ctx, ada, phone)
		note(visit, err)
		login, err := other.Login(ctx, known(visit.ID), "bob", nil, phone)
		note(login, err)
		known(login.ID)
		guess, err := session.JoinID(strings.Repeat("A", 22)+"."+strings.Repeat("A", 16), chosen)
		note(guess, err)
		_, err = session.ParseID(id.Reveal() + "x")
		note("", err)
		for _, id := range []session.ID{id, guess, login.ID} {
			s, err := other.Get(ctx, id)
			note(s, err)
			s, err = other.Touch(ctx, id)
			note(s, err)
			s, err = other.Update(ctx, id, func(v *Visit) error { v.Name += "x"; return nil })
			note(s, err)
			s, err = other.Save(ctx, id, 77, ada)
			note(s, err)
			n, err := other.Incr(ctx, id, "views", 1<<62)
			note(n, err)
			next, err := other.Rotate(ctx, id, time.Minute)
			note(next, err)
			again, err := other.Rotate(ctx, id, time.Minute)
			note(again, err)
			s, err = other.Get(ctx, id)
			note(s, err)
			s, err = other.Peek(ctx, id)
			note(s, err)
			s, err = other.SetTimeouts(ctx, id, time.Hour, -1)
			note(s, err)
			note("", other.AddFlash(ctx, id, "hello"))
			messages, err := other.PopFlashes(ctx, id)
			note(messages, err)
			draft, err := other.Draft(s)
			note(draft, err)
			draft.Session.Data.Name += "y"
			saved, err := draft.Save(ctx)
			note(saved, err)
			if !id.IsZero() {
				secrets = append(secrets, string(other.Token(id, "csrf")))
			}
			list, err := other.List(ctx, "ada")
			note(list, err)
			info, values, err := other.Inspect(ctx, "ada", id.Ref())
			note(fmt.Sprint(info, values), err)
			n2, err := other.RevokeOthers(ctx, known(next))
			note(n2, err)
			note("", other.Delete(ctx, id))
		}
		n, err := other.RevokeUser(ctx, "ada")
		note(n, err)
		for _, key := range keysOf(t, server.Client(), m.Keys()) {
			fmt.Fprint(&out, must(raw(server.Client(), "HGETALL", key).AsStrMap())(t))
		}
	}
	everything()
	server.Do("CONFIG", "SET", "maxmemory", "1")
	everything()
	server.Do("CONFIG", "SET", "maxmemory", "0")
	server.Do("ACL", "SETUSER", "default", "-evalsha", "-eval")
	everything()
	server.Do("ACL", "SETUSER", "default", "+evalsha", "+eval")
	server.Do("ACL", "SETUSER", "default", "-hmget")
	everything()
	server.Do("ACL", "SETUSER", "default", "+@all")
	proxy.BlackHole()
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	_, err = other.Incr(ctx, s.ID, "views", 1)
	fmt.Fprintln(&out, err)
	proxy.Resume()
	server.Do("CONFIG", "SET", "maxmemory", "1")
	got, err := other.Get(ctx, s.ID)
	fmt.Fprintln(&out, got, err)
	server.Do("CONFIG", "SET", "maxmemory", "0")

	for name, text := range map[string]string{"Redis": stop(), "the logs and errors": out.String()} {
		if shows := revealing(text, secrets...); shows != "" {
			t.Errorf("%s saw %s", name, shows)
		}
		if !strings.Contains(text, "session:{") {
			t.Errorf("%s saw nothing", name)
		}
	}
	for _, says := range []string{"OOM", "NOPERM", "malformed ID", "no such session", "changed meanwhile", "no reply", "evicted", "not marked as seen"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("the test saw no %q", says)
		}
	}
}
