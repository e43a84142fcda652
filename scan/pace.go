package scan

import (
	"context"
	"time"
)

// minSteps is how many steps a second a walk with a cap takes at least, so that it does not hurry and rest.
const minSteps = 20

// maxDebt is how far behind its schedule a walk may be and still catch up: timers and replies are late by
// milliseconds all the time. After a longer stop the schedule begins anew, so there is no burst.
const maxDebt = 20 * time.Millisecond

// pacer spaces the steps of a walk. Its rate is in keys per second; zero is no cap.
type pacer struct {
	rate int
	next time.Time // when the next step is due
}

// wait waits until the next step is due.
func (p *pacer) wait(ctx context.Context) error {
	if p.rate == 0 {
		return nil
	}
	now := time.Now()
	if p.next.Before(now.Add(-maxDebt)) {
		p.next = now
	}
	return sleep(ctx, p.next.Sub(now))
}

// spend accounts for a step that made the server look at n keys.
func (p *pacer) spend(n int) {
	if p.rate > 0 {
		p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	}
}

// sleep returns the error of ctx if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
