package rediskit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// dialError marks an error of connecting: nothing was sent.
type dialError struct {
	addr string
	err  error
}

func (e *dialError) Error() string { return fmt.Sprintf("cannot connect to %s: %v", e.addr, e.err) }
func (e *dialError) Unwrap() error { return e.err }

// conns dials the connections of one client and knows those that are open, because the client library
// has no call to replace a connection that is alive but of no use: one to a primary that was demoted,
// or one whose server has gone silent.
type conns struct {
	mu   sync.Mutex
	open map[*conn]struct{}
	done bool

	making    atomic.Int64 // connections being made: until the server's first answer
	abandoned atomic.Int64 // commands given up on while in flight

	ctx  context.Context // ends all dialling
	stop context.CancelFunc
}

func newConns() *conns {
	ctx, stop := context.WithCancel(context.Background())
	return &conns{open: make(map[*conn]struct{}), ctx: ctx, stop: stop}
}

func (cs *conns) dial(ctx context.Context, addr string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
	cs.making.Add(1)
	made := false
	defer func() {
		if !made {
			cs.making.Add(-1)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	defer context.AfterFunc(cs.ctx, cancel)()

	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	raw, err := d.DialContext(ctx, network, addr)
	nc := raw
	if err == nil && t != nil {
		nc, err = handshake(ctx, raw, addr, t)
	}
	if err != nil {
		return nil, &dialError{addr: addr, err: plainDialError(err)}
	}
	c := &conn{Conn: nc, raw: raw, cs: cs, addr: addr, sentinel: isSentinelDialer(d)}
	c.abandoned.Store(cs.abandoned.Load())
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.done {
		nc.Close()
		return nil, &dialError{addr: addr, err: ErrClosed}
	}
	cs.open[c] = struct{}{}
	made = true
	return c, nil
}

// plainDialError drops what net.OpError repeats: the address is named by dialError already.
func plainDialError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" && op.Err != nil {
		return op.Err
	}
	return err
}

func handshake(ctx context.Context, nc net.Conn, addr string, t *tls.Config) (net.Conn, error) {
	if t.ServerName == "" && !t.InsecureSkipVerify {
		t = t.Clone()
		if host, _, err := net.SplitHostPort(addr); err == nil {
			t.ServerName = host
		}
	}
	tc := tls.Client(nc, t)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return tc, nil
}

// The client library hands the same dial function a different Dialer for sentinels than for data nodes.
// A Control function that does nothing is the mark of the former.
func sentinelDialer(d net.Dialer) net.Dialer {
	d.Control = func(string, string, syscall.RawConn) error { return nil }
	return d
}

func isSentinelDialer(d *net.Dialer) bool { return d.Control != nil }

// closeSilent closes the shared connections that have kept replies back for at least d.
func (cs *conns) closeSilent(d time.Duration) int {
	now := time.Now()
	return cs.closeIf(func(c *conn) bool { return c.silent(now) >= d })
}

// mostSilent returns how long the connection that has kept a reply back the longest has done so.
func (cs *conns) mostSilent() time.Duration {
	now := time.Now()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var longest time.Duration
	for c := range cs.open {
		longest = max(longest, c.silent(now))
	}
	return longest
}

func (cs *conns) closeIf(cond func(*conn) bool) int {
	cs.mu.Lock()
	var victims []*conn
	for c := range cs.open {
		if cond(c) {
			victims = append(victims, c)
		}
	}
	cs.mu.Unlock()
	for _, c := range victims {
		// Below TLS, whose own Close would wait to say goodbye. The client library closes the rest.
		c.raw.Close()
	}
	return len(victims)
}

// shut ends dialling and closes what is open. It comes after the client library's own Close.
func (cs *conns) shut() {
	cs.stop()
	cs.mu.Lock()
	cs.done = true
	cs.mu.Unlock()
	cs.closeIf(func(*conn) bool { return true })
}

// conn notes when the first and the last write since the last read were, to tell a silent server from an idle
// one, and from one that a blocking command waits at: that connection is written to once, a shared one goes on
// being written to, with pings at least.
type conn struct {
	net.Conn
	raw       net.Conn // below TLS, if there is TLS
	cs        *conns
	addr      string
	sentinel  bool
	waiting   atomic.Int64 // UnixNano of the first write that no read has followed; 0: none
	written   atomic.Int64 // UnixNano of the last write
	abandoned atomic.Int64 // what conns.abandoned was at the last read
	answered  atomic.Bool  // or closed; the server's first answer ends the making of the connection
	greeted   atomic.Bool  // that answer was no error
	refusal   string       // the error it was; one goroutine at a time reads
}

func (c *conn) Write(b []byte) (int, error) {
	now := time.Now().UnixNano()
	c.waiting.CompareAndSwap(0, now)
	c.written.Store(now)
	n, err := c.Conn.Write(b)
	if err != nil && !c.greeted.Load() {
		err = c.notMade(err)
	}
	return n, err
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.waiting.Store(0)
		c.abandoned.Store(c.cs.abandoned.Load())
		c.made()
	}
	if !c.greeted.Load() {
		switch {
		case n > 0 && b[0] == '-' && c.refusal == "":
			c.refusal, _, _ = strings.Cut(string(b[1:n]), "\r\n")
		case n > 0:
			c.greeted.Store(true)
		case err != nil:
			err = c.notMade(err)
		}
	}
	return n, err
}

// notMade marks an error of a connection that the client library has not handed out yet: it does so after the
// answer to its greeting, and until then sends nobody's commands. A server that has too many clients says so in
// place of that answer, and closes.
func (c *conn) notMade(err error) error {
	switch {
	case c.refusal != "" && !strings.Contains(strings.ToUpper(c.refusal), "HELLO"): // with which goes the password
		err = errors.New(c.refusal)
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The client library would replace the whole error.
		err = errNoGreeting
	}
	return &dialError{addr: c.addr, err: err}
}

var errNoGreeting = errors.New("connected, and then no answer")

func (c *conn) Close() error {
	c.cs.mu.Lock()
	delete(c.cs.open, c)
	c.cs.mu.Unlock()
	c.made()
	return c.Conn.Close()
}

func (c *conn) made() {
	if !c.answered.Load() && c.answered.CompareAndSwap(false, true) {
		c.cs.making.Add(-1)
	}
}

// silent returns for how long a server has kept back replies, if that is about to do harm: see abandonedMost.
func (c *conn) silent(now time.Time) time.Duration {
	const oneCommand = 20 * time.Millisecond // is written in less, in however many pieces
	waiting := c.waiting.Load()
	if waiting == 0 || c.written.Load()-waiting < int64(oneCommand) ||
		c.cs.abandoned.Load()-c.abandoned.Load() < abandonedMost {
		return 0
	}
	return now.Sub(time.Unix(0, waiting))
}
