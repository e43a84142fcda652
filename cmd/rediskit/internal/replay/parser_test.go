package replay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLinesAreRead(t *testing.T) {
	for _, row := range []struct {
		line, host, user, request string
		at                        string // RFC 3339, in the zone of the line
	}{
		{`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
			"127.0.0.1", "frank", "GET /apache_pb.gif HTTP/1.0", "2000-10-10T13:55:36-07:00"},
		{`127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"`,
			"127.0.0.1", "-", "GET / HTTP/1.0", "2000-10-10T13:55:36-07:00"},
		{`2001:db8::1 - - [29/Feb/2024:23:59:59 +0530] "GET / HTTP/2.0" 304 - "-" "-"`,
			"2001:db8::1", "-", "GET / HTTP/2.0", "2024-02-29T23:59:59+05:30"},
		{`host.example - - [01/Jan/1970:00:00:00 +0000] "-" 408 0`,
			"host.example", "-", "-", "1970-01-01T00:00:00Z"},
		{`h - - [01/Jan/1970:00:00:00 -2359] "-" - -`, "h", "-", "-", "1970-01-01T00:00:00-23:59"},
		{`h - - [31/Dec/2199:23:59:59 -2359] "-" 200 0`, "h", "-", "-", "2199-12-31T23:59:59-23:59"},
		{`h - - [30/Jun/2015:23:59:60 +0000] "-" 200 0`, "h", "-", "-", "2015-07-01T00:00:00Z"},
		// Escaped quotes, an escaped backslash before the last quote, brackets, and a quoted look-alike.
		{`h - - [10/Oct/2000:13:55:36 +0000] "GET /\"a\\\"?x=[10/Oct/2000:13:55:36 +0000] HTTP/1.1\\" 200 1 "a \" b" "\\"`,
			"h", "-", `GET /\"a\\\"?x=[10/Oct/2000:13:55:36 +0000] HTTP/1.1\\`, "2000-10-10T13:55:36Z"},
		// A user with blanks and brackets, who tries to look like a time.
		{`h - jo [x] [11/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1 [10/Oct/2000:13:55:36 +0000] "GET /b HTTP/1.1" 401 9`,
			"h", `jo [x] [11/Oct/2000:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1`, "GET /b HTTP/1.1", "2000-10-10T13:55:36Z"},
		// Invalid UTF-8 and a NUL, fields that others add.
		{"h\xff - \xfe\x00 [10/Oct/2000:13:55:36 +0000] \"GET /\xff\x00 HTTP/1.1\" 200 1 \"-\" \"\x00\" 0.012 rt=3",
			"h\xff", "\xfe\x00", "GET /\xff\x00 HTTP/1.1", "2000-10-10T13:55:36Z"},
	} {
		var p parser
		var e entry
		if why := p.parse([]byte(row.line), &e); why != "" {
			t.Errorf("%s\nis malformed: %s", row.line, why)
			continue
		}
		at := time.Unix(e.at, 0).In(time.FixedZone("", e.zone)).Format(time.RFC3339)
		if string(e.host) != row.host || string(e.user) != row.user || string(e.request) != row.request || at != row.at {
			t.Errorf("%s\ngave host %q, user %q, request %q at %s", row.line, e.host, e.user, e.request, at)
		}
	}
}

