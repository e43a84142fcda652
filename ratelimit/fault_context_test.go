package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/ratelimit"
)

// scriptsRun is how many scripts a server has run.
func scriptsRun(t testing.TB, s *redistest.Server) (n int) {
	t.Helper()
	reply, err := s.Do("INFO", "commandstats")
	check(t, err)
	for _, name := range []string{"eval", "evalsha"} {
		if _, rest, found := strings.Cut(reply.(string), "cmdstat_"+name+":calls="); found {
			var calls int
			_, err := fmt.Sscanf(rest, "%d", &calls)
			check(t, err)
			n += calls
		}
	}
	return n
}

func TestACancelledContextIsHeededBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	s, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen(), DenyCache: -1})
	limit := ratelimit.GCRA(10, time.Hour, 10)
	took, err := l.Allow(t.Context(), "k", limit)
	check(t, err)
	before := scriptsRun(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Peek":   func() error { return errorOf(l.Peek(ctx, "k", limit)) },
		"Reset":  func() error { return l.Reset(ctx, "k", limit) },
		"Block":  func() error { return l.Block(ctx, "k", time.Hour, limit) },
		"Refund": func() error { return l.Refund(ctx, took) },
	}
	for name, call := range takers {
		calls[name] = func() error { return errorOf(call.take(ctx, l, "k", limit)) }
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) || rediskit.MayHaveApplied(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := scriptsRun(t, s); n != before {
		t.Errorf("%d scripts were run", n-before)
	}
	if got := taken(t, l, "k", limit); got != 1 {
		t.Errorf("%d permits are taken", got)
	}
}

func TestACallThatIsCancelledOnItsWayStillTellsWhatItTook(t *testing.T) {
	t.Parallel()
	_, proxy, through, around := faulty(t)
	broken, sound := askers(t, through, around, ratelimit.Config{Timeout: time.Minute})
	limit := ratelimit.SlidingWindow(10, time.Hour)
	check(t, errorOf(broken.Allow(t.Context(), "k", limit)))
	proxy.SetDelay(200 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const calls = 8 // on a shared connection, where each could be left without the others
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if r, err := broken.Allow(ctx, "k", limit); err != nil || !r.Allowed || r.Degraded {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	for taken(t, sound, "k", limit) < 1+calls && !t.Failed() {
	}
	cancel() // between the server's decisions and their arrival
	wg.Wait()
	if got := taken(t, sound, "k", limit); got != 1+calls {
		t.Errorf("%d permits are taken", got)
	}
}

func TestACancelledCallWithoutAReplySaysThatItMayHaveTakenItsPermit(t *testing.T) {
	t.Parallel()
	for want, begin := range map[error]func(context.Context) (context.Context, context.CancelFunc){
		context.Canceled: context.WithCancel,
		context.DeadlineExceeded: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		},
	} {
		t.Run(want.Error(), func(t *testing.T) {
			_, proxy, through, around := faulty(t)
			broken, sound := askers(t, through, around, ratelimit.Config{OnOutage: ratelimit.FailOpen(), Timeout: 500 * time.Millisecond})
			limit := ratelimit.SlidingWindow(10, time.Hour)
			check(t, errorOf(broken.Allow(t.Context(), "k", limit)))
			proxy.BlackHoleReplies()
			ctx, cancel := begin(t.Context())
			defer cancel()
			go func() {
				for taken(t, sound, "k", limit) < 2 && ctx.Err() == nil {
				}
				if want == context.Canceled {
					cancel()
				}
			}()
			within(t, func() {
				r, err := broken.Allow(ctx, "k", limit)
				if !errors.Is(err, want) || !rediskit.MayHaveApplied(err) || r.Allowed {
					t.Errorf("%+v, %v", r, err)
				}
			})
			eventually(t, func() error {
				if got := taken(t, sound, "k", limit); got != 2 {
					return fmt.Errorf("%d permits are taken", got)
				}
				return nil
			})
			check(t, proxy.Resume())
			wantRecovery(t, broken, "k", limit)
		})
	}
}

// Whoever has less time than Config.Timeout gets an error when it is over, and never the policy's answer by chance.
func TestACallersDeadlineIsNoOutage(t *testing.T) {
	t.Parallel()
	_, proxy, through, around := faulty(t)
	broken, _ := askers(t, through, around, ratelimit.Config{OnOutage: ratelimit.FailOpen(), Timeout: time.Minute})
	limit := ratelimit.SlidingWindow(1000, time.Hour)
	for range 25 {
		wantRecovery(t, broken, "k", limit) // on a connection that is made already, and so is used by one caller alone
		proxy.BlackHoleReplies()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if r, err := broken.Allow(ctx, "k", limit); !errors.Is(err, context.DeadlineExceeded) || r.Allowed {
			t.Errorf("%+v, %v", r, err)
		}
		cancel()
		check(t, proxy.Resume())
	}
}

func TestACallIsCancelledWhileItConnects(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*redistest.FaultProxy) error{
		"refused": func(p *redistest.FaultProxy) error { return p.RefuseNew(true) },
		"silent":  func(p *redistest.FaultProxy) error { p.BlackHole(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			_, proxy, through, around := faulty(t)
			broken, sound := askers(t, through, around, ratelimit.Config{OnOutage: ratelimit.FailOpen(), Timeout: 300 * time.Millisecond})
			limit := ratelimit.SlidingWindow(10, time.Hour)
			check(t, errorOf(broken.Allow(t.Context(), "k", limit)))
			check(t, breaks(proxy))
			proxy.Cut()
			within(t, func() {
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
						defer cancel()
						r, err := broken.Allow(ctx, "k", limit)
						// The breaker may have opened, and then there is an answer.
						if !errors.Is(err, context.DeadlineExceeded) && (err != nil || !r.Degraded) {
							t.Errorf("%+v, %v", r, err)
						}
					})
				}
				wg.Wait()
			})
			check(t, proxy.Resume())
			wantRecovery(t, broken, "k", limit)
			wantTaken(t, taken(t, sound, "k", limit), 2, 1) // of before and after, where one may have come too late to tell
		})
	}
}

func TestWaitEndsWithItsContextAndTakesNothing(t *testing.T) {
	t.Parallel()
	_, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute})
	limit := ratelimit.SlidingWindow(1, time.Hour)
	check(t, errorOf(l.Allow(t.Context(), "k", limit)))
	ctx, cancel := context.WithCancel(t.Context())
	within(t, func() {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if r, err := l.Wait(ctx, "k", limit, 2*time.Hour); !errors.Is(err, context.Canceled) || r.Allowed || rediskit.MayHaveApplied(err) {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
		cancel()
		wg.Wait()
	})
	if got := taken(t, l, "k", limit); got != 1 {
		t.Errorf("%d permits are taken", got)
	}
}
