package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// limitKey is a key, in a namespace, of this test only. Its states expire.
func limitKey() (key, namespace string) { return "user:" + rand.Text(), "cli-test" }

func TestCheckTakesUntilItRefuses(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		key, namespace := limitKey()
		check := func(extra ...string) outcome {
			return rediskitRuns(t.Context(), append([]string{"limit", "check", key, "--namespace", namespace,
				"--limit", "fixed-window:3/1h", "--limit", "token-bucket:1/1h,burst=10", "--url", url}, extra...)...)
		}
		o := check("--cost", "2")
		want := `^allowed\n\n` +
			`LIMIT +ALLOWED +LEFT +OF +ALL BACK IN +RETRY AFTER\n` +
			`fixed-window:3/1h +yes +1 +3 +1h\n` +
			`token-bucket:1/1h,burst=10 +yes +8 +10 +2h\n$`
		if o.code != exitDone || o.errs != "" || !regexp.MustCompile(want).MatchString(o.out) {
			t.Fatalf("got %+v", o)
		}

		o = check("--cost", "2")
		want = `^refused, try again in (1h0m0s|59m59\.\d+s)\n\n` +
			`LIMIT +ALLOWED +LEFT +OF +ALL BACK IN +RETRY AFTER\n` +
			`fixed-window:3/1h +no +1 +3 +\w+ +[\w.]+\n` +
			`token-bucket:1/1h,burst=10 +yes +8 +10 +\w+\n$`
		if o.code != exitRefused || o.errs != "" || !regexp.MustCompile(want).MatchString(o.out) {
			t.Fatalf("got %+v", o)
		}

		// It is the state that programs with this namespace have.
		limiter, err := ratelimit.New(c, ratelimit.Config{Keys: keys.MustNew(namespace), Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, allowed := range []bool{true, false} {
			res, err := limiter.Allow(t.Context(), key, ratelimit.FixedWindow(3, time.Hour))
			if err != nil || res.Allowed != allowed {
				t.Errorf("%+v, %v, want allowed %v", res, err, allowed)
			}
		}
	})
}

// limitAnswer is what --json prints.
type limitAnswer struct {
	Key        string
	Allowed    bool
	RetryAfter int64 `json:"retry_after_ms"`
	Limits     []struct {
		Limit              string
		Allowed            bool
		Permits, Remaining int
		RetryAfter         int64     `json:"retry_after_ms"`
		ResetAt            time.Time `json:"reset_at"`
	}
}

func TestPeekBlockAndReset(t *testing.T) {
	each(t, func(t *testing.T, url string, _ *rediskit.Client) {
		key, namespace := limitKey()
		run := func(code int, args ...string) string {
			t.Helper()
			o := rediskitRuns(t.Context(), append(append([]string{"limit"}, args...), "--namespace", namespace, "--url", url)...)
			if o.code != code || o.errs != "" {
				t.Fatalf("%v: %+v", args, o)
			}
			return o.out
		}
		for _, limit := range []string{"sliding-window:2/1h", "sliding-counter:2/1h", "fixed-window:2/1h", "token-bucket:1/1h,burst=2", "gcra:1/1h,burst=2"} {
			peek := func(code, remaining int) {
				t.Helper()
				var a limitAnswer
				decodeStrictly(t, run(code, "peek", key, "--limit", limit, "--json"), &a)
				if a.Key != key || a.Allowed != (code == exitDone) || len(a.Limits) != 1 || a.Limits[0].Limit != limit || a.Limits[0].Remaining != remaining ||
					a.Limits[0].Permits != 2 || a.RetryAfter > 0 == a.Allowed || a.RetryAfter != a.Limits[0].RetryAfter {
					t.Fatalf("%s: %+v, want %d left", limit, a, remaining)
				}
			}
			peek(exitDone, 2)
			run(exitDone, "check", key, "--limit", limit)
			peek(exitDone, 1)
			if out, want := run(exitDone, "block", key, "30m", "--limit", limit), key+" blocked for 30m0s: "+limit+"\n"; out != want {
				t.Errorf("printed %q, want %q", out, want)
			}
			peek(exitRefused, 0)
			run(exitRefused, "check", key, "--limit", limit)
			if out, want := run(exitDone, "reset", key, "--limit", limit), key+" reset: "+limit+"\n"; out != want {
				t.Errorf("printed %q, want %q", out, want)
			}
			peek(exitDone, 2)
		}
	})
}

