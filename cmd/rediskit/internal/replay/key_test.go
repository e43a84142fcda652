package replay

import (
	"fmt"
	"strings"
	"testing"
)

func keyOf(t *testing.T, key, line string) string {
	t.Helper()
	var p parser
	var e entry
	if why := p.parse([]byte(line), &e); why != "" {
		t.Fatal(why)
	}
	return string(parsedKey(t, key).append(nil, &e, networks{}))
}

func TestAKeyIsMadeOfFields(t *testing.T) {
	request := func(r string) string { return `::1 - jo do [10/Oct/2000:13:55:36 -0700] "` + r + `" 200 1` }
	for _, row := range []struct{ key, line, want string }{
		{"host", request("GET /a?b=c HTTP/1.1"), "::1"},
		{"user", request("GET /a?b=c HTTP/1.1"), "jo do"},
		{"path", request("GET /a?b=c HTTP/1.1"), "/a"},
		{"method", request("GET /a?b=c HTTP/1.1"), "GET"},
		{"ip+path", request("GET /a?b=c HTTP/1.1"), "::/64 /a"},
		{"method+path+ip+user", request("GET /a HTTP/1.1"), "GET /a ::/64 jo do"},
		{"path", request("GET /a b c?d HTTP/2.0"), "/a b c"},
		{"path", request("GET /old"), "/old"},
		{"path", request("GET /%2e%2e/\\x01\\\" HTTP/1.1"), `/%2e%2e/\x01\"`},
		{"path", request("OPTIONS * HTTP/1.1"), "*"},
		{"path", request("GET http://x/y?z HTTP/1.1"), "http://x/y"},
		{"method", request("M-SEARCH * HTTP/1.1"), "M-SEARCH"},

		// Without a key.
		{"path", request("-"), ""},
		{"path", request(""), ""},
		{"path", request("GET "), ""},
		{"path", request("GET ?x HTTP/1.1"), ""},
		{"path", request(`\x16\x03\x01 \x00`), ""},
		{"method", request(`\x16\x03\x01`), ""},
		{"ip+path", request("-"), ""},
		{"user", `::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1`, ""},
		{"ip+user", `::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1`, ""},
		{"ip", `- - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1`, ""},
	} {
		if got := keyOf(t, row.key, row.line); got != row.want {
			t.Errorf("%s of %s is %q, want %q", row.key, row.line, got, row.want)
		}
	}
}

func TestLongKeysAreShortenedAndStayApart(t *testing.T) {
	line := func(path string) string {
		return `::1 - - [10/Oct/2000:13:55:36 -0700] "GET ` + path + ` HTTP/1.1" 200 1`
	}
	long := "/" + strings.Repeat("x", longest-1)
	if got := keyOf(t, "path", line(long)); got != long {
		t.Errorf("a key of %d bytes became %q", longest, got)
	}
	one, two := keyOf(t, "path", line(long+"1")), keyOf(t, "path", line(long+"2"))
	if one == two || len(one) != longest || one[:200] != long[:200] {
		t.Errorf("got %q and %q", one, two)
	}
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":        `"": want ip, host, user, path, method, or several with a + between them`,
		"hosts":   `"hosts": want ip, host`,
		"ip,path": `"ip,path": want ip, host`,
		"ip+":     `"ip+": want ip, host`,
		"ip+ip":   `"ip+ip" has ip twice`,
	} {
		if _, err := ParseKey(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// As in httpkit: whoever has one address of a /64 mostly has all of them.
func TestAnIPv6AddressCountsAsItsNetwork(t *testing.T) {
	n := networks{}
	for host, want := range map[string]string{
		"2001:db8:0:1::1": "2001:db8:0:1::/64", "2001:DB8:0:1:ffff::2": "2001:db8:0:1::/64", "::ffff:192.0.2.1": "192.0.2.1", "192.0.2.1": "192.0.2.1",
		"fe80::1%eth0": "fe80::/64", "unix:": "unix:", "a:b": "a:b", "::" + strings.Repeat("1", longest-2): "::" + strings.Repeat("1", longest-2),
	} {
		for range 2 { // known the second time
			if got := string(appendNetwork(nil, &entry{host: []byte(host)}, n)); got != want {
				t.Errorf("%s is %q, want %q", host, got, want)
			}
		}
	}
	for i := range 2 * mostNetworks {
		appendNetwork(nil, &entry{host: fmt.Appendf(nil, "2001:db8::%x:%x", i>>16, i&0xffff)}, n)
	}
	if len(n) > mostNetworks {
		t.Errorf("it remembers %d", len(n))
	}
}
