package ratelimit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/keys"
)

// remembered counts the keys whose refusal is known.
func remembered(m *memo, l *limit, names []string) (n int) {
	for _, key := range names {
		var r Result
		if m.refused(m.find(keys.Builder{}, key, l), l, 1, &r) {
			n++
		}
	}
	return n
}

func refuse(m *memo, l *limit, key string) {
	r := Result{RetryAfter: time.Minute, key: key, limit: l, cost: 1}
	m.remember(m.find(keys.Builder{}, key, l), r, time.Minute, m.base.Add(time.Since(m.base)), m.epoch())
}

func TestKeysDoNotDriveOneAnotherOutWhileThereIsRoom(t *testing.T) {
	m, l := newMemo(16_384), SlidingWindow(1, time.Minute).limit
	names := make([]string, 1_000)
	for i := range names {
		names[i] = fmt.Sprint("user:", i)
		refuse(m, l, names[i])
	}
	// With one place for each hash, some 60 would be missing.
	if n := remembered(m, l, names); n < 990 {
		t.Errorf("of 1000 refused keys %d are remembered", n)
	}
}

func TestKeysThatAreAllowedDoNotDriveOutARefusal(t *testing.T) {
	m, l := newMemo(1), SlidingWindow(1, time.Minute).limit
	refuse(m, l, "refused")
	for i := range 1_000 {
		m.find(keys.Builder{}, fmt.Sprint("user:", i), l)
	}
	if remembered(m, l, []string{"refused"}) != 1 {
		t.Error("the refusal is forgotten")
	}
}

func TestMoreRefusalsThanThereIsRoomForKeepSomeOfTheLast(t *testing.T) {
	m, l := newMemo(4), SlidingWindow(1, time.Minute).limit
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("user:", i))
		refuse(m, l, names[i])
		if remembered(m, l, names[i:]) != 1 {
			t.Fatalf("%s was refused just now, and is not remembered", names[i])
		}
	}
}

func TestAResetForgetsARefusalWhereverItIsKept(t *testing.T) {
	m, l := newMemo(4), SlidingWindow(1, time.Minute).limit
	names := []string{"a", "b", "c", "d"}
	for _, key := range names {
		refuse(m, l, key)
	}
	for i, key := range names {
		m.forget(key, l)
		if remembered(m, l, names[:i+1]) != 0 || remembered(m, l, names[i+1:]) != len(names)-i-1 {
			t.Errorf("after a reset of %s", key)
		}
	}
}

func TestLongKeysAreHashedSoThatTheyFillNoMemory(t *testing.T) {
	l, limit, seen := &Limiter{memo: newMemo(1024)}, SlidingWindow(1, time.Minute).limit, map[string]int{}
	for _, length := range []int{1, longest - 1, longest, longest + 1, longest + 64, longest + 65, 1 << 20, 1<<20 + 1} {
		n, name := l.name(strings.Repeat("k", length), limit)
		if other := seen[name]; other != 0 || n == nil || len(n.key)+len(name) > 1000 {
			t.Errorf("a key of %d bytes is known as %q, and so is one of %d", length, name, other)
		}
		seen[name] = length
	}
	// What a long key stands for cannot be said by another key.
	long := strings.Repeat("k", longest+1)
	if identity(identity(long)) == identity(long) {
		t.Error("a key can take the place of a longer one")
	}
}
