package limits

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSharesTogetherAreNoMoreThanTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawLimit(t, rapid.SampledFrom([]Kind{SlidingWindow, SlidingCounter, FixedWindow, TokenBucket, GCRA}).Draw(t, "kind"))
		n := rapid.IntRange(1, 100_000).Draw(t, "processes")
		share := s.Share(n)
		if share.Permits < 1 || share.Permits > s.Permits || share.Window < s.Window || share.Window > max(s.Window, MaxWindow) {
			t.Fatalf("%v among %d is %v", s, n, share)
		}
		per, whole := share.Permits, s.Permits
		if s.Kind == TokenBucket || s.Kind == GCRA {
			per, whole = share.Per, s.Per
		}
		together := big.NewRat(per*int64(n), us(share.Window))
		if together.Cmp(big.NewRat(whole, us(s.Window))) > 0 && (per > 1 || share.Window < MaxWindow) {
			t.Fatalf("%v among %d is %v: together more", s, n, share)
		}
	})
}

func TestASharesRateIsCutWhereItsWindowCannotGrow(t *testing.T) {
	for _, row := range []struct {
		whole, share string
		processes    int
	}{
		{"gcra:100/720h,burst=10", "gcra:6/8784h,burst=1", 200},
		{"gcra:100/720h,burst=10", "gcra:1/8784h,burst=1", math.MaxInt},
		{"token-bucket:123457/1000000s,burst=1000", "token-bucket:39/8784h,burst=1", 100_000},
		{"token-bucket:3/1000000s,burst=900", "token-bucket:1/8784h,burst=10", 50}, // full within ten years
		{"fixed-window:2/720h", "fixed-window:1/8784h", math.MaxInt},
		{"sliding-window:1/1ms", "sliding-window:1/277h46m40s", 1_000_000_000},
	} {
		if got := limit(t, row.whole).Share(row.processes).String(); got != row.share {
			t.Errorf("%s among %d is %s, want %s", row.whole, row.processes, got, row.share)
		}
	}
	if d := limit(t, "gcra:1/1h,burst=1").Share(2).Window; d != 2*time.Hour {
		t.Errorf("twice an hour is %v", d)
	}
}
