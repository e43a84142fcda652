package ratelimit

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tickettoken/rediskit/internal/limits"
)

// source is who answered.
type source int

const (
	fromServer source = iota
	fromCache
	fromOutage
	fromLease
	sources
)

var sourceNames = [sources]string{"server", "cache", "outage", "lease"}

// counts counts decisions. A nil counts does not.
type counts struct {
	decisions metric.Int64Counter
	allowed   [limits.Concurrency + 1][sources][]metric.AddOption
	refused   [limits.Concurrency + 1][sources][]metric.AddOption
	failures  [limits.Concurrency + 1][]metric.AddOption
}

func newCounts(provider metric.MeterProvider) (*counts, error) {
	if provider == nil {
		return nil, nil
	}
	decisions, err := provider.Meter("github.com/tickettoken/rediskit/ratelimit").Int64Counter("rediskit.ratelimit.decisions",
		metric.WithDescription("Decisions of rate limits."), metric.WithUnit("{decision}"))
	if err != nil {
		return nil, err
	}
	c := &counts{decisions: decisions}
	for kind := limits.SlidingWindow; kind <= limits.Concurrency; kind++ {
		options := func(outcome, source string) []metric.AddOption {
			return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(
				attribute.String("limit.algorithm", kind.String()),
				attribute.String("outcome", outcome),
				attribute.String("source", source),
			))}
		}
		for s := range sources {
			c.allowed[kind][s] = options("allowed", sourceNames[s])
			c.refused[kind][s] = options("refused", sourceNames[s])
		}
		c.failures[kind] = options("failed", sourceNames[fromOutage])
	}
	return c, nil
}

func (c *counts) add(ctx context.Context, l *limit, allowed bool, from source) {
	switch {
	case c == nil:
	case allowed:
		c.decisions.Add(ctx, 1, c.allowed[l.spec.Kind][from]...)
	default:
		c.decisions.Add(ctx, 1, c.refused[l.spec.Kind][from]...)
	}
}

// leased counts n permits that were handed out of a batch.
func (c *counts) leased(l *limit, n int64) {
	if c != nil && n > 0 {
		c.decisions.Add(context.Background(), n, c.allowed[l.spec.Kind][fromLease]...)
	}
}

// failed counts a question that nobody answered.
func (c *counts) failed(ctx context.Context, l *limit) {
	if c != nil {
		c.decisions.Add(ctx, 1, c.failures[l.spec.Kind]...)
	}
}
