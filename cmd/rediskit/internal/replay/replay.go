// Package replay asks of the access log of a web server what rate limits would have refused. It decides as the scripts
// on a server do, on the clock of the log, and needs no server.
//
//	report, err := replay.Run(ctx, replay.Config{Limits: limits, Key: key}, []replay.Input{{Name: "access.log"}})
//	err = report.Text(os.Stdout, terminal.Style{})
//
// Logs are read, unpacked and parsed in one goroutine each, and the requests decided in the caller's, merged by time.
// A log is not in order: servers write a line when a request ends, and some put the time there at which it began.
// So the clock of a key does not run backwards: a line from before the key's last one is decided as if it
// had come at the same time.
//
// Memory is bounded, whatever is in a log: lines by 64 KiB, keys by 256 bytes and in number by [Config.Keys], and what a
// policy knows of a key by its limit.
package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"sync"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/ratelimit"
)

// Defaults of [Config].
const (
	DefaultTop  = 10
	DefaultKeys = 1_000_000
)

// Malformed lines that are reported: of each log, and in all.
const (
	problemsEach = 5
	mostProblems = 20
)

// Config says what to ask.
type Config struct {
	// Limits are the policies, each decided by itself.
	Limits []ratelimit.Limit
	// Key is what is limited.
	Key Key
	// Top is how many of the most refused keys are reported. Default: 10. Negative: none.
	Top int
	// Keys is how many keys are counted one by one, and how many each policy remembers at a time. Default: 1,000,000.
	// If there are more, the report has MoreKeys.
	Keys int
	// Progress is told how many bytes were read of how many, 0 if nobody knows, and how many lines there were. It is
	// called often.
	Progress func(read, total, lines int64)
}

// Run replays logs, merged by time. If ctx ends it stops, and with an error of reading it goes on with the other
// logs; the report then is of what was read. It is nil if nothing was, because a file cannot be opened or the Config
// is wrong.
func Run(ctx context.Context, cfg Config, inputs []Input) (*Report, error) {
	r, err := newReplay(cfg)
	if err != nil {
		return nil, err
	}
	defer r.abandon()
	if err := r.open(inputs); err != nil {
		return nil, err
	}
	r.merge(ctx)
	if err := ctx.Err(); err != nil {
		r.errs = append(r.errs, err)
	}
	return r.report(), errors.Join(r.errs...)
}

// replay is one run.
type replay struct {
	cfg      Config
	policies []policy
	ids      map[string]int32
	keys     []keyRow
	refused  []int64 // of each key by each policy
	more     bool    // keys than there is room for

	waiting []*source // in the order of their first times
	active  []*head
	readers sync.WaitGroup // of files

	read, total int64 // bytes
	unknown     bool  // there may be more than total
	errs        []error

	lines, malformed, keyless, requests, disorder int64

	problems    []Problem
	first, last int64
	timeline    timeline
}

type policy struct {
	spec    *limits.Spec
	store   *limits.Store
	refused int64
}

type keyRow struct {
	name     string
	clock    int64 // of its last request, in microseconds
	requests int64
}

func newReplay(cfg Config) (*replay, error) {
	if len(cfg.Limits) == 0 {
		return nil, errors.New("replay: no limits")
	}
	if len(cfg.Key.fields) == 0 {
		return nil, errors.New("replay: no key")
	}
	if cfg.Top == 0 {
		cfg.Top = DefaultTop
	}
	if cfg.Keys == 0 {
		cfg.Keys = DefaultKeys
	} else if cfg.Keys < 0 {
		return nil, fmt.Errorf("replay: Config.Keys is %d: want at least 1", cfg.Keys)
	}
	r := &replay{cfg: cfg, ids: make(map[string]int32), first: math.MaxInt64, last: math.MinInt64,
		timeline: timeline{policies: len(cfg.Limits)}}
	for _, l := range cfg.Limits {
		if l.IsConcurrency() {
			return nil, fmt.Errorf("replay: %v: a log does not tell how many requests there are at a time", l)
		}
		if err := l.Validate(); err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		spec, err := limits.Parse(l.String())
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		r.policies = append(r.policies, policy{spec: spec, store: limits.NewStore(cfg.Keys)})
	}
	return r, nil
}

// head is a source that is read, and the place in it.
type head struct {
	*source
	b    *batch
	i    int
	from int32 // where the key of events[i] begins
	told int64 // bytes of it that are in replay.read
}

func (h *head) at() int64 { return h.b.events[h.i].at }

