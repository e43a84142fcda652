//go:build !linux

package redistest

import "time"

// alarm waits for fractions of a millisecond, here as well as the runtime can.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

// wait returns after d. It cannot be interrupted.
func (*alarm) wait(d time.Duration) { time.Sleep(d) }

func (*alarm) close() {}
