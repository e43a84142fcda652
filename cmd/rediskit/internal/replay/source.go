package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"

	"github.com/klauspost/compress/gzip"
)

const (
	longestLine = 65_536
	bufferSize  = 4 * longestLine
	ahead       = 2  // batches a source may be ahead of the deciding
	peekLines   = 64 // to look through for the first time of a file
)

// Input is one log. It may be compressed with gzip.
type Input struct {
	// Name of a file, or how to call what Reader reads.
	Name string
	// Reader is read instead of a file. It is not closed, and when a replay is interrupted that waits for it, it
	// goes on waiting.
	Reader io.Reader
}

// Problem is a malformed line.
type Problem struct {
	File   string `json:"file"`
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

var errIsDirectory = errors.New("is a directory")

// source reads a log, in a goroutine of its own: reading, unpacking and parsing go on while others decide.
type source struct {
	name    string
	reader  io.Reader
	file    *os.File // to close at the end, if any
	regular bool     // a file that is opened again when its turn comes
	first   int64    // the time it begins with; before all others if nobody knows
	size    int64    // in bytes; 0 if nobody knows
	read    int64    // bytes so far

	key      Key
	networks networks
	parser   parser
	entry    entry // the last line's
	lines    int64
	shown    int // malformed lines
	batches  chan *batch
	free     chan *batch
}

// batch is some lines of a source, in order.
type batch struct {
	events []event
	keys   []byte // of the events, one after another
	zone   int    // of the first event

	lines, malformed, keyless int64
	read                      int64 // bytes of the source up to here
	problems                  []Problem
	err                       error // why this is the last one: io.EOF, or what went wrong
}

type event struct {
	at  int64 // seconds since 1970
	end int32 // of its key
}

// open opens an input. Files are opened at once, so that a name that is wrong is known before anything is read.
func open(in Input, key Key) (*source, error) {
	s := &source{name: in.Name, first: math.MinInt64, key: key, networks: networks{}, batches: make(chan *batch, ahead), free: make(chan *batch, ahead+2)}
	for range cap(s.free) {
		s.free <- &batch{}
	}
	s.reader = in.Reader
	if s.reader == nil {
		f, err := os.Open(in.Name)
		if err != nil {
			return nil, err
		}
		s.reader, s.file = f, f
	}
	f, ok := s.reader.(*os.File)
	if !ok {
		return s, nil
	}
	info, err := f.Stat()
	switch {
	case err != nil: // nor is there a size
	case info.IsDir():
		err = &fs.PathError{Op: "read", Path: in.Name, Err: errIsDirectory}
		if s.file != nil {
			s.file.Close()
		}
		return nil, err
	case info.Mode().IsRegular():
		s.size = info.Size()
		if s.regular = s.file != nil; s.regular {
			return s, s.findFirst()
		}
	}
	return s, nil
}

// findFirst finds the time a file begins with, and closes it until its turn comes.
func (s *source) findFirst() error {
	lines := bufio.NewReaderSize(unpacked(s.reader), longestLine)
	var p parser
	var e entry
	for range peekLines {
		line, err := lines.ReadSlice('\n')
		if p.parse(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), &e) == "" {
			s.first = e.at
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break // it comes again when the file is read, and is told then
		}
	}
	return s.file.Close()
}

// run reads until the end or until ctx ends.
func (s *source) run(ctx context.Context) {
	defer close(s.batches)
	if s.regular {
		f, err := os.Open(s.name)
		if err != nil {
			s.send(ctx, &batch{err: err})
			return
		}
		s.reader, s.file = f, f
	}
	if s.file != nil {
		defer s.file.Close()
		// What has a name need not be a file: a pipe may let its reader wait.
		defer context.AfterFunc(ctx, func() { s.file.Close() })()
	}
	input := unpacked(counter{s.reader, &s.read})
	buf := make([]byte, bufferSize)
	start, end, skip, empty := 0, 0, false, 0
	b, err := s.batch(ctx)
	for err == nil && ctx.Err() == nil {
		var n int
		n, err = input.Read(buf[end:])
		if empty++; n > 0 {
			empty = 0
		} else if err == nil && empty == 100 {
			err = io.ErrNoProgress
		}
		search := end
		end += n
		for {
			i := bytes.IndexByte(buf[search:end], '\n')
			if i < 0 {
				break
			}
			if line := buf[start : search+i]; skip {
				skip = false // the rest of a line that was counted
			} else {
				s.line(b, line)
			}
			start = search + i + 1
			search = start
		}
		// A file may end without a newline; what was cut off by an error is no line.
		if err == io.EOF && start < end && !skip {
			s.line(b, buf[start:end])
		}
		if start > 0 {
			start, end = 0, copy(buf, buf[start:end])
		}
		if end == len(buf) && !skip {
			s.line(b, buf)
			skip = true
		}
		if skip {
			end = 0
		}
		if b.read = s.read; err != nil {
			b.err = err
			s.send(ctx, b)
		} else if b.lines > 0 && s.send(ctx, b) {
			b, err = s.batch(ctx)
		}
	}
}

// batch is an empty one.
func (s *source) batch(ctx context.Context) (*batch, error) {
	select {
	case b := <-s.free:
		*b = batch{events: b.events[:0], keys: b.keys[:0], problems: b.problems[:0]}
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *source) send(ctx context.Context, b *batch) bool {
	select {
	case s.batches <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// line adds a line to a batch.
func (s *source) line(b *batch, line []byte) {
	s.lines++
	b.lines++
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	why, e := tooLong, &s.entry
	if len(line) <= longestLine {
		why = s.parser.parse(line, e)
	}
	if why != "" {
		b.malformed++
		if s.shown < problemsEach {
			s.shown++
			b.problems = append(b.problems, Problem{File: s.name, Line: s.lines, Reason: why})
		}
		return
	}
	before := len(b.keys)
	if b.keys = s.key.append(b.keys, e, s.networks); len(b.keys) == before {
		b.keyless++
		return
	}
	if len(b.events) == 0 {
		b.zone = e.zone
	}
	b.events = append(b.events, event{at: e.at, end: int32(len(b.keys))})
}

// unpacked is what a reader reads, unpacked if it begins as gzip does.
func unpacked(r io.Reader) io.Reader {
	return &unpacker{packed: bufio.NewReaderSize(r, longestLine)}
}

// unpacker waits with its look at the first bytes until it is asked for some.
type unpacker struct {
	packed *bufio.Reader
	reader io.Reader
	err    error
}

func (u *unpacker) Read(p []byte) (int, error) {
	if u.reader == nil && u.err == nil {
		u.reader = u.packed
		if magic, _ := u.packed.Peek(2); string(magic) == "\x1f\x8b" {
			if u.reader, u.err = gzip.NewReader(u.packed); u.err != nil {
				u.err = packedError{u.err}
			}
		}
	}
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.reader.Read(p)
	if err != nil && err != io.EOF {
		u.err = err
		if u.reader != io.Reader(u.packed) {
			u.err = packedError{err}
		}
		err = u.err
	}
	return n, err
}

// packedError is one of gzip, whose own do not say so, or of what it reads.
type packedError struct{ err error }

func (e packedError) Error() string {
	if e.err == io.ErrUnexpectedEOF {
		return "the gzip data is cut off"
	}
	return "gzip: " + e.err.Error()
}

func (e packedError) Unwrap() error { return e.err }

type counter struct {
	r io.Reader
	n *int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}
