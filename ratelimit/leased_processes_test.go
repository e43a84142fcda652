package ratelimit_test

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/internal/limits/batchmodel"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// leasesEnv makes a process of the test binary one that uses leased permits. Its value is leaseOrders as JSON.
const leasesEnv = "RATELIMIT_TEST_LEASES"

// leaseOrders tell a process what to use.
type leaseOrders struct {
	Redis     address
	Namespace string
	Limit     ratelimit.Limit
	Lease     time.Duration
	Span      time.Duration
}

// leaseReport is what one process used, by the machine's clock, which is that of the server, too.
type leaseReport struct {
	Uses             []leasedUse
	Windows          []int64 // that batches were charged to
	Refused, Batches int
}

type leasedUse struct {
	Cost         int
	Since, Until int64 // unix nanoseconds
}

// useLeases uses permits until the span is over or stdin ends, and writes its report to stdout.
func useLeases(text string, stdin io.Reader, stdout io.Writer) error {
	var o leaseOrders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	client, err := rediskit.Connect(context.Background(), o.Redis.config())
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := context.WithTimeout(context.Background(), o.Span)
	defer stop()
	go func() {
		io.Copy(io.Discard, stdin)
		stop()
	}()
	limiter, err := ratelimit.New(client, ratelimit.Config{Keys: keys.MustNew(o.Namespace), Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	leased, err := limiter.Leased(o.Limit, ratelimit.LeaseConfig{Lease: o.Lease})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var report leaseReport
	leased.Through(func(take ratelimit.BatchFunc) ratelimit.BatchFunc {
		return func(ctx context.Context, call limits.BatchCall) (limits.Reply, limits.Batch, error) {
			r, b, err := take(ctx, call)
			mu.Lock()
			defer mu.Unlock()
			if b.Permits > 0 {
				report.Windows = append(report.Windows, b.Name[0])
				report.Batches++
			}
			return r, b, err
		}
	})
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	k := leased.Key("}hot{")
	for g := range cap(errs) {
		wg.Go(func() {
			var mine leaseReport
			var err error
			for err == nil && ctx.Err() == nil {
				use := leasedUse{Cost: 1, Since: time.Now().UnixNano()}
				var res ratelimit.Result
				switch {
				case g == 0:
					use.Cost = 1 + rand.N(3)
					res, err = k.AllowN(context.Background(), use.Cost)
				case g == 1:
					takes := k.Take(context.Background())
					if res.Allowed = takes == nil; !errors.As(takes, new(*ratelimit.ExceededError)) {
						err = takes
					}
				default:
					res, err = leased.Allow(context.Background(), "}hot{")
				}
				use.Until = time.Now().UnixNano()
				if res.Allowed {
					mine.Uses = append(mine.Uses, use)
				} else {
					mine.Refused++
				}
				if g > 0 || !res.Allowed {
					time.Sleep(rand.N(200 * time.Microsecond))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			report.Uses, report.Refused = append(report.Uses, mine.Uses...), report.Refused+mine.Refused
			errs <- err
		})
	}
	wg.Wait()
	for range cap(errs) {
		if err := <-errs; err != nil {
			return err
		}
	}
	if err := leased.Close(context.Background()); err != nil {
		return err
	}
	return gob.NewEncoder(stdout).Encode(report)
}

// leasers are processes that use one key.
type leasers struct {
	t       testing.TB
	cmds    []*exec.Cmd
	stdins  []io.Closer
	reports []leaseReport
	ended   chan error
}

// lease starts processes. They end with the test at the latest.
func lease(t testing.TB, processes int, o leaseOrders) *leasers {
	t.Helper()
	text, err := json.Marshal(o)
	check(t, err)
	p := &leasers{t: t, reports: make([]leaseReport, processes), ended: make(chan error, processes)}
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), leasesEnv+"="+string(text))
		cmd.Stderr = os.Stderr
		stdin, err := cmd.StdinPipe()
		check(t, err)
		stdout, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		p.cmds, p.stdins = append(p.cmds, cmd), append(p.stdins, stdin)
		go func() {
			err := gob.NewDecoder(stdout).Decode(&p.reports[i])
			if err != nil {
				err = fmt.Errorf("no report: %w", err)
			}
			p.ended <- errors.Join(err, cmd.Wait())
		}()
	}
	return p
}

// stop tells the processes to end.
func (p *leasers) stop() {
	for _, stdin := range p.stdins {
		stdin.Close()
	}
}

// check waits for the processes, and checks what they used together.
func (p *leasers) check(limit ratelimit.Limit) {
	p.t.Helper()
	for range p.cmds {
		check(p.t, <-p.ended)
	}
	uses, windows := &batchmodel.Uses{}, map[int64]bool{}
	refused, batches := 0, 0
	for _, r := range p.reports {
		for _, u := range r.Uses {
			uses.Add(u.Cost, time.Unix(0, u.Since), time.Unix(0, u.Until))
		}
		for _, w := range r.Windows {
			windows[w] = true
		}
		refused, batches = refused+r.Refused, batches+r.Batches
	}
	p.t.Logf("%v: %d permits of %d batches, %d refusals", limit, uses.Len(), batches, refused)
	if uses.Len() < 2*limit.Permits() || refused == 0 {
		p.t.Errorf("%v was not put to use", limit)
	}
	checkLeased(p.t, limit, windows, uses)
}

// hotLimits have windows and leases that are short, so that there are many of them in a second.
var hotLimits = map[string]time.Duration{
	"sliding-window:400/200ms":       20 * time.Millisecond,
	"sliding-window:60/50ms":         25 * time.Millisecond,
	"fixed-window:400/200ms":         20 * time.Millisecond,
	"sliding-counter:400/200ms":      50 * time.Millisecond,
	"token-bucket:2000/1s,burst=200": 50 * time.Millisecond,
	"gcra:7/3ms,burst=100":           10 * time.Millisecond,
}

// No window has more than the limit, and no time more than the bucket, in what eight processes used on one key.
func TestSoakEightProcessesWithLeasesUseNoMoreThanTheLimit(t *testing.T) {
	for kind, texts := range map[rediskittest.Kind][]string{
		rediskittest.OnSingle:  slices.Collect(maps.Keys(hotLimits)),
		rediskittest.OnCluster: {"sliding-window:400/200ms", "fixed-window:400/200ms", "token-bucket:2000/1s,burst=200"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			at := shared(t, kind)
			for range soak.Scale() {
				for _, text := range texts {
					limit := ok[ratelimit.Limit](t)(ratelimit.ParseLimit(text))
					lease(t, 8, leaseOrders{Redis: at, Namespace: newNamespace(t, at), Limit: limit, Lease: hotLimits[text], Span: 600 * time.Millisecond}).check(limit)
				}
			}
		})
	}
}
