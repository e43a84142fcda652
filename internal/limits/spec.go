// Package limits is what rate limits are made of: their parameters with the exact arithmetic ([Spec]), the
// scripts that decide them on a server, and the same decisions on a clock of the caller's in memory ([Store]).
// Both give the same [Reply] for the same calls, which is how each is tested against the other.
//
// Times are microseconds: as int64 exact for 290,000 years, and as the doubles of Lua until the year 2255.
package limits

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"
)

// Kind is an algorithm.
type Kind int

// The algorithms.
const (
	SlidingWindow Kind = iota + 1
	SlidingCounter
	FixedWindow
	TokenBucket
	GCRA
	Concurrency
)

var kinds = [...]struct{ name, code string }{
	SlidingWindow:  {"sliding-window", "sw"},
	SlidingCounter: {"sliding-counter", "sc"},
	FixedWindow:    {"fixed-window", "fw"},
	TokenBucket:    {"token-bucket", "tb"},
	GCRA:           {"gcra", "gcra"},
	Concurrency:    {"concurrency", "cc"},
}

func (k Kind) String() string { return kinds[k].name }

// Bounds of what a limit may say. They keep every number that a script sees below 2^53.
const (
	MaxPermits = 1_000_000_000
	MaxLog     = 1_000_000 // of SlidingWindow, which keeps each permit
	MaxWindow  = 366 * 24 * time.Hour
	maxFill    = 10 * 366 * 24 * time.Hour // how long an empty bucket may take to fill
)

// Spec is one limit, checked and with its arguments for the scripts made out. It does not change.
type Spec struct {
	Kind    Kind
	Permits int64         // per window; the burst of GCRA, the capacity of TokenBucket
	Per     int64         // of GCRA and TokenBucket: permits come back at Per each Window
	Window  time.Duration // whole microseconds; the lease of Concurrency
	Penalty time.Duration // 0: none

	name string // of its state among those of a key
	full amount // what an empty bucket takes to fill
	args arguments
}

// amount is a duration of us + rem/Per microseconds.
type amount struct{ us, rem int64 }

// New checks a limit. Errors name the argument as the constructors of package ratelimit call it.
func New(kind Kind, permits int64, per int64, window, penalty time.Duration) (*Spec, error) {
	s := &Spec{Kind: kind, Permits: permits, Per: per, Window: window, Penalty: penalty}
	what := map[Kind]string{TokenBucket: "capacity", GCRA: "burst"}[kind]
	if what == "" {
		what = "n"
	}
	length := map[Kind]string{GCRA: "period", Concurrency: "lease"}[kind]
	if length == "" {
		length = "window"
	}
	switch {
	case permits < 1 || permits > MaxPermits:
		return nil, fmt.Errorf("%s is %d: want 1 to %d", what, permits, MaxPermits)
	case kind == SlidingWindow && permits > MaxLog:
		return nil, fmt.Errorf("n is %d: a sliding window remembers each hit and takes at most %d; a sliding counter takes more", permits, MaxLog)
	case kind == TokenBucket: // its rate was checked by PerSecond
	case window < time.Millisecond || window > MaxWindow:
		return nil, fmt.Errorf("%s is %v: want 1ms to %v", length, window, MaxWindow)
	case window%time.Microsecond != 0:
		return nil, fmt.Errorf("%s is %v: want whole microseconds", length, window)
	case kind == GCRA && (per < 1 || per > MaxPermits):
		return nil, fmt.Errorf("perPeriod is %d: want 1 to %d", per, MaxPermits)
	}
	if penalty != 0 && (penalty < time.Millisecond || penalty > MaxWindow) {
		return nil, fmt.Errorf("penalty is %v: want 1ms to %v", penalty, MaxWindow)
	}
	if kind == GCRA || kind == TokenBucket {
		if over(permits, window.Microseconds(), per, maxFill.Microseconds()) {
			return nil, fmt.Errorf("%s is %d: at this rate it takes more than 10 years to fill", what, permits)
		}
		s.full = s.cost(permits)
	}
	s.name = s.makeName()
	s.args = s.makeArgs()
	return s, nil
}

// PerSecond makes a token bucket's rate out of a float.
func PerSecond(rate float64) (per int64, window time.Duration, err error) {
	if !(rate >= 1e-6 && rate <= MaxPermits) { // also NaN
		return 0, 0, fmt.Errorf("perSecond is %v: want 1e-06 to %d", rate, MaxPermits)
	}
	// A float is taken for the number it prints as, of up to six places, or for the fraction: 0.1 for one in ten
	// seconds, 1.0/3 for one in three. The convergents of its continued fraction find it if there is one with a
	// denominator up to a million; else the rate is rounded down to millionths, so that the limit is never looser
	// than it was said to be.
	const million = 1_000_000
	if n := math.Round(rate * million); n/million == rate {
		return Rate(int64(n), million*time.Second)
	}
	p0, q0, p, q, x := int64(1), int64(0), int64(rate), int64(1), rate
	for float64(p)/float64(q) != rate {
		x = 1 / (x - math.Trunc(x))
		if !(x <= float64(million/q)) { // the next denominator would be larger
			p, q = int64(rate*million), million
			if float64(p)/million > rate {
				p--
			}
			break
		}
		a := int64(x)
		p0, q0, p, q = p, q, a*p+p0, a*q+q0
	}
	return Rate(p, time.Duration(q)*time.Second)
}