func TestALimitOfHowManyAtATimeCanBeLookedAtAndReset(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		key, namespace := limitKey()
		limiter, err := ratelimit.New(c, ratelimit.Config{Keys: keys.MustNew(namespace), Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		slot, err := limiter.Acquire(t.Context(), key, ratelimit.Concurrency(1, time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Release()
		args := []string{key, "--limit", "concurrency:1/1m", "--namespace", namespace, "--url", url}
		if o := rediskitRuns(t.Context(), append([]string{"limit", "peek"}, args...)...); o.code != exitRefused {
			t.Errorf("with the place taken: %+v", o)
		}
		succeeds(t, append([]string{"limit", "reset"}, args...)...)
		succeeds(t, append([]string{"limit", "peek"}, args...)...)
	})
}

func TestResetAndBlockInJSON(t *testing.T) {
	url := urlOf(t, rediskittest.OnSingle)
	key, _ := limitKey()
	limits := []string{"--limit", "fixed-window:2/1h", "--limit", "gcra:1/1s", "--json", "--url", url}
	for _, row := range []struct{ args, want string }{
		{"reset " + key, `{"key":"` + key + `","limits":["fixed-window:2/1h","gcra:1/1s,burst=1"],"reset":true}`},
		{"block " + key + " 1.5s", `{"key":"` + key + `","limits":["fixed-window:2/1h","gcra:1/1s,burst=1"],"blocked_ms":1500}`},
		{"reset \xff" + key, `{"key_base64":`},
	} {
		out := succeeds(t, append(append([]string{"limit"}, strings.Split(row.args, " ")...), limits...)...)
		var compact strings.Builder
		var any json.RawMessage
		decodeStrictly(t, out, &any)
		for _, line := range lines(out) {
			compact.WriteString(strings.ReplaceAll(strings.TrimSpace(line), `": `, `":`))
		}
		if !strings.HasPrefix(compact.String(), row.want) {
			t.Errorf("%s printed %s, want %s", row.args, compact.String(), row.want)
		}
	}
}

func TestALimitOnAServerThatIsNotThereIsNoRefusal(t *testing.T) {
	for _, args := range []string{"check k", "peek k", "reset k", "block k 1s"} {
		fails(t, exitFailed, strings.Fields("limit "+args+" --limit fixed-window:1/1h --url redis://127.0.0.1:1")...)
	}
}

func TestMistakesInLimitsAreFoundBeforeAnythingIsDone(t *testing.T) {
	const ok = " --limit fixed-window:1/1h --url redis://127.0.0.1:1"
	for _, row := range []struct{ args, want string }{
		{"limit chek", `unknown command "chek", did you mean check or peek?`},
		{"limit check" + ok, "no KEY"},
		{"limit check a b" + ok, "2 arguments, want one KEY"},
		{"limit check a", "no --limit: want at least one, such as sliding-window:100/1m"},
		{"limit check a --limit 100/1m", `--limit: limit "100/1m": want algorithm:number/duration`},
		{"limit check a --limit fixed-window:0/1m", "--limit: limit \"fixed-window:0/1m\": n is 0"},
		{"limit check a --cost 0" + ok, "--cost is 0: want at least 1"},
		{"limit check a --cost 2" + ok, "--cost is 2: fixed-window:1/1h never has as many"},
		{"limit check a --limit fixed-window:2/60m" + ok, "--limit: fixed-window:2/1h and fixed-window:1/1h are limits on the same permits"},
		{"limit check a --limit concurrency:1/1s" + ok, "--limit: concurrency:1/1s is how many at a time, which only peek and reset know about"},
		{"limit check a --namespace a:b" + ok, "--namespace: "},
		{"limit block a" + ok, "1 arguments, want KEY and DURATION"},
		{"limit block a soon" + ok, `the DURATION is "soon"`},
		{"limit block a 1us" + ok, "the DURATION is 1µs: want 1ms to 8784h0m0s"},
		{"limit block a 1s --limit concurrency:1/1s" + ok, "only peek and reset"},
		{"limit replay --limit fixed-window:1/1h", "no FILE: want access logs"},
		{"limit replay - - --limit fixed-window:1/1h", "the standard input can be read only once"},
		{"limit replay x", "no --limit"},
		{"limit replay x --limit concurrency:1/1s", "only peek and reset"},
		{"limit replay x --limit fixed-window:1/1h --key host,path", `--key: "host,path": want ip, host, user`},
		{"limit replay x --limit fixed-window:1/1h --top -1", "--top is -1"},
	} {
		if o := fails(t, exitUsage, strings.Fields(row.args)...); !strings.Contains(o.errs, row.want) || o.out != "" {
			t.Errorf("rediskit %s: stderr %q, want %q; stdout %q", row.args, o.errs, row.want, o.out)
		}
	}
	if o := fails(t, exitUsage, "limit", "check", ""); !strings.Contains(o.errs, "the KEY is empty") {
		t.Errorf("stderr %q", o.errs)
	}
}

// accessLog writes a log in which 192.0.2.1 comes 5 times a second, for n seconds, and others once.
func accessLog(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		at := time.Date(2026, time.March, 1, 12, 0, i, 0, time.UTC).Format("02/Jan/2006:15:04:05 -0700")
		for range 5 {
			fmt.Fprintf(&b, "192.0.2.1 - - [%s] \"GET /login HTTP/1.1\" 200 512\n", at)
		}
		fmt.Fprintf(&b, "198.51.100.%d - ann [%s] \"GET /?q=%d HTTP/1.1\" 200 1024 \"-\" \"curl/8\"\n", i, at, i)
	}
	name := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestReplayTellsWhatLimitsWouldHaveRefused(t *testing.T) {
	t.Setenv("REDIS_URL", "redis://127.0.0.1:1") // nobody asks it
	out := succeeds(t, "limit", "replay", "--limit", "fixed-window:10/1m", "--limit", "gcra:4/1s,burst=4", accessLog(t, 20))
	for _, want := range []string{
		"120 requests of 21 keys (ip), 2026-03-01 12:00:00 to 2026-03-01 12:00:19 +0000\n",
		"A  fixed-window:10/1m       30       90  75.00%             1  4.76%\n",
		"B  gcra:4/1s,burst=4       100       20  16.67%             1  4.76%\n",
		"Most refused by B, gcra:4/1s,burst=4\nREFUSED          REQUESTS  KEY\n     20  20.00%       100  192.0.2.1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestReplayReadsTheStandardInputAndPrintsJSON(t *testing.T) {
	log, err := os.Open(accessLog(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	stdin := os.Stdin
	t.Cleanup(func() { os.Stdin = stdin })
	os.Stdin = log

	var report struct {
		Lines, Requests, Keys int
		Policies              []struct {
			Limit   string
			Refused int
			Top     []struct{ Key string }
		}
	}
	out := succeeds(t, "limit", "replay", "--limit", "sliding-window:3/1m", "--key", "method+path", "--top", "1", "--json", "-")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Lines != 18 || report.Requests != 18 || report.Keys != 2 || len(report.Policies) != 1 ||
		report.Policies[0].Refused != 12 || len(report.Policies[0].Top) != 1 || report.Policies[0].Top[0].Key != "GET /login" {
		t.Errorf("got %+v", report)
	}
}

func TestReplayReportsAndFailsIfALogIsDamaged(t *testing.T) {
	name := accessLog(t, 3)
	bad := filepath.Join(t.TempDir(), "access.log.1.gz")
	if err := os.WriteFile(bad, []byte("\x1f\x8b\x08\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := fails(t, exitFailed, "limit", "replay", "--limit", "fixed-window:10/1m", name, bad)
	if !strings.Contains(o.errs, "access.log.1.gz: the gzip data is cut off") || !strings.Contains(o.out, "18 requests of 4 keys") {
		t.Errorf("got %+v", o)
	}
	o = fails(t, exitFailed, "limit", "replay", "--limit", "fixed-window:10/1m", name, name+".none")
	if !strings.Contains(o.errs, "no such file") || o.out != "" {
		t.Errorf("got %+v", o)
	}
}

func TestAnInterruptedReplaySaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := rediskitRuns(ctx, "limit", "replay", "--limit", "fixed-window:10/1m", accessLog(t, 3))
	if o.code != exitFailed || o.errs != "rediskit: interrupted\n" || !strings.HasPrefix(o.out, "0 requests") {
		t.Errorf("got %+v", o)
	}
}

func TestAReportThatCannotBeWrittenIsAFailure(t *testing.T) {
	name := accessLog(t, 3)
	url := urlOf(t, rediskittest.OnSingle)
	key, _ := limitKey()
	for _, args := range []string{
		"replay --limit fixed-window:10/1m " + name, "replay --json --limit fixed-window:10/1m " + name,
		"check " + key + " --limit fixed-window:10/1m --url " + url, "peek " + key + " --json --limit fixed-window:10/1m --url " + url,
		"reset " + key + " --limit fixed-window:10/1m --url " + url,
	} {
		var errs strings.Builder
		code := run(t.Context(), append([]string{"limit"}, strings.Fields(args)...), full{}, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), "disk full") {
			t.Errorf("rediskit limit %s: exit code %d, stderr %q", args, code, errs.String())
		}
	}
}
