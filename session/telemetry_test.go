package session_test

import (
	"context"
	"maps"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// counting is a MeterProvider that keeps what counters are given.
type counting struct {
	noop.MeterProvider
	mu   sync.Mutex
	seen map[string]int64
}

func (c *counting) Meter(string, ...metric.MeterOption) metric.Meter { return meterOf{of: c} }

type meterOf struct {
	noop.Meter
	of *counting
}

func (m meterOf) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counterOf{name: name, of: m.of}, nil
}

type counterOf struct {
	noop.Int64Counter
	name string
	of   *counting
}

func (c counterOf) Add(_ context.Context, n int64, options ...metric.AddOption) {
	set := metric.NewAddConfig(options).Attributes()
	name := c.name
	for _, kv := range set.ToSlice() {
		name += " " + kv.Value.AsString()
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.seen[name] += n
}

func (c *counting) take() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := maps.Clone(c.seen)
	clear(c.seen)
	return seen
}

func TestWhatHappensIsCounted(t *testing.T) {
	meter := &counting{seen: map[string]int64{}}
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	m := manager(t, c, session.Config{MaxPerUser: 1, MeterProvider: meter})
	ctx := t.Context()
	a := must(m.Create(ctx, "ada", ada, phone))(t)
	_, _ = m.Create(ctx, "ada", ada, phone)
	must(m.Get(ctx, a.ID))(t)
	must(m.Get(ctx, a.ID))(t)
	_, _ = m.Get(ctx, session.ID{})
	tries := 0
	must(m.Update(ctx, a.ID, func(v *Visit) error {
		if tries++; tries == 1 {
			must(m.Save(ctx, a.ID, 1, Visit{}))(t)
		}
		v.Name += "x"
		return nil
	}))(t)
	must(m.Rotate(ctx, a.ID, 0))(t)
	gone(t, m, a.ID)
	must(m.RevokeUser(ctx, "ada"))(t)
	want := map[string]int64{
		"rediskit.session.logins admitted":       1,
		"rediskit.session.logins refused":        1,
		"rediskit.session.loads found":           5,
		"rediskit.session.loads invalid":         2,
		"rediskit.session.conflicts":             1,
		"rediskit.session.events created ":       1,
		"rediskit.session.events rotated ":       1,
		"rediskit.session.events revoked user":   1,
		"rediskit.session.stream_events written": 0,
	}
	got := meter.take()
	got["rediskit.session.stream_events written"] += 0
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}

	away := rediskittest.Embedded(t)
	m = managerOf[Visit](t, away, session.Config{Keys: m.Keys(), MeterProvider: meter, EventStream: true})
	s := must(m.Create(ctx, "ada", ada, phone))(t)
	eventually(t, func() error {
		if meter.mu.Lock(); meter.seen["rediskit.session.stream_events written"] != 1 {
			meter.mu.Unlock()
			return context.Canceled
		}
		meter.mu.Unlock()
		return nil
	})
	meter.take()
	away.Close()
	if _, err := m.Get(ctx, s.ID); !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	_, _ = m.Create(ctx, "ada", ada, phone)
	if got, want := meter.take(), map[string]int64{"rediskit.session.loads failed": 1, "rediskit.session.logins failed": 1}; !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

func TestEventsForTheStreamAreDroppedAndCountedWhenRedisIsAway(t *testing.T) {
	meter := &counting{seen: map[string]int64{}}
	server := rediskittest.Server(t)
	m := manager(t, server.Client(), session.Config{MeterProvider: meter, EventStream: true})
	ok(t, raw(server.Client(), "SET", m.EventStream(), "no stream", "PX", "60000").Error())
	const n = 1500
	for range n / 2 {
		s := must(m.Create(t.Context(), "ada", ada, phone))(t)
		ok(t, m.Delete(t.Context(), s.ID))
	}
	dropped := int64(0)
	eventually(t, func() error {
		if dropped += meter.take()["rediskit.session.stream_events dropped"]; dropped < n {
			return context.Canceled
		}
		return nil
	})
	equal(t, "dropped", dropped, n)
}
