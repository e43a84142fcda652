package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestScanListsTheKeysThatMatch(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		prefix := rand.Text() + ":"
		names := numbered(prefix+"yes:", 250)
		fill(t, c, names)
		fill(t, c, numbered(prefix+"no:", 50))

		got := lines(succeeds(t, "scan", prefix+"yes:*", "--url", url))
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) {
			t.Errorf("%d keys listed, want %d", len(got), len(names))
		}
		if out := succeeds(t, "count", prefix+"*", "--url", url); out != "300\n" {
			t.Errorf("counted %q", out)
		}
	})
}

func TestScanAndCountGoByType(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		key := rediskittest.Keys(t)
		fill(t, c, []string{key("string")})
		hash(t, c, key("hash"))
		if out := succeeds(t, "scan", key("*"), "--type", "hash", "--url", url); out != key("hash")+"\n" {
			t.Errorf("listed %q", out)
		}
		if out := succeeds(t, "count", key("*"), "--type", "string", "--url", url); out != "1\n" {
			t.Errorf("counted %q", out)
		}
	})
}

func TestScanTellsAboutEachKey(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		key := rediskittest.Keys(t)
		fill(t, c, []string{key("a")})
		hash(t, c, key("b"))

		got := lines(succeeds(t, "scan", key("*"), "--info", "--url", url))
		slices.Sort(got[1:])
		want := []string{
			`TYPE           TTL       SIZE  KEY`,
			`hash          none       \d+ B  ` + regexp.QuoteMeta(key("b")),
			`string   (10m|9m59s|9m58s) +\d+ B  ` + regexp.QuoteMeta(key("a")),
		}
		if len(got) != len(want) {
			t.Fatalf("printed %q", got)
		}
		for i := range want {
			if !regexp.MustCompile("^" + strings.ReplaceAll(want[i], "  ", " +") + "$").MatchString(got[i]) {
				t.Errorf("line %d is %q, want %q", i, got[i], want[i])
			}
		}

		for _, line := range lines(succeeds(t, "scan", key("*"), "--info", "--json", "--url", url)) {
			var row struct {
				Key, Type, Encoding string
				TTL                 *int64 `json:"ttl_ms"`
				Size                int64
			}
			decodeStrictly(t, line, &row)
			expires := row.TTL != nil && *row.TTL > 0
			if row.Type == "" || row.Size <= 0 || row.Encoding == "" || expires != (row.Key == key("a")) {
				t.Errorf("line %s", line)
			}
		}
	})
}

// Many pages of keys, whose info is asked for in groups.
func TestScanTellsAboutManyKeys(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	prefix := rand.Text() + ":"
	fill(t, c, numbered(prefix, 1234))
	got := lines(succeeds(t, "scan", prefix+"*", "--info", "--url", urlOf(t, rediskittest.OnSingle)))
	if len(got) != 1235 {
		t.Errorf("%d lines", len(got))
	}
}

func TestNoKeyBreaksTheListing(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	url := urlOf(t, rediskittest.OnSingle)
	prefix := rand.Text() + ":"
	hostile := []string{
		prefix + "two\nlines", prefix + "\x1b[2Jclear", prefix + "\xff\xfe", prefix + `<a & "b">`, prefix + "Zürich",
	}
	fill(t, c, hostile)

	got := lines(succeeds(t, "scan", prefix+"*", "--url", url))
	slices.Sort(got)
	want := []string{
		`"` + prefix + `\x1b[2Jclear"`, `"` + prefix + `\xff\xfe"`, `"` + prefix + `two\nlines"`,
		prefix + `<a & "b">`, prefix + "Zürich",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}

	var back []string
	for _, line := range lines(succeeds(t, "scan", prefix+"*", "--json", "--url", url)) {
		var row struct {
			Key    string
			Base64 []byte `json:"key_base64"`
		}
		decodeStrictly(t, line, &row)
		back = append(back, row.Key+string(row.Base64))
	}
	slices.Sort(back)
	slices.Sort(hostile)
	if !slices.Equal(back, hostile) {
		t.Errorf("got %q back, want %q", back, hostile)
	}
}

func TestAnEmptyKeyIsAKeyInJSON(t *testing.T) {
	var b strings.Builder
	l := newListing(&app{out: &b}, false, true)
	l.line("", nil)
	l.flush(t.Context())
	if b.String() != `{"key":""}`+"\n" || l.err != nil {
		t.Errorf("got %q, %v", b.String(), l.err)
	}
}

func TestALimitThatWasAskedForIsNoFailure(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	url := urlOf(t, rediskittest.OnSingle)
	prefix := rand.Text() + ":"
	fill(t, c, numbered(prefix, 20))

	o := rediskitRuns(t.Context(), "scan", prefix+"*", "--limit", "5", "--url", url)
	if o.code != exitDone || len(lines(o.out)) != 5 || !strings.Contains(o.errs, "stopped after 5 keys, and more match") {
		t.Errorf("got %+v", o)
	}
	if got := lines(succeeds(t, "scan", prefix+"*", "--limit", "20", "--url", url)); len(got) != 20 {
		t.Errorf("%d keys", len(got))
	}
}

func TestTheDefaultLimitIsAFailureAndCanBeTurnedOff(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	url := urlOf(t, rediskittest.OnSingle)
	prefix := rand.Text() + ":"
	names := numbered(prefix, 10_001)
	fill(t, c, names)

	o := fails(t, exitFailed, "scan", prefix+"*", "--url", url)
	if len(lines(o.out)) != 10_000 || !strings.Contains(o.errs, "stopped after 10,000 keys") {
		t.Errorf("%d lines, stderr %q", len(lines(o.out)), o.errs)
	}
	if got := lines(succeeds(t, "scan", prefix+"*", "--limit", "-1", "--url", url)); len(got) != len(names) {
		t.Errorf("%d lines without a limit", len(got))
	}
	succeeds(t, "delete", prefix+"*", "--yes", "--rate", "-1", "--url", url)
}

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	prefix := rand.Text() + ":"
	fill(t, c, numbered(prefix, 3))
	for _, args := range [][]string{{"scan", prefix + "*"}, {"count", prefix + "*"}, {"delete", prefix + "*"}, {"ping"}, {"ping", "--json"}} {
		var errs strings.Builder
		code := run(t.Context(), append(args, "--url", urlOf(t, rediskittest.OnSingle)), full{}, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), "disk full") {
			t.Errorf("rediskit %v: exit code %d, stderr %q", args, code, errs.String())
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }

func hash(t *testing.T, c *rediskit.Client, key string) {
	t.Helper()
	if err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Hset().Key(key).FieldValue().FieldValue("field", "value").Build()
	}).Error(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Do(context.Background(), func(b rueidis.Builder) rueidis.Completed { return b.Del().Key(key).Build() })
	})
}

func lines(text string) []string {
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
