package admission

import (
	"net/netip"
	"strings"
)

// DefaultIPv6Bits is the prefix that a single customer usually has all of.
const DefaultIPv6Bits = 64

// ParseAddr reads an address as peers and proxies give it: with or without a port, brackets and a zone. IPv4 in IPv6 is
// IPv4, and the zone is dropped.
func ParseAddr(s string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		a, err := netip.ParseAddr(inner[:len(inner)-1])
		return plain(a), err == nil && a.Is6()
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return plain(a), true
	}
	ap, err := netip.ParseAddrPort(s)
	return plain(ap.Addr()), err == nil
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// Network names who is behind an address: the address itself, of IPv6 only its first bits, and "unknown" for none.
func Network(a netip.Addr, bits int) string {
	if !a.IsValid() {
		return "unknown"
	}
	if a.Is4() || bits >= 128 {
		return a.String()
	}
	p, err := a.Prefix(bits)
	if err != nil { // bits was checked
		return a.String()
	}
	return p.String()
}
