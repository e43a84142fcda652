package redistest

import (
	"reflect"
	"strings"
	"testing"
)

func TestSharedFixturesOfThisProcessStartOnce(t *testing.T) {
	t.Setenv(FixturesEnv, "")
	server := must(SharedServer())(t)
	sentinel := must(SharedSentinel())(t)
	cluster := must(SharedCluster())(t)
	if again := must(SharedServer())(t); again != server {
		t.Errorf("server %s and %s", server, again)
	}
	if again := must(SharedSentinel())(t); !reflect.DeepEqual(again, sentinel) {
		t.Errorf("Sentinel set %v and %v", sentinel, again)
	}
	if again := must(SharedCluster())(t); !reflect.DeepEqual(again, cluster) {
		t.Errorf("cluster %v and %v", cluster, again)
	}
	ask(t, dial(t, server), "PONG", "PING")
	if _, err := dial(t, sentinel.Addrs[0]).do("SENTINEL", "MASTER", sentinel.MasterName); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, cluster[5]).do("CLUSTER", "SLOTS"); err != nil {
		t.Error(err)
	}
}

func TestSharedFixturesOfTheEnvironmentWin(t *testing.T) {
	t.Setenv(FixturesEnv, `{"server":"s:1","sentinel":{"addrs":["a:1","b:2"],"master_name":"m"},"cluster":["c:1"]}`)
	if got := must(SharedServer())(t); got != "s:1" {
		t.Errorf("server %s", got)
	}
	if got := must(SharedSentinel())(t); !reflect.DeepEqual(got, SentinelFixture{Addrs: []string{"a:1", "b:2"}, MasterName: "m"}) {
		t.Errorf("Sentinel set %v", got)
	}
	if got := must(SharedCluster())(t); !reflect.DeepEqual(got, []string{"c:1"}) {
		t.Errorf("cluster %v", got)
	}
}

func TestBadFixturesInTheEnvironmentAreAnError(t *testing.T) {
	for _, text := range []string{"nonsense", "{}", `{"server":"s:1"}`} {
		t.Setenv(FixturesEnv, text)
		if _, err := SharedServer(); err == nil || !strings.Contains(err.Error(), FixturesEnv) {
			t.Errorf("%s: got error %v", text, err)
		}
		if _, err := SharedSentinel(); err == nil {
			t.Errorf("%s: no error for the Sentinel set", text)
		}
		if _, err := SharedCluster(); err == nil {
			t.Errorf("%s: no error for the cluster", text)
		}
	}
}
