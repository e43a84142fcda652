package httpkit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit/httpkit"
)

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func from(peer string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestHeadersOfStrangersAreNotBelieved(t *testing.T) {
	claims := []string{
		"X-Forwarded-For: 1.1.1.1", "X-Real-Ip: 1.1.1.1", "Forwarded: for=1.1.1.1", "True-Client-Ip: 1.1.1.1",
		"Cf-Connecting-Ip: 1.1.1.1", "X-Client-Ip: 1.1.1.1", "X-Forwarded: 1.1.1.1",
	}
	for name, c := range map[string]httpkit.ClientIP{
		"nobody is trusted":               {},
		"others are":                      {Trusted: prefixes("10.0.0.0/8", "1.1.1.1/32")},
		"others are, with another header": {Trusted: prefixes("10.0.0.0/8", "1.1.1.1/32"), Header: "X-Real-IP"},
		"others are, with Forwarded":      {Trusted: prefixes("10.0.0.0/8", "1.1.1.1/32"), Header: "Forwarded"},
	} {
		equal(t, name, c.Addr(from("203.0.113.9:4711", claims...)).String(), "203.0.113.9")
	}
}

func TestOnlyTheHeaderOfTheProxiesIsRead(t *testing.T) {
	r := from("10.0.0.1:80", "X-Real-Ip: 1.1.1.1", "Forwarded: for=2.2.2.2", "X-Forwarded-For: 3.3.3.3")
	for header, want := range map[string]string{
		"": "3.3.3.3", "x-forwarded-for": "3.3.3.3", "X-Real-IP": "1.1.1.1", "forwarded": "2.2.2.2", "X-Other": "10.0.0.1",
	} {
		c := httpkit.ClientIP{Trusted: prefixes("10.0.0.0/8"), Header: header}
		equal(t, "with "+header, c.Addr(r).String(), want)
	}
}

func TestXForwardedForIsWalkedFromTheRightOverTrustedHops(t *testing.T) {
	c := httpkit.ClientIP{Trusted: prefixes("10.0.0.0/8", "2001:db8:ffff::/48")}
	for _, row := range []struct {
		what, peer string
		lines      []string
		want       string
	}{
		{"no header", "10.0.0.1:80", nil, "10.0.0.1"},
		{"one hop", "10.0.0.1:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a claim before it", "10.0.0.1:80", []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"a claim to be a proxy", "10.0.0.1:80", []string{"1.1.1.1, 10.0.0.7, 203.0.113.9"}, "203.0.113.9"},
		{"two hops", "10.0.0.1:80", []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"without spaces", "10.0.0.1:80", []string{"1.1.1.1,203.0.113.9,10.0.0.2"}, "203.0.113.9"},
		{"with more of them", "10.0.0.1:80", []string{" 203.0.113.9 ,\t10.0.0.2 "}, "203.0.113.9"},
		{"several lines", "10.0.0.1:80", []string{"1.1.1.1", "203.0.113.9", "10.0.0.3, 10.0.0.2"}, "203.0.113.9"},
		{"a claim in a line of its own", "10.0.0.1:80", []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		{"all are ours", "10.0.0.1:80", []string{"10.0.0.3", "10.0.0.2"}, "10.0.0.3"},
		{"a peer with IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a client with IPv4 in IPv6", "10.0.0.1:80", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"a hop with IPv4 in IPv6", "10.0.0.1:80", []string{"203.0.113.9, ::ffff:10.9.9.9"}, "203.0.113.9"},
		{"an IPv6 proxy", "[2001:db8:ffff::1]:80", []string{"2001:db8::1"}, "2001:db8::1"},
		{"a zone", "[2001:db8:ffff::1%eth0]:80", []string{"fe80::1%eth1"}, "fe80::1"},
		{"a port", "10.0.0.1:80", []string{"203.0.113.9:5353"}, "203.0.113.9"},
		{"brackets", "10.0.0.1:80", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"brackets and a port", "10.0.0.1:80", []string{"[2001:db8::1]:5353"}, "2001:db8::1"},
		// Where a proxy did not know its peer, the chain ends; what is before is the client's claim.
		{"unknown", "10.0.0.1:80", []string{"1.1.1.1, unknown"}, "10.0.0.1"},
		{"unknown to the second", "10.0.0.1:80", []string{"1.1.1.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"an empty entry", "10.0.0.1:80", []string{"1.1.1.1, "}, "10.0.0.1"},
		{"an empty line", "10.0.0.1:80", []string{"1.1.1.1", ""}, "10.0.0.1"},
		{"a Unix socket", "10.0.0.1:80", []string{"1.1.1.1, unix:"}, "10.0.0.1"},
		{"leading zeros", "10.0.0.1:80", []string{"203.0.113.009"}, "10.0.0.1"},
		{"a number too large", "10.0.0.1:80", []string{"1.1.1.256"}, "10.0.0.1"},
		{"a port too large", "10.0.0.1:80", []string{"1.1.1.1:65536"}, "10.0.0.1"},
		{"half a bracket", "10.0.0.1:80", []string{"[2001:db8::1"}, "10.0.0.1"},
		{"the other half", "10.0.0.1:80", []string{"2001:db8::1]"}, "10.0.0.1"},
		{"brackets around IPv4", "10.0.0.1:80", []string{"[1.1.1.1]"}, "10.0.0.1"},
		{"a quoted one", "10.0.0.1:80", []string{`"1.1.1.1"`}, "10.0.0.1"},
		{"a name", "10.0.0.1:80", []string{"localhost"}, "10.0.0.1"},
		{"a network", "10.0.0.1:80", []string{"1.1.1.0/24"}, "10.0.0.1"},
		{"a peer without port", "10.0.0.1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a peer on a Unix socket", "@", []string{"1.1.1.1"}, "invalid IP"},
		{"no peer", "", []string{"1.1.1.1"}, "invalid IP"},
	} {
		var lines []string
		for _, l := range row.lines {
			lines = append(lines, "X-Forwarded-For: "+l)
		}
		equal(t, row.what, c.Addr(from(row.peer, lines...)).String(), row.want)
	}
}

func TestForwardedIsWalkedFromTheRightOverTrustedHops(t *testing.T) {
	c := httpkit.ClientIP{Trusted: prefixes("10.0.0.0/8"), Header: "Forwarded"}
	for _, row := range []struct {
		what  string
		lines []string
		want  string
	}{
		{"one hop", []string{"for=203.0.113.9"}, "203.0.113.9"},
		{"the examples of the RFC", []string{`For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17"},
		{"with more said", []string{"for=203.0.113.9;proto=http;by=203.0.113.43"}, "203.0.113.9"},
		{"in any order", []string{`proto=http; by="a;for=1.1.1.1" ; for = 203.0.113.9 `}, "203.0.113.9"},
		{"two hops", []string{"for=1.1.1.1, for=203.0.113.9;by=x, for=10.0.0.2"}, "203.0.113.9"},
		{"several lines", []string{"for=1.1.1.1", "for=203.0.113.9", "for=10.0.0.2"}, "203.0.113.9"},
		{"a quoted port", []string{`for="203.0.113.9:47011"`}, "203.0.113.9"},
		{"a comma in quotes", []string{`for=203.0.113.9;host="a, for=1.1.1.1"`}, "203.0.113.9"},
		{"a quote in quotes", []string{`for=203.0.113.9;host="a\", for=1.1.1.1"`}, "203.0.113.9"},
		{"a backslash in quotes", []string{`for=1.1.1.1, for=203.0.113.9;host="a\\"`}, "203.0.113.9"},
		// What a client leaves open reaches into nothing that a proxy wrote.
		{"an open quote before", []string{`for=1.1.1.1;x=", for=203.0.113.9`}, "203.0.113.9"},
		{"an open quote before quotes", []string{`for=1.1.1.1;x=", for="[2001:db8::1]"`}, "2001:db8::1"},
		{"an open escape before quotes", []string{`for=1.1.1.1;x="\, for="[2001:db8::1]"`}, "2001:db8::1"},
		{"an open quote in a line before", []string{`for=1.1.1.1;x="`, `for="[2001:db8::1]"`}, "2001:db8::1"},
		{"unknown", []string{"for=1.1.1.1, for=unknown"}, "10.0.0.1"},
		{"hidden", []string{`for=1.1.1.1, for="_gazonk"`}, "10.0.0.1"},
		{"nothing for", []string{"for=1.1.1.1, proto=http"}, "10.0.0.1"},
		{"two of them", []string{"for=1.1.1.1;for=2.2.2.2"}, "10.0.0.1"},
		{"half a quote", []string{`for="1.1.1.1`}, "10.0.0.1"},
		{"no value", []string{"for"}, "10.0.0.1"},
		{"an empty value", []string{`for=""`}, "10.0.0.1"},
		{"an empty element", []string{"for=1.1.1.1,"}, "10.0.0.1"},
	} {
		var lines []string
		for _, l := range row.lines {
			lines = append(lines, "Forwarded: "+l)
		}
		equal(t, row.what, c.Addr(from("10.0.0.1:80", lines...)).String(), row.want)
	}
}

// oracle is the walk by its definition: all lines are one list, and each entry counts only as far as all right of it are
// trusted.
func oracle(trusted []netip.Prefix, peer netip.Addr, lines []string) netip.Addr {
	isTrusted := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	chain := []netip.Addr{peer}
	list := strings.Split(strings.Join(lines, ","), ",")
	for i := len(list) - 1; i >= 0 && len(lines) > 0; i-- {
		entry := strings.Trim(list[i], " \t")
		a, err := netip.ParseAddr(entry)
		if err != nil {
			ap, perr := netip.ParseAddrPort(entry)
			switch inner, bracketed := strings.CutPrefix(entry, "["); {
			case perr == nil:
				a = ap.Addr()
			case bracketed && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":"):
				if a, err = netip.ParseAddr(strings.TrimSuffix(inner, "]")); err != nil {
					a = netip.Addr{}
				}
			default:
				a = netip.Addr{}
			}
		}
		chain = append(chain, a.Unmap().WithZone(""))
	}
	for i, a := range chain {
		if !a.IsValid() {
			return chain[i-1]
		}
		if !isTrusted(a) {
			return a
		}
	}
	return chain[len(chain)-1]
}

func FuzzXForwardedFor(f *testing.F) {
	f.Add("1.1.1.1, 203.0.113.9", "10.0.0.2", true)
	f.Add("[2001:db8::1]:80,,", "::ffff:10.0.0.1", true)
	f.Add("[[::1]], fe80::1%eth0", "unknown", true)
	f.Add("10.0.0.1,10.0.0.1", "", true)
	f.Add("1.1.1.1", "[1.1.1.1]:80", false)
	f.Fuzz(func(t *testing.T, one, two string, behindProxy bool) {
		c := httpkit.ClientIP{Trusted: prefixes("10.0.0.0/8")}
		r := &http.Request{RemoteAddr: "203.0.113.9:80", Header: http.Header{"X-Forwarded-For": {one, two}}}
		if behindProxy {
			r.RemoteAddr = "10.0.0.1:80"
		}
		got := c.Addr(r)
		if !behindProxy && got != netip.MustParseAddr("203.0.113.9") {
			t.Fatalf("%q and %q of a stranger made it %v", one, two, got)
		}
		peer := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		if want := oracle(c.Trusted, peer, []string{one, two}); got != want {
			t.Errorf("%q and %q make it %v, want %v", one, two, got, want)
		}
	})
}

func FuzzForwarded(f *testing.F) {
	f.Add(`for=1.1.1.1;x="\`, true)
	f.Add(`for="[2001:db8::1]:80";by=_x, for=10.0.0.3`, true)
	f.Add(`for=1.1.1.1, for="`, false)
	f.Fuzz(func(t *testing.T, claim string, behindProxy bool) {
		c := httpkit.ClientIP{Trusted: prefixes("10.0.0.0/8"), Header: "Forwarded"}
		if !behindProxy {
			r := &http.Request{RemoteAddr: "203.0.113.9:80", Header: http.Header{"Forwarded": {claim}}}
			if got := c.Addr(r); got != netip.MustParseAddr("203.0.113.9") {
				t.Fatalf("%q of a stranger made it %v", claim, got)
			}
			return
		}
		// Whatever a client claims, and on however many lines the proxy puts it, what the proxy adds counts.
		for _, added := range []string{`for=203.0.113.9`, `for="[2001:db8::1]:80";host="a,b\"c"`, `proto=https;for="203.0.113.9"`} {
			want := "203.0.113.9"
			if strings.Contains(added, "2001") {
				want = "2001:db8::1"
			}
			for _, lines := range [][]string{{claim, added}, {claim + ", " + added}, {claim + "," + added + ", for=10.0.0.7"}} {
				r := &http.Request{RemoteAddr: "10.0.0.1:80", Header: http.Header{"Forwarded": lines}}
				if got := c.Addr(r).String(); got != want {
					t.Errorf("%q made it %v, want %v", lines, got, want)
				}
			}
		}
	})
}
