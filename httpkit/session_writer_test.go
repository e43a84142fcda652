package httpkit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestTheSessionIsSavedBeforeAnythingOfTheResponseIsSent(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter) error{
		"WriteHeader": func(w http.ResponseWriter) error { w.WriteHeader(http.StatusAccepted); return nil },
		"Write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"WriteString": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "x"); return err },
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("x")})
			return err
		},
		"Flush":      func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"FlushError": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
	} {
		var s *site
		s = embeddedSite(t, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, _ *http.Request, rs *httpkit.RequestSession[Visit]) {
			rs.Data.Views = 7
			ok(t, begin(w))
			got := must(s.m.Peek(t.Context(), rs.Session().ID))(t)
			equal(t, name+": the views by then", got.Data.Views, 7)
			rs.Data.Views = 8
		}})
		c := newCookie(t, s.visit(t, "GET", "/"))
		equal(t, name+": the views at the end", s.loaded(t, c).Data.Views, 8)
	}
}

func TestAnInformationalResponseIsNotTheBeginning(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, err := s.Login(r.Context(), "ada")
		check(t, err)
		w.WriteHeader(http.StatusCreated)
	}})
	for _, http2 := range []bool{false, true} {
		server := s.serve(t, http2)
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if hints++; code != http.StatusEarlyHints || h.Get("Link") == "" || h.Get("Set-Cookie") != "" {
				t.Errorf("%d %v", code, h)
			}
			return nil
		}})
		r := must(http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil))(t)
		res := must(browser(t, server).Do(r))(t)
		ok(t, res.Body.Close())
		equal(t, "the hints", hints, 1)
		equal(t, "the status", res.StatusCode, http.StatusCreated)
		equal(t, "the user", s.loaded(t, newCookie(t, res)).UserID, "ada")
	}
}

func TestAStreamIsFlushedWithItsCookieAndSavesAsItGoes(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		next := make(chan struct{})
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{
			"/events": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				w.Header().Set("Content-Type", "text/event-stream")
				for s.Data.Views = 1; s.Data.Views <= 3; s.Data.Views++ {
					if err := s.Save(r.Context()); err != nil {
						t.Errorf("view %d: %v", s.Data.Views, err)
					}
					fmt.Fprintf(w, "data: %d\n", s.Data.Views)
					check(t, http.NewResponseController(w).Flush())
					<-next
				}
			},
		})
		for _, http2 := range []bool{false, true} {
			server := s.serve(t, http2)
			r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil))(t)
			res := must(browser(t, server).Do(r))(t)
			equal(t, "the protocol", res.ProtoMajor == 2, http2)
			cookie := newCookie(t, res)
			lines := bufio.NewScanner(res.Body)
			for i := range 3 {
				// The handler has not returned: it waits for next.
				if !lines.Scan() || lines.Text() != fmt.Sprint("data: ", i+1) {
					t.Fatalf("%q, %v", lines.Text(), lines.Err())
				}
				equal(t, "the views", s.loaded(t, cookie).Data.Views, int64(i+1))
				next <- struct{}{}
			}
			if lines.Scan() {
				t.Errorf("%q", lines.Text())
			}
			ok(t, res.Body.Close())
			equal(t, "the views at the end", s.loaded(t, cookie).Data.Views, 4)
		}
	})
}

