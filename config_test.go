package rediskit_test

import (
	"fmt"
	"log/slog"
	"net"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
)

func TestParseURLReadsEveryForm(t *testing.T) {
	for _, tc := range []struct {
		url  string
		want rediskit.Config
		tls  bool
	}{
		{url: "redis://localhost", want: rediskit.Config{Addrs: []string{"localhost:6379"}}},
		{url: "redis://h:1", want: rediskit.Config{Addrs: []string{"h:1"}}},
		{url: "redis://h:1/", want: rediskit.Config{Addrs: []string{"h:1"}}},
		{url: "redis://h:1/3", want: rediskit.Config{Addrs: []string{"h:1"}, DB: 3}},
		{url: "redis://h:1?db=3", want: rediskit.Config{Addrs: []string{"h:1"}, DB: 3}},
		{url: "redis://:secret@h", want: rediskit.Config{Addrs: []string{"h:6379"}, Password: "secret"}},
		{url: "redis://ann:s%40%2Fc@h", want: rediskit.Config{Addrs: []string{"h:6379"}, Username: "ann", Password: "s@/c"}},
		{url: "redis://ann:s@c@h", want: rediskit.Config{Addrs: []string{"h:6379"}, Username: "ann", Password: "s@c"}},
		{url: "redis://[::1]:7", want: rediskit.Config{Addrs: []string{"[::1]:7"}}},
		{url: "redis://[::1]", want: rediskit.Config{Addrs: []string{"[::1]:6379"}}},
		{url: "rediss://h", want: rediskit.Config{Addrs: []string{"h:6379"}}, tls: true},
		{url: "redis://a:1,b:2,c", want: rediskit.Config{Addrs: []string{"a:1", "b:2", "c:6379"}, Cluster: true}},
		{url: "redis://a:1?cluster=true", want: rediskit.Config{Addrs: []string{"a:1"}, Cluster: true}},
		{url: "redis://h?client_name=web", want: rediskit.Config{Addrs: []string{"h:6379"}, ClientName: "web"}},
		{url: "redis+sentinel://a,b:2/main", want: rediskit.Config{Addrs: []string{"a:26379", "b:2"}, Sentinel: rediskit.Sentinel{Master: "main"}}},
		{url: "redis+sentinel://u:p@a/main/2?sentinel_username=su&sentinel_password=sp", want: rediskit.Config{
			Addrs: []string{"a:26379"}, Username: "u", Password: "p", DB: 2,
			Sentinel: rediskit.Sentinel{Master: "main", Username: "su", Password: "sp"}}},
		{url: "rediss+sentinel://a/main", want: rediskit.Config{Addrs: []string{"a:26379"}, Sentinel: rediskit.Sentinel{Master: "main"}}, tls: true},
		{url: "unix:///run/redis.sock", want: rediskit.Config{Addrs: []string{"/run/redis.sock"}}},
		{url: "unix://:pw@/run/redis.sock?db=1", want: rediskit.Config{Addrs: []string{"/run/redis.sock"}, Password: "pw", DB: 1}},
	} {
		got, err := rediskit.ParseURL(tc.url)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		if (got.TLS != nil) != tc.tls {
			t.Errorf("%s: TLS is %v", tc.url, got.TLS)
		}
		got.TLS = nil
		if fmt.Sprint(got.Addrs, got.Cluster, got.DB, got.Username, got.Password, got.ClientName, got.Sentinel.Master,
			got.Sentinel.Username, got.Sentinel.Password) != fmt.Sprint(tc.want.Addrs, tc.want.Cluster, tc.want.DB,
			tc.want.Username, tc.want.Password, tc.want.ClientName, tc.want.Sentinel.Master,
			tc.want.Sentinel.Username, tc.want.Sentinel.Password) {
			t.Errorf("%s: got %v, want %v", tc.url, got, tc.want)
		}
	}
}

// secret is what no error, log line or String may contain, whole or in part.
const secret = "hunter2"

