package ratelimit

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// Limit says how much is allowed, and by which algorithm. Limits are values: make one once, as a package's
// variable or from configuration, and use it with any key. A mistake in its arguments is reported by every
// call that uses it; to find it at start-up, ask [Limit.Validate].
//
// The state of a limit is known by the key, the algorithm and the window (for a token bucket, the rate). Limits
// that differ in nothing else work on the same state, so n and burst may be changed at any time; another window
// starts afresh.
type Limit struct{ *limit }

type limit struct {
	spec *limits.Spec // nil if err is not
	err  error
	text string // tells limits apart
	hash uint64 // of the name of its state
}

// SlidingWindow allows n in any window of that length. It is exact: it keeps the server's time of each permit that was
// taken, in about 10 bytes, and so n is at most 1,000,000.
func SlidingWindow(n int, window time.Duration) Limit {
	return newLimit("SlidingWindow", limits.SlidingWindow, n, 0, window)
}

// SlidingCounter allows about n in any window of that length, in a few bytes: it counts the windows that are
// multiples of the length since 1970, and takes the one before the current as evenly spread. So it may allow up to twice
// n in the worst case, and refuses early after a burst at the end of a window. n is at most 1,000,000,000.
func SlidingCounter(n int, window time.Duration) Limit {
	return newLimit("SlidingCounter", limits.SlidingCounter, n, 0, window)
}

// FixedWindow allows n from the first hit on until the window has passed; the next hit starts another. Around
// the end of a window up to 2n can come together. n is at most 1,000,000,000.
func FixedWindow(n int, window time.Duration) Limit {
	return newLimit("FixedWindow", limits.FixedWindow, n, 0, window)
}

// TokenBucket holds capacity permits and gets perSecond of them back each second, evenly, until it is full: at most
// capacity + perSecond·t in any time t. perSecond may be a fraction of up to six decimal places, from 0.000001 to
// 1,000,000,000.
//
// It is the same as [GCRA] with a burst of capacity; which of the two to use is a matter of which numbers are known.
// A leaky bucket that refuses what would overflow is the same, too, with a burst of its size; one that delays instead is
// [Limiter.Reserve].
func TokenBucket(capacity int, perSecond float64) Limit {
	per, window, err := limits.PerSecond(perSecond)
	if err != nil {
		return Limit{&limit{err: fmt.Errorf("ratelimit: TokenBucket: %w", err)}}
	}
	return newLimit("TokenBucket", limits.TokenBucket, capacity, int64(per), window)
}

// GCRA allows perPeriod each period at even distances, and up to burst at once after a quiet time. The name is that of the
// Generic Cell Rate Algorithm (ITU-T I.371). The remainder of its interval is kept, so that 3,000,000 a second are
// that and not 4,000,000.
func GCRA(perPeriod int, period time.Duration, burst int) Limit {
	return newLimit("GCRA", limits.GCRA, burst, int64(perPeriod), period)
}

// Concurrency allows n at the same time, and is used with [Limiter.Acquire] only. A holder that has not been
// heard of for the time of lease has crashed, and its place is free.
func Concurrency(n int, lease time.Duration) Limit {
	return newLimit("Concurrency", limits.Concurrency, n, 0, lease)
}

// ParseLimit reads a limit as [Limit.String] writes it:
//
//	sliding-window:100/1m      sliding-counter:100/1m      fixed-window:100/1m
//	token-bucket:5/1s,burst=20      gcra:5/1s,burst=20      concurrency:10/30s
//
// and, except for concurrency, with a penalty after another comma: fixed-window:5/1h,penalty=1h.
func ParseLimit(text string) (Limit, error) {
	spec, err := limits.Parse(text)
	if err != nil {
		return Limit{}, fmt.Errorf("ratelimit: %w", err)
	}
	return of(spec), nil
}

// WithPenalty makes the limit block a key for d when it refuses, unless it is blocked already. That is a write in
// an otherwise free refusal. For limits on guessing: with a block, trying on does not pay.
func (l Limit) WithPenalty(d time.Duration) Limit {
	if l.Validate() != nil {
		return l
	}
	s := l.spec
	if s.Kind == limits.Concurrency {
		return Limit{&limit{err: fmt.Errorf("ratelimit: WithPenalty: a limit on concurrency has none")}}
	}
	if d == 0 {
		return Limit{&limit{err: fmt.Errorf("ratelimit: WithPenalty: penalty is 0: want at least 1ms")}}
	}
	spec, err := limits.New(s.Kind, s.Permits, s.Per, s.Window, d)
	if err != nil {
		return Limit{&limit{err: fmt.Errorf("ratelimit: WithPenalty: %w", err)}}
	}
	return of(spec)
}

func newLimit(name string, kind limits.Kind, permits int, per int64, window time.Duration) Limit {
	spec, err := limits.New(kind, int64(permits), per, window, 0)
	if err != nil {
		return Limit{&limit{err: fmt.Errorf("ratelimit: %s: %w", name, err)}}
	}
	return of(spec)
}

func of(spec *limits.Spec) Limit {
	h := fnv.New64a()
	h.Write([]byte(spec.Name()))
	return Limit{&limit{spec: spec, text: spec.String(), hash: h.Sum64()}}
}

// Validate returns what is wrong with the limit's arguments, or nil.
func (l Limit) Validate() error {
	if l.limit == nil {
		return fmt.Errorf("ratelimit: the zero Limit is none: make one with SlidingWindow or its sisters")
	}
	return l.err
}

// String writes the limit as [ParseLimit] reads it.
func (l Limit) String() string {
	if err := l.Validate(); err != nil {
		return "invalid limit: " + err.Error()
	}
	return l.text
}

// MarshalText is String, or an error if the limit is not valid.
func (l Limit) MarshalText() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return []byte(l.text), nil
}

// UnmarshalText is ParseLimit, so that a Limit can be read from JSON, YAML, flags and the environment.
func (l *Limit) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLimit(string(text))
	return err
}

// Permits is n, or the capacity of a token bucket, or the burst of GCRA. It is 0 if the limit is not valid.
func (l Limit) Permits() int {
	if l.Validate() != nil {
		return 0
	}
	return int(l.spec.Permits)
}

// Window is the time in which [Limit.Permits] come back: the window, or of a bucket the time to fill from empty, rounded
// up to a microsecond, or the lease. It is 0 if the limit is not valid.
func (l Limit) Window() time.Duration {
	if l.Validate() != nil {
		return 0
	}
	return l.spec.Fill()
}

// IsConcurrency reports whether the limit is one for [Limiter.Acquire].
func (l Limit) IsConcurrency() bool {
	return l.Validate() == nil && l.spec.Kind == limits.Concurrency
}
