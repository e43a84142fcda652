package main

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// baseline is the name of the subject that the others are compared with.
const baseline = "rediskit"

// area is one part of rediskit beside its peers.
type area struct {
	name       string
	about      string // stands above its table in docs/benchmarks.md
	operations []operation
}

// operation is one kind of work, done by every subject in turn.
type operation struct {
	name string

	// goroutines are the numbers of concurrent callers it is measured with. Default: 1, 16 and 128.
	goroutines []int

	// prepare fills the empty server before the subjects are set up.
	prepare func(ctx context.Context, server rueidis.Client) error

	// loopbackOnly is for work that a longer round trip makes no difference to, or makes take too long.
	loopbackOnly bool

	// cold is for work that takes long and gains nothing from a run that does not count.
	cold bool

	subjects []subject
}

// subject is one way to do the work: rediskit, one of its settings, or a peer.
type subject struct {
	name string

	// setup connects and returns what is measured. What it opens it gives to stand.onClose.
	setup func(ctx context.Context, s *stand) (probe, error)
}

// probe does the work for about d, or once where the work has an end of its own, and measures it.
type probe func(ctx context.Context, d time.Duration) (sample, error)

// sample is one measurement. What does not apply is zero.
type sample struct {
	calls       float64
	opsPerS     float64
	p50, p99    time.Duration
	allocsPerOp float64
	bytesPerOp  float64

	// value is what the other fields have no room for, such as memory, with its unit.
	value float64
	unit  string

	others float64 // processors that were busy with something else meanwhile
}

// areas are all that can be measured, in the order of the table. A new capability adds a line here. Walks go
// over so many keys.
func areas(scanKeys int) []area {
	return []area{
		connArea(),
		codecArea(),
		hashArea(),
		zsetArea(),
		listArea(),
		geoArea(),
		rateLimitArea(),
		sessionArea(),
		scanArea(scanKeys),
	}
}