func TestABadURLIsAnErrorWithoutThePassword(t *testing.T) {
	for url, want := range map[string]string{
		"":                                                 "no scheme",
		"localhost:6379":                                   "no scheme",
		"http://h":                                         "scheme",
		"redis://":                                         "no host",
		"redis://:hunter2@":                                "no host",
		"redis://:hunter2@:6379":                           "no host",
		"redis://:hunter2@h:0":                             "port",
		"redis://:hunter2@h:65536":                         "port",
		"redis://:hunter2@h:port":                          "port",
		"redis://ann:hunter2":                              "'@'",
		"redis://h:hunter2,b:1":                            "'@'",
		"redis://:hunter2@h:1/x":                           "database",
		"redis://:hunter2@h:1/-1":                          "database",
		"redis://:hunter2@h:1?db=x":                        "database",
		"redis://:hunter2@h?db=1&db=2":                     "db",
		"redis://:hunter2@h?pool=3":                        "pool",
		"redis://:hunter2@h?cluster=maybe":                 "cluster",
		"redis://:hunter2@h?x=%zz":                         "query",
		"redis://:hunter2%zz@h":                            "password",
		"redis://ann@h":                                    "password",
		"redis://:/hunter2@h":                              "'@'",
		"redis://:?hunter2@h":                              "'@'",
		"redis://a:1,b:2/1":                                "database 0",
		"redis+sentinel://:hunter2@h":                      "master",
		"redis+sentinel://:hunter2@h/":                     "master",
		"redis+sentinel://h/m?cluster=true":                "exclude",
		"redis+sentinel://h/m?sentinel_username=a":         "Password",
		"unix://:hunter2@relative":                         "absolute",
		"redis://::1":                                      "malformed",
		"redis://:hunter2@[::1":                            "malformed",
		"ann:hunter2@redis://h":                            "scheme",
		"redis+sentinel://h/m?sentinel_password=a&hunter2": "%XX",
	} {
		_, err := rediskit.ParseURL(url)
		switch {
		case err == nil:
			t.Errorf("%s: no error", url)
		case !strings.Contains(err.Error(), want):
			t.Errorf("%s: %q does not say %q", url, err, want)
		case strings.Contains(err.Error(), "hunter"):
			t.Errorf("%s: the error shows the password: %q", url, err)
		}
	}
}

func clearEnv(t *testing.T) {
	for _, name := range []string{"URL", "HOST", "PORT", "PASSWORD", "DB", "USERNAME", "TLS", "TLS_CA", "TLS_CERT",
		"TLS_KEY", "SENTINEL_MASTER", "CLUSTER"} {
		t.Setenv("REDIS_"+name, "")
	}
}

func TestConfigFromEnvReadsTheVariables(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "localhost:6379"},
		{map[string]string{"HOST": "h", "PORT": "7", "DB": "2", "USERNAME": "ann", "PASSWORD": secret}, "h:7 as ann db 2"},
		{map[string]string{"HOST": "/run/redis.sock", "DB": "1"}, "/run/redis.sock db 1"},
		{map[string]string{"HOST": "h", "TLS": "true"}, "h:6379 with TLS"},
		{map[string]string{"HOST": "a:1, b", "PORT": "7", "CLUSTER": "true"}, "cluster at a:1,b:7"},
		{map[string]string{"HOST": "a,b", "SENTINEL_MASTER": "main"}, "sentinel main at a:26379,b:26379"},
		{map[string]string{"URL": "redis://x:1/4", "HOST": "h", "PORT": "bad", "DB": "9"}, "x:1 db 4"},
	} {
		clearEnv(t)
		for name, value := range tc.env {
			t.Setenv("REDIS_"+name, value)
		}
		cfg, err := rediskit.ConfigFromEnv()
		if err != nil || cfg.String() != tc.want {
			t.Errorf("%v: got %q, %v; want %q", tc.env, cfg.String(), err, tc.want)
		}
		if want := tc.env["PASSWORD"]; cfg.Password != want {
			t.Errorf("%v: password %q", tc.env, cfg.Password)
		}
	}
}

