//go:build !unix

package redistest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"
)

// process has no implementation here: nothing would end a server whose test
// was killed, and nothing can freeze one.
type process struct{ pid int }

func startProcess(string, []string, *os.File, []string) (*process, error) {
	return nil, fmt.Errorf("real servers need a Unix, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (*process) alive() bool                   { return false }
func (*process) kill()                         {}
func (*process) terminate(time.Duration) error { return nil }
func (*process) stop() error                   { return errors.ErrUnsupported }
func (*process) cont() error                   { return errors.ErrUnsupported }
