package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
)

func TestPingPrintsATableOfNodes(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		health, err := c.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(succeeds(t, "ping", "--url", url), "\n")
		if !strings.HasPrefix(lines[0], health.Mode+", healthy") || lines[1] != "" {
			t.Errorf("the output begins with %q, %q", lines[0], lines[1])
		}
		title := regexp.MustCompile(`^ADDRESS +ROLE +SERVER +RTT +UP +MEMORY +CLIENTS +BLOCKED +REPLICAS$`)
		if !title.MatchString(lines[2]) {
			t.Errorf("the titles are %q", lines[2])
		}
		row := regexp.MustCompile(
			`^127\.0\.0\.1:\d+ +(master|replica) +(redis|valkey) [\d.]+ +[\d.]+ ms +\w+ +[\d.]+ [KMG]iB +\d+ +\d+ +\d+$`)
		rows := lines[3 : len(lines)-1]
		if len(rows) != len(health.Nodes) {
			t.Errorf("%d rows for %d nodes", len(rows), len(health.Nodes))
		}
		for i, line := range rows {
			if !row.MatchString(line) || !strings.HasPrefix(line, health.Nodes[i].Addr) {
				t.Errorf("row %d is %q", i, line)
			}
			if len(line) != len(lines[2]) {
				t.Errorf("row %d is %d columns wide, the titles %d", i, len(line), len(lines[2]))
			}
		}
	})
}

func TestPingPrintsJSON(t *testing.T) {
	each(t, func(t *testing.T, url string, c *rediskit.Client) {
		var got pingReport
		decodeStrictly(t, succeeds(t, "ping", "--json", "--url", url), &got)
		if !got.Healthy || got.Error != "" || got.RTT <= 0 || len(got.Nodes) == 0 || got.Nodes[0].MemoryUsed == 0 {
			t.Errorf("got %+v", got)
		}
		if want := string(c.Redis().Mode()); got.Mode != want {
			t.Errorf("mode %q, want %q", got.Mode, want)
		}
	})
}

func TestPingOfWhatDoesNotAnswerFails(t *testing.T) {
	o := fails(t, exitFailed, "ping", "--url", "redis://127.0.0.1:1")
	if o.out != "" || !strings.Contains(o.errs, "127.0.0.1:1") || !strings.Contains(o.errs, "refused") {
		t.Errorf("stdout %q, stderr %q", o.out, o.errs)
	}

	var got pingReport
	decodeStrictly(t, fails(t, exitFailed, "ping", "--json", "--url", "redis://127.0.0.1:1").out, &got)
	if got.Healthy || !strings.Contains(got.Error, "refused") || got.Server != "127.0.0.1:1" || got.Nodes == nil {
		t.Errorf("got %+v", got)
	}
}

func TestPingOfAServerThatIsSilentEndsInTime(t *testing.T) {
	server := private(t, redistest.ServerConfig{})
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	o := fails(t, exitFailed, "ping", "--timeout", "50ms", "--url", "redis://"+server.Addr())
	if !strings.Contains(o.errs, "deadline exceeded") {
		t.Errorf("stderr %q", o.errs)
	}
}

func TestPingShowsWhatIsWrongWithWhatItFound(t *testing.T) {
	replica := private(t, redistest.ServerConfig{Args: []string{"--replicaof", "127.0.0.1 1"}})
	o := fails(t, exitFailed, "ping", "--url", "redis://"+replica.Addr())
	if !strings.Contains(o.out, "not healthy") || !strings.Contains(o.out, "replica") {
		t.Errorf("stdout %q", o.out)
	}
	if !strings.Contains(o.errs, "the server is a replica") {
		t.Errorf("stderr %q", o.errs)
	}
}

func decodeStrictly(t *testing.T, text string, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if dec.More() {
		t.Fatalf("more than one value in %q", text)
	}
}
