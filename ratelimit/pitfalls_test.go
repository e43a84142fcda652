package ratelimit_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/ratelimit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// What other rate limiters got wrong, one test each. More of it, on a clock of the test's own, is in internal/limits.

func TestAnIdentifierMayBeginWithABraceOrBeOne(t *testing.T) {
	identifiers := []string{"}", "{", "{}", "}{", "}x", "{x", "x}", "{x}", "x{y}z", "}{x}", "\x00", "a:b", "*", "%7D", " "}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l := newLimiter(t, c, patient)
		limits := []ratelimit.Limit{
			ratelimit.SlidingWindow(100, time.Hour), ratelimit.SlidingWindow(100, time.Minute), ratelimit.GCRA(1, 24*time.Hour, 100),
		}
		for i, id := range identifiers { // each takes another number
			for range i + 1 {
				r, err := l.AllowAll(t.Context(), id, limits...) // which needs all states in one slot
				if err != nil || !r.Allowed {
					t.Fatalf("%q: %+v, %v", id, r, err)
				}
				check(t, l.Refund(t.Context(), r.Each[1])) // and so do a state and the mark of its refund
			}
		}
		for i, id := range identifiers {
			if got := taken(t, l, id, limits[0]); got != i+1 {
				t.Errorf("%q shares its state with another: %d are taken, want %d", id, got, i+1)
			}
			check(t, l.Block(t.Context(), id, time.Hour, limits...))
			check(t, l.Reset(t.Context(), id, limits...))
			if got := taken(t, l, id, limits[0]); got != 0 {
				t.Errorf("%q: %d are taken after a reset", id, got)
			}
		}
	}, everywhere...)
}

// dump is everything a namespace has on a server, with when it expires.
func dump(t testing.TB, c *rediskit.Client, names []string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range names {
		value, err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed { return b.Dump().Key(name).Build() }).ToString()
		if rueidis.IsRedisNil(err) {
			continue
		}
		check(t, err)
		at, err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
			return b.Arbitrary("PEXPIRETIME").Keys(name).ReadOnly()
		}).AsInt64()
		check(t, err)
		all[name] = fmt.Sprintf("%q %d", value, at)
	}
	return all
}

func TestARefusalWritesNothing(t *testing.T) {
	every := longLived(5)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		space := keys.MustNew("refusals" + strings.Trim(rediskittest.Keys(t)(""), "{}:"))
		l := newLimiter(t, c, ratelimit.Config{Keys: space, DenyCache: -1, Timeout: time.Minute})
		ctx := t.Context()
		for name, limit := range every {
			other := ratelimit.SlidingWindow(100, time.Hour)
			check(t, errorOf(l.AllowN(ctx, name, limit, 5)))
			check(t, errorOf(l.AllowN(ctx, name, other, 1)))
			before := dump(t, c, stateKeys(space, name, limit, other))
			if len(before) != 2 {
				t.Fatalf("%s: the states are %q", name, before)
			}
			for i := range 20 {
				r, err := l.AllowN(ctx, name, limit, 1+i%5)
				if err != nil || r.Allowed {
					t.Fatalf("%s: %+v, %v", name, r, err)
				}
				all, err := l.AllowAll(ctx, name, limit, other) // one limit is not charged when its sibling refuses
				if err != nil || all.Allowed || !all.Each[1].Allowed {
					t.Fatalf("%s: %+v, %v", name, all, err)
				}
				peeked, err := l.Peek(ctx, name, other)
				check(t, err)
				check(t, l.Refund(ctx, append(all.Each, r, all.Result, peeked)...)) // nothing was taken
				if _, err := l.Reserve(ctx, name, ratelimit.GCRA(1, 24*time.Hour, 5), 5, time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if name != "GCRA" { // Reserve took its own
				check(t, l.Reset(ctx, name, ratelimit.GCRA(1, 24*time.Hour, 5)))
			}
			if after := dump(t, c, stateKeys(space, name, limit, other)); !maps.Equal(before, after) {
				t.Errorf("%s: refusals made\n%q of\n%q", name, after, before)
			}
		}
	})
}

// stateKeys are the keys of a key's states. The name of a state is its limit without what may be changed at any time.
func stateKeys(space keys.Builder, key string, limits ...ratelimit.Limit) (names []string) {
	for _, limit := range limits {
		names = append(names, ratelimit.StateKey(space, key, limit))
	}
	return names
}

