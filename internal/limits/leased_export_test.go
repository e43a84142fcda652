package limits

import (
	"strconv"
	"strings"
	"testing"

	"github.com/tickettoken/rediskit"
)

// FrozenBatches is the scripts for batches on a frozen clock.
type FrozenBatches struct {
	*Batches
	*frozen
}

// FreezeBatches makes them. Keys expire by the clock if they are to.
func FreezeBatches(t testing.TB, c *rediskit.Client, expiring bool) *FrozenBatches {
	f := freeze(t, c, expiring)
	source := strings.ReplaceAll(frozenClock, "CLOCK", f.clock)
	return &FrozenBatches{frozen: f, Batches: makeBatches(strings.ReplaceAll(source, "EXPIRING", strconv.FormatBool(expiring)))}
}

// Key makes a key.
func (f *FrozenBatches) Key(name string) string { return f.key(name) }

// Take takes a batch at a time in microseconds, and fails the test if the key would stay for ever.
func (f *FrozenBatches) Take(t fataler, now int64, call BatchCall) (Reply, Batch) {
	t.Helper()
	f.set(t, now)
	r, b, err := f.Batches.Take(f.ctx, f.c, call)
	if err != nil {
		t.Fatalf("%v", err)
	}
	f.lasts(t, call.Key)
	return r, b
}
