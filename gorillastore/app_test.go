package gorillastore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/gorillastore"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestAWholeApplicationOverTLS(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := newStand(t, c, session.Config{MaxPerUser: 2, OnLimit: session.EvictOldest}, gorillastore.Config{})
		mux := http.NewServeMux()
		handle := func(path string, change func(g *sessions.Session, r *http.Request) error) {
			mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				g, err := s.Get(r, cookieName)
				if err == nil {
					err = change(g, r)
				}
				if err == nil {
					err = sessions.Save(r, w)
				}
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				fmt.Fprint(w, g.Values["user"])
			})
		}
		handle("/login", func(g *sessions.Session, r *http.Request) error {
			g.Values["user"] = r.FormValue("user")
			return nil
		})
		handle("/logout", func(g *sessions.Session, _ *http.Request) error {
			g.Options.MaxAge = -1
			clear(g.Values)
			return nil
		})
		handle("/others", func(g *sessions.Session, r *http.Request) error {
			id, err := session.ParseID(g.ID)
			if err == nil {
				_, err = s.sessions.RevokeOthers(r.Context(), id)
			}
			return err
		})
		handle("/", func(*sessions.Session, *http.Request) error { return nil })
		server := httptest.NewTLSServer(mux)
		t.Cleanup(server.Close)
		surfer := func() func(path, want string) {
			jar, err := cookiejar.New(nil)
			ok(t, err)
			client := &http.Client{Jar: jar, Transport: server.Client().Transport}
			return func(path, want string) {
				t.Helper()
				resp, err := client.Get(server.URL + path)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				page, err := io.ReadAll(resp.Body)
				if err != nil || string(page) != want {
					t.Errorf("%s is %q, want %q (%v)", path, page, want, err)
				}
			}
		}
		phone, laptop := surfer(), surfer()
		phone("/", "<nil>")
		phone("/login?user=ada", "ada")
		laptop("/login?user=ada", "ada")
		phone("/", "ada")
		laptop("/others", "ada")
		phone("/", "<nil>")
		laptop("/", "ada")
		laptop("/logout", "<nil>")
		laptop("/", "<nil>")
		s.counts(t, "ada", 0)

		var wg sync.WaitGroup
		for i := range 8 {
			page, user := surfer(), fmt.Sprint("user-", i%4)
			wg.Go(func() {
				page("/login?user="+user, user)
				for range 5 {
					page("/", user)
				}
			})
		}
		wg.Wait()
		for i := range 4 {
			s.counts(t, fmt.Sprint("user-", i), 2)
		}
	})
}

func TestNeitherRedisNorLogsNorErrorsHaveASecret(t *testing.T) {
	server := rediskittest.Server(t)
	var log bytes.Buffer
	s := newStand(t, server.Client(), session.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnEvent: func(_ context.Context, e session.Event) {
		fmt.Fprintf(&log, "%+v\n", e)
	}}, gorillastore.Config{})
	dead := newStand(t, stopped(t), session.Config{Keys: keys.MustNew("unused")}, gorillastore.Config{})
	b := newBrowser()
	b.puts(t, s, "cart", "full")
	ids := []string{b.cookies[cookieName]}
	b.puts(t, s, "user", "ada")
	ids = append(ids, b.cookies[cookieName])
	dump := dumpOf(t, server)
	r, w := b.request(t.Context())
	_, err := dead.Get(r, cookieName)
	if !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	fmt.Fprintln(&log, err)
	g, err := s.Get(r.Clone(t.Context()), "other")
	ok(t, err)
	g.ID = ids[1]
	fmt.Fprintln(&log, s.Save(r, w, g), b.visit(t, s, func(g *sessions.Session) { _, _ = s.sessions.RevokeUser(t.Context(), "ada") }))
	for _, id := range ids {
		_, secret, _ := strings.Cut(id[23:], ".")
		sum := sha256.Sum256([]byte(id))
		for _, hidden := range []string{id, secret, string(sum[:])} {
			if strings.Contains(dump, hidden) || strings.Contains(log.String(), hidden) {
				t.Errorf("%q is to be seen", hidden)
			}
		}
	}
	if !strings.Contains(dump, "session:") || strings.Count(log.String(), "no such session") != 2 {
		t.Errorf("the test sees nothing: %s", &log)
	}
}

// dumpOf is all that a server has, as text.
func dumpOf(t *testing.T, server *rediskittest.RedisServer) string {
	t.Helper()
	var all strings.Builder
	list, isList := server.Do("KEYS", "*").([]any)
	if !isList {
		t.Fatal("no keys")
	}
	for _, key := range list {
		text, _ := key.(string)
		fmt.Fprintln(&all, text, server.Do("HGETALL", text))
	}
	return all.String()
}
