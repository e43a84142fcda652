package redistest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shortly is how long a test listens for what must not come.
const shortly = 100 * time.Millisecond

// proxied starts a server and a proxy in front of it.
func proxied(t *testing.T) (*Server, *FaultProxy) {
	t.Helper()
	s := started(t, ServerConfig{})
	return s, startedProxy(t, s.Addr())
}

func startedProxy(t *testing.T, target string) *FaultProxy {
	t.Helper()
	p := must(StartProxy(target))(t)
	closeAfter(t, p)
	return p
}

// ask sends a command and fails unless this is the reply.
func ask(t *testing.T, c *respConn, want any, args ...string) {
	t.Helper()
	if got, err := c.do(args...); err != nil || got != want {
		t.Fatalf("%v: got %v and error %v, want %v", args, got, err, want)
	}
}

// askInVain sends a command and fails unless no reply and no end comes.
func askInVain(t *testing.T, c *respConn, args ...string) {
	t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(shortly))
	if got, err := c.do(args...); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v: got %v and error %v, want silence", args, got, err)
	}
	c.conn.SetReadDeadline(time.Now().Add(time.Minute))
}

// expectCut fails unless the connection was reset.
func expectCut(t *testing.T, c *respConn) {
	t.Helper()
	if n, err := c.r.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %d bytes and error %v, want a reset", n, err)
	}
}

// expectRejected fails unless a new connection is reset at once: before or
// after the client knows that it is connected.
func expectRejected(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got error %v, want a reset", err)
	}
}

// echo starts a server that sends back what it gets, and at the end ends.
func echo(t *testing.T) string {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestProxyForwardsBothWaysAndCounts(t *testing.T) {
	_, p := proxied(t)
	value := strings.Repeat("v", 3<<20)
	clients := []*respConn{dial(t, p.Addr()), dial(t, p.Addr())}
	ask(t, clients[0], "OK", "SET", "k", value)
	ask(t, clients[1], value, "GET", "k")
	got := p.Stats()
	if got.Accepted != 2 || got.Open != 2 || got.RequestBytes < 3<<20 || got.ReplyBytes < 3<<20 || got.ReplyBytes > 4<<20 {
		t.Errorf("got %+v", got)
	}
	clients[0].close()
	eventually(t, "the closed connection to be forgotten", func() error {
		if got := p.Stats(); got.Accepted != 2 || got.Open != 1 {
			return errors.New("it is there")
		}
		return nil
	})
}

func TestProxyForwardsAHalfClose(t *testing.T) {
	p := startedProxy(t, echo(t))
	conn := must(net.Dial("tcp", p.Addr()))(t).(*net.TCPConn)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	must(conn.Write([]byte("all of it")))(t)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "all of it" || err != nil {
		t.Fatalf("got %q and error %v", got, err)
	}
}

func TestDelayIsLatencyOfTheRoundTripAndNotThroughput(t *testing.T) {
	const delay = 200 * time.Millisecond
	p := startedProxy(t, echo(t))
	p.SetDelay(delay)
	conn := must(net.Dial("tcp", p.Addr()))(t)
	defer conn.Close()

	began := time.Now()
	one := make([]byte, 1)
	must(conn.Write(one))(t)
	must(io.ReadFull(conn, one))(t)
	if took := time.Since(began); took < delay {
		t.Errorf("a round trip took %v", took)
	}

	// 600 messages one after the other would take two minutes.
	conn.SetDeadline(time.Now().Add(time.Minute))
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 600 {
			conn.Write(one)
		}
	})
	must(io.ReadFull(conn, make([]byte, 600)))(t)
	wg.Wait()

	p.SetDelay(-1)
	must(conn.Write(one))(t)
	must(io.ReadFull(conn, one))(t)
}

func TestBytesKeepTheirOrderWhileTheDelayChanges(t *testing.T) {
	p := startedProxy(t, echo(t))
	conn := must(net.Dial("tcp", p.Addr()))(t)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	sent := make([]byte, 4<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 8)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range 64 {
			p.SetDelay(time.Duration(i%5) * 700 * time.Microsecond)
			conn.Write(sent[i<<16 : (i+1)<<16])
		}
	})
	got := make([]byte, len(sent))
	must(io.ReadFull(conn, got))(t)
	if !bytes.Equal(got, sent) {
		t.Error("the bytes differ")
	}
}

func TestCutResetsWhatIsOpenAndNothingElse(t *testing.T) {
	_, p := proxied(t)
	old := []*respConn{dial(t, p.Addr()), dial(t, p.Addr())}
	for _, c := range old {
		ask(t, c, "PONG", "PING")
	}
	p.Cut()
	for _, c := range old {
		expectCut(t, c)
	}
	ask(t, dial(t, p.Addr()), "PONG", "PING")
}

func TestCutInTheMiddleOfAReply(t *testing.T) {
	_, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "OK", "SET", "k", strings.Repeat("v", 100))
	p.CutAfterReplyBytes(16)
	must(c.conn.Write([]byte("GET k\r\n")))(t)
	got := make([]byte, 16)
	if _, err := io.ReadFull(c.r, got); err != nil || string(got) != "$100\r\nvvvvvvvvvv" {
		t.Fatalf("got %q and error %v", got, err)
	}
	expectCut(t, c)
	ask(t, dial(t, p.Addr()), "PONG", "PING") // only once
}

