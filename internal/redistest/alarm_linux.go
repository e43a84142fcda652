package redistest

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// alarm waits for fractions of a millisecond. The runtime's own timers are as
// coarse as epoll's timeout, a millisecond, while a process is idle: a round
// trip meant to take one would take more than two.
type alarm struct {
	file *os.File
	raw  syscall.RawConn
}

const clockMonotonic = 1

func newAlarm() (*alarm, error) {
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, os.NewSyscallError("timerfd_create", errno)
	}
	file := os.NewFile(fd, "timerfd")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &alarm{file, raw}, nil
}

// wait returns after d. It cannot be interrupted.
func (a *alarm) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	spec := struct{ interval, value syscall.Timespec }{value: syscall.NsecToTimespec(int64(d))}
	var errno syscall.Errno
	err := a.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	})
	if err == nil && errno == 0 {
		var expirations [8]byte
		a.file.Read(expirations[:])
	}
}

func (a *alarm) close() { a.file.Close() }
