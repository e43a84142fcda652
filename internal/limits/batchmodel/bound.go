package batchmodel

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// Uses are the permits that were used. Of each it is known that it was not before one moment, nor after another.
type Uses struct {
	since, until []int64 // nanoseconds since 1970
	sorted       bool
}

// Add adds some that were used at one moment between two.
func (u *Uses) Add(permits int, since, until time.Time) {
	for range permits {
		u.since, u.until = append(u.since, since.UnixNano()), append(u.until, until.UnixNano())
	}
	u.sorted = false
}

// Len is how many there are.
func (u *Uses) Len() int { return len(u.since) }

// Between is how many of them are certain to have been used from one moment on, and before another.
func (u *Uses) Between(from, to time.Time) int {
	u.sort()
	i, _ := slices.BinarySearch(u.since, from.UnixNano())
	j, _ := slices.BinarySearch(u.until, to.UnixNano())
	return max(j-i, 0)
}

func (u *Uses) sort() {
	if !u.sorted {
		slices.Sort(u.since)
		slices.Sort(u.until)
		u.sorted = true
	}
}

// Check returns what is wrong with them if the limit is a sliding window, which is to have n in any window; a
// bucket, which is to have its capacity and what ran into it in any time; or a sliding counter or fixed window, which are to have
// 2n in any window.
func (u *Uses) Check(limit *limits.Spec) error {
	u.sort()
	switch limit.Kind {
	case limits.SlidingWindow:
		return u.most(limit.Permits, limit.Window)
	case limits.SlidingCounter, limits.FixedWindow:
		return u.most(2*limit.Permits, limit.Window)
	default:
		return u.flow(limit)
	}
}

// most checks that no half-open window has more than n.
func (u *Uses) most(n int64, window time.Duration) error {
	j := 0
	for i, from := range u.since {
		for j < len(u.until) && u.until[j] < from+window.Nanoseconds() {
			j++
		}
		if got := int64(j - i); got > n {
			return fmt.Errorf("%d permits in the %v from %d on: %d too many", got, window, from, got-n)
		}
	}
	return nil
}

// flow checks a bucket, in parts of 1/Per of a nanosecond, of which a permit is Window.
func (u *Uses) flow(limit *limits.Spec) error {
	permit := limit.Window.Nanoseconds()
	least, i := int64(math.MaxInt64), 0
	for j, to := range u.until {
		for ; i < len(u.since) && u.since[i] <= to; i++ {
			least = min(least, int64(i)*permit-(u.since[i]-u.since[0])*limit.Per)
		}
		if over := int64(j+1)*permit - (to-u.since[0])*limit.Per - least - limit.Permits*permit; over > 0 {
			return fmt.Errorf("up to %d there are %d permits too many", to, (over+permit-1)/permit)
		}
	}
	return nil
}
