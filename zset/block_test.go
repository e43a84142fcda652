package zset_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/blocktest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/zset"
)

func TestSoakAContextThatEndsLosesNoMember(t *testing.T) {
	for name, pop := range map[string]func(*zset.Set[int], context.Context, []string, time.Duration) (zset.Popped[int], bool, error){
		"BPopMin": (*zset.Set[int]).BPopMin,
		"BPopMax": (*zset.Set[int]).BPopMax,
	} {
		t.Run(name, func(t *testing.T) {
			rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
				key := rediskittest.Keys(t)
				s := open[int](t, c, rediskit.NoTTL)
				n := 2000 * soak.Scale()
				got := blocktest.Race{
					N: n,
					Push: func(ctx context.Context, i int) error {
						_, err := s.Add(ctx, key("set"), zset.Entry[int]{Member: i, Score: float64(i % 10)})
						return err
					},
					Take: func(ctx context.Context, _ int) ([]int, error) {
						p, ok, err := pop(s, ctx, []string{key("nothing"), key("set")}, 0)
						if !ok {
							return nil, err
						}
						return []int{p.Member}, err
					},
				}.Run(t)
				var left []int
				for _, e := range must[[]zset.Entry[int]](t)(s.Range(t.Context(), key("set"), 0, -1)) {
					left = append(left, e.Member)
				}
				blocktest.WantEachOnce(t, n, append(got, left)...)
			})
		})
	}
}

func TestABlockingPopTakesFromTheFirstSetThatHasAny(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		must[int64](t)(s.Add(ctx, key("b"), e("low", 0.1), e("high", 1e300)))
		must[int64](t)(s.Add(ctx, key("c"), e("x", -1)))
		keys := []string{key("a"), key("b"), key("c")}
		p, ok, err := s.BPopMax(ctx, keys, 0)
		equal(t, "BPopMax", []any{p, ok, err}, []any{zset.Popped[string]{key("b"), e("high", 1e300)}, true, nil})
		p, ok, err = s.BPopMin(ctx, keys, time.Minute)
		equal(t, "BPopMin", []any{p, ok, err}, []any{zset.Popped[string]{key("b"), e("low", 0.1)}, true, nil})
		p, ok, err = s.BPopMin(ctx, keys, time.Minute)
		equal(t, "BPopMin", []any{p, ok, err}, []any{zset.Popped[string]{key("c"), e("x", -1)}, true, nil})
		p, ok, err = s.BPopMin(ctx, keys, 20*time.Millisecond)
		equal(t, "BPopMin of nothing", []any{p, ok, err}, []any{zset.Popped[string]{}, false, nil})
	}, everywhere...)
}

func TestABlockingPopIsServedWhenAMemberComes(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key := t.Context(), rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		got := make(chan string)
		go func() {
			p, _, err := s.BPopMin(ctx, []string{key("k")}, 0)
			if err != nil {
				t.Error(err)
			}
			got <- p.Member
		}()
		must[int64](t)(s.Add(ctx, key("k"), e("here", 1)))
		equal(t, "member", <-got, "here")
	}, everywhere...)
}

func TestABlockingPopEndsWithItsContextAndWithTheClient(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)
		s := open[string](t, c, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, _, err := s.BPopMin(ctx, []string{key("k")}, 0)
		if !errors.Is(err, context.DeadlineExceeded) || rediskit.MayHaveApplied(err) {
			t.Errorf("the deadline passed, and the error is %v", err)
		}
		ended := make(chan error)
		go func() {
			_, _, err := s.BPopMax(t.Context(), []string{key("k")}, 0)
			ended <- err
		}()
		c.Close()
		if err := <-ended; !errors.Is(err, rediskit.ErrClosed) || rediskit.MayHaveApplied(err) {
			t.Errorf("the client was closed, and the error is %v", err)
		}
	}, everywhere...)
}