func TestReplyLostWithItsConnection(t *testing.T) {
	s, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "PONG", "PING")
	p.CutAfterReplyBytes(int64(len(":1\r\n")))
	ask(t, c, int64(1), "INCR", "k")
	if _, err := c.do("INCR", "k"); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got error %v", err)
	}
	expect(t, s, "2", "GET", "k")
}

func TestPendingCutCanBeCalledOff(t *testing.T) {
	_, p := proxied(t)
	c := dial(t, p.Addr())
	for _, callOff := range []func(){
		func() { p.CutAfterReplyBytes(-5) },
		func() { p.Resume() },
	} {
		p.CutAfterReplyBytes(0)
		callOff()
		ask(t, c, "PONG", "PING")
	}
}

func TestBlackHoleSwallowsRequestsAndNews(t *testing.T) {
	s, p := proxied(t)
	old, idle := dial(t, p.Addr()), dial(t, p.Addr())
	ask(t, old, "PONG", "PING")
	ask(t, idle, "PONG", "PING")
	p.BlackHole()
	askInVain(t, old, "SET", "k", "v")
	fresh := dial(t, p.Addr()) // accepted
	askInVain(t, fresh, "SET", "k", "v")
	expect(t, s, nil, "GET", "k")

	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	expectCut(t, old) // a stream with a hole must not go on
	expectCut(t, fresh)
	ask(t, idle, "PONG", "PING")
	expect(t, s, nil, "GET", "k")
}

func TestDeathBehindABlackHoleIsNotNoticed(t *testing.T) {
	s, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "PONG", "PING")
	p.BlackHole()
	s.Kill()
	askInVain(t, c, "PING")
	fresh := dial(t, p.Addr())
	askInVain(t, fresh, "PING")
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	expectCut(t, c)
	expectCut(t, fresh)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	ask(t, dial(t, p.Addr()), "PONG", "PING")
}

func TestLostRepliesAreOfExecutedRequests(t *testing.T) {
	s, p := proxied(t)
	c := dial(t, p.Addr())
	p.BlackHoleReplies()
	askInVain(t, c, "INCR", "k")
	askInVain(t, c, "INCR", "k")
	expectSoon(t, s, "2", "GET", "k")
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	expectCut(t, c)
	if got := p.Stats(); got.RequestBytes == 0 || got.ReplyBytes != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestStreamWithAHoleStaysSilentInASmallerBlackHole(t *testing.T) {
	s, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "PONG", "PING")
	p.BlackHole()
	askInVain(t, c, "PING")
	p.BlackHoleReplies()
	askInVain(t, c, "INCR", "k")
	expect(t, s, nil, "GET", "k")
	askInVain(t, dial(t, p.Addr()), "INCR", "k")
	expectSoon(t, s, "1", "GET", "k")
}

func TestRefusedConnectionsSpareTheOpenOnes(t *testing.T) {
	_, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "PONG", "PING")
	for range 2 {
		if err := p.RefuseNew(true); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkRefused(p.Addr()); err != nil {
		t.Fatal(err)
	}
	ask(t, c, "PONG", "PING")
	for _, accept := range []func() error{
		func() error { return p.RefuseNew(false) },
		p.Resume,
	} {
		if err := accept(); err != nil {
			t.Fatal(err)
		}
		ask(t, dial(t, p.Addr()), "PONG", "PING")
		if err := p.RefuseNew(true); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClientOfAnUnreachableServerIsCut(t *testing.T) {
	l := must(listenLocal())(t)
	l.Close()
	p := startedProxy(t, l.Addr().String())
	expectRejected(t, p.Addr())
}

func TestServersEndReachesTheClient(t *testing.T) {
	s, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "PONG", "PING")
	s.Kill()
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got error %v", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	_, p := proxied(t)
	p.mu.Lock()
	p.maxConns = 1
	p.mu.Unlock()
	ask(t, dial(t, p.Addr()), "PONG", "PING")
	expectRejected(t, p.Addr())
}

func TestClosedProxyIsGone(t *testing.T) {
	_, p := proxied(t)
	c := dial(t, p.Addr())
	ask(t, c, "PONG", "PING")
	p.SetDelay(time.Hour)
	must(c.conn.Write([]byte("PING\r\n")))(t)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	expectCut(t, c)
	if err := checkRefused(p.Addr()); err != nil {
		t.Error(err)
	}
	if err := p.Resume(); err != nil {
		t.Error(err)
	}
	if err := checkRefused(p.Addr()); err != nil {
		t.Error(err)
	}
}

func TestProxyNeedsAnAddress(t *testing.T) {
	if _, err := StartProxy("nonsense"); err == nil || !strings.Contains(err.Error(), "target") {
		t.Errorf("got error %v", err)
	}
}

func TestFaultsUnderTraffic(t *testing.T) {
	_, p := proxied(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := dialRESP("tcp", p.Addr(), "", "", time.Now().Add(shortly))
				if err != nil {
					continue
				}
				for err == nil {
					_, err = c.do("PING")
				}
				c.close()
			}
		})
	}
	for range 10 {
		p.SetDelay(time.Millisecond)
		p.CutAfterReplyBytes(1000)
		p.BlackHoleReplies()
		p.BlackHole()
		p.RefuseNew(true)
		p.Stats()
		if err := p.Resume(); err != nil {
			t.Error(err)
		}
		p.SetDelay(0)
		p.Cut()
		ask(t, dial(t, p.Addr()), "PONG", "PING")
	}
	close(stop)
	wg.Wait()
}
