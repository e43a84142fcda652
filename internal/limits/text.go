package limits

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String writes a limit as [Parse] reads it.
func (s *Spec) String() string {
	var b strings.Builder
	n := s.Permits
	if s.Kind == TokenBucket || s.Kind == GCRA {
		n = s.Per
	}
	fmt.Fprintf(&b, "%s:%d/%s", s.Kind, n, short(s.Window))
	if s.Kind == TokenBucket || s.Kind == GCRA {
		fmt.Fprintf(&b, ",burst=%d", s.Permits)
	}
	if s.Penalty > 0 {
		b.WriteString(",penalty=" + short(s.Penalty))
	}
	return b.String()
}

// short is a duration without its parts of zero: 1m and not 1m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Parse reads a limit such as sliding-window:100/1m, gcra:10/1s,burst=20 or
// fixed-window:5/1h,penalty=1h. The 1 of a duration may be left out: 100/m.
func Parse(text string) (*Spec, error) {
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("limit %q: %w", text, err)
	}
	return s, nil
}

func parse(text string) (*Spec, error) {
	name, rest, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok {
		return nil, fmt.Errorf("want algorithm:number/duration, as in sliding-window:100/1m")
	}
	kind := kindOf(name)
	if kind == 0 {
		return nil, fmt.Errorf("no algorithm %q: there are sliding-window, sliding-counter, fixed-window, token-bucket, gcra and concurrency", name)
	}
	rate, options, more := strings.Cut(rest, ",")
	number, duration, ok := strings.Cut(rate, "/")
	if !ok {
		return nil, fmt.Errorf("%q: want number/duration, as in 100/1m", rate)
	}
	n, err := parseCount(number)
	if err != nil {
		return nil, err
	}
	window, err := parseDuration(duration)
	if err != nil {
		return nil, err
	}
	bucket := kind == TokenBucket || kind == GCRA
	permits, penalty := n, time.Duration(0)
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case !more:
		case name == "burst" && bucket:
			permits, err = parseCount(value)
		case name == "penalty" && kind != Concurrency:
			penalty, err = parseDuration(value)
			if err == nil && penalty == 0 {
				err = fmt.Errorf("penalty is 0: want 1ms to %v", MaxWindow)
			}
		default:
			err = fmt.Errorf("no option %q for %s", option, kind)
		}
		if err != nil {
			return nil, err
		}
	}
	switch kind {
	case TokenBucket:
		if n, window, err = Rate(n, window); err != nil {
			return nil, err
		}
		return New(kind, permits, n, window, penalty)
	case GCRA:
		return New(kind, permits, n, window, penalty)
	default:
		return New(kind, permits, 0, window, penalty)
	}
}

func kindOf(name string) Kind {
	for k := SlidingWindow; k <= Concurrency; k++ {
		if kinds[k].name == name {
			return k
		}
	}
	return 0
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	if s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] > '~') { // a unit, perhaps of µ
		s = "1" + s
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration, such as 10s, 1m or 24h", s)
	}
	return d, nil
}