func TestMalformedLinesHaveAReason(t *testing.T) {
	at := func(stamp string) string { return "h - - [" + stamp + `] "GET / HTTP/1.1" 200 1` }
	for line, want := range map[string]string{
		"":                                      noHost,
		" h - -":                                noHost,
		"h":                                     noHost,
		"\x00\x00h - -":                         noHost,
		"h\t- - [":                              noHost,
		"h -":                                   noIdent,
		"h  - - -":                              noIdent,
		"h - -":                                 noTime,
		"h - ":                                  noTime,
		"h - [10/Oct/2000:13:55:36 +0000] \"\"": noTime, // the user is missing
		"h - - [10/Oct/2000:13:55:36 +0000]":    noTime,
		"h - - [10/Oct/2000:13:55:36 +0000] GET /":        noTime,
		"h - - [2000-10-10T13:55:36+00:00] \"GET /\"":     noTime,
		"h - - [10/Oct/2000:13:55:36 +0000] \"GET /":      noEnd,
		"h - - [10/Oct/2000:13:55:36 +0000] \"GET /\\\" ": noEnd,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\"":         noStatus,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 20 1":    noStatus,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 2000 1":  noStatus,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\"200 1":    noStatus,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 200":     noSize,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 200 ":    noSize,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 200 x":   noSize,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 200 1x":  noSize,
		"h - - [10/Oct/2000:13:55:36 +0000] \"\" 200 -1":  noSize,
		at("29/Feb/2023:00:00:00 +0000"):                  badTime,
		at("31/Apr/2023:00:00:00 +0000"):                  badTime,
		at("00/Apr/2023:00:00:00 +0000"):                  badTime,
		at("32/Dec/2023:00:00:00 +0000"):                  badTime,
		at("01/Foo/2023:00:00:00 +0000"):                  badTime,
		at("01/jan/2023:00:00:00 +0000"):                  badTime,
		at("01/Jan/1969:23:59:59 +0000"):                  badTime,
		at("01/Jan/1970:00:00:00 +0001"):                  badTime, // before 1970 in UTC
		at("01/Jan/2200:00:00:00 +0000"):                  badTime,
		at("01/Jan/2023:24:00:00 +0000"):                  badTime,
		at("01/Jan/2023:00:60:00 +0000"):                  badTime,
		at("01/Jan/2023:00:00:61 +0000"):                  badTime,
		at("01/Jan/2023:00:00:00 +2400"):                  badTime,
		at("01/Jan/2023:00:00:00 +0060"):                  badTime,
		at("01/Jan/2023:00:00:00 00000"):                  badTime,
		at("01/Jan/2023 00:00:00 +0000"):                  badTime,
		at("0x/Jan/2023:00:00:00 +0000"):                  badTime,
	} {
		var p parser
		var e entry
		if why := p.parse([]byte(line), &e); why != want {
			t.Errorf("%q: got %q, want %q", line, why, want)
		}
	}
}

// A time that is wrong must not be taken for the one before, and the one after is read anew.
func TestOneTimeDoesNotLeakIntoTheNext(t *testing.T) {
	var p parser
	var e entry
	const day = 24 * 3600
	for _, row := range []struct {
		stamp string
		at    int64 // or -1
	}{
		{"00/Jan/1970:00:00:00 +0000", -1}, {"01/Jan/1970:00:00:00 +0000", 0}, {"01/Jan/1970:00:00:00 +0000", 0},
		{"02/Jan/1970:00:00:00 +0000", day}, {"02/Jan/1970:00:00:61 +0000", -1}, {"02/Jan/1970:00:00:01 +0000", day + 1},
		{"02/Jan/1970:00:00:01 -0001", day + 61},
	} {
		why := p.parse([]byte("h - - ["+row.stamp+`] "-" 200 1`), &e)
		if (why == "") != (row.at >= 0) || why == "" && e.at != row.at {
			t.Errorf("%s: %d, %q", row.stamp, e.at, why)
		}
	}
}

// oracle says the same as the parser, slowly, in regular expressions and with package time.
func oracle(line string) (e entry, ok bool) {
	m := oracleHead.FindStringSubmatch(line)
	if m == nil {
		return entry{}, false
	}
	rest := m[2]
	for i := 1; i < len(rest); i++ {
		if rest[i] != ' ' {
			continue
		}
		stamp := oracleStamp.FindStringSubmatch(rest[i:])
		if stamp == nil {
			continue
		}
		at, err := oracleTime(stamp[1])
		if err != nil {
			continue
		}
		tail := oracleTail.FindStringSubmatch(rest[i+len(stamp[0]):])
		if tail == nil {
			return entry{}, false
		}
		_, zone := at.Zone()
		return entry{at.Unix(), zone, []byte(m[1]), []byte(rest[:i]), []byte(tail[1])}, true
	}
	return entry{}, false
}

