package scan_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/scan"
)

func TestInfoTellsTypeTTLSizeAndEncoding(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)
		do := func(build func(b rueidis.Builder) rueidis.Completed) { check(t, c.Do(t.Context(), build).Error()) }
		do(func(b rueidis.Builder) rueidis.Completed {
			return b.Set().Key(key("string")).Value("some text").Px(time.Hour).Build()
		})
		do(func(b rueidis.Builder) rueidis.Completed { return b.Rpush().Key(key("list")).Element("a").Build() })
		do(func(b rueidis.Builder) rueidis.Completed { return b.Sadd().Key(key("set")).Member("a").Build() })
		do(func(b rueidis.Builder) rueidis.Completed {
			return b.Zadd().Key(key("zset")).ScoreMember().ScoreMember(1, "a").Build()
		})
		do(func(b rueidis.Builder) rueidis.Completed {
			return b.Hset().Key(key("hash")).FieldValue().FieldValue("f", "v").Build()
		})
		do(func(b rueidis.Builder) rueidis.Completed {
			return b.Xadd().Key(key("stream")).Id("*").FieldValue().FieldValue("f", "v").Build()
		})
		s := newScanner(t, c, scan.Config{})
		for _, typ := range []string{"string", "list", "set", "zset", "hash", "stream"} {
			info, found, err := s.Info(t.Context(), key(typ))
			if err != nil || !found {
				t.Errorf("%s: got %v, %v", typ, found, err)
			}
			if info.Type != typ || info.Size <= 0 {
				t.Errorf("%s: got %+v", typ, info)
			}
			if forever := info.TTL == rediskit.NoTTL; forever != (typ != "string") || info.TTL > time.Hour {
				t.Errorf("%s: the TTL is %v", typ, info.TTL)
			}
			if known := info.Encoding != ""; known != (t.Name() != "TestInfoTellsTypeTTLSizeAndEncoding/embedded") {
				t.Errorf("%s: the encoding is %q", typ, info.Encoding)
			}
		}
		if info, found, err := s.Info(t.Context(), key("none")); info != (scan.Info{}) || found || err != nil {
			t.Errorf("a missing key: got %+v, %v, %v", info, found, err)
		}
	}, allKinds...)
}

func TestInfoReportsFailuresWithTheKey(t *testing.T) {
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := newScanner(t, c, scan.Config{}).Info(ctx, "some key")
	var oe *rediskit.OpError
	if !errors.As(err, &oe) || oe.Op != "scan.Info" || oe.Key != "some key" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
