package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/ratelimit"
)

func stepRatelimit(ctx context.Context, t *tour) error {
	client, namespace := t.client, t.namespace

	t.show("Three attempts in any minute, whichever process is asked, on the server's clock.")
	limiter, err := ratelimit.New(client, ratelimit.Config{Keys: namespace, Timeout: time.Second})
	if err != nil {
		return err
	}
	attempts := ratelimit.SlidingWindow(3, time.Minute)
	text := ""
	for range 4 {
		res, err := limiter.Allow(ctx, "login:ann", attempts)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("allowed %-5v  %d left  ", res.Allowed, res.Remaining)
		text += fmt.Sprintf("retry after %v\n", res.RetryAfter)
	}
	t.result("%s", text)

	t.show("She remembers her password: that gives her the attempts back.")
	err = limiter.Reset(ctx, "login:ann", attempts)
	if err != nil {
		return err
	}
	now, err := limiter.Peek(ctx, "login:ann", attempts)
	if err != nil {
		return err
	}
	t.result("%d of %d left", now.Remaining, now.Limit)

	t.show("Two at once, and ten in five minutes: both allow, or neither is charged.")
	burst, total := ratelimit.GCRA(2, time.Minute, 2), ratelimit.FixedWindow(10, 5*time.Minute)
	text = ""
	for range 3 {
		res, err := limiter.AllowAll(ctx, "api:ann", burst, total)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("allowed %-5v  left at once %d, in five minutes %d\n",
			res.Allowed, res.Each[0].Remaining, res.Each[1].Remaining)
	}
	t.result("%s", text)
	if err := limiter.Reset(ctx, "api:ann", burst, total); err != nil {
		return err
	}

	t.show("Two at a time. A holder that crashes loses its place after half a minute.")
	reports := ratelimit.Concurrency(2, 30*time.Second)
	first, err := limiter.Acquire(ctx, "reports", reports)
	if err != nil {
		return err
	}
	defer first.Release()
	second, err := limiter.Acquire(ctx, "reports", reports)
	if err != nil {
		return err
	}
	defer second.Release()
	_, refused := limiter.Acquire(ctx, "reports", reports)
	err = first.Release()
	if err != nil {
		return err
	}
	third, err := limiter.Acquire(ctx, "reports", reports)
	if err != nil {
		return err
	}
	defer third.Release()
	t.result("the third: %v\nafter a release: %v", refused, third.Result().Allowed)
	return nil
}
