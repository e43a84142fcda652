package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	maxProxyConns  = 1024
	proxyDialBound = 10 * time.Second
	relistenBound  = 10 * time.Second
)

// FaultProxy is a TCP proxy in front of one server, which does to connections
// what networks do. It forwards everything until told otherwise. Its methods
// may be called concurrently and take effect at once, also on the connections
// that exist.
//
// No connection ever continues with a hole in its stream, as no real one does:
// a connection that lost bytes to a black hole gets nothing more and is cut by
// Resume.
//
// At most 1024 connections are open at a time, further ones are cut; at most
// 4 MiB are in flight in each direction of each.
type FaultProxy struct {
	target   string
	addr     string
	maxConns int
	ctx      context.Context // ends with Close, for dialing
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu           sync.Mutex
	listener     net.Listener // nil while refusing
	conns        map[*proxyConn]struct{}
	oneWay       time.Duration
	holeRequests bool
	holeReplies  bool
	cutAfter     int64 // reply bytes that still pass before a cut; -1: no cut
	stats        ProxyStats
	closed       bool
}

// ProxyStats counts what a FaultProxy has done since it was started.
type ProxyStats struct {
	Accepted     int64 // connections, ever
	Open         int   // connections, now
	RequestBytes int64 // forwarded from clients to the server
	ReplyBytes   int64 // forwarded from the server to clients
}

// proxyConn is a client's connection and the one to the server that belongs
// to it. The proxy's mutex guards the fields.
type proxyConn struct {
	client net.Conn
	server net.Conn // nil until dialed, and for good if that failed
	closed chan struct{}

	// A black hole swallowed something in that direction, which stays silent.
	lostRequests, lostReplies bool
}

// StartProxy starts a proxy to a TCP address on a free port of 127.0.0.1. The
// server need not be up yet: a client whose server cannot be reached is cut.
func StartProxy(target string) (*FaultProxy, error) {
	if _, _, err := net.SplitHostPort(target); err != nil {
		return nil, fmt.Errorf("redistest: target: %w", err)
	}
	l, err := listenLocal()
	if err != nil {
		return nil, err
	}
	p := &FaultProxy{
		target:   target,
		addr:     l.Addr().String(),
		maxConns: maxProxyConns,
		conns:    make(map[*proxyConn]struct{}),
		cutAfter: -1,
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.listen(l)
	return p, nil
}

// Addr returns the address that clients connect to. It never changes.
func (p *FaultProxy) Addr() string { return p.addr }

// SetDelay makes every round trip d longer from now on: each byte leaves half
// of d after it arrived, in either direction. It is latency only: pipelined
// bytes stay as close together as they were. Connecting is not delayed, the
// end of a connection is. Zero or less means no delay.
func (p *FaultProxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oneWay = max(d, 0) / 2
}

// Cut resets all connections, as a firewall that forgot them does. New ones
// work.
func (p *FaultProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAll()
}

// CutAfterReplyBytes lets n more bytes through from the server to clients,
// over all connections together, and resets all connections in place of the
// next one: a reply cut in the middle, or with n of zero, a reply lost with
// its connection. It happens once; a negative n calls it off.
func (p *FaultProxy) CutAfterReplyBytes(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAfter = max(n, -1)
}

// BlackHole makes the network swallow everything, both ways, until Resume:
// connections stay open and new ones are accepted, but nothing arrives, not
// even the end of a connection whose other side is gone. With a killed server
// behind it, this is a machine that lost its power.
func (p *FaultProxy) BlackHole() { p.setHoles(true, true) }

// BlackHoleReplies lets requests through and swallows the replies until
// Resume: the server executes what its client never hears of.
func (p *FaultProxy) BlackHoleReplies() { p.setHoles(false, true) }

func (p *FaultProxy) setHoles(requests, replies bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holeRequests, p.holeReplies = requests, replies
}

// RefuseNew closes the listening port, so that new connections are refused,
// or opens it again. Existing connections are left alone. The error is that
// another process took the port in the meantime.
func (p *FaultProxy) RefuseNew(refuse bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuse(refuse)
}

func (p *FaultProxy) refuse(refuse bool) error {
	switch {
	case p.closed || refuse == (p.listener == nil):
		return nil
	case refuse:
		p.listener.Close()
		p.listener = nil
		return nil
	}
	var l net.Listener
	err := poll(relistenBound, "port "+p.addr, func() (err error) {
		l, err = net.Listen("tcp", p.addr)
		return err
	})
	if err != nil {
		return err
	}
	p.listen(l)
	return nil
}

// Resume ends black holes, refusal and a pending CutAfterReplyBytes, and cuts
// the connections that lost bytes. A delay stays. The error is RefuseNew's.
func (p *FaultProxy) Resume() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holeRequests, p.holeReplies = false, false
	p.cutAfter = -1
	for c := range p.conns {
		if c.lostRequests || c.lostReplies {
			p.cut(c)
		}
	}
	return p.refuse(false)
}

