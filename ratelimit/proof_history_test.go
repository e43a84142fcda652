package ratelimit_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/ratelimit"
)

// history is what all processes heard of one limit on one key. Its methods go through it again and say what should not
// have been: what was given out beyond the limit, and what was refused without need.
type history struct {
	spec          *limits.Spec
	took, refused []record
	// complete says that nothing was taken but what is in took. Without that, only what is too much can be told.
	complete bool
}

// histories takes a report apart by limits.
func histories(t testing.TB, all []ratelimit.Limit, r report, complete bool) []history {
	t.Helper()
	hs := make([]history, len(all))
	for i, limit := range all {
		spec, err := limits.Parse(limit.String())
		check(t, err)
		hs[i] = history{spec: spec, complete: complete}
	}
	for _, rec := range r.Took {
		hs[rec.Limit].took = append(hs[rec.Limit].took, rec)
	}
	for _, rec := range r.Refused {
		hs[rec.Limit].refused = append(hs[rec.Limit].refused, rec)
	}
	return hs
}

// check reports the first things that are wrong.
func (h history) check(t testing.TB) {
	t.Helper()
	var wrong []string
	switch h.spec.Kind {
	case limits.SlidingWindow:
		wrong = h.slidingWindow()
	case limits.SlidingCounter:
		wrong = h.slidingCounter()
	case limits.FixedWindow:
		wrong = h.fixedWindow()
	default:
		wrong = append(h.bucketBound(), h.bucketReplay()...)
	}
	if len(wrong) > 0 {
		t.Errorf("%v: %d of %d decisions are wrong:\n%q", h.spec, len(wrong), len(h.took)+len(h.refused), wrong[:min(5, len(wrong))])
	}
}

// wantUse checks that the hammering was one: there were more permits than one window has, and refusals, over some time.
func (h history) wantUse(t testing.TB, span time.Duration) {
	t.Helper()
	var sum, first, last int64
	for _, rec := range h.took {
		sum += rec.Cost
		if first == 0 || rec.Reply.At < first {
			first = rec.Reply.At
		}
		last = max(last, rec.Reply.At)
	}
	t.Logf("%v: %d permits in %v, %d refusals", h.spec, sum, time.Duration(last-first)*time.Microsecond, len(h.refused))
	if sum <= h.spec.Permits || len(h.refused) == 0 || last-first < span.Microseconds()/2 {
		t.Errorf("%v was not hammered", h.spec)
	}
}

func say(r record, format string, args ...any) string {
	return fmt.Sprintf("%+v: "+format, append([]any{r}, args...)...)
}

// stamps are the times of all permits in order, as the state has them.
func (h history) stamps() []int64 {
	var all []int64
	for _, rec := range h.took {
		for range rec.Cost {
			all = append(all, rec.Reply.B)
		}
	}
	slices.Sort(all)
	return all
}

// crowded returns the permits that are the n+1st in some half-open window.
func crowded(stamps []int64, n, window int64) (too []string) {
	for i := n; i < int64(len(stamps)); i++ {
		if first := stamps[i-n]; stamps[i] < first+window {
			too = append(too, fmt.Sprintf("%d permits from %d to %d", n+1, first, stamps[i]))
		}
	}
	return too
}

func (h history) slidingWindow() (wrong []string) {
	n, window, stamps := h.spec.Permits, h.spec.Window.Microseconds(), h.stamps()
	wrong = crowded(stamps, n, window)
	// inside counts the permits after from, up to to.
	inside := func(from, to int64) int64 {
		i, _ := slices.BinarySearch(stamps, from+1)
		j, _ := slices.BinarySearch(stamps, to+1)
		return int64(j - i)
	}
	own := make(map[int64]bool)
	for _, rec := range h.took {
		if own[rec.Reply.B] {
			wrong = append(wrong, say(rec, "another call has this time"))
		}
		own[rec.Reply.B] = true
		if got := inside(rec.Reply.At-window, rec.Reply.B); got > rec.Reply.A || h.complete && got < rec.Reply.A {
			wrong = append(wrong, say(rec, "%d permits in its window", got))
		}
	}
	for _, rec := range h.refused {
		got := inside(rec.Reply.At-window, max(rec.Reply.At, rec.Reply.B))
		if rec.Reply.A+rec.Cost <= n || got > rec.Reply.A || h.complete && got < rec.Reply.A {
			wrong = append(wrong, say(rec, "refused with %d permits in its window", got))
		}
	}
	return wrong
}

// counted checks counts that go up by the costs of the calls of one window, and returns the sum of each window.
func (h history) counted(window func(record) int64) (sums map[int64]int64, seen map[[2]int64]bool, wrong []string) {
	took := slices.Clone(h.took)
	slices.SortFunc(took, func(a, b record) int {
		return cmp.Or(cmp.Compare(window(a), window(b)), cmp.Compare(a.Reply.A, b.Reply.A))
	})
	sums, seen = make(map[int64]int64), make(map[[2]int64]bool)
	for _, rec := range took {
		w := window(rec)
		sums[w] += rec.Cost
		seen[[2]int64{w, rec.Reply.A}] = true
		if sums[w] > rec.Reply.A || h.complete && sums[w] < rec.Reply.A {
			wrong = append(wrong, say(rec, "%d permits so far", sums[w]))
		}
		if sums[w] > h.spec.Permits {
			wrong = append(wrong, say(rec, "%d permits in one window", sums[w]))
		}
	}
	return sums, seen, wrong
}

