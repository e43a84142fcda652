package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// dieEnv makes the test binary start a server and kill itself, for the test
// that wants to see the server die too.
const dieEnv = "REDISTEST_DIE"

func TestMain(m *testing.M) {
	if os.Getenv(dieEnv) != "" {
		startServerAndDie()
	}
	goleak.VerifyTestMain(m)
}

func startServerAndDie() {
	s, err := StartServer(ServerConfig{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr(), s.Dir(), filepath.Dir(s.Socket()))
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// started starts a server that ends with the test.
func started(t *testing.T, config ServerConfig) *Server {
	t.Helper()
	s, err := StartServer(config)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	return s
}

// logAfter shows what the servers wrote, should the test fail.
func logAfter(t *testing.T, servers ...*Server) {
	t.Cleanup(func() {
		if t.Failed() {
			for _, s := range servers {
				t.Log(s.Addr() + tail(s.Log()))
			}
		}
	})
}

func closeAfter(t *testing.T, c interface{ Close() error }) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// must unwraps the result of a call that has no reason to fail here:
// must(f())(t).
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// expect fails unless the command's reply is this one.
func expect(t *testing.T, s *Server, want any, args ...string) {
	t.Helper()
	if got, err := s.Do(args...); err != nil || got != want {
		t.Fatalf("%v: got %v and error %v, want %v", args, got, err, want)
	}
}

// expectSoon waits for the command's reply to be this one.
func expectSoon(t *testing.T, s *Server, want any, args ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%v to be %v", args, want), func() error {
		got, err := s.Do(args...)
		if err == nil && got != want {
			err = fmt.Errorf("it is %v", got)
		}
		return err
	})
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	if err := poll(time.Minute, what, check); err != nil {
		t.Fatal(err)
	}
}

// dial connects a raw client, whose every wait ends within a minute.
func dial(t *testing.T, addr string) *respConn {
	t.Helper()
	c, err := dialRESP("tcp", addr, "", "", time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

// checkRefused fails while something listens on the address.
func checkRefused(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		conn.Close()
		return errors.New("something listens on " + addr)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return nil
}
