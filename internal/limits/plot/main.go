// Command plot draws docs/ratelimit.svg: what each algorithm admits of the same bursty traffic.
//
//	go run ./internal/limits/plot > docs/ratelimit.svg
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
)

// All limits are about 20 in 10 seconds.
var shown = []struct{ limit, title string }{
	{"sliding-window:20/10s", "SlidingWindow(20, 10s): never more than 20 in any 10 seconds"},
	{"sliding-counter:20/10s", "SlidingCounter(20, 10s): nearly that; the window before counts as evenly spread"},
	{"fixed-window:20/10s", "FixedWindow(20, 10s): up to 40 around the end of a window"},
	{"token-bucket:2/1s,burst=20", "TokenBucket(20, 2): bursts of 20, then 2 a second as they refill"},
	{"gcra:2/1s,burst=4", "GCRA(2, 1s, 4): 2 a second at even distances, bursts of 4"},
}

const (
	length = 60 * time.Second
	window = 10 * time.Second
	bin    = 500 * time.Millisecond
)

// traffic is when requests come: one a second, and bursts of 30 in half a second at awkward moments.
func traffic() []time.Duration {
	var at []time.Duration
	for t := time.Duration(0); t < length; t += time.Second {
		at = append(at, t)
	}
	for _, burst := range []time.Duration{9, 11, 25, 29, 31, 45} {
		for i := range 30 {
			at = append(at, burst*time.Second+time.Duration(i)*bin/30)
		}
	}
	slices.Sort(at)
	return at
}

// admitted is what a limit lets through, on a clock that starts at a multiple of the window.
func admitted(text string, requests []time.Duration) []time.Duration {
	limit, err := limits.Parse(text)
	if err != nil {
		log.Fatal(err)
	}
	start := 1_700_000_000 * time.Second
	store := limits.NewStore(1)
	var in []time.Duration
	for _, t := range requests {
		if store.Allow((start+t).Microseconds(), limits.Call{Limit: limit, Key: "k", Cost: 1}).Verdict == 1 {
			in = append(in, t)
		}
	}
	return in
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	draw(out, traffic())
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

const (
	width, left  = 900, 60
	panel, above = 130, 34 // of one algorithm, and its title
	scale        = (width - left - 20) / float64(length)
	most         = 46 // of the vertical axis
)

func draw(w io.Writer, requests []time.Duration) {
	height := len(shown)*(panel+above) + 70
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(w, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(w, `<text x="%d" y="20" fill="#333">Grey: requests each half second. Blue: admitted. Red line: admitted in the 10 seconds before; dashed: 20.</text>`+"\n", left)
	for i, s := range shown {
		in := admitted(s.limit, requests)
		top := 34 + i*(panel+above) + above
		y := func(n float64) float64 { return float64(top+panel) - n*panel/most }
		fmt.Fprintf(w, `<text x="%d" y="%d" fill="#111" font-weight="bold">%s</text>`+"\n", left, top-8, s.title)
		bars(w, requests, "#d0d0d0", y)
		bars(w, in, "#3b78c4", y)
		fmt.Fprintf(w, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#555" stroke-dasharray="4 4"/>`+"\n", left, width-20, y(20), y(20))
		for _, n := range []int{0, 20, 40} {
			fmt.Fprintf(w, `<text x="%d" y="%.1f" text-anchor="end" fill="#555">%d</text>`+"\n", left-8, y(float64(n))+4, n)
		}
		line(w, in, y)
		fmt.Fprintf(w, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#555"/>`+"\n", left, width-20, y(0), y(0))
	}
	for t := time.Duration(0); t <= length; t += window {
		fmt.Fprintf(w, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555">%v</text>`+"\n", left+float64(t)*scale, height-12, t)
	}
	fmt.Fprintln(w, "</svg>")
}

// bars counts times by half seconds.
func bars(w io.Writer, at []time.Duration, colour string, y func(float64) float64) {
	counts := make([]int, length/bin)
	for _, t := range at {
		counts[t/bin]++
	}
	for i, n := range counts {
		if n > 0 {
			fmt.Fprintf(w, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
				left+float64(i)*float64(bin)*scale, y(float64(n)), float64(bin)*scale-1, y(0)-y(float64(n)), colour)
		}
	}
}

// line draws how many were admitted in the window before each moment.
func line(w io.Writer, at []time.Duration, y func(float64) float64) {
	fmt.Fprint(w, `<polyline fill="none" stroke="#c0392b" stroke-width="1.5" points="`)
	for t := time.Duration(0); t <= length; t += bin / 5 {
		n := 0
		for _, a := range at {
			if a <= t && a > t-window {
				n++
			}
		}
		fmt.Fprintf(w, "%.1f,%.1f ", left+float64(t)*scale, y(float64(n)))
	}
	fmt.Fprintln(w, `"/>`)
}