// open finds out where the inputs begin.
func (r *replay) open(inputs []Input) error {
	for _, in := range inputs {
		s, err := open(in, r.cfg.Key)
		if err != nil {
			return err
		}
		r.waiting = append(r.waiting, s)
		r.total += s.size
		if s.size == 0 && !s.regular {
			r.unknown = true
		}
	}
	// As a source is started only when its time comes, many rotated files are not all open at once.
	slices.SortStableFunc(r.waiting, func(a, b *source) int { return cmp.Compare(a.first, b.first) })
	return nil
}

// abandon closes what was opened and is not read.
func (r *replay) abandon() {
	for _, s := range r.waiting {
		if s.file != nil {
			s.file.Close()
		}
	}
}

// merge decides the requests of all sources.
func (r *replay) merge(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer r.readers.Wait()
	defer stop()
	for {
		next := r.next()
		if len(r.waiting) > 0 && (next == nil || r.waiting[0].first <= next.at()) && ctx.Err() == nil {
			r.start(ctx)
			continue
		}
		if next == nil {
			return
		}
		until := int64(math.MaxInt64) // it goes on until it is another one's turn
		if len(r.waiting) > 0 {
			until = r.waiting[0].first
		}
		for _, h := range r.active {
			if h != next {
				until = min(until, h.at())
			}
		}
		for ok := true; ok && next.at() <= until; {
			ev := next.b.events[next.i]
			if r.requests == 0 {
				r.timeline.zone = int64(next.b.zone)
			}
			r.decide(ev.at, next.b.keys[next.from:ev.end])
			next.i, next.from = next.i+1, ev.end
			if next.i == len(next.b.events) {
				ok = r.load(ctx, next)
			}
		}
	}
}

// next is the source whose next request is the earliest.
func (r *replay) next() *head {
	var next *head
	for _, h := range r.active {
		if next == nil || h.at() < next.at() {
			next = h
		}
	}
	return next
}

func (r *replay) start(ctx context.Context) {
	h := &head{source: r.waiting[0]}
	r.waiting = r.waiting[1:]
	r.active = append(r.active, h)
	if h.file == nil {
		go h.run(ctx) // its reader may wait for ever
	} else {
		r.readers.Go(func() { h.run(ctx) })
	}
	r.load(ctx, h)
}

// load gets the next requests of a source, or takes it from the active ones.
func (r *replay) load(ctx context.Context, h *head) bool {
	for {
		end := h.b != nil && h.b.err != nil
		if h.b != nil && !end {
			h.free <- h.b
		}
		var b *batch
		if !end {
			select {
			case b = <-h.batches:
			case <-ctx.Done():
			}
		}
		if b == nil {
			r.active = slices.DeleteFunc(r.active, func(other *head) bool { return other == h })
			return false
		}
		h.b, h.i, h.from = b, 0, 0
		r.lines += b.lines
		r.malformed += b.malformed
		r.keyless += b.keyless
		r.problems = append(r.problems, b.problems[:min(len(b.problems), mostProblems-len(r.problems))]...)
		if b.err != nil && b.err != io.EOF && ctx.Err() == nil { // files are closed under who reads them when ctx ends
			r.errs = append(r.errs, named(h.name, b.err))
		}
		r.read, h.told = r.read+b.read-h.told, b.read
		r.progress()
		if len(b.events) > 0 {
			return true
		}
	}
}

func (r *replay) progress() {
	if r.cfg.Progress == nil {
		return
	}
	total := r.total
	if r.unknown {
		total = 0
	}
	r.cfg.Progress(r.read, total, r.lines)
}

// named is an error that says in which log it happened.
func named(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// decide asks every policy about a request.
func (r *replay) decide(seconds int64, key []byte) {
	if seconds < r.last {
		r.disorder++
	}
	r.first, r.last = min(r.first, seconds), max(r.last, seconds)
	r.requests++
	b := r.timeline.at(seconds)
	b.requests++

	now, name := seconds*1_000_000, ""
	id, counted := r.ids[string(key)]
	if counted {
		row := &r.keys[id]
		row.clock = max(row.clock, now)
		row.requests++
		now, name = row.clock, row.name
	} else if name = string(key); len(r.keys) < r.cfg.Keys {
		id, counted = int32(len(r.keys)), true
		r.ids[name] = id
		r.keys = append(r.keys, keyRow{name: name, clock: now, requests: 1})
		r.refused = append(r.refused, make([]int64, len(r.policies))...)
	} else {
		r.more = true
	}
	for i := range r.policies {
		p := &r.policies[i]
		if p.store.Allow(now, limits.Call{Limit: p.spec, Key: name, Cost: 1}).Verdict == 1 {
			continue
		}
		p.refused++
		b.refused[i]++
		if counted {
			r.refused[int(id)*len(r.policies)+i]++
		}
	}
}