// Rate puts a token bucket's rate in its one form: lowest terms, with a window of whole seconds. Equal rates
// are so equal limits.
func Rate(n int64, window time.Duration) (per int64, in time.Duration, err error) {
	if n < 1 || n > MaxPermits*1_000_000 {
		return 0, 0, fmt.Errorf("the rate is %d: want 1 to %d", n, MaxPermits)
	}
	if window < time.Microsecond || window > MaxWindow || window%time.Microsecond != 0 {
		return 0, 0, fmt.Errorf("the rate is per %v: want whole microseconds up to %v", window, MaxWindow)
	}
	const second = 1_000_000
	us := window.Microseconds()
	d := gcd(n, us)
	n, us = n/d, us/d
	d = gcd(second, us)
	factor, seconds := second/d, us/d
	if seconds > 1_000_000 {
		return 0, 0, fmt.Errorf("the rate is %d per %v: want one with fewer digits", n, window)
	}
	if hi, lo := bits.Mul64(uint64(n), uint64(factor)); hi > 0 || lo/uint64(seconds) > MaxPermits {
		return 0, 0, fmt.Errorf("the rate is more than %d a second", MaxPermits)
	}
	return n * factor, time.Duration(seconds) * time.Second, nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// cost is what n permits weigh in a bucket.
func (s *Spec) cost(n int64) amount {
	hi, lo := bits.Mul64(uint64(n), uint64(s.Window.Microseconds()))
	us, rem := bits.Div64(hi, lo, uint64(s.Per))
	return amount{int64(us), int64(rem)}
}

// whole is how many whole permits an amount holds.
func (s *Spec) whole(a amount) int64 {
	if a.us < 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(a.us), uint64(s.Per))
	lo, carry := bits.Add64(lo, uint64(a.rem), 0)
	n, _ := bits.Div64(hi+carry, lo, uint64(s.Window.Microseconds()))
	return int64(n)
}

func (a amount) plus(b amount, per int64) amount {
	a.us, a.rem = a.us+b.us, a.rem+b.rem
	if a.rem >= per {
		a.us, a.rem = a.us+1, a.rem-per
	}
	return a
}

// minus may have a negative us; rem is never negative.
func (a amount) minus(b amount, per int64) amount {
	a.us, a.rem = a.us-b.us, a.rem-b.rem
	if a.rem < 0 {
		a.us, a.rem = a.us-1, a.rem+per
	}
	return a
}

func (a amount) over(b amount) bool { return a.us > b.us || a.us == b.us && a.rem > b.rem }

// up rounds to whole microseconds, and to 0 if it is negative.
func (a amount) up() int64 {
	if a.rem > 0 {
		a.us++
	}
	return max(a.us, 0)
}

// Name tells the states of one key apart. It has what the state depends on: the algorithm and the window. A
// limit of the same name with other permits works with the same state.
func (s *Spec) Name() string { return s.name }

func (s *Spec) makeName() string {
	code := kinds[s.Kind].code
	switch s.Kind {
	case Concurrency:
		return code
	case TokenBucket:
		return code + "." + strconv.FormatInt(s.Per, 10) + "per" + short(s.Window)
	default:
		return code + "." + short(s.Window)
	}
}

// ErrNever is the error of a cost that a limit can never fit.
var ErrNever = errors.New("the cost is more than the limit ever allows")

// CheckCost refuses a cost that cannot be.
func (s *Spec) CheckCost(cost int64) error {
	switch {
	case cost < 1:
		return fmt.Errorf("the cost is %d: want at least 1", cost)
	case cost > s.Permits:
		return fmt.Errorf("%w: %d of %d", ErrNever, cost, s.Permits)
	}
	return nil
}

// Fill is the time in which all permits come back.
func (s *Spec) Fill() time.Duration {
	if s.Kind == TokenBucket || s.Kind == GCRA {
		return time.Duration(s.full.up()) * time.Microsecond
	}
	return s.Window
}

// Share is the limit of one among a number of processes that share the traffic evenly. Together they allow no more
// than the whole, if there are as many; but each allows one permit in [MaxWindow] at least.
func (s *Spec) Share(processes int) *Spec {
	const longest, slowest = int64(MaxWindow / time.Microsecond), int64(maxFill / time.Microsecond)
	n := int64(min(processes, MaxPermits))
	permits, per, window := max(s.Permits/n, 1), s.Per, s.Window.Microseconds()
	if s.Kind == TokenBucket || s.Kind == GCRA {
		if longer := mulDiv(window, n, 1); longer <= longest {
			window = longer
		} else {
			per, window = max(mulDiv(per, longest, window)/n, 1), longest
		}
		permits = min(permits, mulDiv(slowest, per, window)) // the rate was rounded down
	} else if s.Permits < n { // one each, but less often
		window = min(mulDiv(window, (n+s.Permits-1)/s.Permits, 1), longest)
	}
	share, err := New(s.Kind, permits, per, time.Duration(window)*time.Microsecond, s.Penalty)
	if err != nil {
		panic(err) // each argument was brought within its bounds
	}
	return share
}
