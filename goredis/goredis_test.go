package goredis_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/goredis"
	"github.com/tickettoken/rediskit/internal/redistest"
)

func Example() {
	options := &redis.Options{Addr: "localhost:6379", Password: "secret", DB: 2}
	cfg, err := goredis.FromOptions(options)
	fmt.Println(cfg, err)
	// Output: localhost:6379 db 2 <nil>
}

func TestOptionsAreCarriedOver(t *testing.T) {
	certs := &tls.Config{ServerName: "redis", MinVersion: tls.VersionTLS13}
	single, err := goredis.FromOptions(&redis.Options{Addr: "h:1", Username: "u", Password: "p", DB: 3, TLSConfig: certs,
		ClientName: "n", DialTimeout: time.Second, ReadTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if single.Addrs[0] != "h:1" || single.Username != "u" || single.Password != "p" || single.DB != 3 || single.ClientName != "n" ||
		single.TLS.ServerName != "redis" || single.DialTimeout != time.Second || single.CommandTimeout != 2*time.Second {
		t.Errorf("%v", single)
	}
	sentinel, err := goredis.FromFailoverOptions(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{"a:1", "b:2"},
		SentinelUsername: "su", SentinelPassword: "sp", Username: "u", Password: "p", DB: 3})
	if err != nil {
		t.Fatal(err)
	}
	if sentinel.Sentinel.Master != "main" || sentinel.Sentinel.Username != "su" || sentinel.Sentinel.Password != "sp" ||
		len(sentinel.Addrs) != 2 || sentinel.Username != "u" || sentinel.Password != "p" || sentinel.DB != 3 {
		t.Errorf("%v", sentinel)
	}
	cluster, err := goredis.FromClusterOptions(&redis.ClusterOptions{Addrs: []string{"a:1"}, Username: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	if !cluster.Cluster || cluster.Addrs[0] != "a:1" || cluster.Username != "u" || cluster.Password != "p" {
		t.Errorf("%v", cluster)
	}
}

func TestWhatCannotBeCarriedOverIsNamed(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, nil }
	for want, err := range map[string]error{
		"Options is nil":                second(goredis.FromOptions(nil)),
		"FailoverOptions is nil":        second(goredis.FromFailoverOptions(nil)),
		"ClusterOptions is nil":         second(goredis.FromClusterOptions(nil)),
		"Options.Dialer":                second(goredis.FromOptions(&redis.Options{Dialer: dial})),
		"Options.CredentialsProvider":   second(goredis.FromOptions(&redis.Options{CredentialsProvider: func() (string, string) { return "", "" }})),
		"Options.ReadTimeout":           second(goredis.FromOptions(&redis.Options{ReadTimeout: -1})),
		"Options.Addr":                  second(goredis.FromOptions(&redis.Options{Network: "unix"})),
		"FailoverOptions.MasterName":    second(goredis.FromFailoverOptions(&redis.FailoverOptions{SentinelAddrs: []string{"a:1"}})),
		"FailoverOptions.SentinelAddrs": second(goredis.FromFailoverOptions(&redis.FailoverOptions{MasterName: "m"})),
		"FailoverOptions.ReplicaOnly":   second(goredis.FromFailoverOptions(&redis.FailoverOptions{ReplicaOnly: true})),
		"ClusterOptions.Addrs":          second(goredis.FromClusterOptions(&redis.ClusterOptions{})),
		"ClusterOptions.ReadOnly":       second(goredis.FromClusterOptions(&redis.ClusterOptions{ReadOnly: true})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func second(_ rediskit.Config, err error) error { return err }

func TestBothClientsReachTheSameServer(t *testing.T) {
	s, err := redistest.StartServer(redistest.ServerConfig{Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	set, err := redistest.StartSentinel(redistest.SentinelConfig{Password: "secret", SentinelPassword: "other"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	cl, err := redistest.StartCluster(redistest.ClusterConfig{Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })

	options := &redis.Options{Addr: s.Addr(), Password: "secret", DB: 1}
	failover := &redis.FailoverOptions{MasterName: set.MasterName(), SentinelAddrs: set.Addrs(), Password: "secret", SentinelPassword: "other"}
	cluster := &redis.ClusterOptions{Addrs: cl.Addrs(), Password: "secret"}
	for name, both := range map[string]struct {
		cfg func() (rediskit.Config, error)
		own func() redis.UniversalClient
	}{
		"single":   {func() (rediskit.Config, error) { return goredis.FromOptions(options) }, func() redis.UniversalClient { return redis.NewClient(options) }},
		"sentinel": {func() (rediskit.Config, error) { return goredis.FromFailoverOptions(failover) }, func() redis.UniversalClient { return redis.NewFailoverClient(failover) }},
		"cluster":  {func() (rediskit.Config, error) { return goredis.FromClusterOptions(cluster) }, func() redis.UniversalClient { return redis.NewClusterClient(cluster) }},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := both.cfg()
			if err != nil {
				t.Fatal(err)
			}
			own := both.own()
			defer own.Close()
			if err := own.Set(t.Context(), "k", name, time.Minute).Err(); err != nil {
				t.Fatal(err)
			}
			c, err := rediskit.Connect(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := c.Redis().Do(t.Context(), c.Redis().B().Get().Key("k").Build()).ToString()
			if got != name || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
