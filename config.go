package rediskit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
)

// Defaults of [Config].
const (
	DefaultAddr            = "localhost:6379"
	DefaultDialTimeout     = 10 * time.Second
	DefaultCommandTimeout  = 5 * time.Second
	DefaultHealthTimeout   = 5 * time.Second
	DefaultFlushDelay      = 20 * time.Microsecond
	DefaultTopologyRefresh = 5 * time.Second
)

// NoTTL in place of a time to live says that a key shall not expire. Where a key is written it must be
// chosen: a TTL of zero is an error.
const NoTTL time.Duration = -1

// Config says where Redis is and how to talk to it. The zero value is a single server at
// localhost:6379 without a password. Zero means the documented default, negative means off.
type Config struct {
	// Addrs are "host:port" or the absolute path of a unix socket. One server has one; a cluster has
	// one or more nodes to start from; with Sentinel they are the sentinels. Default: localhost:6379.
	Addrs []string

	// Cluster says that Addrs are nodes of a Redis Cluster or Valkey Cluster. A single address that
	// turns out to be a cluster's node is treated as one in any case.
	Cluster bool

	// Sentinel is set to reach the primary through sentinels.
	Sentinel Sentinel

	// Username and Password authenticate against the data nodes; with no Username, the default user.
	Username string
	Password string

	// DB is the number of the database. A cluster has number 0 only.
	DB int

	// TLS turns on TLS for data nodes and, unless Sentinel.TLS is set, for sentinels. An empty
	// ServerName means the host being dialled. See [TLSFromFiles].
	TLS *tls.Config

	// ClientName is shown in CLIENT LIST. Default: none.
	ClientName string

	// DialTimeout bounds connecting, TLS and authentication. Default: 10 s.
	DialTimeout time.Duration

	// CommandTimeout bounds how long a command waits for its reply, and then, separately, how long
	// it is retried where that is safe; a context's deadline may be sooner. Commands that block wait
	// as long as they are told to. Default: 5 s.
	CommandTimeout time.Duration

	// HealthTimeout bounds [Client.Health]; a context's deadline may be sooner. Default: 5 s.
	HealthTimeout time.Duration

	// FlushDelay is how long the writer of a shared connection waits for more commands before it
	// writes, if more than one is under way: fewer, larger writes. Default: 20 µs, negative: off.
	// docs/decisions.md has the measurements behind the default.
	FlushDelay time.Duration

	// TopologyRefresh is how often the primary is asked for at the sentinels, or the slots at the
	// cluster, besides whenever there is a sign that they changed. Default: 5 s, negative: off.
	TopologyRefresh time.Duration

	// Logger is told of reconnects and demoted primaries. Default: nothing is logged.
	Logger *slog.Logger
}

// Sentinel is the part of a [Config] that concerns sentinels.
type Sentinel struct {
	// Master is the name under which the sentinels know the primary. Setting it turns Sentinel on.
	Master string
	// Username and Password authenticate against the sentinels themselves.
	Username string
	Password string
	// TLS is for the connections to the sentinels; nil means Config.TLS.
	TLS *tls.Config
}

// String describes the configuration without passwords.
func (c Config) String() string {
	c = c.withDefaults()
	var b strings.Builder
	switch {
	case c.Sentinel.Master != "":
		fmt.Fprintf(&b, "sentinel %s at ", c.Sentinel.Master)
	case c.Cluster:
		b.WriteString("cluster at ")
	}
	b.WriteString(strings.Join(c.Addrs, ","))
	if c.Username != "" {
		fmt.Fprintf(&b, " as %s", c.Username)
	}
	if c.DB != 0 {
		fmt.Fprintf(&b, " db %d", c.DB)
	}
	if c.TLS != nil {
		b.WriteString(" with TLS")
	}
	return b.String()
}

// GoString is String, so that %#v shows no password either.
func (c Config) GoString() string { return "rediskit.Config{" + c.String() + "}" }

// LogValue is String, so that slog shows no password.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// GoString hides the password.
func (s Sentinel) GoString() string { return "rediskit.Sentinel{" + s.String() + "}" }

// String describes the sentinel without its password.
func (s Sentinel) String() string { return s.Master }

