package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guideLog writes access.log of the guide: a day of a shop, with people, a busy office, and somebody who tries passwords at
// night.
func guideLog(t *testing.T, dir string) {
	t.Helper()
	random := rand.New(rand.NewPCG(2026, 3))
	var b strings.Builder
	line := func(second int, host, request string, status int) {
		at := time.Date(2026, time.March, 1, 0, 0, second, 0, time.FixedZone("", 3600)).Format("02/Jan/2006:15:04:05 -0700")
		fmt.Fprintf(&b, "%s - - [%s] \"%s HTTP/1.1\" %d %d \"-\" \"Mozilla/5.0\"\n", host, at, request, status, random.IntN(20_000))
	}
	for second := range 24 * 3600 {
		hour := second / 3600
		if random.IntN(100) < 8+40*min(hour, 24-hour)/12 {
			line(second, fmt.Sprintf("198.51.100.%d", random.IntN(250)), fmt.Sprintf("GET /events/%d", random.IntN(40)), 200)
		}
		if hour >= 9 && hour < 17 && second%60 < 20 {
			for range random.IntN(6) {
				line(second, "203.0.113.80", "GET /", 200)
			}
		}
		if hour >= 2 && hour < 5 {
			for range 1 + random.IntN(3) {
				line(second, "2001:db8:bad::1", "POST /login", 401)
			}
		}
	}
	b.WriteString("access.log has been rotated\n")
	if err := os.WriteFile(filepath.Join(dir, "access.log"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheGuideShowsWhatReplayPrints(t *testing.T) {
	guide, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "$ rediskit limit replay ")
	command, rest, _ := strings.Cut(rest, "\n")
	want, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide shows no replay")
	}
	dir := t.TempDir()
	guideLog(t, dir)
	t.Chdir(dir)
	if got := succeeds(t, append([]string{"limit", "replay"}, strings.Fields(command)...)...); got != want {
		t.Errorf("rediskit limit replay %s printed\n%s", command, got)
	}
}
