package main

import (
	"context"
	"crypto/rand"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
)

func TestDeleteChangesNothingWithoutYes(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		prefix := rand.Text() + ":"
		names := numbered(prefix, 120)
		fill(t, c, names)
		want := "would delete 120 keys; nothing was deleted (--yes deletes)\n"
		if out := succeeds(t, "delete", prefix+"*", "--url", url); out != want {
			t.Errorf("printed %q, want %q", out, want)
		}
		if n := existing(t, c, names); n != 120 {
			t.Errorf("%d keys are left", n)
		}
	})
}

func TestDeleteDeletesWhatMatchesAndNothingElse(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		prefix := rand.Text() + ":"
		gone, kept := numbered(prefix+"gone:", 1500), numbered(prefix+"kept:", 50)
		fill(t, c, gone)
		fill(t, c, kept)
		if out := succeeds(t, "delete", prefix+"gone:*", "--yes", "--rate", "-1", "--url", url); out != "deleted 1,500 keys\n" {
			t.Errorf("printed %q", out)
		}
		if n := existing(t, c, gone); n != 0 {
			t.Errorf("%d keys that match are left", n)
		}
		if n := existing(t, c, kept); n != len(kept) {
			t.Errorf("%d of %d others are left", n, len(kept))
		}
	})
}

func TestDeletingEverythingHasToBeSaidTwice(t *testing.T) {
	server := private(t, redistest.ServerConfig{})
	url := "redis://" + server.Addr()
	c := connect(t, server)
	names := numbered("key:", 100)
	fill(t, c, names)

	if out := succeeds(t, "delete", "*", "--url", url); !strings.Contains(out, "would delete 100 keys") ||
		!strings.Contains(out, "--yes --all") {
		t.Errorf("printed %q", out)
	}
	fails(t, exitUsage, "delete", "*", "--yes", "--url", url)
	if n := existing(t, c, names); n != 100 {
		t.Fatalf("%d keys are left", n)
	}
	if out := succeeds(t, "delete", "*", "--yes", "--all", "--url", url); out != "deleted 100 keys\n" {
		t.Errorf("printed %q", out)
	}
	if n := existing(t, c, names); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestAnInterruptedDeleteTellsHowFarItGot(t *testing.T) {
	server := private(t, redistest.ServerConfig{})
	c := connect(t, server)
	names := numbered("key:", 5_000)
	fill(t, c, names)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan outcome)
	go func() {
		done <- rediskitRuns(ctx, "delete", "key:*", "--yes", "--rate", "500", "--url", "redis://"+server.Addr())
	}()
	waitForOneLess(t, c, names)
	cancel()
	o := <-done
	gone := len(names) - existing(t, c, names)
	// An interruption may come before the first reply, or between a batch and its reply.
	told := regexp.MustCompile(`^rediskit: interrupted; had looked at [\d,]+ of 5,000 keys` +
		`(?: and deleted ([\d,]+))?(, perhaps some more| and may have deleted some)?\n$`).FindStringSubmatch(o.errs)
	if o.code != exitFailed || o.out != "" || told == nil {
		t.Fatalf("got %+v, %d keys are gone", o, gone)
	}
	deleted, _ := strconv.Atoi(strings.ReplaceAll(told[1], ",", ""))
	if deleted > gone || deleted < gone && told[2] == "" {
		t.Errorf("got %+v, %d keys are gone", o, gone)
	}
}

func TestAWalkWhoseServerDiesTellsHowFarItGot(t *testing.T) {
	server := private(t, redistest.ServerConfig{})
	c := connect(t, server)
	names := numbered("key:", 5_000)
	fill(t, c, names)
	done := make(chan outcome)
	go func() {
		done <- rediskitRuns(t.Context(), "delete", "key:*", "--yes", "--rate", "500", "--url", "redis://"+server.Addr())
	}()
	waitForOneLess(t, c, names)
	server.Kill()
	o := <-done
	if o.code != exitFailed || !strings.Contains(o.errs, "; had looked at ") || !strings.Contains(o.errs, server.Addr()) {
		t.Errorf("got %+v", o)
	}
}

func waitForOneLess(t *testing.T, c *rediskit.Client, names []string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for existing(t, c, names) == len(names) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was deleted in a minute")
		}
	}
}

func connect(t *testing.T, server *redistest.Server) *rediskit.Client {
	t.Helper()
	c, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{server.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