// 1 in 1.1 s must not become 1 in 1 s, and a window below a second must not become none. The server's times tell.
func TestAWindowIsNotRoundedToSeconds(t *testing.T) {
	t.Parallel()
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		t.Parallel()
		l := newLimiter(t, c, patient)
		var requests []ratelimit.Request
		for _, window := range []time.Duration{2 * time.Millisecond, 70 * time.Millisecond, 1100 * time.Millisecond} {
			for _, limit := range []ratelimit.Limit{
				ratelimit.SlidingWindow(1, window), ratelimit.FixedWindow(1, window), ratelimit.GCRA(1, window, 1),
				ratelimit.TokenBucket(1, 1/window.Seconds()), ratelimit.SlidingCounter(1, window),
			} {
				requests = append(requests, ratelimit.Request{Key: "k", Limit: limit})
			}
		}
		first := make([]int64, len(requests))
		second := make([]bool, len(requests))
		eventually(t, func() error { // asks again and again, and does not care for RetryAfter
			results, err := l.AllowMany(t.Context(), requests)
			check(t, err)
			for i, r := range results {
				switch at := r.ServerReply().At; {
				case !r.Allowed || second[i]:
				case first[i] == 0:
					first[i] = at
				default:
					second[i] = true
					// The rate of a token bucket has six decimal places.
					if window := requests[i].Limit.Window(); time.Duration(at-first[i])*time.Microsecond < window-time.Microsecond {
						t.Errorf("%v: the second permit came %d us after the first", requests[i].Limit, at-first[i])
					}
				}
			}
			if slices.Contains(second, false) {
				return fmt.Errorf("permits that came again: %v", second)
			}
			return nil
		})
	})
}

func TestACostAboveTheLimitIsNeverAndAsksNobody(t *testing.T) {
	s, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{OnOutage: ratelimit.FailOpen()})
	ctx := t.Context()
	for name, limit := range longLived(5) {
		before := scriptsRun(t, s)
		for call, err := range map[string]error{
			"AllowN":    errorOf(l.AllowN(ctx, name, limit, 6)),
			"AllowAllN": errorOf(l.AllowAllN(ctx, name, 6, limit, ratelimit.SlidingWindow(100, time.Minute))),
			"AllowMany": errorOf(l.AllowMany(ctx, []ratelimit.Request{{Key: name, Limit: limit}, {Key: name, Limit: limit, Cost: 6}})),
			"WaitN":     errorOf(l.WaitN(ctx, name, limit, 6, time.Hour)),
		} {
			if !errors.Is(err, ratelimit.ErrNever) || rediskit.IsUnavailable(err) {
				t.Errorf("%s: %s: %v", name, call, err)
			}
		}
		if n := scriptsRun(t, s); n != before {
			t.Errorf("%s: %d scripts were run", name, n-before)
		}
		if got := taken(t, l, name, limit); got != 0 {
			t.Errorf("%s: %d are taken", name, got)
		}
	}
	if _, err := l.Reserve(ctx, "k", ratelimit.GCRA(1, time.Hour, 5), 6, 100*time.Hour); !errors.Is(err, ratelimit.ErrNever) {
		t.Errorf("Reserve: %v", err)
	}
}

func TestARateThatIsNoneIsRefused(t *testing.T) {
	nan := 0.0
	nan /= nan
	for _, limit := range []ratelimit.Limit{
		ratelimit.SlidingWindow(0, time.Second), ratelimit.SlidingWindow(-1, time.Second), ratelimit.SlidingWindow(1, 0),
		ratelimit.SlidingWindow(1, -time.Second), ratelimit.SlidingCounter(0, time.Second), ratelimit.SlidingCounter(1, -1),
		ratelimit.FixedWindow(0, time.Second), ratelimit.FixedWindow(1, 0), ratelimit.TokenBucket(0, 1), ratelimit.TokenBucket(-1, 1),
		ratelimit.TokenBucket(1, 0), ratelimit.TokenBucket(1, -1), ratelimit.TokenBucket(1, nan), ratelimit.TokenBucket(1, 1/(nan-nan)),
		ratelimit.GCRA(0, time.Second, 1), ratelimit.GCRA(-1, time.Second, 1), ratelimit.GCRA(1, 0, 1), ratelimit.GCRA(1, -1, 1),
		ratelimit.GCRA(1, time.Second, 0), ratelimit.GCRA(1, time.Second, -1),
	} {
		if limit.Validate() == nil {
			t.Errorf("%v is a limit", limit)
		}
	}
}

func TestARaisedLimitIsNotDeniedFromTheCache(t *testing.T) {
	few, more := longLived(5), longLived(8)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, ctx := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute}), t.Context()
		for name, limit := range few {
			check(t, errorOf(l.AllowN(ctx, name, limit, 5)))
			for range 3 {
				if r, err := l.Allow(ctx, name, limit); err != nil || r.Allowed {
					t.Fatalf("%s: %+v, %v", name, r, err)
				}
			}
			for i := range 4 {
				if r, err := l.Allow(ctx, name, more[name]); err != nil || r.Allowed != (i < 3) {
					t.Errorf("%s: hit %d after it was raised by 3: %+v, %v", name, i, r, err)
				}
			}
		}
	}, everywhere...)
}

