package session

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	loginAdmitted = "admitted"
	loginRefused  = "refused"
	loginFailed   = "failed"

	loadFound   = "found"
	loadInvalid = "invalid"
	loadFailed  = "failed"

	streamWritten = "written"
	streamDropped = "dropped"
)

// counts counts. A nil counts does not.
type counts struct {
	loads, logins, events, conflicts, streamed metric.Int64Counter

	found metric.MeasurementOption // made once, for what happens most
}

func newCounts(provider metric.MeterProvider) (*counts, error) {
	if provider == nil {
		return nil, nil
	}
	meter := provider.Meter("github.com/tickettoken/rediskit/session")
	c := &counts{found: outcome(loadFound)}
	for _, counter := range []struct {
		to                *metric.Int64Counter
		name, about, unit string
	}{
		{&c.loads, "loads", "Sessions that were asked for.", "{session}"},
		{&c.logins, "logins", "Sessions that were to be created.", "{session}"},
		{&c.events, "events", "What happened to sessions.", "{event}"},
		{&c.conflicts, "conflicts", "Changes of sessions that somebody else was faster with.", "{change}"},
		{&c.streamed, "stream_events", "Events for the stream.", "{event}"},
	} {
		var err error
		if *counter.to, err = meter.Int64Counter("rediskit.session."+counter.name,
			metric.WithDescription(counter.about), metric.WithUnit(counter.unit)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func outcome(s string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", s)))
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return loadFound
	case errors.Is(err, ErrNotFound):
		return loadInvalid
	default:
		return loadFailed
	}
}

func (c *counts) load(ctx context.Context, s string) {
	switch {
	case c == nil:
	case s == loadFound:
		c.loads.Add(ctx, 1, c.found)
	default:
		c.loads.Add(ctx, 1, outcome(s))
	}
}

func (c *counts) login(ctx context.Context, s string) {
	if c != nil {
		c.logins.Add(ctx, 1, outcome(s))
	}
}

func (c *counts) conflict(ctx context.Context) {
	if c != nil {
		c.conflicts.Add(ctx, 1)
	}
}

func (c *counts) event(ctx context.Context, e Event) {
	if c != nil {
		c.events.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
			attribute.String("event", string(e.Kind)), attribute.String("reason", string(e.Reason)))))
	}
}

func (c *counts) stream(s string, n int) {
	if c != nil && n > 0 {
		c.streamed.Add(context.Background(), int64(n), outcome(s))
	}
}
