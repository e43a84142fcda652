package ratelimit

import (
	"errors"
	"testing"
	"time"
)

func TestWhatIsLostWithOneConnectionIsOneFailure(t *testing.T) {
	var o outage
	asked := time.Now()
	for range 200 {
		o.failed(asked, errors.New("cut"))
	}
	if !o.mayAsk() {
		t.Error("a single cut opened the breaker")
	}
	for i := range breakAfter - 1 {
		if !o.mayAsk() {
			t.Fatalf("open after %d failures", i+1)
		}
		o.failed(o.latest.Load().Add(time.Nanosecond), errors.New("cut"))
	}
	if o.mayAsk() {
		t.Errorf("closed after %d failures one after the other", breakAfter)
	}
	o.succeeded()
	if !o.mayAsk() {
		t.Error("open after a success")
	}
}
