package goredis

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tickettoken/rediskit"
)

// FromOptions makes a Config of the options of redis.NewClient. It returns an error that names the field for
// an option that says where to connect, as whom, or what to read, and that a Config cannot express.
func FromOptions(o *redis.Options) (rediskit.Config, error) {
	if o == nil {
		return rediskit.Config{}, errors.New("goredis: Options is nil")
	}
	if err := refuse("Options", []option{
		{"Dialer", o.Dialer != nil},
		{"OnConnect", o.OnConnect != nil},
		{"CredentialsProvider", o.CredentialsProvider != nil},
		{"CredentialsProviderContext", o.CredentialsProviderContext != nil},
		{"StreamingCredentialsProvider", o.StreamingCredentialsProvider != nil},
		{"Limiter", o.Limiter != nil},
	}); err != nil {
		return rediskit.Config{}, err
	}
	cfg := rediskit.Config{Username: o.Username, Password: o.Password, DB: o.DB, TLS: o.TLSConfig, ClientName: o.ClientName}
	switch {
	case o.Addr != "":
		cfg.Addrs = []string{o.Addr}
	case o.Network == "unix":
		return rediskit.Config{}, errors.New("goredis: Options.Network is unix and Options.Addr is empty")
	}
	return withTimeouts(cfg, "Options", o.DialTimeout, o.ReadTimeout)
}

// FromFailoverOptions makes a Config of the options of redis.NewFailoverClient. Errors are as for
// [FromOptions].
func FromFailoverOptions(o *redis.FailoverOptions) (rediskit.Config, error) {
	if o == nil {
		return rediskit.Config{}, errors.New("goredis: FailoverOptions is nil")
	}
	if err := refuse("FailoverOptions", []option{
		{"Dialer", o.Dialer != nil},
		{"OnConnect", o.OnConnect != nil},
		{"CredentialsProvider", o.CredentialsProvider != nil},
		{"CredentialsProviderContext", o.CredentialsProviderContext != nil},
		{"StreamingCredentialsProvider", o.StreamingCredentialsProvider != nil},
		{"RouteByLatency", o.RouteByLatency},
		{"RouteRandomly", o.RouteRandomly},
		{"ReplicaOnly", o.ReplicaOnly},
		{"UseDisconnectedReplicas", o.UseDisconnectedReplicas},
	}); err != nil {
		return rediskit.Config{}, err
	}
	switch {
	case o.MasterName == "":
		return rediskit.Config{}, errors.New("goredis: FailoverOptions.MasterName is empty")
	case len(o.SentinelAddrs) == 0:
		return rediskit.Config{}, errors.New("goredis: FailoverOptions.SentinelAddrs is empty")
	}
	cfg := rediskit.Config{
		Addrs:    append([]string(nil), o.SentinelAddrs...),
		Username: o.Username, Password: o.Password, DB: o.DB, TLS: o.TLSConfig, ClientName: o.ClientName,
		Sentinel: rediskit.Sentinel{Master: o.MasterName, Username: o.SentinelUsername, Password: o.SentinelPassword},
	}
	return withTimeouts(cfg, "FailoverOptions", o.DialTimeout, o.ReadTimeout)
}

// FromClusterOptions makes a Config of the options of redis.NewClusterClient. Errors are as for [FromOptions].
func FromClusterOptions(o *redis.ClusterOptions) (rediskit.Config, error) {
	if o == nil {
		return rediskit.Config{}, errors.New("goredis: ClusterOptions is nil")
	}
	if err := refuse("ClusterOptions", []option{
		{"NewClient", o.NewClient != nil},
		{"ClusterSlots", o.ClusterSlots != nil},
		{"Dialer", o.Dialer != nil},
		{"OnConnect", o.OnConnect != nil},
		{"CredentialsProvider", o.CredentialsProvider != nil},
		{"CredentialsProviderContext", o.CredentialsProviderContext != nil},
		{"StreamingCredentialsProvider", o.StreamingCredentialsProvider != nil},
		{"ReadOnly", o.ReadOnly},
		{"RouteByLatency", o.RouteByLatency},
		{"RouteRandomly", o.RouteRandomly},
	}); err != nil {
		return rediskit.Config{}, err
	}
	if len(o.Addrs) == 0 {
		return rediskit.Config{}, errors.New("goredis: ClusterOptions.Addrs is empty")
	}
	cfg := rediskit.Config{
		Addrs: append([]string(nil), o.Addrs...), Cluster: true,
		Username: o.Username, Password: o.Password, TLS: o.TLSConfig, ClientName: o.ClientName,
	}
	return withTimeouts(cfg, "ClusterOptions", o.DialTimeout, o.ReadTimeout)
}

type option struct {
	name string
	set  bool
}

func refuse(of string, options []option) error {
	for _, o := range options {
		if o.set {
			return fmt.Errorf("goredis: %s.%s is set, which rediskit.Config has no field for", of, o.name)
		}
	}
	return nil
}

func withTimeouts(cfg rediskit.Config, of string, dial, read time.Duration) (rediskit.Config, error) {
	if read < 0 {
		return rediskit.Config{}, fmt.Errorf("goredis: %s.ReadTimeout turns the time-out off, which rediskit does not", of)
	}
	cfg.DialTimeout, cfg.CommandTimeout = dial, read
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
	}
	return cfg, nil
}
