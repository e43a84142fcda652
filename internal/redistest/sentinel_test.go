package redistest

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func startedSentinel(t *testing.T, config SentinelConfig) *Sentinel {
	t.Helper()
	s, err := StartSentinel(config)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, s)
	logAfter(t, s.Sentinels()...)
	return s
}

// writeAndReplicate fails unless what the primary takes arrives at the replica.
func writeAndReplicate(t *testing.T, primary, replica *Server, key string) {
	t.Helper()
	expect(t, primary, "OK", "SET", key, "v")
	expectSoon(t, replica, "v", "GET", key)
}

func TestSentinelSet(t *testing.T) {
	s := startedSentinel(t, SentinelConfig{})

	t.Run("knows its primary and its replica", func(t *testing.T) {
		if len(s.Addrs()) != 3 || len(s.Sentinels()) != 3 || s.MasterName() == "" {
			t.Fatalf("addrs %v, name %q", s.Addrs(), s.MasterName())
		}
		writeAndReplicate(t, must(s.Primary())(t), must(s.Replica())(t), "a")
	})

	t.Run("fails over on request and keeps the data", func(t *testing.T) {
		old, replica := must(s.Primary())(t), must(s.Replica())(t)
		promoted := must(s.Failover())(t)
		if promoted != replica || must(s.Primary())(t) != promoted || must(s.Replica())(t) != old {
			t.Fatalf("%s promoted, not %s", promoted.Addr(), replica.Addr())
		}
		expect(t, promoted, "v", "GET", "a")
		writeAndReplicate(t, promoted, old, "b")
	})

	t.Run("promotes the replica of a killed primary, which comes back as a replica", func(t *testing.T) {
		replica := must(s.Replica())(t)
		killed := must(s.KillPrimary())(t)
		if err := checkRefused(killed.Addr()); err != nil {
			t.Fatal(err)
		}
		promoted := must(s.WaitPromoted(killed))(t)
		if promoted != replica {
			t.Fatalf("%s promoted", promoted.Addr())
		}
		if err := killed.Restart(); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitOK(); err != nil {
			t.Fatal(err)
		}
		if must(s.Replica())(t) != killed {
			t.Error("the former primary is no replica")
		}
		writeAndReplicate(t, promoted, killed, "c")
	})

	t.Run("works without one of its sentinels", func(t *testing.T) {
		s.Sentinels()[0].Kill()
		must(s.Failover())(t)
		if err := s.Sentinels()[0].Restart(); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitOK(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSentinelSetWithPasswordsAndUsersFailsOver(t *testing.T) {
	s := startedSentinel(t, SentinelConfig{
		Args:     []string{"--maxmemory", "100mb"},
		Username: "app", Password: "data secret",
		SentinelUsername: "watcher", SentinelPassword: "sentinel secret",
	})
	primary := must(s.Primary())(t)
	for _, addr := range []string{primary.Addr(), s.Addrs()[0]} {
		var refusal ReplyError
		if _, err := dial(t, addr).do("INFO"); !errors.As(err, &refusal) || refusal.Code() != "NOAUTH" {
			t.Errorf("%s: got error %v without a password", addr, err)
		}
	}
	expect(t, primary, "app", "ACL", "WHOAMI")
	expect(t, s.Sentinels()[0], "watcher", "ACL", "WHOAMI")
	if must(must(s.Failover())(t).info("memory"))(t)["maxmemory"] != "104857600" {
		t.Error("Args did not reach the replica")
	}
}

func TestBadSentinelConfigIsNamed(t *testing.T) {
	for want, config := range map[string]SentinelConfig{
		"DownAfter": {DownAfter: time.Microsecond},
		"Username":  {SentinelUsername: "watcher"},
	} {
		if _, err := StartSentinel(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", want, err)
		}
	}
}
