package redistest

import (
	"io"
	"math"
	"sync"
	"time"
)

const (
	lineStart = 64 << 10 // bytes of buffer to begin with
	lineMost  = 4 << 20  // bytes in flight
	lineMarks = 1 << 16  // reads in flight

	fineWait = 2 * time.Millisecond // too short for the runtime's timers
	forever  = time.Duration(math.MaxInt64)
)

// delayLine is one direction of a connection: a bounded queue of bytes, each
// of which may leave at a time of its own. That is latency and no limit on
// throughput, as long as what is in flight fits. One goroutine fills it, one
// drains it.
type delayLine struct {
	most  int           // bytes
	fed   chan struct{} // something was added
	freed chan struct{} // something was taken
	alarm *alarm        // the draining goroutine's, nil until needed

	mu         sync.Mutex
	ring       []byte
	head, size int
	marks      []mark // in the order of the bytes; those before first are gone
	first      int
	err        error // why no more bytes come
}

// mark says when the next n bytes may leave; n of zero is the end of the line.
type mark struct {
	n   int
	due time.Time
}

func newDelayLine(most int) *delayLine {
	return &delayLine{
		most:  most,
		fed:   make(chan struct{}, 1),
		freed: make(chan struct{}, 1),
		ring:  make([]byte, min(lineStart, most)),
	}
}

// fill reads from src until that fails, which is put in line as well, or
// until closed.
func (l *delayLine) fill(src io.Reader, delay func() time.Duration, closed <-chan struct{}) {
	for {
		room := l.room()
		for room == nil {
			select {
			case <-l.freed:
				room = l.room()
			case <-closed:
				return
			}
		}
		n, err := src.Read(room)
		due := time.Now().Add(delay())
		l.mu.Lock()
		if n > 0 {
			l.size += n
			l.marks = append(l.marks, mark{n, due})
		}
		if err != nil {
			l.err = err
			l.marks = append(l.marks, mark{0, due})
		}
		l.mu.Unlock()
		notify(l.fed)
		if err != nil {
			return
		}
	}
}

// room returns where the next bytes go, or nil while the line is full. Only
// the filling goroutine grows the ring; the draining one may still be sending
// from the old array, which nobody changes any more.
func (l *delayLine) room() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.marks)-l.first >= lineMarks {
		return nil
	}
	if l.size == len(l.ring) {
		if len(l.ring) >= l.most {
			return nil
		}
		bigger := make([]byte, min(2*len(l.ring), l.most))
		n := copy(bigger, l.ring[l.head:])
		copy(bigger[n:], l.ring[:l.head])
		l.ring, l.head = bigger, 0
	}
	tail := l.head + l.size
	if tail < len(l.ring) {
		return l.ring[tail:]
	}
	return l.ring[tail-len(l.ring) : l.head]
}

// next waits for bytes that may leave and returns some of them without taking
// them: take does. At the end of the line it returns fill's error, and when
// closed, io.ErrClosedPipe.
func (l *delayLine) next(closed <-chan struct{}) ([]byte, error) {
	for {
		chunk, wait, err := l.peek()
		if len(chunk) > 0 || err != nil {
			return chunk, err
		}
		var fed <-chan struct{}
		var soon <-chan time.Time
		switch {
		case wait == forever:
			fed = l.fed
		case wait > fineWait:
			soon = time.After(wait - fineWait)
		default:
			if err := l.waitFinely(wait); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-fed:
		case <-soon:
		case <-closed:
			return nil, io.ErrClosedPipe
		}
	}
}

// peek returns the bytes that may leave now, up to the end of the ring, or
// how long to wait for them, or at the end of the line, fill's error.
func (l *delayLine) peek() (chunk []byte, wait time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == len(l.marks) {
		return nil, forever, nil
	}
	now := time.Now()
	if wait := l.marks[l.first].due.Sub(now); wait > 0 {
		return nil, wait, nil
	}
	n := 0
	for _, m := range l.marks[l.first:] {
		if m.n == 0 || m.due.After(now) {
			break
		}
		n += m.n
	}
	if n == 0 {
		return nil, 0, l.err
	}
	return l.ring[l.head:min(l.head+n, len(l.ring))], 0, nil
}

// waitFinely returns after d, at most fineWait, without looking at anything.
func (l *delayLine) waitFinely(d time.Duration) (err error) {
	if l.alarm == nil {
		if l.alarm, err = newAlarm(); err != nil {
			return err
		}
	}
	l.alarm.wait(d)
	return nil
}

// close frees what the draining goroutine holds.
func (l *delayLine) close() {
	if l.alarm != nil {
		l.alarm.close()
	}
}

// take removes bytes that next returned.
func (l *delayLine) take(n int) {
	l.mu.Lock()
	l.head = (l.head + n) % len(l.ring)
	l.size -= n
	for n > 0 {
		m := &l.marks[l.first]
		part := min(n, m.n)
		m.n -= part
		n -= part
		if m.n == 0 {
			l.first++
		}
	}
	if 2*l.first >= len(l.marks) {
		l.marks = append(l.marks[:0], l.marks[l.first:]...)
		l.first = 0
	}
	l.mu.Unlock()
	notify(l.freed)
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
