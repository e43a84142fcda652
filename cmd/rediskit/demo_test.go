package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/demo"
)

func TestTheDemoNeedsNoServer(t *testing.T) {
	out := succeeds(t, "demo")
	showsEveryStep(t, out)
	if !strings.Contains(out, "Server: the embedded one") || !strings.Contains(out, "miniredis, not Redis") {
		t.Errorf("it does not say which server it runs on:\n%s", out)
	}
}

func TestTheDemoRunsOnEveryKindOfServerAndLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		t.Setenv("REDIS_URL", url)
		out := succeeds(t, "demo")
		showsEveryStep(t, out)
		server := regexp.MustCompile(`(redis|valkey) [\d.]+, ` + string(c.Redis().Mode()) + `, \d nodes?, answered in [\d.]+ ms`)
		if !server.MatchString(out) {
			t.Errorf("it does not say which server it runs on:\n%s", out)
		}
		namespace := regexp.MustCompile(`demo-[a-z0-9]{6}/\*`).FindString(out)
		if left := succeeds(t, "count", namespace); namespace == "" || left != "0\n" {
			t.Errorf("keys left in %q: %s", namespace, left)
		}
	})
}

func TestTheDemoMakesTheStepsThatWereAskedFor(t *testing.T) {
	out := succeeds(t, "demo", "--step", "zset,keys")
	if !strings.Contains(out, "1/2 zset") || !strings.Contains(out, "2/2 keys") || strings.Contains(out, "/2 hash") {
		t.Errorf("printed\n%s", out)
	}
}

func TestTheDemoListsItsSteps(t *testing.T) {
	got := lines(succeeds(t, "demo", "--list"))
	if len(got) != len(demo.Steps())+1 {
		t.Errorf("printed %q", got)
	}
	for i, step := range demo.Steps() {
		if want := regexp.MustCompile(`^` + step.Name + ` +` + regexp.QuoteMeta(step.About) + `$`); !want.MatchString(got[i+1]) {
			t.Errorf("line %d is %q", i+1, got[i+1])
		}
	}
}

func TestTheDemoOfAServerThatIsNotThereFails(t *testing.T) {
	o := fails(t, exitFailed, "demo", "--url", "redis://127.0.0.1:1")
	if !strings.Contains(o.errs, "refused") {
		t.Errorf("stderr %q", o.errs)
	}
}

// Every package that a user imports has its step.
func TestTheDemoShowsEveryPackage(t *testing.T) {
	// Those that are not for doing something with Redis: what the demo is and runs on.
	apart := []string{"bench", "cmd", "docs", "embedded", "goredis", "gorillastore", "grpckit", "internal", "rediskittest", "scripts", "scsstore", "tools"}
	files, err := filepath.Glob("../../*/doc.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var names []string
	for _, step := range demo.Steps() {
		names = append(names, step.Name)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		if !slices.Contains(apart, name) && !slices.Contains(names, name) {
			t.Errorf("package %s has no step in the demo", name)
		}
	}
	if _, err := os.Stat("../../doc.go"); err != nil || !slices.Contains(names, "rediskit") {
		t.Errorf("the root package has no step: %v", err)
	}
}

func showsEveryStep(t *testing.T, out string) {
	t.Helper()
	for _, step := range demo.Steps() {
		if !strings.Contains(out, " "+step.Name+"  "+step.About+"\n") {
			t.Errorf("step %s is missing", step.Name)
		}
	}
	if t.Failed() || strings.Contains(out, "failed:") || !strings.Contains(out, "Done in") {
		t.Errorf("printed\n%s", out)
	}
	if strings.Contains(out, "\x1b") {
		t.Error("there are colours in what is no terminal")
	}
}
