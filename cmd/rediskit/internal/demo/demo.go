package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/keys"
)

// ttl is that of every key of the tour.
const ttl = 10 * time.Minute

// largest is how many keys a database may have for the tour to walk over it without being asked to.
const largest = 200_000

// Step is one stop of the tour: a package.
type Step struct {
	Name  string // of the package
	About string // in a few words

	run func(ctx context.Context, t *tour) error

	// embedded says why the embedded server cannot do the step; empty if it can.
	embedded string
}

// Steps returns the stops of the tour in their order. Each is in a file of its own.
func Steps() []Step {
	return []Step{
		{Name: "rediskit", About: "connections, health, and errors that say what happened", run: stepRediskit},
		{Name: "keys", About: "names that no text can break out of", run: stepKeys},
		{Name: "codec", About: "values as bytes, compressed, and safe to read back", run: stepCodec},
		{Name: "script", About: "Lua and batches, all or nothing", run: stepScript},
		{Name: "hash", About: "a struct, field by field", run: stepHash},
		{Name: "list", About: "queues at both ends, and waiting that loses nothing", run: stepList},
		{Name: "zset", About: "members in the order of their scores", run: stepZset},
		{Name: "geo", About: "what is near", run: stepGeo},
		{Name: "stream", About: "a log that groups of consumers share", run: stepStream},
		{Name: "ratelimit", About: "how often, and how many at a time, for all processes together", run: stepRatelimit},
		{Name: "session", About: "who is logged in, where, and no longer", run: stepSession},
		{Name: "httpkit", About: "limits around a handler of net/http", run: stepHttpkit},
		{Name: "scan", About: "find, count and delete keys on every master", run: stepScan},
	}
}

// Config says what to show, where, and on which server.
type Config struct {
	// Out is where to show it.
	Out io.Writer
	// Redis is where the server is. Nil means the embedded one.
	Redis *rediskit.Config
	// Only names the steps to make. Default: all.
	Only []string
}

// Run makes the tour. It returns an error if it could not connect, was interrupted, or if a step failed; the other
// steps are made all the same.
func Run(ctx context.Context, cfg Config) error {
	chosen, err := choose(cfg.Only)
	if err != nil {
		return err
	}
	namespace, err := keys.New("demo-" + strings.ToLower(rand.Text()[:6]))
	if err != nil {
		return err
	}
	t := &tour{out: cfg.Out, style: terminal.StyleOf(cfg.Out), embedded: cfg.Redis == nil, namespace: namespace,
		asked: len(cfg.Only) > 0, largest: largest, close: func() {}, written: make(map[string]struct{})}

	defer func() { t.close() }()
	if err := t.connect(ctx, cfg.Redis); err != nil {
		return err
	}
	failed := t.make(ctx, chosen)
	// Also after an interruption, which is why the time for it is not taken from ctx.
	cleanCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(failed, t.clean(cleanCtx))
}

// ErrNoStep is what an error of [Run] is if Config.Only names a step that there is not.
var ErrNoStep = errors.New("no such step")

func choose(names []string) ([]Step, error) {
	all := Steps()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Step
	for _, name := range names {
		i := slices.IndexFunc(all, func(s Step) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("%w: %q", ErrNoStep, name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// tour is one run.
type tour struct {
	out       io.Writer
	style     terminal.Style
	client    *rediskit.Client
	close     func() // the client, and the server if it is the tour's own
	embedded  bool
	asked     bool  // for the steps that are made
	largest   int64 // database to walk over unasked, in keys
	namespace keys.Builder
	failed    error // of writing to out

	mu      sync.Mutex
	written map[string]struct{} // keys to delete at the end
}

// make makes the steps, one after another.
func (t *tour) make(ctx context.Context, chosen []Step) error {
	began := time.Now()
	var failed []string
	for i, step := range chosen {
		t.printf("\n%s  %s\n", t.style.Bold(fmt.Sprintf("%d/%d %s", i+1, len(chosen), step.Name)), step.About)
		if t.embedded && step.embedded != "" {
			t.printf("\n  Not on the embedded server: %s\n", step.embedded)
			continue
		}
		err := step.run(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			t.printf("\n  %s %v\n", t.style.Bad("failed:"), err)
			failed = append(failed, step.Name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d steps failed: %s", len(failed), len(chosen), strings.Join(failed, ", "))
	}
	t.printf("\n%s in %.1f s.\n", t.style.Good("Done"), time.Since(began).Seconds())
	return nil
}

// keys returns a function that makes the keys of a step. They share a slot.
func (t *tour) keys(step string) func(name string) string {
	return func(name string) string {
		key := t.namespace.Tagged(step, name).String()
		t.deleteLater(key)
		return key
	}
}

// deleteLater puts a key on the list of those that are deleted at the end.
func (t *tour) deleteLater(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written[key] = struct{}{}
}

// clean deletes what the tour wrote. It does not look for it: that would be a walk over the whole database.
func (t *tour) clean(ctx context.Context) error {
	written := slices.Collect(maps.Keys(t.written))
	results := t.client.DoMulti(ctx, len(written), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Unlink().Key(written[i]).Build().ToRetryable()
	})
	deleted := int64(0)
	var failed error
	for _, res := range results {
		n, err := res.AsInt64()
		deleted += n
		if failed == nil {
			failed = err
		}
	}
	if failed != nil {
		t.printf("\nKeys of the tour are left. They expire within %s.\n", terminal.Span(ttl))
		return fmt.Errorf("deleting the keys of the tour: %w", failed)
	}
	t.printf("\nDeleted what was left of the tour: %s.\n", terminal.Keys(deleted))
	return t.failed
}

func (t *tour) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(t.out, format, args...); t.failed == nil {
		t.failed = err
	}
}