func (h history) fixedWindow() (wrong []string) {
	window := h.spec.Window.Microseconds()
	sums, seen, wrong := h.counted(func(r record) int64 { return r.Reply.B })
	var before int64
	for _, end := range slices.Sorted(maps.Keys(sums)) {
		if end-window < before {
			wrong = append(wrong, fmt.Sprintf("the window up to %d begins before the one up to %d has ended", end, before))
		}
		before = end
	}
	for _, rec := range slices.Concat(h.took, h.refused) {
		if at, end := rec.Reply.At, rec.Reply.B; at >= end || at < end-window {
			wrong = append(wrong, say(rec, "not inside its window"))
		}
	}
	for _, rec := range h.refused {
		if rec.Reply.A+rec.Cost <= h.spec.Permits || h.complete && !seen[[2]int64{rec.Reply.B, rec.Reply.A}] {
			wrong = append(wrong, say(rec, "refused without need"))
		}
	}
	return wrong
}

func (h history) slidingCounter() (wrong []string) {
	n, window := h.spec.Permits, h.spec.Window.Microseconds()
	sums, seen, wrong := h.counted(func(r record) int64 { return r.Reply.C })
	fits := func(rec record, current int64) bool {
		left := min(rec.Reply.C*window+window-rec.Reply.At, window)
		return rec.Reply.B*left+current*window <= n*window
	}
	for _, rec := range slices.Concat(h.took, h.refused) {
		if rec.Reply.C < rec.Reply.At/window {
			wrong = append(wrong, say(rec, "not in its window"))
		}
		if before := sums[rec.Reply.C-1]; before > rec.Reply.B || h.complete && before < rec.Reply.B {
			wrong = append(wrong, say(rec, "%d permits in the window before", before))
		}
	}
	for _, rec := range h.took {
		if !fits(rec, rec.Reply.A) {
			wrong = append(wrong, say(rec, "allowed against the formula"))
		}
	}
	for _, rec := range h.refused {
		known := rec.Reply.A == 0 || seen[[2]int64{rec.Reply.C, rec.Reply.A}]
		if fits(rec, rec.Reply.A+rec.Cost) || h.complete && !known {
			wrong = append(wrong, say(rec, "refused against the formula"))
		}
	}
	var stamps []int64
	for _, rec := range h.took {
		for range rec.Cost {
			stamps = append(stamps, rec.Reply.At)
		}
	}
	slices.Sort(stamps)
	return append(wrong, crowded(stamps, 2*n, window)...)
}

// Buckets are reckoned in parts of 1/Per of a microsecond, of which a permit is Window: all are whole numbers.

// byTime are all decisions in the order in which they were made.
func (h history) byTime() []record {
	all := slices.Concat(h.took, h.refused)
	slices.SortFunc(all, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.Reply.At, b.Reply.At), cmp.Compare(a.Reply.A, b.Reply.A), cmp.Compare(a.Reply.B, b.Reply.B),
			-cmp.Compare(btoi(a.Took), btoi(b.Took)))
	})
	return all
}

// bucketBound checks that in no time t more was allowed than the bucket holds and what ran into it.
func (h history) bucketBound() (wrong []string) {
	permit, full := h.spec.Window.Microseconds(), h.spec.Permits*h.spec.Window.Microseconds()
	var sum, least, base int64
	for i, rec := range h.byTime() {
		if i == 0 {
			base = rec.Reply.At
		}
		if !rec.Took {
			continue
		}
		ran := (rec.Reply.At - base) * h.spec.Per
		if sum == 0 || sum-ran < least {
			least = sum - ran
		}
		sum += rec.Cost * permit
		if sum-ran-least > full {
			wrong = append(wrong, say(rec, "%d permits too many", (sum-ran-least-full)/permit))
		}
	}
	return wrong
}

// bucketReplay makes each decision again.
func (h history) bucketReplay() (wrong []string) {
	if !h.complete {
		return nil
	}
	permit, full := h.spec.Window.Microseconds(), h.spec.Permits*h.spec.Window.Microseconds()
	var debt, at int64
	for _, rec := range h.byTime() {
		if at > 0 {
			debt = max(debt-(rec.Reply.At-at)*h.spec.Per, 0)
		}
		at = rec.Reply.At
		fits := debt+rec.Cost*permit <= full
		if rec.Took {
			debt += rec.Cost * permit
		}
		if fits != rec.Took || rec.Reply.A*h.spec.Per+rec.Reply.B != debt {
			wrong = append(wrong, say(rec, "the debt is %d/%d us", debt, h.spec.Per))
		}
	}
	return wrong
}
