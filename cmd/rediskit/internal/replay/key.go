package replay

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/tickettoken/rediskit/internal/admission"
)

// Key says what of a request is limited: its fields, in order.
type Key struct {
	text   string
	fields []field
}

type field func(dst []byte, e *entry, n networks) []byte

var (
	fieldNames = []string{"ip", "host", "user", "path", "method"}
	fieldFuncs = []field{appendNetwork, appendHost, appendUser, appendPath, appendMethod}
)

// ParseKey reads the name of a field, or several with a + between them:
//
//	ip      the address, of IPv6 its /64, as httpkit.ByIP has it
//	host    what stands in the place of the address
//	user    the name the client logged in with
//	path    without the query
//	method  GET, for example
func ParseKey(text string) (Key, error) {
	k := Key{text: text}
	names := strings.Split(text, "+")
	for n, name := range names {
		i := slices.Index(fieldNames, name)
		switch {
		case i < 0:
			return Key{}, fmt.Errorf("%q: want %s, or several with a + between them", text, strings.Join(fieldNames, ", "))
		case slices.Contains(names[:n], name):
			return Key{}, fmt.Errorf("%q has %s twice", text, name)
		}
		k.fields = append(k.fields, fieldFuncs[i])
	}
	return k, nil
}

func (k Key) String() string { return k.text }

// longest is how many bytes of a key are kept. Of a longer one, a hash stands for the rest.
const longest = 256

// append adds the key of a request to dst. If the request lacks one of the fields, it adds nothing.
func (k Key) append(dst []byte, e *entry, n networks) []byte {
	start := len(dst)
	for i, field := range k.fields {
		if i > 0 {
			dst = append(dst, ' ')
		}
		before := len(dst)
		if dst = field(dst, e, n); len(dst) == before {
			return dst[:start]
		}
	}
	if len(dst)-start > longest {
		const kept = longest - len("…0123456789abcdef")
		h := fnv.New64a()
		h.Write(dst[start+kept:])
		dst = fmt.Appendf(dst[:start+kept], "…%016x", h.Sum64())
	}
	return dst
}

// networks are those of the IPv6 addresses seen last: to look one up is faster than to read it again.
type networks map[string]string

const mostNetworks = 50_000

func appendNetwork(dst []byte, e *entry, n networks) []byte {
	if bytes.IndexByte(e.host, ':') < 0 {
		return appendText(dst, e.host)
	}
	network, ok := n[string(e.host)]
	if !ok {
		network = string(e.host)
		if a, ok := admission.ParseAddr(network); ok {
			network = admission.Network(a, admission.DefaultIPv6Bits)
		}
		if len(n) == mostNetworks {
			clear(n)
		}
		if len(e.host) < longest {
			n[string(e.host)] = network
		}
	}
	return append(dst, network...)
}

// appendText leaves out the dash that stands for nothing.
func appendText(dst, text []byte) []byte {
	if len(text) == 1 && text[0] == '-' {
		return dst
	}
	return append(dst, text...)
}

func appendHost(dst []byte, e *entry, _ networks) []byte { return appendText(dst, e.host) }

func appendUser(dst []byte, e *entry, _ networks) []byte { return appendText(dst, e.user) }

func appendMethod(dst []byte, e *entry, _ networks) []byte {
	method, _ := target(e.request)
	return append(dst, method...)
}

// appendPath is without the query.
func appendPath(dst []byte, e *entry, _ networks) []byte {
	_, path := target(e.request)
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	return append(dst, path...)
}

// target takes a request apart: "GET /index.html HTTP/1.1". Neither is there if it is no HTTP, as when somebody speaks
// TLS to a port for plain text.
func target(request []byte) (method, path []byte) {
	i := bytes.IndexByte(request, ' ')
	if i <= 0 || i == len(request)-1 {
		return nil, nil
	}
	method, path = request[:i], request[i+1:]
	for _, c := range method {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '-' {
				return nil, nil
			}
		}
	}
	if i = bytes.LastIndexByte(path, ' '); i >= 0 && bytes.HasPrefix(path[i+1:], []byte("HTTP/")) {
		path = path[:i]
	}
	return method, path
}
