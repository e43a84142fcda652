package httpkit

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tickettoken/rediskit/internal/admission"
)

// Key says on whose account a request goes. Keys are values: policies to which the same one is given, by means of a
// variable, are decided together.
type Key struct{ *key }

type key struct {
	of  func(*http.Request) string
	err error
}

// ByIP is a key of the client's address, of IPv6 its /64. Requests whose address is not known, as on a Unix socket, share
// one.
func ByIP(c ClientIP) Key {
	c.Trusted = slices.Clone(c.Trusted)
	bits := c.IPv6Bits
	switch {
	case bits == 0:
		bits = admission.DefaultIPv6Bits
	case bits < 0:
		bits = 128
	}
	return Key{&key{err: c.validate(), of: func(r *http.Request) string { return admission.Network(c.Addr(r), bits) }}}
}

// ByRoute is a key of the route: the pattern that a [http.ServeMux] has matched, so the middleware has to be around the handler
// that is registered with the mux. Around the mux itself there is no pattern yet, and all requests share one key. The
// path and the method are not looked at: a client who may choose them would get a new account with each.
func ByRoute() Key {
	return ByFunc(func(r *http.Request) string {
		if r.Pattern == "" {
			return "no route"
		}
		return r.Pattern
	})
}

// ByFunc is a key that the caller finds, such as the user's id. Where it is empty the policy does not apply: to a
// health check, or to who is not logged in. It is part of a key's name in Redis, so hash what is secret. Any bytes will do;
// what is longer than 200 is replaced by its SHA-256.
func ByFunc(of func(*http.Request) string) Key {
	if of == nil {
		return Key{&key{err: errors.New("the function is nil")}}
	}
	return Key{&key{of: of}}
}

// Join is a key of several: of an address and a route, say. It is empty where one of them is.
func Join(keys ...Key) Key {
	k := &key{}
	if len(keys) == 0 {
		k.err = errors.New("Join of no keys")
	}
	for i, part := range keys {
		switch {
		case part.key == nil:
			k.err = fmt.Errorf("Join: key %d is the zero Key", i)
		case part.err != nil:
			k.err = part.err
		}
	}
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	k.of = func(r *http.Request) string {
		var b strings.Builder
		for i, part := range keys {
			value := part.of(r)
			if value == "" {
				return ""
			}
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(escape.Replace(value))
		}
		return b.String()
	}
	return Key{k}
}