// Stats returns the counters. Bytes count when they are handed to the system
// for sending.
func (p *FaultProxy) Stats() ProxyStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.stats
	stats.Open = len(p.conns)
	return stats
}

// Close cuts all connections, stops listening and waits for the proxy's
// goroutines. It may be called twice.
func (p *FaultProxy) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.refuse(true)
		p.closed = true
		p.cancel()
		p.cutAll()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return nil
}

// listen accepts connections until the listener is closed.
func (p *FaultProxy) listen(l net.Listener) {
	p.listener = l
	p.wg.Go(func() {
		for {
			client, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // the client is gone already, or we are out of files
				time.Sleep(pollInterval)
				continue
			}
			p.admit(client)
		}
	})
}

func (p *FaultProxy) admit(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Accepted++
	if p.closed || len(p.conns) >= p.maxConns {
		reset(client)
		return
	}
	c := &proxyConn{client: client, closed: make(chan struct{})}
	p.conns[c] = struct{}{}
	p.wg.Go(func() { p.serve(c) })
}

// serve connects to the server and forwards until both directions have ended.
func (p *FaultProxy) serve(c *proxyConn) {
	server, err := (&net.Dialer{Timeout: proxyDialBound}).DialContext(p.ctx, "tcp", p.target)
	p.mu.Lock()
	_, open := p.conns[c]
	switch {
	case err == nil && open:
		c.server = server
	case err == nil:
		reset(server)
	case p.holeReplies:
		c.lostReplies = true // nobody hears that the server is gone
	default:
		p.cut(c)
	}
	p.mu.Unlock()

	var both sync.WaitGroup
	if c.server != nil {
		both.Go(func() { p.forward(c, c.server, c.client, true) })
		both.Go(func() { p.forward(c, c.client, c.server, false) })
	} else {
		io.Copy(io.Discard, c.client)
	}
	both.Wait()

	p.mu.Lock()
	defer p.mu.Unlock()
	if _, open := p.conns[c]; open {
		delete(p.conns, c)
		close(c.closed)
		c.client.Close()
		if c.server != nil {
			c.server.Close()
		}
	}
}

// forward carries bytes from src to dst until src ends or the connection is
// cut. Replies are what goes to the client.
func (p *FaultProxy) forward(c *proxyConn, src, dst net.Conn, replies bool) {
	line := newDelayLine(lineMost)
	defer line.close()
	var filling sync.WaitGroup
	filling.Go(func() { line.fill(src, p.delay, c.closed) })
	defer filling.Wait()
	dead := false // dst takes no more
	for {
		chunk, err := line.next(c.closed)
		if err != nil {
			p.end(c, dst, replies, err)
			return
		}
		pass, cut := p.pass(c, replies, len(chunk))
		if pass > 0 && !dead {
			if _, err := dst.Write(chunk[:pass]); err != nil {
				// The news that dst is gone travels the other way.
				dead = true
				p.end(c, src, !replies, err)
			}
		}
		if cut {
			p.cutDue()
		}
		line.take(len(chunk))
	}
}

func (p *FaultProxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.oneWay
}

// pass decides about n bytes in line: how many to forward, and whether to cut
// everything then.
func (p *FaultProxy) pass(c *proxyConn, replies bool, n int) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost(c, replies) {
		return 0, false
	}
	if replies && p.cutAfter >= 0 {
		if cut = int64(n) > p.cutAfter; cut {
			n = int(p.cutAfter)
		}
		p.cutAfter -= int64(n)
	}
	if replies {
		p.stats.ReplyBytes += int64(n)
	} else {
		p.stats.RequestBytes += int64(n)
	}
	return n, cut
}

// end tells dst that the other side is gone, in the way it went, unless a
// black hole swallows that too.
func (p *FaultProxy) end(c *proxyConn, dst net.Conn, replies bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.lost(c, replies):
	case errors.Is(err, io.EOF):
		if half, ok := dst.(*net.TCPConn); ok {
			half.CloseWrite()
		}
	default:
		p.cut(c)
	}
}

// lost reports whether what goes in a direction now disappears, and remembers
// that it did.
func (p *FaultProxy) lost(c *proxyConn, replies bool) bool {
	if replies {
		c.lostReplies = c.lostReplies || p.holeReplies
		return c.lostReplies
	}
	c.lostRequests = c.lostRequests || p.holeRequests
	return c.lostRequests
}

// cutDue does what CutAfterReplyBytes announced, unless that has happened or
// was called off.
func (p *FaultProxy) cutDue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cutAfter == 0 {
		p.cutAfter = -1
		p.cutAll()
	}
}

func (p *FaultProxy) cutAll() {
	for c := range p.conns {
		p.cut(c)
	}
}

// cut resets both sides of a connection, once.
func (p *FaultProxy) cut(c *proxyConn) {
	if _, open := p.conns[c]; !open {
		return
	}
	delete(p.conns, c)
	close(c.closed)
	reset(c.client)
	if c.server != nil {
		reset(c.server)
	}
}

// reset closes with RST instead of FIN.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