func TestAConnectionThatIsTakenOverHasTheCookieInItsSwitch(t *testing.T) {
	for _, first := range []string{"the header", "Hijack"} {
		done := make(chan struct{})
		s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
			defer close(done)
			s.Data.Name = "Ada"
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "echo")
			if first == "the header" {
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
			conn, rw, err := w.(http.Hijacker).Hijack()
			check(t, err)
			defer conn.Close()
			if first == "Hijack" { // and the handler writes the header, as some libraries do
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
				check(t, w.Header().Write(rw))
				_, _ = rw.WriteString("\r\n")
			}
			check(t, rw.Flush())
			line, err := rw.ReadString('\n')
			check(t, err)
			s.Data.Name = strings.TrimSpace(line)
			_, _ = rw.WriteString("hello " + line)
			check(t, rw.Flush())
		}})
		server := s.serve(t, false)
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil))(t)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "echo")
		res := must(browser(t, server).Do(r))(t)
		equal(t, first+": the status", res.StatusCode, http.StatusSwitchingProtocols)
		cookie := newCookie(t, res)
		equal(t, first+": the name by then", s.loaded(t, cookie).Data.Name, "Ada")
		conn := res.Body.(io.ReadWriteCloser)
		_ = must(io.WriteString(conn, "Bob\n"))(t)
		equal(t, first+": the reply", string(must(io.ReadAll(conn))(t)), "hello Bob\n")
		ok(t, conn.Close())
		<-done
		eventually(t, func() error {
			if got := s.loaded(t, cookie).Data.Name; got != "Bob" {
				return fmt.Errorf("%s: the name at the end is %q", first, got)
			}
			return nil
		})
	}
}

// Writers that can do more or less.
type (
	plain    struct{ http.ResponseWriter }
	flushing struct {
		plain
		flushed *int
	}
	hijacking struct{ plain }
	wrapping  struct {
		plain
		inner http.ResponseWriter
	}
	reading struct {
		plain
		read *int
	}
)

func (w flushing) FlushError() error           { *w.flushed++; return errFlush }
func (w wrapping) Unwrap() http.ResponseWriter { return w.inner }
func (hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errHijack
}

func (w reading) ReadFrom(from io.Reader) (int64, error) {
	*w.read++
	return io.Copy(w.ResponseWriter, from)
}

var (
	errFlush  = errors.New("flush")
	errHijack = errors.New("hijack")
)

func TestAHandlerFindsTheMethodsThatTheServersWriterHas(t *testing.T) {
	for _, row := range []struct {
		name            string
		w               func(plain) http.ResponseWriter
		flushes, hijack bool
	}{
		{"neither", func(p plain) http.ResponseWriter { return p }, false, false},
		{"flush", func(p plain) http.ResponseWriter { return flushing{p, new(int)} }, true, false},
		{"legacy flush", func(p plain) http.ResponseWriter { return p.ResponseWriter }, true, false},
		{"hijack", func(p plain) http.ResponseWriter { return hijacking{p} }, false, true},
		{"both", func(p plain) http.ResponseWriter {
			return struct {
				flushing
				http.Hijacker
			}{flushing{p, new(int)}, hijacking{p}}
		}, true, true},
		{"wrapped", func(p plain) http.ResponseWriter { return wrapping{p, flushing{p, new(int)}} }, true, false},
	} {
		s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, _ *http.Request, _ *httpkit.RequestSession[Visit]) {
			_, canFlush := w.(http.Flusher)
			_, canFlushError := w.(interface{ FlushError() error })
			_, canHijack := w.(http.Hijacker)
			equal(t, row.name+": Flusher", canFlush, row.flushes)
			equal(t, row.name+": FlushError", canFlushError, row.flushes)
			equal(t, row.name+": Hijacker", canHijack, row.hijack)
			equal(t, row.name+": flushing is not supported", errors.Is(http.NewResponseController(w).Flush(), http.ErrNotSupported), !row.flushes)
			_, _, err := http.NewResponseController(w).Hijack()
			equal(t, row.name+": hijacking is not supported", errors.Is(err, http.ErrNotSupported), !row.hijack)
		}})
		s.ServeHTTP(row.w(plain{httptest.NewRecorder()}), request(t, "GET", "/"))
	}
}

