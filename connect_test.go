package rediskit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

func Example() {
	// A service calls rediskit.Connect(ctx, cfg) with a Config from rediskit.ConfigFromEnv. For an example
	// that runs anywhere, this is the embedded server.
	srv, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	client, ctx := srv.Client(), context.Background()

	n, err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Incr().Key("visits").Build()
	}).AsInt64()
	switch {
	case rediskit.MayHaveApplied(err):
		fmt.Println("no reply: the visit may have been counted")
	case rediskit.IsUnavailable(err):
		fmt.Println("Redis is down: the visit was not counted")
	case err != nil:
		fmt.Println("Redis refused:", err)
	default:
		fmt.Println("visits:", n)
	}
	// Output: visits: 1
}

func ExampleParseURL() {
	cfg, err := rediskit.ParseURL("redis+sentinel://app:s3cret@s1:26379,s2:26379/main?db=2")
	fmt.Println(cfg, err)
	_, err = rediskit.ParseURL("redis://app:s3cret@localhost:port")
	fmt.Println(err)
	// Output:
	// sentinel main at s1:26379,s2:26379 as app db 2 <nil>
	// rediskit: URL: a port is not a number from 1 to 65535; a user and a password end with an '@'
}

func TestConnectAuthenticatesAsAnACLUser(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{Username: "app", Password: secret})
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, Username: "app", Password: secret, ClientName: "web", DB: 3})
	info, err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed { return b.ClientInfo().Build() }).ToString()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"user=app", "name=web", "db=3"} {
		if !strings.Contains(info, want) {
			t.Errorf("CLIENT INFO lacks %s: %s", want, info)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, secret) {
		t.Errorf("printing the client shows the password: %s", text)
	}
}

func TestConnectThroughAUnixSocket(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	cfg, err := rediskit.ParseURL("unix://" + s.Socket())
	if err != nil {
		t.Fatal(err)
	}
	if err := set(connect(t, cfg), t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
}

func TestConnectWithTLSAndAClientCertificate(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{TLS: true})
	certs := s.Certificates()
	tls, err := rediskit.TLSFromFiles(certs.CAFile, certs.ClientCertFile, certs.ClientKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, rediskit.Config{Addrs: []string{s.Addr()}, TLS: tls})
	if err := set(c, t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}

	noCert, err := rediskit.TLSFromFiles(certs.CAFile, "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{s.Addr()}, TLS: noCert})
	wantConnectError(t, err, s.Addr(), "") // the alert of TLS 1.3 may come too late to be read

	noCA, err := rediskit.TLSFromFiles("", certs.ClientCertFile, certs.ClientKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{s.Addr()}, TLS: noCA})
	wantConnectError(t, err, s.Addr(), "authority")
}

// wantConnectError wants a ConnectionError with the address and a cause, and no password.
func wantConnectError(t *testing.T, err error, addr, cause string) {
	t.Helper()
	var ce *rediskit.ConnectionError
	switch {
	case !errors.As(err, &ce):
		t.Fatalf("got %T %v, want a ConnectionError", err, err)
	case !strings.Contains(err.Error(), addr):
		t.Fatalf("%q does not name %s", err, addr)
	case !strings.Contains(err.Error(), cause):
		t.Fatalf("%q does not say %q", err, cause)
	case strings.Contains(err.Error(), secret):
		t.Fatalf("%q shows the password", err)
	}
}

func TestConnectSaysWhyItFailed(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{Password: secret})
	wrong := rediskit.Config{Addrs: []string{s.Addr()}, Password: secret + "x"}
	_, err := rediskit.Connect(t.Context(), wrong)
	wantConnectError(t, err, s.Addr(), "WRONGPASS")
	_, err = rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{s.Addr()}})
	wantConnectError(t, err, s.Addr(), "NOAUTH")
	_, err = rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{"host.invalid:6379"}, Password: secret})
	wantConnectError(t, err, "host.invalid:6379", "host.invalid")

	s.Kill()
	for _, cfg := range []rediskit.Config{
		{Addrs: []string{s.Addr()}, Password: secret},
		{Addrs: []string{s.Addr()}, Password: secret, Cluster: true},
		{Addrs: []string{s.Addr()}, Password: secret, Sentinel: rediskit.Sentinel{Master: "main", Password: secret}},
	} {
		_, err = rediskit.Connect(t.Context(), cfg)
		wantConnectError(t, err, s.Addr(), "refused")
	}
}

// A server whose AUTH has another name, for one.
func TestAServerThatRepeatsTheCommandRevealsNoPassword(t *testing.T) {
	s := fakeServer(t, func(c *server.Peer, cmd string, args []string) bool {
		if cmd == "HELLO" || cmd == "AUTH" {
			c.WriteError("ERR unknown command '" + cmd + "', with args beginning with: '" + strings.Join(args, "' '") + "'")
			return true
		}
		return false
	})
	for _, cfg := range []rediskit.Config{
		{Addrs: []string{s.Addr()}, Password: secret},
		{Addrs: []string{s.Addr()}, Password: secret, Cluster: true},
		{Addrs: []string{s.Addr()}, Sentinel: rediskit.Sentinel{Master: "main", Password: secret}},
	} {
		_, err := rediskit.Connect(t.Context(), cfg)
		wantConnectError(t, err, s.Addr(), "unknown command 'AUTH'")
	}
}

