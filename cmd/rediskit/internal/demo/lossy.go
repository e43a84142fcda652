package demo

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/embedded"
)

// lossy is a server with a client whose connection can be broken in the worst moment: when the server has done
// what it was asked to, and its reply is on the way.
type lossy struct {
	server *embedded.Server
	raw    rueidis.Client
	client *rediskit.Client
	armed  atomic.Bool
}

func startLossy() (*lossy, error) {
	server, err := embedded.Start()
	if err != nil {
		return nil, err
	}
	l := &lossy{server: server}
	l.raw, err = rueidis.NewClient(rueidis.ClientOption{
		InitAddress:       []string{server.Addr()},
		ForceSingleClient: true,
		DisableCache:      true,
		DisableRetry:      true,
		PipelineMultiplex: -1, // one connection, made at once, so that the next reply is the next command's
		DialCtxFn: func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			conn, err := d.DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return &lossyConn{conn, &l.armed}, nil
		},
	})
	if err != nil {
		server.Close()
		return nil, err
	}
	l.client = rediskit.Wrap(l.raw)
	return l, nil
}

func (l *lossy) breakNextReply() { l.armed.Store(true) }

func (l *lossy) close() {
	l.client.Close()
	l.raw.Close()
	l.server.Close()
}

type lossyConn struct {
	net.Conn
	armed *atomic.Bool
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.armed.CompareAndSwap(true, false) {
		c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