func TestWhatTheServersWriterSaysIsPassedOn(t *testing.T) {
	flushed, read := 0, 0
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/flush": func(w http.ResponseWriter, _ *http.Request, _ *httpkit.RequestSession[Visit]) {
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, errFlush) {
				t.Error(err)
			}
		},
		"/hijack": func(w http.ResponseWriter, _ *http.Request, _ *httpkit.RequestSession[Visit]) {
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, errHijack) {
				t.Error(err)
			}
		},
		"/read": func(w http.ResponseWriter, _ *http.Request, _ *httpkit.RequestSession[Visit]) {
			n, err := io.Copy(w, io.LimitReader(strings.NewReader("hello"), 5))
			if n != 5 || err != nil {
				t.Error(n, err)
			}
		},
	})
	s.ServeHTTP(flushing{plain{httptest.NewRecorder()}, &flushed}, request(t, "GET", "/flush"))
	s.ServeHTTP(hijacking{plain{httptest.NewRecorder()}}, request(t, "GET", "/hijack"))
	w := httptest.NewRecorder()
	s.ServeHTTP(reading{plain{w}, &read}, request(t, "GET", "/read"))
	equal(t, "flushes", flushed, 1)
	equal(t, "reads, as of a file that the kernel sends", read, 1)
	equal(t, "the body", w.Body.String(), "hello")
}

func TestFilesRangesAndDeadlinesWorkThroughTheMiddleware(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(path, bytes.Repeat([]byte("0123456789"), 100_000), 0o600))
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		s.Data.Views++
		check(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
		http.ServeFile(w, r, path)
	}})
	for _, http2 := range []bool{false, true} {
		server := s.serve(t, http2)
		b := browser(t, server)
		res, body := open(t, b, http.MethodGet, server.URL, "")
		newCookie(t, res)
		equal(t, "the length", len(body), 1_000_000)
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil))(t)
		r.Header.Set("Range", "bytes=15-19")
		res = must(b.Do(r))(t)
		equal(t, "the status", res.StatusCode, http.StatusPartialContent)
		equal(t, "the range", bodyOf(t, res), "56789")
		wantNoCookie(t, res)
	}
}

func TestALoginComesTooLateWhenTheResponseHasBegun(t *testing.T) {
	var errs []error
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/late": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			w.WriteHeader(http.StatusOK)
			_, err := s.Login(r.Context(), "bob")
			_, errToken := s.CSRFToken(r.Context())
			s.Data.Name = "late"
			errs = []error{err, s.Rotate(r.Context()), errToken, s.Save(r.Context())}
		},
		"/bye": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
			w.WriteHeader(http.StatusOK)
			errs = []error{s.Logout(r.Context())}
		},
		"/show": show,
	})
	wantNoCookie(t, s.visit(t, "GET", "/late"))
	for i, text := range []string{"httpkit: Login: ", "httpkit: Rotate: ", "httpkit: a new session: ", "httpkit: a new session: "} {
		if !errors.Is(errs[i], httpkit.ErrResponseBegun) || !strings.HasPrefix(errs[i].Error(), text) {
			t.Errorf("without a session: %v", errs[i])
		}
	}
	if !strings.Contains(s.log.String(), "after the response had begun is lost") {
		t.Errorf("the log is %s", s.log)
	}

	_, cookie := s.login(t, "ada", Visit{})
	wantNoCookie(t, s.visit(t, "GET", "/late", cookie))
	if !errors.Is(errs[0], httpkit.ErrResponseBegun) || !errors.Is(errs[1], httpkit.ErrResponseBegun) || errs[2] != nil || errs[3] != nil {
		t.Errorf("with a session: %v", errs)
	}
	equal(t, "bob's sessions", must(s.m.Count(t.Context(), "bob"))(t), 0)
	equal(t, "the page", bodyOf(t, s.visit(t, "GET", "/show", cookie)), `"ada" "late" 0 map[]`)

	wantNoCookie(t, s.visit(t, "GET", "/bye", cookie))
	if !errors.Is(errs[0], httpkit.ErrResponseBegun) {
		t.Error(errs[0])
	}
	equal(t, "ada's sessions", must(s.m.Count(t.Context(), "ada"))(t), 0)
}

