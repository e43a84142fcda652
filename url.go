package rediskit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// ParseURL reads a Config from a URL:
//
//	redis://[user:password@]host[:port][/db]                         a server
//	redis://host1:port1,host2:port2                                  a cluster
//	redis+sentinel://[user:password@]host1:port1,host2:port2/master[/db]  behind sentinels
//	unix://[user:password@]/path/to/socket[?db=1]                    a unix socket
//
// rediss:// and rediss+sentinel:// are the same with TLS. The query may set db, cluster=true,
// client_name, and for sentinels sentinel_username and sentinel_password. Without a port it is 6379,
// for sentinels 26379. The errors never contain the password.
func ParseURL(raw string) (Config, error) {
	cfg, err := parseURL(raw)
	if err != nil {
		return Config{}, fmt.Errorf("rediskit: URL: %w", err)
	}
	return cfg, nil
}

func parseURL(raw string) (Config, error) {
	var cfg Config
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return cfg, errors.New("no scheme: want redis://, rediss://, redis+sentinel://, rediss+sentinel:// or unix://")
	}
	defaultPort := "6379"
	sentinel := false
	switch scheme {
	case "redis", "unix":
	case "rediss":
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	case "redis+sentinel":
		sentinel, defaultPort = true, "26379"
	case "rediss+sentinel":
		sentinel, defaultPort = true, "26379"
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		if strings.ContainsAny(scheme, ":@") { // a password in the wrong place
			return cfg, errors.New("unknown scheme")
		}
		return cfg, fmt.Errorf("unknown scheme %q", scheme)
	}

	rest, rawQuery, _ := strings.Cut(rest, "?")
	// net/url refuses several hosts with ports, so the authority is taken apart by hand.
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := parseUser(&cfg, authority[:i]); err != nil {
			return cfg, err
		}
		authority = authority[i+1:]
	}
	if strings.ContainsRune(path, '@') || strings.ContainsRune(rawQuery, '@') {
		// The rest of an unescaped password would end up in an error that quotes the path.
		return cfg, errors.New("an '@' after the first '/' or '?': special characters of a password are written %XX")
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return cfg, errors.New("the query is malformed")
	}

	if scheme == "unix" {
		if authority != "" {
			return cfg, errors.New("unix:// takes an absolute path: unix:///path/to/socket")
		}
		cfg.Addrs = []string{"/" + path}
		path = ""
	} else {
		for host := range strings.SplitSeq(authority, ",") {
			addr, err := withPort(host, defaultPort)
			if err != nil {
				return cfg, err
			}
			cfg.Addrs = append(cfg.Addrs, addr)
		}
	}

	path = strings.TrimSuffix(path, "/")
	if sentinel {
		cfg.Sentinel.Master, path, _ = strings.Cut(path, "/")
		if cfg.Sentinel.Master == "" {
			return cfg, errors.New("no name of the master set: redis+sentinel://host:port/NAME")
		}
	}
	if path != "" {
		if cfg.DB, err = parseDB(path); err != nil {
			return cfg, err
		}
	}
	if err := parseQuery(&cfg, query); err != nil {
		return cfg, err
	}
	if len(cfg.Addrs) > 1 && !sentinel {
		cfg.Cluster = true
	}
	return cfg, cfg.validate()
}

func parseUser(cfg *Config, userinfo string) error {
	user, password, hasPassword := strings.Cut(userinfo, ":")
	var err error
	if cfg.Username, err = url.PathUnescape(user); err != nil {
		return errors.New("the user's name is not percent-encoded correctly")
	}
	if cfg.Password, err = url.PathUnescape(password); err != nil {
		return errors.New("the password is not percent-encoded correctly")
	}
	if cfg.Username != "" && !hasPassword {
		return errors.New("a user without a password")
	}
	return nil
}

func parseQuery(cfg *Config, query url.Values) error {
	for name, values := range query {
		if len(values) > 1 {
			return fmt.Errorf("%s is given %d times", name, len(values))
		}
		var err error
		switch value := values[0]; name {
		case "db":
			if cfg.DB, err = parseDB(value); err != nil {
				return err
			}
		case "cluster":
			if cfg.Cluster, err = strconv.ParseBool(value); err != nil {
				return fmt.Errorf("cluster is %q: want true or false", value)
			}
		case "client_name":
			cfg.ClientName = value
		case "sentinel_username":
			cfg.Sentinel.Username = value
		case "sentinel_password":
			cfg.Sentinel.Password = value
		default:
			if query.Has("sentinel_password") { // of which it may be a part
				return errors.New("an unknown parameter; special characters of a password are written %XX")
			}
			return fmt.Errorf("unknown parameter %q", name)
		}
	}
	return nil
}

func parseDB(s string) (int, error) {
	db, err := strconv.Atoi(s)
	if err != nil || db < 0 {
		return 0, fmt.Errorf("the database is %q: want a number from 0", s)
	}
	return db, nil
}

