package scan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// Defaults of [Config].
const (
	DefaultLimit       = 10_000
	DefaultBatch       = 1_000
	DefaultDeleteBatch = 200
	DefaultDeleteRate  = 10_000
)

// maxBatch keeps a SCAN from becoming a KEYS.
const maxBatch = 100_000

// ErrLimit reports that a listing was ended because more keys match than Config.Limit.
var ErrLimit = errors.New("more keys match than the limit")

// Config says how a [Scanner] walks. The zero value is good for listing and counting, and for deleting next to
// live traffic.
type Config struct {
	// Limit is how many keys [Scanner.Keys] lists before it ends with ErrLimit. Default: 10,000; negative: off.
	Limit int

	// Rate is how many keys per second the servers may be made to look at, whether they match or not. Default:
	// 10,000 for Delete (docs/scan.md has the measurements behind it), no cap for the other calls; negative: off.
	Rate int

	// Batch is how many keys a server looks at in one go (the COUNT of SCAN), while everybody else waits.
	// Default: 1,000, and 200 for Delete; at most 100,000. A low Rate makes it smaller.
	Batch int

	// Type restricts every walk to keys of one type: "string", "list", "set", "zset", "hash", "stream", or a
	// module's. Default: all types.
	Type string

	// DryRun makes Delete count instead of deleting.
	DryRun bool

	// Progress, if set, is told how far a walk has come, after every batch. It is called by the goroutine that
	// called the Scanner, which waits for it to return.
	Progress func(Progress)
}

// Progress tells how far a walk has come.
type Progress struct {
	// Scanned is how many keys the servers have looked at, as far as can be told from outside. It reaches Total
	// at the end, and falls when a part has to be walked again.
	Scanned int64
	// Total is how many keys of any name there were, when the walk began, on the nodes it has to visit.
	Total int64
	// Matched is how many keys matched.
	Matched int64
	// Deleted is how many of them Delete has deleted.
	Deleted int64
}

func (c Config) validate() error {
	switch {
	case c.Batch < 0:
		return fmt.Errorf("scan: Config.Batch is %d: must not be negative", c.Batch)
	case c.Batch > maxBatch:
		return fmt.Errorf("scan: Config.Batch is %d: at most %d, or the server stands still", c.Batch, maxBatch)
	}
	return nil
}

// Scanner walks over the keys of every master. It holds no resources and is safe for concurrent use.
type Scanner struct {
	client *rediskit.Client
	cfg    Config
}

// New makes a Scanner, or returns an error that names the field for a bad Config. Nothing is sent.
func New(client *rediskit.Client, cfg Config) (*Scanner, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	return &Scanner{client: client, cfg: cfg}, nil
}

// Keys lists the keys that match a glob-style pattern ("session:*"), in no order, each once. A key that exists
// from the beginning to the end is listed; one that comes or goes meanwhile may be.
//
//	for key, err := range scanner.Keys(ctx, "session:*") {
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// An error is the last element: a [*rediskit.ScanError] as described at [Scanner.Count], or one wrapping
// [ErrLimit] when more keys match than Config.Limit. With Config.Limit off, Keys remembers at least the last
// 100,000 keys it listed, so that a key may come up again after more others than that.
//
// The walk goes on as the loop does and ends with it, leaving nothing behind. Each loop over the same iterator
// is a walk of its own.
func (s *Scanner) Keys(ctx context.Context, pattern string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		stopped := errors.New("the loop ended")
		seen := newMemory(s.cfg.Limit)
		listed := 0
		err := s.walk(pattern, 0, DefaultBatch, func(_ *conn, keys []string) error {
			for _, key := range keys {
				if !seen.add(key) {
					continue
				}
				if s.cfg.Limit > 0 && listed == s.cfg.Limit {
					return fmt.Errorf("%w of %d", ErrLimit, s.cfg.Limit)
				}
				listed++
				if !yield(key, nil) {
					return stopped
				}
			}
			return nil
		}).run(ctx)
		if err != nil && !errors.Is(err, stopped) {
			yield("", &rediskit.ScanError{Pattern: pattern, Err: err})
		}
	}
}

