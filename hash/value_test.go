package hash

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/embedded"
)

// six is a struct of the usual size, with text and without.
type six struct {
	ID      int64     `redis:"id"`
	Name    string    `redis:"name"`
	Email   string    `redis:"email,omitempty"`
	Active  bool      `redis:"active"`
	Score   float64   `redis:"score"`
	Created time.Time `redis:"created"`
}

func newSix(t *testing.T) *Hash[six] {
	t.Helper()
	s, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	h, err := New[six](s.Client(), Config{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var ada = six{1234567, "Ada", "ada@example.com", true, 99.25, time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)}

func TestMappingAStructToArgumentsAllocatesOnce(t *testing.T) {
	h := newSix(t)
	s := h.scratch()
	n := testing.AllocsPerRun(1000, func() {
		s.args.Reset(header)
		if err := h.encode(s, ada, nil); err != nil || s.args.Finish() != 12 {
			t.Fatal(err)
		}
	})
	if n > 1 { // the text of all numbers and times, which the connection may keep
		t.Fatalf("%v allocations, want 1", n)
	}
}

func TestMappingAReplyToAStructAllocatesNothing(t *testing.T) {
	h := newSix(t)
	if err := h.Set(t.Context(), "k", ada); err != nil {
		t.Fatal(err)
	}
	msgs, err := h.store.mget(t.Context(), "k", h.plan.Names())
	if err != nil {
		t.Fatal(err)
	}
	s := h.scratch()
	n := testing.AllocsPerRun(1000, func() {
		if v, found, err := h.decode(s, msgs, 6, nil); v != ada || !found || err != nil {
			t.Fatal(v, found, err)
		}
	})
	if n > 0 {
		t.Fatalf("%v allocations, want none", n)
	}
}

func TestNothingOfACallStaysInItsWorkingMemory(t *testing.T) {
	h := newSix(t)
	s := h.scratch()
	if err := h.encode(s, ada, nil); err != nil {
		t.Fatal(err)
	}
	s.args.Finish()
	list := s.args.List
	h.free(s)
	if s.v != (six{}) {
		t.Fatalf("kept %+v", s.v)
	}
	for i, arg := range list {
		if arg != "" {
			t.Fatalf("argument %d is still %q", i, arg)
		}
	}
}

func TestAReplyOfAnotherLengthIsAnError(t *testing.T) {
	h := newSix(t)
	s := h.scratch()
	defer h.free(s)
	if _, _, err := h.decode(s, make([]rueidis.RedisMessage, 5), 6, nil); !errors.Is(err, errReply) {
		t.Fatalf("got %v", err)
	}
}
