package redistest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// FixturesEnv is the environment variable in which the fixtures command hands
// the addresses of what it started to the tests that it runs, as JSON.
const FixturesEnv = "REDISKIT_FIXTURES"

// Fixtures are the addresses of running servers that many tests share. There
// is no way to kill anything through them. Tests that share a server must
// keep to key names of their own, flush nothing and reconfigure nothing.
type Fixtures struct {
	Server   string          `json:"server"` // host:port
	Sentinel SentinelFixture `json:"sentinel"`
	Cluster  []string        `json:"cluster"` // host:port of every node
}

// SentinelFixture is where to ask for the primary, and under which name.
type SentinelFixture struct {
	Addrs      []string `json:"addrs"`
	MasterName string   `json:"master_name"`
}

// Shared servers are for any number of packages on a busy machine, and none
// fails over on purpose: silence of this length is no reason to.
const sharedPatience = 15 * time.Second

// SharedServer returns the address of the shared single server: the fixtures
// command's when that runs this process, else one that this process starts at
// the first call and that ends with it.
func SharedServer() (string, error) {
	if f, found, err := fixturesFromEnv(); found || err != nil {
		return f.Server, err
	}
	s, err := ownServer()
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
}

// SharedSentinel returns the shared Sentinel set, found as SharedServer finds
// its server.
func SharedSentinel() (SentinelFixture, error) {
	if f, found, err := fixturesFromEnv(); found || err != nil {
		return f.Sentinel, err
	}
	s, err := ownSentinel()
	if err != nil {
		return SentinelFixture{}, err
	}
	return SentinelFixture{Addrs: s.Addrs(), MasterName: s.MasterName()}, nil
}

// SharedCluster returns the addresses of the shared cluster's nodes, found as
// SharedServer finds its server.
func SharedCluster() ([]string, error) {
	if f, found, err := fixturesFromEnv(); found || err != nil {
		return f.Cluster, err
	}
	c, err := ownCluster()
	if err != nil {
		return nil, err
	}
	return c.Addrs(), nil
}

// What this process started for itself. State of the package, for once: "once
// per process" is the point. Nobody closes these; they end with the process,
// and they must stay referenced until then.
var (
	ownServer   = sync.OnceValues(startSharedServer)
	ownSentinel = sync.OnceValues(startSharedSentinel)
	ownCluster  = sync.OnceValues(startSharedCluster)
)

func startSharedServer() (*Server, error) { return StartServer(ServerConfig{}) }

func startSharedSentinel() (*Sentinel, error) {
	return StartSentinel(SentinelConfig{DownAfter: sharedPatience})
}

func startSharedCluster() (*Cluster, error) {
	return StartCluster(ClusterConfig{NodeTimeout: sharedPatience})
}

// fixturesFromEnv finds nothing when no fixtures command runs this process.
func fixturesFromEnv() (f Fixtures, found bool, err error) {
	text := os.Getenv(FixturesEnv)
	if text == "" {
		return Fixtures{}, false, nil
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return Fixtures{}, false, fmt.Errorf("redistest: %s: %w", FixturesEnv, err)
	}
	if f.Server == "" || len(f.Sentinel.Addrs) == 0 || f.Sentinel.MasterName == "" || len(f.Cluster) == 0 {
		return Fixtures{}, false, fmt.Errorf("redistest: %s: a fixture is missing in %s", FixturesEnv, text)
	}
	return f, true, nil
}

// FixtureSet is one fixture of each kind, for whoever runs tests.
type FixtureSet struct {
	server   *Server
	sentinel *Sentinel
	cluster  *Cluster
}

// StartFixtures starts one fixture of each kind in parallel.
func StartFixtures() (*FixtureSet, error) {
	s := &FixtureSet{}
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { s.server, errs[0] = startSharedServer() })
	wg.Go(func() { s.sentinel, errs[1] = startSharedSentinel() })
	wg.Go(func() { s.cluster, errs[2] = startSharedCluster() })
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Env returns the "REDISKIT_FIXTURES=..." entry for the environment of tests.
func (s *FixtureSet) Env() (string, error) {
	text, err := json.Marshal(Fixtures{
		Server:   s.server.Addr(),
		Sentinel: SentinelFixture{Addrs: s.sentinel.Addrs(), MasterName: s.sentinel.MasterName()},
		Cluster:  s.cluster.Addrs(),
	})
	if err != nil {
		return "", fmt.Errorf("redistest: %w", err)
	}
	return FixturesEnv + "=" + string(text), nil
}

// Close ends everything. It may be called twice.
func (s *FixtureSet) Close() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	if s.sentinel != nil {
		errs = append(errs, s.sentinel.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	return errors.Join(errs...)
}