func TestARefusedCostSaysNothingAboutASmallerOne(t *testing.T) {
	every := longLived(5)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, ctx := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute}), t.Context()
		for name, limit := range every {
			for i, cost := range []int{3, 3, 3, 2, 3, 1} { // of which the first and the fourth fit
				if r, err := l.AllowN(ctx, name, limit, cost); err != nil || r.Allowed != (i == 0 || i == 3) {
					t.Errorf("%s: call %d: %+v, %v", name, i, r, err)
				}
			}
		}
	}, everywhere...)
}

func TestALimitMayBeLoweredWhileItsStateIsFull(t *testing.T) {
	ten, four := longLived(10), longLived(4)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, ctx := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute}), t.Context()
		for name := range ten {
			var last ratelimit.Result
			for range 10 {
				r, err := l.Allow(ctx, name, ten[name])
				if err != nil || !r.Allowed {
					t.Fatalf("%s: %+v, %v", name, r, err)
				}
				last = r
			}
			r, err := l.Allow(ctx, name, four[name])
			if err != nil || r.Allowed || r.Remaining != 0 || r.RetryAfter <= 0 {
				t.Errorf("%s: lowered: %+v, %v", name, r, err)
			}
			check(t, l.Refund(ctx, last))
			if r, err := l.Allow(ctx, name, ten[name]); err != nil || !r.Allowed || r.Remaining != 0 {
				t.Errorf("%s: raised again: %+v, %v", name, r, err)
			}
		}
	}, everywhere...)
}

func TestSlidingWindowsOfTwoLengthsOnOneKeyDoNotDisturbEachOther(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, ctx := newLimiter(t, c, patient), t.Context()
		short, long := ratelimit.SlidingWindow(3, 50*time.Millisecond), ratelimit.SlidingWindow(10, time.Hour)
		for i := range 10 {
			eventually(t, func() error { // as soon as the short one has room
				r, err := l.AllowAll(ctx, "k", short, long)
				check(t, err)
				if !r.Allowed {
					return r.Err()
				}
				return nil
			})
			if got := taken(t, l, "k", long); got != i+1 {
				t.Fatalf("%d of the hour's are taken, want %d", got, i+1)
			}
		}
		r, err := l.AllowAll(ctx, "k", short, long)
		if err != nil || r.Allowed || r.Limit != 10 || r.RetryAfter < 50*time.Minute {
			t.Errorf("the hour's is used up: %+v, %v", r, err)
		}
		eventually(t, func() error { // and the other one has room again, though it was asked for together with the hour's
			r, err := l.AllowN(ctx, "k", short, 3)
			check(t, err)
			return r.Err()
		})
	})
}

func TestAllowManyAnswersInOrderAndARequestFailsAlone(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		space := keys.MustNew("many" + strings.Trim(rediskittest.Keys(t)(""), "{}:"))
		l, ctx := newLimiter(t, c, ratelimit.Config{Keys: space, DenyCache: -1, Timeout: time.Minute, OnOutage: ratelimit.FailOpen()}), t.Context()
		window, bucket := ratelimit.SlidingWindow(7, time.Hour), ratelimit.GCRA(1, 24*time.Hour, 7)
		// Not even a string is a state of this limit.
		err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Set().Key(ratelimit.StateKey(space, "foreign", window)).Value("mine").ExSeconds(60).Build()
		}).Error()
		check(t, err)
		for _, one := range []bool{true, false} { // of one algorithm, and of two
			var requests []ratelimit.Request
			for i := range 100 {
				q := ratelimit.Request{Key: fmt.Sprint(one, i%10), Limit: window}
				if !one && i%2 == 0 {
					q.Limit = bucket
				}
				if i == 42 {
					q.Key, q.Limit = "foreign", window
				}
				requests = append(requests, q)
			}
			results, err := l.AllowMany(ctx, requests)
			if err == nil || strings.Count(err.Error(), "foreign") == 0 || strings.Contains(err.Error(), "true1") || rediskit.IsUnavailable(err) {
				t.Errorf("the error is %v", err)
			}
			asked := make(map[string]int)
			for i, r := range results {
				if i == 42 {
					if r.Allowed || r.Limit == 0 {
						t.Errorf("the request that has no answer: %+v", r)
					}
					continue
				}
				asked[requests[i].Key]++
				if n := asked[requests[i].Key]; r.Allowed != (n <= 7) || r.Remaining != max(7-n, 0) || r.Degraded {
					t.Errorf("request %d, the number %d of its key: %+v", i, n, r)
				}
			}
		}
	})
}

