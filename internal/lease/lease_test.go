package lease

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

const (
	length  = 30 * time.Second
	certain = length - length/1000 // for a clock that is as much slower than the server's
)

var errLost, errAway = errors.New("lost"), errors.New("away")

// keeper is a server that keeps a lease, gone is one that lost it.
func keeper(context.Context) (bool, error) { return true, nil }
func gone(context.Context) (bool, error)   { return false, nil }
func away(context.Context) (bool, error)   { return false, errAway }

func hold(parent context.Context, renew func(context.Context) (bool, error)) *Lease {
	return Hold(parent, Terms{Length: length, Sent: time.Now(), Renew: renew, Lost: errLost})
}

// wantEnd waits until the lease's context ends.
func wantEnd(t *testing.T, l *Lease, cause error) {
	t.Helper()
	<-l.Done()
	if l.Err() != context.Canceled || context.Cause(l) != cause {
		t.Errorf("it ended with %v because of %v: want %v because of %v", l.Err(), context.Cause(l), context.Canceled, cause)
	}
}

func TestALeaseIsRenewedAboutThreeTimesInItsLengthUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		renewed := 0
		l := hold(t.Context(), func(context.Context) (bool, error) { renewed++; return true, nil })
		time.Sleep(1000 * length)
		if l.Err() != nil {
			t.Fatal(l.Err())
		}
		if renewed < 3000 || renewed > 3900 {
			t.Errorf("renewed %d times in 1000 lengths", renewed)
		}
		l.End()
		if l.over.Stop() || l.next.Stop() {
			t.Error("timers go on after the end")
		}
		l.End()
		wantEnd(t, l, context.Canceled)
		renewed = 0
		time.Sleep(10 * length)
		if renewed != 0 {
			t.Errorf("renewed %d times after its end", renewed)
		}
	})
}

func TestTheContextEndsALengthAfterTheLastSuccessWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		tries, good := 0, 5
		l := hold(t.Context(), func(ctx context.Context) (bool, error) {
			if good == 0 {
				tries++
				return false, errAway
			}
			good--
			last = time.Now()
			time.Sleep(time.Second) // on its way
			return true, nil
		})
		wantEnd(t, l, errLost)
		if since := time.Since(last); since != certain {
			t.Errorf("it ended %v after the last success was sent", since)
		}
		if tries < 5 {
			t.Errorf("only %d more tries", tries)
		}
	})
}

func TestTheContextEndsInTimeWhenRenewalsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		l := hold(t.Context(), func(ctx context.Context) (bool, error) {
			tries++
			<-ctx.Done()
			return false, ctx.Err()
		})
		start := time.Now()
		wantEnd(t, l, errLost)
		if since := time.Since(start); since != certain {
			t.Errorf("it ended after %v", since)
		}
		if tries < 3 {
			t.Errorf("only %d tries", tries)
		}
	})
}

func TestALeaseThatTookLongToGetIsSoMuchShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := time.Now()
		time.Sleep(length - time.Second)
		l := Hold(t.Context(), Terms{Length: length, Sent: sent, Renew: away, Lost: errLost})
		wantEnd(t, l, errLost)
		if since := time.Since(sent); since != certain {
			t.Errorf("it ended %v after it was asked for", since)
		}
		sent = sent.Add(time.Second)
		kept := Hold(t.Context(), Terms{Length: length, Sent: sent, Renew: keeper, Lost: errLost})
		time.Sleep(10 * length)
		if kept.Err() != nil {
			t.Error("it was not renewed in the second that was left")
		}
		kept.End()
		late := Hold(t.Context(), Terms{Length: length, Sent: sent, Renew: keeper, Lost: errLost})
		if late.Err() == nil {
			t.Error("one that was over when it came is held")
		}
	})
}

func TestALeaseThatIsGoneEndsTheContextAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := hold(t.Context(), gone), time.Now()
		wantEnd(t, l, errLost)
		if since := time.Since(start); since > length/2 {
			t.Errorf("it took %v to notice", since)
		}
		l.End()
		wantEnd(t, l, errLost)
	})
}

func TestTheContextEndsWithItsParentAndRenewalsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errParent, renewed := errors.New("the parent's"), 0
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), t, "value"))
		l := hold(parent, func(context.Context) (bool, error) { renewed++; return true, nil })
		if l.Value(t) != "value" {
			t.Error("the parent's values are not there")
		}
		cancel(errParent)
		wantEnd(t, l, errParent)
		time.Sleep(10 * length)
		if renewed != 0 {
			t.Errorf("renewed %d times after the end", renewed)
		}
	})
}

func TestWhatIsDerivedFromTheContextEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hold(t.Context(), away)
		child, cancel := context.WithTimeout(l, 10*length)
		defer cancel()
		<-child.Done()
		if child.Err() != context.Canceled || context.Cause(child) != errLost {
			t.Errorf("%v because of %v", child.Err(), context.Cause(child))
		}
	})
}

// A timer that never fires is that of a process which was stopped and goes on just now.
func TestErrAndDoneKnowTheTimeBeforeTheTimerDoes(t *testing.T) {
	for name, look := range map[string]func(l *Lease) bool{
		"Err": func(l *Lease) bool { return l.Err() == context.Canceled },
		"Done": func(l *Lease) bool {
			select {
			case <-l.Done():
				return true
			default:
				return false
			}
		},
		"a child": func(l *Lease) bool {
			child, cancel := context.WithCancel(l)
			defer cancel()
			return child.Err() == context.Canceled
		},
		"after End": func(l *Lease) bool { l.End(); return l.Err() == context.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := hold(t.Context(), away)
				l.over.Stop()
				time.Sleep(certain - 1)
				if l.Err() != nil {
					t.Fatalf("it ended early: %v", l.Err())
				}
				time.Sleep(time.Nanosecond)
				if !look(l) || context.Cause(l) != errLost {
					t.Errorf("the lease is over, and the context is not: %v", context.Cause(l))
				}
			})
		})
	}
}

func TestLeasesNeedNoGoroutinesWhileTheyAreHeld(t *testing.T) {
	before := runtime.NumGoroutine()
	leases := make([]*Lease, 10_000)
	for i := range leases {
		leases[i] = hold(t.Context(), keeper)
	}
	if n := runtime.NumGoroutine() - before; n > 100 {
		t.Errorf("%d goroutines for %d leases", n, len(leases))
	}
	for _, l := range leases {
		l.End()
	}
}

func TestManyGoroutinesMayUseALease(t *testing.T) {
	for range 100 {
		l := Hold(t.Context(), Terms{Length: time.Millisecond, Sent: time.Now(), Renew: keeper, Lost: errLost})
		done := make(chan struct{})
		for range 4 {
			go func() {
				for l.Err() == nil {
					runtime.Gosched()
				}
				l.End()
				done <- struct{}{}
			}()
		}
		runtime.Gosched()
		l.End()
		for range 4 {
			<-done
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