// withPort adds the default port to a host that has none.
func withPort(host, port string) (string, error) {
	if host == "" {
		return "", errors.New("no host")
	}
	if strings.ContainsAny(host, "@/") {
		return "", errors.New("a host is malformed: want host:port; what has a user or a password is a URL")
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		if h == "" {
			return "", errors.New("no host")
		}
		if checkPort(p) != nil { // which may be a password, of a URL that lacks its '@'
			return "", errors.New("a port is not a number from 1 to 65535; a user and a password end with an '@'")
		}
		return host, nil
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return "", errors.New("a host is malformed: want host:port, and IPv6 in brackets")
	}
	if !strings.ContainsAny(host, "[]") {
		return net.JoinHostPort(host, port), nil
	}
	return "", errors.New("a host is malformed: want host:port, and IPv6 in brackets")
}

func checkPort(port string) error {
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("the port is %q: want 1 to 65535", port)
	}
	return nil
}

// ConfigFromEnv reads a Config from environment variables:
//
//	REDIS_URL              a URL as for ParseURL; if set, it overrides all of the following but the TLS files
//	REDIS_HOST             default localhost; an absolute path is a unix socket
//	REDIS_PORT             default 6379; with REDIS_SENTINEL_MASTER 26379
//	REDIS_USERNAME         default none
//	REDIS_PASSWORD         default none
//	REDIS_DB               default 0
//	REDIS_TLS              true or false, default false
//	REDIS_TLS_CA           file with the authorities' certificates, PEM; this and the next two imply TLS
//	REDIS_TLS_CERT         file with the client's certificate, PEM
//	REDIS_TLS_KEY          file with its key, PEM
//	REDIS_CLUSTER          true or false, default false; REDIS_HOST may then list several, host:port,host:port
//	REDIS_SENTINEL_MASTER  name of the master set; REDIS_HOST then lists the sentinels
//
// An error names the variable, and never a password.
func ConfigFromEnv() (Config, error) {
	var cfg Config
	var err error
	if raw := os.Getenv("REDIS_URL"); raw != "" {
		if cfg, err = parseURL(raw); err != nil {
			return Config{}, fmt.Errorf("rediskit: REDIS_URL: %w", err)
		}
	} else if err = fromVariables(&cfg); err != nil {
		return Config{}, err
	}

	ca, cert, key := os.Getenv("REDIS_TLS_CA"), os.Getenv("REDIS_TLS_CERT"), os.Getenv("REDIS_TLS_KEY")
	if ca != "" || cert != "" || key != "" {
		if cfg.TLS, err = TLSFromFiles(ca, cert, key); err != nil {
			return Config{}, fmt.Errorf("rediskit: REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY: %w", err)
		}
	}
	if err := cfg.validate(); err != nil {
		return Config{}, fmt.Errorf("rediskit: environment: %w", err)
	}
	return cfg, nil
}

func fromVariables(cfg *Config) error {
	bad := func(name string, err error) error { return fmt.Errorf("rediskit: %s: %w", name, err) }
	flag := func(name string) (bool, error) {
		switch v := os.Getenv(name); v {
		case "":
			return false, nil
		default:
			on, err := strconv.ParseBool(v)
			if err != nil {
				return false, bad(name, fmt.Errorf("%q: want true or false", v))
			}
			return on, nil
		}
	}

	cfg.Sentinel.Master = os.Getenv("REDIS_SENTINEL_MASTER")
	port := os.Getenv("REDIS_PORT")
	switch {
	case port != "":
		if err := checkPort(port); err != nil {
			return bad("REDIS_PORT", err)
		}
	case cfg.Sentinel.Master != "":
		port = "26379"
	default:
		port = "6379"
	}

	host := os.Getenv("REDIS_HOST")
	switch {
	case host == "":
		cfg.Addrs = []string{net.JoinHostPort("localhost", port)}
	case strings.HasPrefix(host, "/"):
		cfg.Addrs = []string{host}
	default:
		for h := range strings.SplitSeq(host, ",") {
			addr, err := withPort(strings.TrimSpace(h), port)
			if err != nil {
				return bad("REDIS_HOST", err)
			}
			cfg.Addrs = append(cfg.Addrs, addr)
		}
	}

	cfg.Username, cfg.Password = os.Getenv("REDIS_USERNAME"), os.Getenv("REDIS_PASSWORD")
	var err error
	if db := os.Getenv("REDIS_DB"); db != "" {
		if cfg.DB, err = parseDB(db); err != nil {
			return bad("REDIS_DB", err)
		}
	}
	if cfg.Cluster, err = flag("REDIS_CLUSTER"); err != nil {
		return err
	}
	useTLS, err := flag("REDIS_TLS")
	if err != nil {
		return err
	}
	if useTLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return nil
}