// LogValue hides the password.
func (s Sentinel) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (c Config) withDefaults() Config {
	if len(c.Addrs) == 0 {
		c.Addrs = []string{DefaultAddr}
	}
	c.DialTimeout = orDefault(c.DialTimeout, DefaultDialTimeout)
	c.CommandTimeout = orDefault(c.CommandTimeout, DefaultCommandTimeout)
	c.HealthTimeout = orDefault(c.HealthTimeout, DefaultHealthTimeout)
	c.FlushDelay = orDefault(c.FlushDelay, DefaultFlushDelay)
	c.TopologyRefresh = orDefault(c.TopologyRefresh, DefaultTopologyRefresh)
	if c.Sentinel.TLS == nil {
		c.Sentinel.TLS = c.TLS
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func orDefault(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	default:
		return d
	}
}

// validate checks the configuration before any default is applied.
func (c Config) validate() error {
	for i, addr := range c.Addrs {
		if err := checkAddr(addr); err != nil {
			return fmt.Errorf("rediskit: Config.Addrs[%d]: %w", i, err)
		}
	}
	switch {
	case c.Cluster && c.Sentinel.Master != "":
		return errors.New("rediskit: Config.Cluster and Config.Sentinel exclude each other")
	case c.Cluster && c.DB != 0:
		return fmt.Errorf("rediskit: Config.DB is %d: a cluster has database 0 only", c.DB)
	case c.DB < 0:
		return fmt.Errorf("rediskit: Config.DB is %d: must not be negative", c.DB)
	case !c.Cluster && c.Sentinel.Master == "" && len(c.Addrs) > 1:
		return fmt.Errorf("rediskit: Config.Addrs has %d addresses: set Cluster or Sentinel", len(c.Addrs))
	case c.Username != "" && c.Password == "":
		return errors.New("rediskit: Config.Username is set and Config.Password is empty")
	case c.Sentinel.Username != "" && c.Sentinel.Password == "":
		return errors.New("rediskit: Config.Sentinel.Username is set and Config.Sentinel.Password is empty")
	case c.Sentinel.Master == "" && (c.Sentinel.Username != "" || c.Sentinel.Password != "" || c.Sentinel.TLS != nil):
		return errors.New("rediskit: Config.Sentinel.Master is empty")
	}
	for name, d := range map[string]time.Duration{
		"DialTimeout": c.DialTimeout, "CommandTimeout": c.CommandTimeout,
		"HealthTimeout": c.HealthTimeout, "TopologyRefresh": c.TopologyRefresh,
	} {
		if d > 0 && d < time.Millisecond {
			return fmt.Errorf("rediskit: Config.%s is %v: must be at least 1ms", name, d)
		}
	}
	for name, d := range map[string]time.Duration{
		"DialTimeout": c.DialTimeout, "CommandTimeout": c.CommandTimeout, "HealthTimeout": c.HealthTimeout,
	} {
		if d < 0 {
			return fmt.Errorf("rediskit: Config.%s is %v: it cannot be turned off", name, d)
		}
	}
	if c.FlushDelay > time.Millisecond {
		return fmt.Errorf("rediskit: Config.FlushDelay is %v: every command would wait that long; at most 1ms", c.FlushDelay)
	}
	return nil
}

func checkAddr(addr string) error {
	if strings.HasPrefix(addr, "/") {
		return nil
	}
	if strings.ContainsAny(addr, "@/") {
		return errors.New("it is not host:port or an absolute path; for URLs there is ParseURL") // with a password, perhaps
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port or an absolute path: %w", addr, err)
	}
	return checkPort(port)
}

// TLSFromFiles makes a TLS configuration from PEM files: the certificates of the authorities to
// trust (empty: the system's), and a client's certificate with its key (both empty: none).
func TLSFromFiles(caFile, certFile, keyFile string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("rediskit: reading the authority's certificate: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("rediskit: %s has no certificate in PEM form", caFile)
		}
	}
	if (certFile == "") != (keyFile == "") {
		return nil, errors.New("rediskit: a client's certificate and its key go together: one of the two is missing")
	}
	if certFile != "" {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("rediskit: reading the client's certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}
