package ratelimit_test

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
)

// hammerEnv makes a process of the test binary one that hammers. Its value is orders as JSON.
const hammerEnv = "RATELIMIT_TEST_HAMMER"

// orders tell a process what to hammer, and how.
type orders struct {
	Redis     address
	Namespace string
	Key       string
	Limits    []ratelimit.Limit
	Together  bool          // AllowAll only
	Refunds   bool          // gives back some of what it took
	Span      time.Duration // of the server's time until it ends; 0: when it is told to
}

// address says where a server is.
type address struct {
	Addrs   []string
	Master  string // of sentinels
	Cluster bool
}

func (a address) config() rediskit.Config {
	return rediskit.Config{Addrs: a.Addrs, Sentinel: rediskit.Sentinel{Master: a.Master}, Cluster: a.Cluster, CommandTimeout: time.Minute}
}

// record is what one call heard of one limit.
type record struct {
	Limit, Cost int64
	Took        bool
	Reply       limits.Reply
}

// report is what one process has to tell.
type report struct {
	Took, Refused []record // in no order
	Unknown       []record // without a reply: it may have been taken
	Failed        int      // nothing was taken, and nobody said why not
	LastError     string
}

const hammerGoroutines = 8

// hammer makes decisions until the span is over or stdin ends, and writes its report to stdout.
func hammer(text string, stdin io.Reader, stdout io.Writer) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, stdin)
		stop()
	}()
	client, err := rediskit.Connect(ctx, o.Redis.config())
	if err != nil {
		return err
	}
	defer client.Close()
	h := &hammerer{orders: o, stop: stop}
	cfg := ratelimit.Config{Keys: keys.MustNew(o.Namespace), Timeout: time.Minute}
	if h.caching, err = ratelimit.New(client, cfg); err != nil {
		return err
	}
	cfg.DenyCache = -1
	if h.asking, err = ratelimit.New(client, cfg); err != nil {
		return err
	}
	var wg sync.WaitGroup
	reports := make([]report, hammerGoroutines)
	for g := range reports {
		wg.Go(func() {
			w := worker{hammerer: h, report: &reports[g]}
			for ctx.Err() == nil {
				w.once(ctx, g)
			}
		})
	}
	wg.Wait()
	return gob.NewEncoder(stdout).Encode(merge(reports))
}

func merge(reports []report) (all report) {
	for _, r := range reports {
		all.Took = append(all.Took, r.Took...)
		all.Refused = append(all.Refused, r.Refused...)
		all.Unknown = append(all.Unknown, r.Unknown...)
		all.Failed += r.Failed
		if r.LastError != "" {
			all.LastError = r.LastError
		}
	}
	return all
}

type hammerer struct {
	orders
	stop            func()
	asking, caching *ratelimit.Limiter
	began           atomic.Int64 // the first time a server told
}

// worker is one goroutine of a hammerer.
type worker struct {
	*hammerer
	*report
}

func (w worker) once(ctx context.Context, g int) {
	if w.Together {
		w.all(ctx)
		return
	}
	switch g % 4 {
	case 0, 1:
		i, cost := w.random()
		// What was asked is to be answered, so that nothing stays open at the end.
		r, err := w.asking.AllowN(context.Background(), w.Key, w.Limits[i], cost)
		w.note(i, cost, r, r.Allowed, err)
	case 2:
		i, cost := w.random()
		r, err := w.caching.WaitN(ctx, w.Key, w.Limits[i], cost, time.Minute)
		if errors.Is(err, context.Canceled) && !rediskit.MayHaveApplied(err) || errors.As(err, new(*ratelimit.ExceededError)) {
			return
		}
		w.note(i, cost, r, r.Allowed, err)
	case 3:
		if rand.N(2) == 0 {
			w.all(ctx)
			return
		}
		requests := make([]ratelimit.Request, 3)
		numbers := make([]int, len(requests))
		for j := range requests {
			i, cost := w.random()
			numbers[j], requests[j] = i, ratelimit.Request{Key: w.Key, Limit: w.Limits[i], Cost: cost}
		}
		results, err := w.asking.AllowMany(context.Background(), requests)
		for j, r := range results {
			w.note(numbers[j], requests[j].Cost, r, r.Allowed, err)
		}
	}
}

func (w worker) random() (limit, cost int) { return rand.N(len(w.Limits)), 1 + rand.N(3) }

func (w worker) all(context.Context) {
	r, err := w.asking.AllowAll(context.Background(), w.Key, w.Limits...)
	if err != nil {
		for i := range w.Limits {
			w.note(i, 1, ratelimit.Result{}, false, err)
		}
		return
	}
	for i, each := range r.Each {
		// Without the others it would have been allowed. That is no refusal.
		if r.Allowed || !each.Allowed {
			w.note(i, 1, each, r.Allowed, nil)
		}
	}
}

func (w worker) note(limit, cost int, r ratelimit.Result, took bool, err error) {
	rec := record{Limit: int64(limit), Cost: int64(cost), Took: took, Reply: r.ServerReply()}
	switch {
	case rediskit.MayHaveApplied(err):
		w.Unknown = append(w.Unknown, rec)
	case err != nil:
		w.Failed++
	case took && w.Refunds && rand.N(3) == 0:
		err = w.asking.Refund(context.Background(), r)
	case took:
		w.Took = append(w.Took, rec)
	default:
		w.Refused = append(w.Refused, rec)
	}
	if err != nil {
		w.LastError = err.Error()
		<-time.After(5 * time.Millisecond) // leave the processor to who repairs it
		return
	}
	at := rec.Reply.At
	w.began.CompareAndSwap(0, at)
	if w.Span > 0 && at-w.began.Load() > w.Span.Microseconds() {
		w.stop()
	}
}

// fleet is a number of processes that hammer together.
type fleet struct {
	t       testing.TB
	members []*member
	reports chan error
}

type member struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	report report
}

// launch starts processes. They end with the test at the latest.
func launch(t testing.TB, processes int, o orders) *fleet {
	t.Helper()
	text, err := json.Marshal(o)
	check(t, err)
	f := &fleet{t: t, reports: make(chan error, processes)}
	for range processes {
		m := &member{cmd: exec.CommandContext(t.Context(), os.Args[0])}
		m.cmd.Env = append(os.Environ(), hammerEnv+"="+string(text))
		m.cmd.Stderr = os.Stderr
		m.stdin, err = m.cmd.StdinPipe()
		check(t, err)
		stdout, err := m.cmd.StdoutPipe()
		check(t, err)
		check(t, m.cmd.Start())
		f.members = append(f.members, m)
		go func() {
			err := gob.NewDecoder(stdout).Decode(&m.report)
			if err != nil {
				err = fmt.Errorf("no report: %w", err)
			}
			f.reports <- errors.Join(err, m.cmd.Wait())
		}()
	}
	return f
}

// stop tells the processes to end.
func (f *fleet) stop() {
	for _, m := range f.members {
		m.stdin.Close()
	}
}

// wait returns what all processes together have to tell when they have ended.
func (f *fleet) wait() report {
	f.t.Helper()
	var all []report
	for range f.members {
		check(f.t, <-f.reports)
	}
	for _, m := range f.members {
		all = append(all, m.report)
	}
	return merge(all)
}