func TestABadVariableIsNamed(t *testing.T) {
	for name, value := range map[string]string{
		"REDIS_URL": "redis://:hunter2@h:x", "REDIS_PORT": "70000", "REDIS_DB": "one", "REDIS_TLS": "perhaps",
		"REDIS_CLUSTER": "2", "REDIS_HOST": "::1", "REDIS_TLS_CA": "/does/not/exist", "REDIS_TLS_CERT": "/does/not/exist",
		"REDIS_USERNAME": "ann", "REDIS_HOST ": "hunter2@h",
	} {
		name = strings.TrimSpace(name)
		clearEnv(t)
		t.Setenv(name, value)
		_, err := rediskit.ConfigFromEnv()
		want := name
		if name == "REDIS_USERNAME" {
			want = "Username"
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestABadConfigIsRefusedByItsField(t *testing.T) {
	for field, cfg := range map[string]rediskit.Config{
		"Addrs[0]":          {Addrs: []string{"no-port"}},
		"Addrs[1]":          {Addrs: []string{"h:1", "h:99999"}, Cluster: true},
		"Addrs[0]: it":      {Addrs: []string{"redis://:" + secret + "@h:1"}},
		"Addrs[0]: it is":   {Addrs: []string{secret + "@h:1"}},
		"Addrs has 2":       {Addrs: []string{"a:1", "b:1"}},
		"Cluster":           {Cluster: true, Sentinel: rediskit.Sentinel{Master: "m"}},
		"DB":                {DB: -1},
		"DB is 1":           {DB: 1, Cluster: true},
		"Password":          {Username: "ann"},
		"Sentinel.Master":   {Sentinel: rediskit.Sentinel{Password: secret}},
		"Sentinel.Password": {Sentinel: rediskit.Sentinel{Master: "m", Username: "ann"}},
		"DialTimeout":       {DialTimeout: time.Microsecond},
		"CommandTimeout":    {CommandTimeout: -1},
		"HealthTimeout":     {HealthTimeout: time.Nanosecond},
		"TopologyRefresh":   {TopologyRefresh: time.Nanosecond},
		"FlushDelay":        {FlushDelay: time.Second},
	} {
		_, err := rediskit.Connect(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestNoFormOfPrintingAConfigShowsAPassword(t *testing.T) {
	cfg := rediskit.Config{Password: secret, Username: "ann", Sentinel: rediskit.Sentinel{Master: "m", Password: secret}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", cfg, "pointer", &cfg, "sentinel", cfg.Sentinel)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", cfg, "pointer", &cfg, "sentinel", cfg.Sentinel)
	type holder struct{ C rediskit.Config }
	for _, text := range []string{
		log.String(), cfg.String(), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg),
		fmt.Sprintf("%v %+v %#v", &cfg, &cfg, &cfg), fmt.Sprintf("%v %+v %#v", holder{cfg}, holder{cfg}, holder{cfg}),
		fmt.Sprintf("%v %+v %#v", cfg.Sentinel, cfg.Sentinel, cfg.Sentinel),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("shows the password: %s", text)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, url := range []string{
		"redis://localhost", "redis://ann:s%40c@h:1/3?client_name=web", "rediss://[::1]:7,b/0?cluster=true", "unix:///run/redis.sock?db=1",
		"redis+sentinel://u:p@a,b:2/main/2?sentinel_username=su&sentinel_password=sp", "redis://::1", "redis://h:0", "://", "redis://h?x=%zz",
	} {
		f.Add(url, "", "")
	}
	f.Add("redis://h:port/x?db=y", "a/b", "@c:1")
	f.Fuzz(func(t *testing.T, url, before, after string) {
		checkURL(t, url)
		if strings.Contains(url, secret) {
			return
		}
		// The same with a password, as it is and as it should be written.
		password := before + secret + after
		scheme, rest, _ := strings.Cut(url, "://")
		for _, p := range []string{password, neturl.PathEscape(password)} {
			checkURL(t, scheme+"://ann:"+p+"@"+rest)
			checkURL(t, scheme+"://:"+p+"@"+rest)
		}
		sep := "?"
		if strings.Contains(url, sep) {
			sep = "&"
		}
		checkURL(t, url+sep+"sentinel_password="+neturl.QueryEscape(password))
		if !strings.ContainsRune(before, '&') {
			checkURL(t, url+sep+"sentinel_password="+password)
		}
	})
}

func checkURL(t *testing.T, url string) {
	t.Helper()
	cfg, err := rediskit.ParseURL(url)
	if err != nil {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
		return
	}
	if strings.Contains(strings.Join(cfg.Addrs, ","), secret) {
		t.Errorf("%q: an address has the password: %q", url, cfg.Addrs)
	}
	again := "redis://" + strings.Join(cfg.Addrs, ",")
	if strings.HasPrefix(cfg.Addrs[0], "/") {
		again = "unix://" + cfg.Addrs[0]
	} else {
		for _, addr := range cfg.Addrs {
			host, port, err := net.SplitHostPort(addr)
			n, _ := strconv.Atoi(port)
			if err != nil || host == "" || n < 1 || n > 65535 {
				t.Errorf("%q: the address %q: %v", url, addr, err)
			}
		}
	}
	if same, err := rediskit.ParseURL(again); err != nil || !slices.Equal(same.Addrs, cfg.Addrs) {
		t.Errorf("%q: %q, read again: %q, %v", url, cfg.Addrs, same.Addrs, err)
	}
}
