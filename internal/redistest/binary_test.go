package redistest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBinaryFromTheEnvironmentWins(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "my-redis")
	if err := os.WriteFile(mine, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDISKIT_SERVER", mine)
	if got, err := FindBinary(); got != mine || err != nil {
		t.Fatalf("got %q and error %v", got, err)
	}
}

func TestValkeyServesWhereRedisIsMissing(t *testing.T) {
	dir := t.TempDir()
	valkey := filepath.Join(dir, "valkey-server")
	if err := os.WriteFile(valkey, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDISKIT_SERVER", "")
	t.Setenv("PATH", dir)
	if got, err := FindBinary(); got != valkey || err != nil {
		t.Fatalf("got %q and error %v", got, err)
	}
}

func TestMissingBinarySaysHowToInstallOne(t *testing.T) {
	t.Setenv("REDISKIT_SERVER", "")
	t.Setenv("PATH", t.TempDir())
	_, err := StartServer(ServerConfig{})
	if !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), "apt-get install redis-server") {
		t.Fatalf("got error %v", err)
	}
}

func TestWrongBinaryInTheEnvironmentIsNotAnAbsence(t *testing.T) {
	t.Setenv("REDISKIT_SERVER", "/nonexistent/redis-server")
	_, err := FindBinary()
	if err == nil || errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), "REDISKIT_SERVER") {
		t.Fatalf("got error %v", err)
	}
}

func TestServerIsRequiredInCI(t *testing.T) {
	for _, row := range []struct {
		ci, require string
		want        bool
	}{
		{"", "", false},
		{"true", "", true},
		{"", "1", true},
		{"false", "0", false},
		{"nonsense", "", false},
	} {
		t.Setenv("CI", row.ci)
		t.Setenv("REDISKIT_REQUIRE_SERVER", row.require)
		if got := Required(); got != row.want {
			t.Errorf("CI=%q REDISKIT_REQUIRE_SERVER=%q: got %v", row.ci, row.require, got)
		}
	}
}
