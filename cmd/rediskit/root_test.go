package main

import (
	"strings"
	"testing"

	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestAMistakeInTheCommandLineIsOneLineAndExitCode2(t *testing.T) {
	for _, row := range []struct {
		args string // separated by blanks
		want string
	}{
		{"pnig", `unknown command "pnig", did you mean ping?`},
		{"--verbose", "unknown flag: --verbose"},
		{"ping --jsn", "unknown flag: --jsn"},
		{"ping now", `unknown command "now" for "rediskit ping"`},
		{"ping --timeout soon", `invalid argument "soon"`},
		{"ping --timeout 0s", "--timeout is 0s: must be at least 1ms"},
		{"ping --url localhost:6379", "--url: no scheme"},
		{"ping --url redis://localhost:x", "--url: a port is not a number from 1 to 65535"},
		{"scan", "no PATTERN"},
		{"scan a.go b.go", "2 arguments, want one PATTERN: put it in quotes"},
		{"scan x --limit 0", "--limit is 0"},
		{"count", "no PATTERN"},
		{"delete", "no PATTERN"},
		{"delete x --rate 0", "--rate is 0"},
		{"delete * --yes", "add --all"},
		{"delete ** --yes", "add --all"},
		{"delete ?* --yes", "add --all"},
		{"demo --step nothing", `--step: no such step: "nothing", want rediskit, keys`},
		{"demo here", `unknown command "here" for "rediskit demo"`},
	} {
		o := fails(t, exitUsage, strings.Fields(row.args)...)
		if !strings.Contains(o.errs, row.want) || o.out != "" {
			t.Errorf("rediskit %s: stderr %q, want %q; stdout %q", row.args, o.errs, row.want, o.out)
		}
	}
	if o := fails(t, exitUsage, "count", ""); !strings.Contains(o.errs, "the PATTERN is empty") {
		t.Errorf("stderr %q", o.errs)
	}
}

func TestABadEnvironmentIsNamed(t *testing.T) {
	t.Setenv("REDIS_PORT", "many")
	for _, command := range []string{"ping", "demo"} {
		if o := fails(t, exitUsage, command); !strings.Contains(o.errs, `REDIS_PORT: the port is "many"`) {
			t.Errorf("%s: stderr %q", command, o.errs)
		}
	}
}

func TestTheURLOverridesTheEnvironment(t *testing.T) {
	url := urlOf(t, rediskittest.OnSingle)
	t.Setenv("REDIS_URL", "redis://127.0.0.1:1")
	succeeds(t, "ping", "--url", url)

	t.Setenv("REDIS_URL", url)
	succeeds(t, "ping")
	fails(t, exitFailed, "ping", "--url", "redis://127.0.0.1:1")
}

func TestTheFilesForTLSAreThoseOfTheEnvironment(t *testing.T) {
	server := private(t, redistest.ServerConfig{TLS: true})
	certs := server.Certificates()
	t.Setenv("REDIS_TLS_CA", certs.CAFile)
	t.Setenv("REDIS_TLS_CERT", certs.ClientCertFile)
	t.Setenv("REDIS_TLS_KEY", certs.ClientKeyFile)
	succeeds(t, "ping", "--url", "rediss://"+server.Addr())

	t.Setenv("REDIS_TLS_KEY", "")
	o := fails(t, exitUsage, "ping", "--url", "rediss://"+server.Addr())
	if !strings.Contains(o.errs, "REDIS_TLS_KEY") {
		t.Errorf("stderr %q", o.errs)
	}
}

func TestNoOutputContainsThePassword(t *testing.T) {
	server := private(t, redistest.ServerConfig{Password: "right"})
	const password = "hunter2-not-this-one"
	for _, row := range []struct {
		url  string
		code int
	}{
		{"redis://:" + password + "@" + server.Addr(), exitFailed},
		{"redis://:" + password + "@127.0.0.1:1", exitFailed},
		{"redis://:" + password + "@127.0.0.1:port", exitUsage},
		{"redis://user:" + password + "@127.0.0.1:1/db", exitUsage},
	} {
		for _, args := range [][]string{
			{"ping"}, {"ping", "--json"}, {"scan", "x"}, {"count", "x"}, {"delete", "x", "--yes"}, {"demo"},
		} {
			o := fails(t, row.code, append(args, "--url", row.url)...)
			if strings.Contains(o.out+o.errs, password) {
				t.Errorf("rediskit %v printed the password:\n%s%s", args, o.out, o.errs)
			}
		}
	}

	url := "redis://:right@" + server.Addr()
	if out := succeeds(t, "ping", "--url", url) + succeeds(t, "demo", "--url", url); strings.Contains(out, ":right@") {
		t.Errorf("the password was printed:\n%s", out)
	}
}

func TestHelpVersionAndCompletionAreThere(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"", "Available Commands"},
		{"--help", "REDIS_SENTINEL_MASTER"},
		{"delete --help", "--rate"},
		{"limit", "Tell what limits would have refused"},
		{"limit replay --help", "--key"},
		{"session", "List a user's sessions"},
		{"session revoke --help", "REDISKIT_SESSION_TAG_KEY"},
		{"--version", "rediskit "},
		{"completion bash", "complete"},
		{"__complete demo --step z", "zset"},
		{"__complete scan x --type h", "hash"},
	} {
		o := rediskitRuns(t.Context(), strings.Fields(row.args)...)
		if o.code != exitDone || !strings.Contains(o.out, row.want) {
			t.Errorf("rediskit %s: exit code %d, stdout %q", row.args, o.code, o.out)
		}
	}
}