func TestAPanicPassesThroughAndLeavesNothingBehind(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		s := siteOf(t, managerOf[Visit](t, c, session.Config{}), httpkit.SessionConfig{}, pages{
			"/": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Data.Name = "half done"
				_, err := s.Login(r.Context(), "ada")
				ok(t, err)
				panic(http.ErrAbortHandler)
			},
			"/save": func(_ http.ResponseWriter, _ *http.Request, s *httpkit.RequestSession[Visit]) {
				s.Data.Name = "half done"
				panic(http.ErrAbortHandler)
			},
			"/late": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
				_, err := s.Login(r.Context(), "bob")
				ok(t, err)
				w.WriteHeader(http.StatusOK)
				panic(http.ErrAbortHandler)
			},
		})
		abort := func(path string, cookies ...*http.Cookie) *http.Response {
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if got := recover(); got != any(http.ErrAbortHandler) {
						t.Errorf("recovered %v", got)
					}
				}()
				s.ServeHTTP(w, request(t, "POST", path, cookies...))
				t.Error("it returned")
			}()
			return w.Result()
		}
		wantNoCookie(t, abort("/"))
		equal(t, "ada's sessions", must(s.m.Count(t.Context(), "ada"))(t), 0)
		_, cookie := s.login(t, "ada", Visit{Name: "Ada"})
		wantNoCookie(t, abort("/save", cookie))
		equal(t, "the name", s.loaded(t, cookie).Data.Name, "Ada")
		// Here the cookie has gone out.
		equal(t, "the user", s.loaded(t, newCookie(t, abort("/late"))).UserID, "bob")

		// The server sees it, too, and ends the connection without a word.
		server := httptest.NewUnstartedServer(s)
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.Start()
		defer server.Close()
		defer server.Client().CloseIdleConnections()
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil))(t)
		if res, err := server.Client().Do(r); err == nil {
			t.Errorf("status %d", res.StatusCode)
			_ = res.Body.Close()
		}
	})
}

func TestAClientThatLeavesTakesNothingOfTheSessionAlong(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{"/": func(_ http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		r.Context().Value(leaveKey{}).(context.CancelFunc)()
		<-r.Context().Done()
		s.Data.Name = "Ada"
	}})
	_, cookie := s.login(t, "ada", Visit{})
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, "GET", "/", cookie)
	ask(s, r.WithContext(context.WithValue(ctx, leaveKey{}, cancel)))
	equal(t, "the name", s.loaded(t, cookie).Data.Name, "Ada")
	equal(t, "failures", len(s.failures()), 0)
}

func TestATimeoutHandlerWorksAroundTheMiddleware(t *testing.T) {
	s := embeddedSite(t, httpkit.SessionConfig{}, pages{
		"/count": count,
		"/hang":  func(_ http.ResponseWriter, r *http.Request, _ *httpkit.RequestSession[Visit]) { <-r.Context().Done() },
	})
	newCookie(t, ask(http.TimeoutHandler(s, time.Minute, "late"), request(t, "GET", "/count")))
	res := ask(http.TimeoutHandler(s, time.Millisecond, "late"), request(t, "GET", "/hang"))
	equal(t, "the status", res.StatusCode, http.StatusServiceUnavailable)
	wantNoCookie(t, res)
}

func TestAMiddlewareAroundThisOneKeepsItsHeaders(t *testing.T) {
	redis := rediskittest.Server(t)
	s := siteOf(t, managerOf[Visit](t, impatient(t, redis.Addr()), session.Config{}), httpkit.SessionConfig{}, pages{"/": func(w http.ResponseWriter, r *http.Request, s *httpkit.RequestSession[Visit]) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Length", "100000")
		w.Header().Set("X-Outer", "changed")
		s.Data.Name = "Ada"
		redis.Kill()
		w.WriteHeader(http.StatusOK)
		if _, err := io.WriteString(w, "done"); !rediskit.IsUnavailable(err) {
			t.Errorf("the handler goes on: %v", err)
		}
	}})
	_, cookie := s.login(t, "ada", Visit{})
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "kept")
		s.ServeHTTP(w, r)
	})
	res := ask(outer, request(t, "GET", "/", cookie))
	equal(t, "the status", res.StatusCode, http.StatusServiceUnavailable)
	equal(t, "the body", bodyOf(t, res), "no session\n")
	equal(t, "the outer header", res.Header.Get("X-Outer"), "kept")
	equal(t, "the handler's headers", res.Header.Get("ETag")+res.Header.Get("Content-Length"), "")
}