// Count counts the keys that match. No key that exists throughout is left out. A key that SCAN repeats, as it
// may while its table grows or shrinks, is counted again; keys that had to be walked again after a restart or a
// move are not. Memory does not grow with the number of keys.
//
// It returns a [*rediskit.ScanError]. Its cause is
//
//   - a [*rediskit.ConnectionError] if ctx ended, or if a node does not come back within Config.CommandTimeout of
//     the client. The call then takes up to about three times that;
//   - [rediskit.ErrTopologyChanged] if nodes and slots kept changing so much that no complete walk was possible.
//     Calling again is safe;
//   - the server's answer otherwise.
func (s *Scanner) Count(ctx context.Context, pattern string) (int64, error) {
	w := s.walk(pattern, 0, DefaultBatch, nil)
	if err := w.run(ctx); err != nil {
		return 0, &rediskit.ScanError{Pattern: pattern, Err: err}
	}
	return w.progress.Matched, nil
}

// Delete deletes the keys that match, with UNLINK, which frees their memory in the background, and returns how
// many it deleted. Keys that exist throughout are deleted; keys that come meanwhile may be. The walk is
// slowed down to Config.Rate. With Config.DryRun it is a Count.
//
// A key is found by its name and Config.Type, and then deleted by its name: one that was replaced in between is
// deleted too.
//
// Errors are those of [Scanner.Count], and come with the number of keys deleted before. After a lost reply a
// key may have been deleted and not counted; [rediskit.MayHaveApplied] tells so if that ended the call. Calling
// again is safe.
func (s *Scanner) Delete(ctx context.Context, pattern string) (int64, error) {
	if s.cfg.DryRun {
		return s.Count(ctx, pattern)
	}
	w := s.walk(pattern, DefaultDeleteRate, DefaultDeleteBatch, nil)
	d := deleter{client: s.client, cluster: w.cluster}
	w.visit = func(c *conn, keys []string) error {
		err := d.unlink(ctx, c, keys)
		w.progress.Deleted = d.deleted
		return err
	}
	if err := w.run(ctx); err != nil {
		return d.deleted, &rediskit.ScanError{Pattern: pattern, Err: err}
	}
	return d.deleted, nil
}

// Each calls fn for every key that matches, from as many goroutines as workers says, and returns when all calls
// have returned. It calls fn for each key that exists throughout, as a rule once; when the walk repeats a key
// after more than 100,000 others, again.
//
// The first error of fn ends the walk and the ctx given to the other calls, and is returned as it is. Other
// errors are those of [Scanner.Count].
func (s *Scanner) Each(ctx context.Context, pattern string, workers int, fn func(ctx context.Context, key string) error) error {
	if workers < 1 {
		return &rediskit.ScanError{Pattern: pattern, Err: fmt.Errorf("workers is %d: must be at least 1", workers)}
	}
	walkCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error
	var once sync.Once
	var running sync.WaitGroup
	queue := make(chan string)
	for range workers {
		running.Go(func() {
			for key := range queue {
				if walkCtx.Err() != nil {
					continue
				}
				if err := fn(walkCtx, key); err != nil {
					once.Do(func() { first = err })
					cancel()
				}
			}
		})
	}
	seen := newMemory(0)
	err := s.walk(pattern, 0, DefaultBatch, func(_ *conn, keys []string) error {
		for _, key := range keys {
			if !seen.add(key) {
				continue
			}
			select {
			case queue <- key:
			case <-walkCtx.Done():
				return nil // the next step of the walk says why
			}
		}
		return nil
	}).run(walkCtx)
	close(queue)
	running.Wait()
	if first != nil {
		return first
	}
	if err == nil {
		if ctx.Err() == nil {
			return nil
		}
		// The last keys may have been handed out after ctx ended, and fn not called for them. Asked with
		// a context that has ended, the client says so, and nothing else.
		_, err = s.client.Masters(ctx)
	}
	return &rediskit.ScanError{Pattern: pattern, Err: err}
}

// walk prepares a walk. rate and batch are the call's defaults; a rate of zero is no cap.
func (s *Scanner) walk(pattern string, rate, batch int, visit func(*conn, []string) error) *walk {
	rate = s.rateFor(rate)
	return &walk{
		client:  s.client,
		pattern: pattern,
		typ:     s.cfg.Type,
		batch:   s.batchFor(rate, batch),
		pace:    pacer{rate: rate},
		visit:   visit,
		report:  s.cfg.Progress,
		cluster: s.client.Redis().Mode() == rueidis.ClientModeCluster,
	}
}

func (s *Scanner) rateFor(rate int) int {
	if s.cfg.Rate != 0 {
		rate = max(s.cfg.Rate, 0)
	}
	return rate
}

func (s *Scanner) batchFor(rate, batch int) int {
	if s.cfg.Batch != 0 {
		batch = s.cfg.Batch
	}
	if rate > 0 {
		batch = min(batch, max(rate/minSteps, 1))
	}
	return batch
}
