package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tickettoken/rediskit/internal/redistest"
)

// peerModules are the libraries that rediskit is measured beside, and the one it stands on.
func peerModules() []string {
	return []string{
		"github.com/redis/rueidis",
		"github.com/redis/go-redis/v9",
		"github.com/goccy/go-json",
		"github.com/vmihailenco/msgpack/v5",
		"github.com/go-redis/redis_rate/v10",
		"github.com/throttled/throttled/v2",
		"github.com/ulule/limiter/v3",
		"github.com/redis/rueidis/rueidislimiter",
		"github.com/alexedwards/scs/v2",
		"github.com/alexedwards/scs/goredisstore",
		"github.com/gorilla/sessions",
		"github.com/boj/redistore",
	}
}

// currentEnvironment finds out what is being measured, and on what.
func currentEnvironment() (environment, error) {
	binary, err := redistest.FindBinary()
	if err != nil {
		return environment{}, err
	}
	version, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return environment{}, err
	}
	e := environment{
		Go:     runtime.Version(),
		OS:     runtime.GOOS + "/" + runtime.GOARCH,
		CPU:    cpuModel(),
		CPUs:   runtime.NumCPU(),
		Server: serverVersion(string(version)),
		Peers:  make(map[string]string),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range peerModules() {
			for _, dep := range info.Deps {
				if dep.Path == module {
					e.Peers[module] = dep.Version
				}
			}
		}
	}
	return e, nil
}

// serverVersion takes product and version out of "Redis server v=7.0.15 sha=... bits=64 ...".
func serverVersion(line string) string {
	words := strings.Fields(line)
	for _, w := range words {
		if v, ok := strings.CutPrefix(w, "v="); ok {
			return words[0] + " " + v
		}
	}
	return strings.TrimSpace(line)
}

// cpuModel is what Linux calls the processor, and the architecture elsewhere.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
