// Package blocktest proves of calls that wait at the server that no element is lost to the end of a context.
//
// Workers call with contexts that end at random moments, most of them while an element is on its way, while a
// producer pushes numbered elements, mostly onto an empty list. Afterwards each number is counted.
package blocktest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/soak"
)

// Workers is how many goroutines take at once.
const Workers = 8

// Elements is how many elements a proof pushes.
func Elements() int { return 10_000 * soak.Scale() }

// Race is one proof.
type Race struct {
	// N is how many elements are pushed, numbered from 0.
	N int
	// Push adds element i. It is called by one goroutine, in order.
	Push func(ctx context.Context, i int) error
	// Take is the call under test, of one of the Workers, which are numbered from 0. It returns the numbers of the
	// elements that it got.
	Take func(ctx context.Context, worker int) ([]int, error)
}

// Run pushes all elements while the workers take, and returns what each of them got, in order. It fails the test at
// any error but the end of a context.
func (r Race) Run(t *testing.T) [][]int {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	got := make([][]int, Workers)
	var cancelled atomic.Int64
	var wg sync.WaitGroup
	for w := range Workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				// Some end before the call has reached the server, some long after.
				ctx, cancel := context.WithTimeout(ctx, rand.N(5*time.Millisecond))
				numbers, err := r.Take(ctx, w)
				ended := ctx.Err() != nil
				cancel()
				got[w] = append(got[w], numbers...)
				switch {
				case err == nil:
				case rediskit.MayHaveApplied(err):
					t.Errorf("a call left its outcome open: %v", err)
				case ended && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)):
					cancelled.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	for i := 0; i < r.N && !t.Failed(); i++ {
		if err := r.Push(ctx, i); err != nil {
			t.Errorf("push of %d: %v", i, err)
		}
	}
	stop()
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if cancelled.Load() == 0 {
		t.Fatal("no call was cancelled, so this proved nothing")
	}
	return got
}

// WantEachOnce fails the test unless the parts together have each number below n exactly once.
func WantEachOnce(t *testing.T, n int, parts ...[]int) {
	t.Helper()
	seen := make([]int, n)
	for _, part := range parts {
		for _, i := range part {
			if i < 0 || i >= n {
				t.Fatalf("nobody pushed %d", i)
			}
			seen[i]++
		}
	}
	var lost, repeated int
	for _, times := range seen {
		switch times {
		case 0:
			lost++
		case 1:
		default:
			repeated++
		}
	}
	if lost > 0 || repeated > 0 {
		t.Errorf("of %d elements %d were lost and %d came more than once", n, lost, repeated)
	}
}
