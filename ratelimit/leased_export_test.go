package ratelimit

import (
	"context"

	"github.com/tickettoken/rediskit/internal/limits"
)

// BatchFunc gives out batches.
type BatchFunc func(context.Context, limits.BatchCall) (limits.Reply, limits.Batch, error)

// Through makes another function give out batches, in place of or around the one there was.
func (l *Leased) Through(other func(BatchFunc) BatchFunc) {
	take := other(l.take)
	l.take = take
	l.giveAll = func(ctx context.Context, calls []limits.BatchCall) error {
		for _, call := range calls {
			if _, _, err := take(ctx, call); err != nil {
				return err
			}
		}
		return nil
	}
}

// Held is how many permits are at hand.
func (k *LeasedKey) Held() int {
	if b := k.batch.Load(); b != nil {
		return int(b.unused())
	}
	return 0
}

// State is the key of the state.
func (k *LeasedKey) State() string { return k.name }

// Places is how many keys have one.
func (l *Leased) Places() (n int) {
	for i := range l.keys.sets {
		for j := range l.keys.sets[i] {
			if l.keys.sets[i][j].Load() != nil {
				n++
			}
		}
	}
	return n
}
