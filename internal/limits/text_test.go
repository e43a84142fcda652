package limits

import (
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestALimitIsReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{
		"sliding-window:100/1m":                  "",
		"sliding-window:100/m":                   "sliding-window:100/1m",
		" fixed-window:5/60m ":                   "fixed-window:5/1h",
		"fixed-window:5/1h,penalty=24h":          "",
		"fixed-window:5/h,penalty=m":             "fixed-window:5/1h,penalty=1m",
		"sliding-counter:1000000000/1.5s":        "",
		"sliding-counter:1/8784h":                "",
		"sliding-counter:1/.5s":                  "sliding-counter:1/500ms",
		"gcra:10/1s,burst=20":                    "",
		"gcra:10/s":                              "gcra:10/1s,burst=10",
		"gcra:10/1s,burst=20,penalty=1ms":        "",
		"token-bucket:1/10s,burst=5":             "",
		"token-bucket:10/100s,burst=5":           "token-bucket:1/10s,burst=5",
		"token-bucket:1/250ms":                   "token-bucket:4/1s,burst=1",
		"token-bucket:3/ms,burst=1":              "token-bucket:3000/1s,burst=1",
		"token-bucket:1/90m,penalty=10m,burst=2": "token-bucket:1/1h30m,burst=2,penalty=10m",
		"concurrency:10/30s":                     "",
	} {
		if want == "" {
			want = text
		}
		if s, err := Parse(text); err != nil || s.String() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, s, err, want)
		}
	}
}

func TestALimitThatIsNoneIsRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "algorithm:number/duration",
		"100/1m":                               "algorithm:number/duration",
		"leaky-bucket:1/s":                     `no algorithm "leaky-bucket"`,
		"fixed-window:100":                     "number/duration",
		"fixed-window:many/1m":                 `"many" is not a number`,
		"fixed-window:1e3/1m":                  `"1e3" is not a number`,
		"fixed-window:99999999999999999999/1m": "is not a number",
		"fixed-window:0/1m":                    "n is 0: want 1 to",
		"fixed-window:-1/1m":                   "n is -1: want 1 to",
		"fixed-window:1000000001/1m":           "n is 1000000001: want 1 to",
		"sliding-window:1000001/1m":            "a sliding counter takes more",
		"fixed-window:1/60":                    "is not a duration",
		"fixed-window:1/":                      "is not a duration",
		"fixed-window:1/-1s":                   "window is -1s: want 1ms to",
		"fixed-window:1/0s":                    "window is 0s: want 1ms to",
		"fixed-window:1/999µs":                 "window is 999µs: want 1ms to",
		"fixed-window:1/8785h":                 "window is 8785h0m0s: want 1ms to",
		"fixed-window:1/1000000h":              "window is 1000000h0m0s: want 1ms to",
		"fixed-window:1/1.0000005s":            "want whole microseconds",
		"fixed-window:1/1s,":                   `no option ""`,
		"fixed-window:1/1s,burst=2":            `no option "burst=2"`,
		"fixed-window:1/1s,penalty":            "is not a duration",
		"fixed-window:1/1s,penalty=0s":         "penalty is 0",
		"fixed-window:1/1s,penalty=1us":        "penalty is 1µs: want 1ms to",
		"fixed-window:1/1s,penalty=-1s":        "penalty is -1s: want 1ms to",
		"gcra:0/1s":                            "want 1 to",
		"gcra:0/1s,burst=1":                    "perPeriod is 0: want 1 to",
		"gcra:1/1s,burst=0":                    "burst is 0: want 1 to",
		"gcra:1/8784h,burst=11":                "more than 10 years",
		"gcra:1/8784h,burst=1000000000":        "more than 10 years",
		"token-bucket:0/1s,burst=1":            "the rate is 0",
		"token-bucket:1000000001/1s,burst=1":   "more than 1000000000 a second",
		"token-bucket:1/8784h":                 "fewer digits",
		"token-bucket:1/8h,burst=320255974":    "more than 10 years",
		"token-bucket:1/8h,burst=2000000000":   "capacity is 2000000000: want 1 to",
		"token-bucket:1/1ns":                   "whole microseconds",
		"concurrency:1/1s,penalty=1s":          "no option",
		"concurrency:1/1us":                    "lease is 1µs: want 1ms to",
	} {
		s, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %v", text, s)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "limit ") {
			t.Errorf("Parse(%q): %v; want %q in it", text, err, want)
		}
	}
}

func roundTrip(t fataler, s *Spec) {
	t.Helper()
	again, err := Parse(s.String())
	if err != nil || *again != *s {
		t.Fatalf("%+v is written %s and read %+v, %v", s, s, again, err)
	}
}

func TestALimitIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.OneOf(rapid.SampledFrom(windows), rapid.Map(rapid.Int64Range(1000, us(MaxWindow)), micros)).Draw(t, "window")
		kind := rapid.SampledFrom(append(everyKind, Concurrency)).Draw(t, "kind")
		if kind == TokenBucket {
			window = rapid.SampledFrom(windows).Draw(t, "window")
		}
		s := drawSpec(t, kind, window)
		if kind == Concurrency {
			s.Penalty, s.args[5] = 0, "0"
		}
		roundTrip(t, s)
	})
}