func TestConnectEndsWithItsContextWhenNobodyAnswers(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	for name, break_ := range map[string]func(*redistest.FaultProxy){
		"black hole": (*redistest.FaultProxy).BlackHole,
		"no replies": (*redistest.FaultProxy).BlackHoleReplies,
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, s.Addr())
			break_(p)
			for _, cfg := range []rediskit.Config{
				{Addrs: []string{p.Addr()}, DialTimeout: time.Hour},
				{Addrs: []string{p.Addr()}, DialTimeout: time.Hour, Cluster: true},
				{Addrs: []string{p.Addr()}, DialTimeout: time.Hour, Sentinel: rediskit.Sentinel{Master: "main"}},
				{Addrs: []string{p.Addr()}, DialTimeout: 50 * time.Millisecond},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				_, err := rediskit.Connect(ctx, cfg)
				cancel()
				wantConnectError(t, err, p.Addr(), "deadline exceeded")
			}
		})
	}
}

func TestConnectFindsOutThatAServerIsAClusterNode(t *testing.T) {
	addrs, err := redistest.SharedCluster()
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, rediskit.Config{Addrs: addrs[:1]})
	if c.Redis().Mode() != rueidis.ClientModeCluster {
		t.Fatalf("mode %s", c.Redis().Mode())
	}
	key := rediskittest.Keys(t)
	for _, k := range []string{"a", "b", "c", "d", "e", "f"} {
		if err := set(c, t.Context(), key("")+"{"+k+"}", "v"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConnectRefusesAServerThatIsTooOld(t *testing.T) {
	for info, want := range map[string]string{
		"redis_version:6.0.16":                        "redis 6.0.16 is too old",
		"redis_version:7.2.4\r\nvalkey_version:7.1.9": "valkey 7.1.9 is too old",
		"redis_version:unknown":                       "too old",
		"redis_version:6.2.0":                         "",
		"redis_version:7.2.4\r\nvalkey_version:8.0.1": "",
		"redis_version:10.0.0":                        "",
	} {
		s := fakeServer(t, func(c *server.Peer, cmd string, args []string) bool {
			if cmd == "INFO" {
				c.WriteBulk("# Server\r\n" + info + "\r\n")
				return true
			}
			return false
		})
		c, err := rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{s.Addr()}})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", info, err)
		case want == "":
			c.Close()
		default:
			wantConnectError(t, err, s.Addr(), want)
		}
	}
}

func TestACallAfterCloseSaysSo(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		c.Close()
		c.Close()
		_, err := get(c, t.Context(), "k")
		if !errors.Is(err, rediskit.ErrClosed) {
			t.Errorf("Do: %v", err)
		}
		wantConnectionError(t, err, false)
		err = c.DoMulti(t.Context(), 1, func(b rueidis.Builder, _ int) rueidis.Completed { return b.Ping().Build() })[0].Error()
		if !errors.Is(err, rediskit.ErrClosed) {
			t.Errorf("DoMulti: %v", err)
		}
		err = blpop(c, t.Context(), "k", 0).Error()
		if !errors.Is(err, rediskit.ErrClosed) {
			t.Errorf("Block: %v", err)
		}
		if _, err = c.Health(t.Context()); !errors.Is(err, rediskit.ErrClosed) {
			t.Errorf("Health: %v", err)
		}
		if _, err = c.Masters(t.Context()); !errors.Is(err, rediskit.ErrClosed) {
			t.Errorf("Masters: %v", err)
		}
	}, rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded)
}

func TestClosingAWrapperLeavesTheWrappedClientOpen(t *testing.T) {
	inner := rediskittest.Connect(t, rediskittest.OnSingle)
	rediskit.Wrap(inner.Redis()).Close()
	if err := set(inner, t.Context(), rediskittest.Keys(t)("k"), "v"); err != nil {
		t.Fatal(err)
	}
}

func TestAWrappedClientsOwnRetriesLeaveTheOutcomeOpen(t *testing.T) {
	s := startServer(t, redistest.ServerConfig{})
	p := startProxy(t, s.Addr())
	rc, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.Addr()}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rc.Close)
	// The reply is lost, and then nobody can connect: the last error is one of connecting.
	p.CutAfterReplyBytes(0)
	if err := p.RefuseNew(true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	wantConnectionError(t, set(rediskit.Wrap(rc), ctx, "k", "v"), true)
	if got := serverValue(t, s, "k"); got != "v" {
		t.Errorf("the server has %q", got)
	}
}
