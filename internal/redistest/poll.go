package redistest

import (
	"fmt"
	"time"
)

const pollInterval = 20 * time.Millisecond

// poll calls check until it returns nil. Past the bound it gives up with an
// error that says what it waited for and what check said last. The check runs
// at least once.
func poll(bound time.Duration, what string, check func() error) error {
	deadline := time.Now().Add(bound)
	for {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("redistest: waited %v for %s: %w", bound, what, err)
		}
		time.Sleep(pollInterval)
	}
}
