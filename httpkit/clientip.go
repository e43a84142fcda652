package httpkit

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/tickettoken/rediskit/internal/admission"
)

// ClientIP finds the address that a request comes from. The zero ClientIP takes the peer of the connection, whatever headers
// claim: anybody can send those.
type ClientIP struct {
	// Trusted are the networks of the proxies in front of this server, and of nobody else: whoever is in them can
	// claim any address. Default: none.
	Trusted []netip.Prefix

	// Header is where these proxies write the address of whom they talk to. Other headers are not read, as a proxy
	// that does not write them passes on what a client made up. "Forwarded" is read as RFC 7239 has it, any other
	// as a list of addresses: "X-Real-IP" and the like are lists of one. Default: "X-Forwarded-For".
	Header string

	// IPv6Bits is how much of an IPv6 address [ByIP] looks at. Customers are given a whole /64, so that a limit on single
	// addresses would be none; some are given a /56 or /48. Default: 64. Negative: all 128.
	IPv6Bits int
}

const defaultIPHeader = "X-Forwarded-For"

// Addr is the client's address, IPv4 in IPv6 as IPv4 and without a zone. It is not valid where the peer has none, as on a
// Unix socket.
//
// If the peer is trusted, the header's last address, over all its lines, is the peer's peer; if that is trusted too, the one
// before is its peer; and so on to the first that is not trusted, which is the client. Everything before that is what the client
// says. Where the chain breaks, because an entry is missing or is no address, Addr is the last that it found.
func (c ClientIP) Addr(r *http.Request) netip.Addr {
	addr, ok := admission.ParseAddr(r.RemoteAddr)
	if !ok || !c.trusts(addr) {
		return addr
	}
	header := http.CanonicalHeaderKey(c.Header)
	if header == "" {
		header = defaultIPHeader
	}
	split, read := lastEntry, admission.ParseAddr
	if header == "Forwarded" {
		split, read = lastElement, forwardedFor
	}
	lines := r.Header[header]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			rest, entry, more = split(rest)
			next, ok := read(strings.Trim(entry, " \t"))
			if !ok {
				return addr
			}
			if addr = next; !c.trusts(addr) {
				return addr
			}
		}
	}
	return addr
}

func (c ClientIP) trusts(a netip.Addr) bool {
	for _, p := range c.Trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func (c ClientIP) validate() error {
	for i, p := range c.Trusted {
		switch {
		case !p.IsValid():
			return fmt.Errorf("ClientIP.Trusted[%d] is not valid", i)
		case p.Addr().Is4In6():
			return fmt.Errorf("ClientIP.Trusted[%d] is %v: write IPv4 as IPv4", i, p)
		case p.Bits() == 0:
			return fmt.Errorf("ClientIP.Trusted[%d] is %v: then everybody could claim any address", i, p)
		}
	}
	if c.Header != "" && len(c.Trusted) == 0 {
		return errors.New("ClientIP.Header is set and Trusted is empty: it would never be read")
	}
	if c.IPv6Bits > 128 {
		return fmt.Errorf("ClientIP.IPv6Bits is %d: want at most 128", c.IPv6Bits)
	}
	return nil
}

// lastEntry splits a list at its last comma.
func lastEntry(list string) (rest, entry string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// lastElement splits a list at the last comma outside of quotes. It goes from the end, where the trusted proxies have
// written, so that a quote which a client leaves open swallows nothing of theirs.
func lastElement(list string) (rest, element string, more bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"':
			if !quoted || !escaped(list, i) {
				quoted = !quoted
			}
		case list[i] == ',' && !quoted:
			return list[:i], list[i+1:], true
		}
	}
	return "", list, false
}

// escaped reports whether an odd number of backslashes is before s[i].
func escaped(s string, i int) bool {
	n := 0
	for i > n && s[i-n-1] == '\\' {
		n++
	}
	return n%2 == 1
}

// forwardedFor is the address of an element's one "for" parameter.
func forwardedFor(element string) (addr netip.Addr, ok bool) {
	for element != "" {
		var pair string
		pair, element = firstPair(element)
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.Trim(name, " \t"), "for") {
			continue
		}
		if ok { // a second one
			return netip.Addr{}, false
		}
		value = strings.Trim(value, " \t")
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1] // an address has nothing to escape
		}
		if addr, ok = admission.ParseAddr(value); !ok {
			return netip.Addr{}, false
		}
	}
	return addr, ok
}

// firstPair cuts at the first semicolon outside of quotes.
func firstPair(element string) (pair, rest string) {
	quoted := false
	for i := 0; i < len(element); i++ {
		switch c := element[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return element[:i], element[i+1:]
		}
	}
	return element, ""
}
