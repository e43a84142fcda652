package script_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	// The client library may look at a cluster's slots once more within a second after it was closed.
	for deadline := time.Now().Add(10 * time.Second); code == 0; {
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var everywhere = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnSentinel, rediskittest.OnCluster, rediskittest.OnEmbedded}

// Replies that tests make up are int64, string, status, failure, bool, float64, nil, []any and pairs.
type (
	status  string // +OK
	failure string // -CODE text
	pairs   []any  // a map of RESP3
)

// message is a reply without a server. The form is that in which the client library caches replies.
func message(x any) rueidis.RedisMessage {
	var msg rueidis.RedisMessage
	if err := msg.CacheUnmarshalView(appendReply(make([]byte, 7), x)); err != nil {
		panic(err)
	}
	return msg
}

func result(x any) rueidis.RedisResult { return rueidis.NewResult(message(x), nil) }

func appendReply(b []byte, x any) []byte {
	number := func(kind byte, n int) []byte {
		return binary.BigEndian.AppendUint64(append(b, kind), uint64(n))
	}
	var list []any
	switch x := x.(type) {
	case nil:
		return number('_', 0)
	case int:
		return number(':', x)
	case bool:
		if x {
			return number('#', 1)
		}
		return number('#', 0)
	case string:
		return append(number('$', len(x)), x...)
	case status:
		return append(number('+', len(x)), x...)
	case failure:
		return append(number('-', len(x)), x...)
	case float64:
		s := fmt.Sprint(x)
		return append(number(',', len(s)), s...)
	case []any:
		list, b = x, number('*', len(x))
	case pairs:
		list, b = x, number('%', len(x))
	default:
		panic(fmt.Sprintf("no reply is a %T", x))
	}
	for _, elem := range list {
		b = appendReply(b, elem)
	}
	return b
}

// wantError checks that an error has all the texts in it and is an OpError of the operation.
func wantError(t *testing.T, err error, op string, texts ...string) {
	t.Helper()
	var oe *rediskit.OpError
	if !errors.As(err, &oe) || oe.Op != op {
		t.Fatalf("the error is %v (%T): want an OpError of %s", err, err, op)
	}
	if rueidis.IsRedisNil(oe.Err) {
		t.Fatalf("%v: the client library's Nil leaked", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Fatalf("the error is %q: want %q in it", err, text)
		}
	}
}

// do runs a command that has to succeed, or to reply nil.
func do(t testing.TB, c *rediskit.Client, args ...string) rueidis.RedisResult {
	t.Helper()
	res := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		cmd := b.Arbitrary(args[0])
		if len(args) > 1 {
			cmd = cmd.Keys(args[1]).Args(args[2:]...)
		}
		return cmd.Build()
	})
	if err := res.Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatalf("%v: %v", args, err)
	}
	return res
}

// str is the string reply of a command, and "(nil)" for nil.
func str(t testing.TB, c *rediskit.Client, args ...string) string {
	t.Helper()
	s, err := do(t, c, args...).ToString()
	if rueidis.IsRedisNil(err) {
		return "(nil)"
	}
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return s
}

// num is the integer reply of a command.
func num(t testing.TB, c *rediskit.Client, args ...string) int64 {
	t.Helper()
	n, err := do(t, c, args...).AsInt64()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return n
}

// eventually calls f until it returns nil.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %v", err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