var (
	oracleHead  = regexp.MustCompile(`(?s)^([^\x00-\x20\x7f]+) [^ ]+ (.*)$`)
	oracleStamp = regexp.MustCompile(`^ \[(\d\d/(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:\d\d:\d\d:\d\d [+-](?:[01]\d|2[0-3])[0-5]\d)\] "`)
	oracleTail  = regexp.MustCompile(`(?s)^((?:[^"\\]|\\.)*)" (?:\d{3}|-) (?:\d+|-)(?: .*)?$`)
)

func oracleTime(stamp string) (time.Time, error) {
	leap := time.Duration(0)
	if stamp[18:20] == "60" {
		stamp, leap = stamp[:18]+"59"+stamp[20:], time.Second
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", stamp)
	if at = at.Add(leap); err == nil && (at.Unix() < 0 || stamp[7:9] < "19" || stamp[7:11] < "1970" || stamp[7:11] > "2199") {
		err = errors.New("beyond what is read")
	}
	return at, err
}

func agrees(t *testing.T, line string) {
	t.Helper()
	var p parser
	var e entry
	why := p.parse([]byte(line), &e)
	want, ok := oracle(line)
	if ok != (why == "") {
		t.Fatalf("%q\nparser: %q, %+v\noracle: %v", line, why, e, ok)
	}
	if ok && (e.at != want.at || e.zone != want.zone || string(e.host) != string(want.host) || string(e.user) != string(want.user) ||
		string(e.request) != string(want.request)) {
		t.Fatalf("%q\nparser: %+v\noracle: %+v", line, e, want)
	}
}

// Lines made of what lines are made of, in disorder, mostly almost right.
func TestTheParserAgreesWithAnOracle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{" ", " [", "] \"", `"`, `\"`, `\\`, "-", "h", "jo", "200", "1", " 200 1", "[", "]", "\x00", "\xff", "é", "\r", "\n", "\t",
		"GET / HTTP/1.1", "10/Oct/2000:13:55:36 -0700", "29/Feb/2100:00:00:00 +0000", "31/Dec/2199:23:59:60 -2359"}
	good := []string{"h", " ", "-", " ", "jo", " [", "10/Oct/2000:13:55:36 -0700", "] \"", "GET / HTTP/1.1", `"`, " ", "200", " ", "1", " ", `"a"`}
	read := 0
	for range 20_000 {
		line := slices.Clone(good[:len(good)-random.IntN(3)])
		for range random.IntN(4) {
			at := random.IntN(len(line))
			switch random.IntN(3) {
			case 0:
				line = slices.Delete(line, at, at+1)
			case 1:
				line = slices.Insert(line, at, parts[random.IntN(len(parts))])
			default:
				line[at] = parts[random.IntN(len(parts))]
			}
		}
		text := strings.Join(line, "")
		agrees(t, text)
		if _, ok := oracle(text); ok {
			read++
		}
	}
	if read < 4000 || read > 16_000 {
		t.Errorf("%d of 20,000 lines are good: that proves little", read)
	}
}

// The ends of the months, of some years, and every 29th of February.
func TestTheDaysAreThoseOfTheCalendar(t *testing.T) {
	for year := 1968; year <= 2201; year++ {
		for _, month := range []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"} {
			for _, day := range []int{0, 1, 29, 30, 31, 32} {
				if year%25 != 0 && (month != "Feb" || day != 29) {
					continue
				}
				agrees(t, fmt.Sprintf(`h - - [%02d/%s/%04d:12:34:56 +0200] "-" 200 1`, day, month, year))
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`)
	f.Add(`::1 - a [b] \" [29/Feb/2024:23:59:60 +1400] "GET /\"x\\ HTTP/1.1" - - "\"" "[x]" more`)
	f.Add("h\xff - \x00 [31/Dec/2199:00:00:00 -2359] \"\" 000 1\r")
	f.Fuzz(func(t *testing.T, line string) {
		agrees(t, line)
		var p parser
		var e entry
		if p.parse([]byte(line), &e) != "" {
			return
		}
		for _, text := range []string{"ip", "user", "path", "method", "host", "ip+method+path+user"} {
			key, err := ParseKey(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := key.append([]byte("before"), &e, networks{}); len(got) > longest+len("before") || string(got[:6]) != "before" {
				t.Errorf("%s is %d bytes: %q", text, len(got), got)
			}
		}
	})
}
