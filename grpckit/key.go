package grpckit

import (
	"context"
	"net/netip"

	"google.golang.org/grpc/peer"

	"github.com/tickettoken/rediskit/internal/admission"
)

// Key says on whose account a call goes. Keys are values: policies to which the same one is given, by means of a variable, are
// decided together.
type Key struct{ *key }

type key struct{ of func(call) string }

// ByPeer is a key of the address at the other end of the connection, of IPv6 its /64, because a customer has a
// whole one. Metadata is not looked at: anybody can send it. Behind a proxy the peer is the proxy; what that says of its
// own peer is for [ByFunc]. Peers without an address, as on a Unix socket, share one key.
func ByPeer() Key {
	return Key{&key{func(c call) string {
		var addr netip.Addr
		if p, ok := peer.FromContext(c.ctx); ok && p.Addr != nil {
			addr, _ = admission.ParseAddr(p.Addr.String())
		}
		return admission.Network(addr, admission.DefaultIPv6Bits)
	}}}
}

// ByMethod is a key of the full method, "/package.Service/Method". With a [google.golang.org/grpc.UnknownServiceHandler] clients
// may make methods up, and get a new account with each.
func ByMethod() Key { return Key{&key{func(c call) string { return c.method }}} }

// ByFunc is a key that the caller finds, such as the id of who is authenticated. Where it is empty the policy does not
// apply. It is part of a key's name in Redis, so hash what is secret. Any bytes will do; what is longer than 200 is replaced by
// its SHA-256. [google.golang.org/grpc.Method] tells the method.
//
// A nil function is a mistake that RateLimit reports.
func ByFunc(of func(ctx context.Context) string) Key {
	if of == nil {
		return Key{}
	}
	return Key{&key{func(c call) string { return of(c.ctx) }}}
}
