package redistest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func noDelay() time.Duration { return 0 }

// chunky reads like a network: some bytes at a time, never many.
type chunky struct{ io.Reader }

func (c chunky) Read(p []byte) (int, error) {
	return c.Reader.Read(p[:min(len(p), 1+rand.IntN(3000))])
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestLineDeliversEveryByteInOrderThenTheEnd(t *testing.T) {
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	line := newDelayLine(lineStart + 1000) // grows, and not to a power of two
	defer line.close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		line.fill(chunky{bytes.NewReader(sent)}, func() time.Duration { return time.Duration(rand.IntN(1000)) }, nil)
	})
	var got []byte
	for {
		chunk, err := line.next(nil)
		if err != nil {
			if err != io.EOF {
				t.Errorf("got error %v", err)
			}
			break
		}
		n := 1 + rand.IntN(len(chunk))
		got = append(got, chunk[:n]...)
		line.take(n)
	}
	if !bytes.Equal(got, sent) {
		t.Error("the bytes differ")
	}
}

func TestFullLineStopsReading(t *testing.T) {
	const most = 3 * lineStart
	line := newDelayLine(most)
	closed := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { line.fill(endless{}, noDelay, closed) })
	full := func() error {
		line.mu.Lock()
		defer line.mu.Unlock()
		if line.size != most || len(line.ring) != most {
			return errors.New("it is not")
		}
		return nil
	}
	eventually(t, "the line to be full", full)
	chunk := must(line.next(closed))(t)
	line.take(len(chunk))
	eventually(t, "the line to be full again", full)
	close(closed)
	wg.Wait()
	line.take(line.size)
	if _, err := line.next(closed); err != io.ErrClosedPipe {
		t.Errorf("got error %v from a closed line", err)
	}
}

func TestTooManyReadsInFlightStopReading(t *testing.T) {
	line := newDelayLine(lineMost)
	closed := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		line.fill(oneByte{}, func() time.Duration { return time.Hour }, closed)
	})
	eventually(t, "the line to be full", func() error {
		line.mu.Lock()
		defer line.mu.Unlock()
		if len(line.marks) != lineMarks {
			return errors.New("it is not")
		}
		return nil
	})
	close(closed)
	wg.Wait()
}

type oneByte struct{}

func (oneByte) Read([]byte) (int, error) { return 1, nil }
