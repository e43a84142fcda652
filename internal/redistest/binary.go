package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// ErrNoServer is wrapped by the error of everything that starts a server on a
// machine that has none installed. A REDISKIT_SERVER that names nothing
// runnable is a mistake rather than an absence and does not wrap it.
var ErrNoServer = errors.New("no redis-server or valkey-server found")

// FindBinary returns the server that tests run: $REDISKIT_SERVER, a path or a
// name in PATH, when set; else redis-server or valkey-server from PATH. With
// none of them its error wraps [ErrNoServer] and says how to install one.
func FindBinary() (string, error) {
	if name := os.Getenv("REDISKIT_SERVER"); name != "" {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("redistest: REDISKIT_SERVER: %w", err)
		}
		return path, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("redistest: %w; install one (apt-get install redis-server, dnf install valkey, "+
		"apk add redis, brew install redis) or set REDISKIT_SERVER to its path", ErrNoServer)
}

// Required reports whether a missing server must fail the tests that need
// one: CI or REDISKIT_REQUIRE_SERVER is set to a true value ("true", "1").
func Required() bool {
	for _, name := range []string{"CI", "REDISKIT_REQUIRE_SERVER"} {
		if yes, err := strconv.ParseBool(os.Getenv(name)); err == nil && yes {
			return true
		}
	}
	return false
}
