package rediskit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
)

// startHole listens at an address, or at a free one if it is empty, where connecting never ends: a machine that
// is gone. It needs a listener whose queue of connections that nobody accepts is as short as can be, and full.
func startHole(t *testing.T, addr string) string {
	t.Helper()
	var port int
	if addr != "" {
		_, text, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		if port, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
	for range 100 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue is never full")
	return ""
}

// wantConnecting returns an error unless somebody is trying to connect to a hole.
func wantConnecting(addr string) error {
	_, text, _ := net.SplitHostPort(addr)
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return err
	}
	const synSent = "02"
	if !strings.Contains(string(table), fmt.Sprintf(" 0100007F:%04X %s ", port, synSent)) {
		return errors.New("nobody is connecting")
	}
	return nil
}

// The client library holds a lock while it connects to a sentinel, and its Close wants the same lock.
func TestCloseDoesNotWaitForASentinelThatIsGone(t *testing.T) {
	set, cfg := startSentinel(t)
	p := startProxy(t, set.Addrs()[0])
	cfg.Addrs = []string{p.Addr()}
	cfg.DialTimeout, cfg.TopologyRefresh = time.Hour, 10*time.Millisecond
	c := connect(t, cfg)
	if err := p.RefuseNew(true); err != nil {
		t.Fatal(err)
	}
	hole := startHole(t, p.Addr())
	for _, s := range set.Sentinels() {
		s.Kill()
	}
	p.Cut()
	eventually(t, func() error { return wantConnecting(hole) })
	wantReturn(t, c.Close)
}

func wantReturn(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("has not returned after half a minute")
	}
}

// What would end the call is a command on the shared connection, which somebody patient is making.
func TestACancelledBlockReturnsWhileTheSharedConnectionIsBeingMade(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, CommandTimeout: 300 * time.Millisecond, DialTimeout: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { got <- blpop(c, ctx, "list", 0).Error() }()
	eventually(t, func() error { return wantBlocked(s, "1") })
	if err := p.RefuseNew(true); err != nil {
		t.Fatal(err)
	}
	hole := startHole(t, p.Addr())
	p.BlackHole()
	patient := make(chan struct{})
	go func() {
		defer close(patient)
		for {
			if _, err := get(c, context.Background(), "k"); errors.Is(err, rediskit.ErrClosed) {
				return
			}
		}
	}()
	eventually(t, func() error { return wantConnecting(hole) })
	cancel()
	wantReturn(t, func() { wantConnectionError(t, <-got, true) })
	wantReturn(t, func() { c.Close(); <-patient })
}

// Each call that gives up while its connection is being made leaves something behind.
func TestBlockingCallsThatCannotConnectAreBounded(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{p.Addr()}, DialTimeout: time.Hour})
	if err := p.RefuseNew(true); err != nil {
		t.Fatal(err)
	}
	startHole(t, p.Addr())
	p.Cut()
	before := runtime.NumGoroutine()
	impatient(t, 500, time.Second, 10*time.Millisecond, func(ctx context.Context) error {
		wantConnectionError(t, blpop(c, ctx, "list", 0).Error(), false)
		return nil
	})
	if n := runtime.NumGoroutine() - before; n > 4000 {
		t.Errorf("%d goroutines are left", n)
	}
}

func TestConnectToAClusterDoesNotNeedEveryAddress(t *testing.T) {
	addrs, err := redistest.SharedCluster()
	if err != nil {
		t.Fatal(err)
	}
	hole := startHole(t, "")
	for range 20 { // whom it asks may be a matter of luck
		wantReturn(t, func() {
			c, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{hole, addrs[0]}, Cluster: true, DialTimeout: time.Hour})
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
}
