package session_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestAConflictWithAnotherSessionIsTheCallersError(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	s, other := must(m.Create(ctx, "ada", ada, phone))(t), must(m.Create(ctx, "ada", ada, phone))(t)
	calls := 0
	var want error
	_, err := m.Update(ctx, s.ID, func(v *Visit) error {
		calls++
		_, want = m.Save(ctx, other.ID, 7, ada)
		return want
	})
	if !errors.Is(err, session.ErrConflict) || err != want || calls != 1 {
		t.Fatalf("got %v after %d calls, want %v", err, calls, want)
	}
}

func TestDataThatAreTooLargeAlreadyMayStayAsTheyAre(t *testing.T) {
	c := rediskittest.Embedded(t)
	large := manager(t, c, session.Config{})
	m := manager(t, c, session.Config{MaxData: 100, Keys: large.Keys()})
	ctx := t.Context()
	s := must(large.Create(ctx, "ada", Visit{Name: strings.Repeat("x", 200)}, phone))(t).Session
	d := must(m.Draft(s))(t)
	equal(t, "changed", must(d.Changed())(t), false)
	equal(t, "saved", must(d.Save(ctx))(t), false)
	same(t, must(m.Update(ctx, s.ID, func(*Visit) error { return nil }))(t), s)
	same(t, must(m.Save(ctx, s.ID, 1, s.Data))(t), s)
	if _, err := m.Update(ctx, s.ID, func(v *Visit) error { v.Views++; return nil }); !errors.Is(err, session.ErrTooLarge) {
		t.Fatal(err)
	}
}

type counters struct {
	Small  int8   `redis:"small"`
	Signed int32  `redis:"signed"`
	Bytes  uint16 `redis:"bytes"`
	Whole  uint64 `redis:"whole"`
	Large  int64  `redis:"large"`
	Took   time.Duration
	Maybe  *uint32 `redis:"maybe"`
}

func TestASumThatDoesNotFitTheFieldChangesNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := managerOf[counters](t, c, session.Config{})
		ctx := t.Context()
		v := counters{Small: 100, Signed: math.MinInt32, Bytes: 3, Whole: 1 << 60, Large: 1}
		s := must(m.Create(ctx, "ada", v, phone))(t)
		for _, bad := range []struct {
			field string
			by    int64
		}{
			{"small", 28}, {"small", -229}, {"small", math.MaxInt64}, {"small", math.MinInt64}, {"signed", -1}, {"signed", math.MinInt64}, {"bytes", -4}, {"bytes", 65533},
			{"whole", -1<<60 - 1}, {"whole", math.MaxInt64}, {"maybe", -1}, {"maybe", 1 << 32},
		} {
			if sum, err := m.Incr(ctx, s.ID, bad.field, bad.by); err == nil {
				t.Errorf("%s and %d is %d", bad.field, bad.by, sum)
			}
			equal(t, bad.field, must(m.Get(ctx, s.ID))(t).Data, v)
		}
		for field, by := range map[string]int64{"small": 27, "signed": math.MaxUint32, "bytes": 65532, "whole": -1 << 60, "large": math.MaxInt64 - 1, "Took": -1, "maybe": math.MaxUint32} {
			must(m.Incr(ctx, s.ID, field, by))(t)
		}
		got := must(m.Get(ctx, s.ID))(t).Data
		equal(t, "maybe", *got.Maybe, math.MaxUint32)
		got.Maybe = nil
		equal(t, "data", got, counters{Small: 127, Signed: math.MaxInt32, Bytes: 65535, Large: math.MaxInt64, Took: -1})
	})
}

func TestADraftLeavesCountersAloneAndSaveDoesNot(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		s := must(m.Create(ctx, "ada", ada, phone))(t).Session
		d := must(m.Draft(s))(t)
		must(m.Incr(ctx, s.ID, "views", 4))(t)
		d.Session.Data.Name = "draft"
		equal(t, "saved", must(d.Save(ctx))(t), true)
		equal(t, "views", must(m.Get(ctx, s.ID))(t).Data.Views, ada.Views+4)
		s.Data.Name = "saved"
		saved := must(m.Save(ctx, s.ID, 2, s.Data))(t)
		same(t, must(m.Get(ctx, s.ID))(t), saved)
		equal(t, "views", saved.Data.Views, ada.Views)
	})
}

func TestASessionThatIsRevokedWhileItIsReadIsNotFound(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		for name, use := range map[string]func(m *session.Manager[Visit], id session.ID) error{
			"Get":   func(m *session.Manager[Visit], id session.ID) error { return second(m.Get(ctx, id)) },
			"Touch": func(m *session.Manager[Visit], id session.ID) error { return second(m.Touch(ctx, id)) },
			"SetTimeouts": func(m *session.Manager[Visit], id session.ID) error {
				return second(m.SetTimeouts(ctx, id, time.Hour, 0))
			},
			"Update": func(m *session.Manager[Visit], id session.ID) error {
				return second(m.Update(ctx, id, func(*Visit) error { t.Error("called"); return nil }))
			},
		} {
			m := manager(t, c, session.Config{TouchFraction: -1})
			s := must(m.Create(ctx, "ada", ada, phone))(t)
			m.OnStep(func(place string) {
				if place == "touch: read" {
					ok(t, m.RevokeHalf(ctx, s.ID))
				}
			})
			if err := use(m, s.ID); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