func TestHitsOfOneMomentAllCount(t *testing.T) {
	const n = 2000
	every := longLived(n)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l := newLimiter(t, c, patient)
		requests := make([]ratelimit.Request, 500)
		for name, limit := range every {
			for i := range requests {
				requests[i] = ratelimit.Request{Key: name, Limit: limit}
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					results, err := l.AllowMany(t.Context(), requests)
					if err != nil {
						t.Error(err)
					}
					for _, r := range results {
						if !r.Allowed {
							t.Errorf("%s: %+v", name, r)
						}
					}
				})
			}
			wg.Wait()
			if got := taken(t, l, name, limit); got != 3*len(requests) {
				t.Errorf("%s: %d are taken by %d", name, got, 3*len(requests))
			}
		}
	})
}

func TestACostOfManyThousandIsTakenAndGivenBack(t *testing.T) {
	const n = 25_000
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, ctx := newLimiter(t, c, patient), t.Context()
		for _, limit := range []ratelimit.Limit{
			ratelimit.SlidingWindow(n, time.Hour), ratelimit.FixedWindow(n, time.Hour),
			ratelimit.SlidingCounter(n, 360*24*time.Hour), ratelimit.GCRA(1, time.Hour, n),
		} {
			key := limit.String()
			check(t, errorOf(l.AllowN(ctx, key, limit, 100)))
			r, err := l.AllowN(ctx, key, limit, n-100)
			if err != nil || !r.Allowed || r.Remaining != 0 {
				t.Fatalf("%v: %+v, %v", limit, r, err)
			}
			if r, err := l.Allow(ctx, key, limit); err != nil || r.Allowed {
				t.Errorf("%v: %+v, %v", limit, r, err)
			}
			check(t, l.Refund(ctx, r))
			if got := taken(t, l, key, limit); got != 100 {
				t.Errorf("%v: %d are taken", limit, got)
			}
		}
	}, everywhere...)
}

func TestReservationsCannotRunAKeysClockAhead(t *testing.T) {
	const ahead = 10 * time.Hour
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		l, ctx := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute}), t.Context()
		for name, limit := range map[string]ratelimit.Limit{
			"token bucket": ratelimit.TokenBucket(5, 1.0/3600), "GCRA": ratelimit.GCRA(1, time.Hour, 5),
		} {
			var held []ratelimit.Reservation
			for range 100 {
				r, err := l.Reserve(ctx, name, limit, 1, ahead)
				check(t, err)
				if r.Allowed {
					held = append(held, r)
					if r.Delay > ahead || len(held) > 1 && r.Delay < held[len(held)-2].Delay {
						t.Fatalf("%s: reservation %d has to wait %v", name, len(held), r.Delay)
					}
				} else if r.RetryAfter <= 0 || r.RetryAfter > time.Hour {
					t.Fatalf("%s: %+v", name, r)
				}
			}
			if len(held) != 15 { // the burst, and what comes back within 10 h
				t.Errorf("%s: %d reservations", name, len(held))
			}
			r, err := l.Allow(ctx, name, limit)
			if err != nil || r.Allowed || r.RetryAfter <= ahead || r.RetryAfter > ahead+time.Hour {
				t.Errorf("%s: whoever asks without a reservation: %+v, %v", name, r, err)
			}
			slices.Reverse(held)
			for _, r := range held {
				check(t, r.Cancel(ctx))
				check(t, r.Cancel(ctx))
			}
			for i := range 6 {
				r, err := l.Allow(ctx, name, limit)
				if err != nil || r.Allowed != (i < 5) {
					t.Errorf("%s: hit %d after all was cancelled: %+v, %v", name, i, r, err)
				}
			}
		}
	}, everywhere...)
}

// Refusals that are still on their way when a key is reset must not be believed after it. Nothing but the reset's return tells
// that the key is free.
func TestARefusalThatCrossesAResetIsNotRemembered(t *testing.T) {
	_, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute})
	limit, ctx := ratelimit.FixedWindow(1_000_000, time.Hour), t.Context()
	for range 300 {
		check(t, l.Block(ctx, "k", time.Hour, limit))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := errorOf(l.Allow(ctx, "k", limit)); err != nil {
					t.Error(err)
				}
			})
		}
		check(t, l.Reset(ctx, "k", limit))
		wg.Wait()
		if r, err := l.Allow(ctx, "k", limit); err != nil || !r.Allowed {
			t.Fatalf("after the reset: %+v, %v", r, err)
		}
	}
}