func FuzzParse(f *testing.F) {
	f.Add("sliding-window:100/1m")
	f.Add("token-bucket:10/100s,burst=5,penalty=1h")
	f.Add("gcra:10/s,burst=20")
	f.Add("concurrency:1/.5s")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := Parse(text); err == nil {
			roundTrip(t, s)
		}
	})
}

func rateOf(per int64, window time.Duration) *big.Rat {
	return new(big.Rat).SetFrac(big.NewInt(per), big.NewInt(int64(window/time.Second)))
}

// A float is taken for the number that it prints as.
func TestARatePerSecondIsTheNumberThatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.SampledFrom([]int64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}).Draw(t, "places")
		n := rapid.Int64Range(1, min(MaxPermits, 1<<53/places)).Draw(t, "n")
		want := big.NewRat(n, places)
		rate, _ := want.Float64()
		if rate < 1e-6 {
			return
		}
		per, window, err := PerSecond(rate)
		if err != nil {
			t.Fatalf("PerSecond(%v): %v", rate, err)
		}
		if got := rateOf(per, window); got.Cmp(want) != 0 {
			t.Fatalf("PerSecond(%v) is %d in %v", rate, per, window)
		}
	})
}

func TestARatePerSecondIsTheFractionThatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, d := rapid.Int64Range(1, 10_000).Draw(t, "n"), rapid.Int64Range(1, 10_000).Draw(t, "d")
		per, window, err := PerSecond(float64(n) / float64(d))
		if got := rateOf(per, window); err != nil || got.Cmp(big.NewRat(n, d)) != 0 {
			t.Fatalf("PerSecond(%d/%d) is %d in %v, %v", n, d, per, window, err)
		}
	})
}

func TestARateIsNeverLooserThanItWasSaidToBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(1e-6, MaxPermits).Draw(t, "rate")
		per, window, err := PerSecond(rate)
		if err != nil {
			t.Fatalf("PerSecond(%v): %v", rate, err)
		}
		got, _ := rateOf(per, window).Float64()
		if got > rate || got < rate-1e-6-rate*1e-9 {
			t.Fatalf("PerSecond(%v) is %d in %v, which is %v", rate, per, window, got)
		}
	})
}

func TestEqualRatesAreOneLimit(t *testing.T) {
	want, window := must2(t)(Rate(1, 10*time.Second))
	for _, rate := range []struct {
		n int64
		d time.Duration
	}{{10, 100 * time.Second}, {6, time.Minute}, {360, time.Hour}} {
		if n, d := must2(t)(Rate(rate.n, rate.d)); n != want || d != window {
			t.Errorf("%d per %v is %d per %v, not %d per %v", rate.n, rate.d, n, d, want, window)
		}
	}
	if n, d := must2(t)(PerSecond(0.1)); n != want || d != window {
		t.Errorf("0.1 per second is %d per %v", n, d)
	}
}

func TestACostIsOneToThePermits(t *testing.T) {
	s := limit(t, "gcra:10/1s,burst=20")
	for cost, want := range map[int64]error{0: nil, -1: nil, 21: ErrNever} {
		if err := s.CheckCost(cost); err == nil || errors.Is(err, ErrNever) != (want == ErrNever) {
			t.Errorf("the cost %d: %v", cost, err)
		}
	}
	for _, cost := range []int64{1, 20} {
		if err := s.CheckCost(cost); err != nil {
			t.Errorf("the cost %d: %v", cost, err)
		}
	}
}

func TestTheNameSaysWhatTheStateDependsOn(t *testing.T) {
	same := [][2]string{
		{"sliding-window:1/1m", "sliding-window:9/60s,penalty=1s"}, {"gcra:1/1m,burst=5", "gcra:9/1m,burst=7"},
		{"token-bucket:1/1m,burst=5", "token-bucket:2/2m,burst=7"}, {"fixed-window:1/1h", "fixed-window:2/60m"},
	}
	for _, p := range same {
		if a, b := limit(t, p[0]).Name(), limit(t, p[1]).Name(); a != b {
			t.Errorf("%s has the name %s and %s %s", p[0], a, p[1], b)
		}
	}
	different := []string{"sliding-window:1/1m", "sliding-window:1/2m", "sliding-counter:1/1m", "fixed-window:1/1m", "gcra:1/1m", "gcra:1/1s",
		"token-bucket:1/1m", "token-bucket:2/1m", "token-bucket:1/1s", "concurrency:1/1m"}
	seen := map[string]string{}
	for _, text := range different {
		name := limit(t, text).Name()
		if seen[name] != "" || strings.ContainsAny(name, ":{}*?[]^%\\") {
			t.Errorf("%s has the name %s, as %s", text, name, seen[name])
		}
		seen[name] = text
	}
}
