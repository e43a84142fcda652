package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	lineWidth = 79 // a line that wraps cannot be drawn over
	barMin    = 5
	barMax    = 30

	redraw = 100 * time.Millisecond
)

// Bar shows on one line of a terminal how far work has come. It is drawn ten times a second at most, for the first
// time after a tenth of a second, so that what is done at once draws nothing. A nil Bar draws nothing at all.
type Bar struct {
	w     io.Writer
	now   func() time.Time
	began time.Time
	drawn time.Time
	shown bool
}

// NewBar makes a bar on w, which is a terminal; now is the clock.
func NewBar(w io.Writer, now func() time.Time) *Bar {
	t := now()
	return &Bar{w: w, now: now, began: t, drawn: t}
}

// Update tells that done of total is done, or of nobody knows what if total is 0; note is what to show besides.
func (b *Bar) Update(done, total int64, note string) {
	if b == nil {
		return
	}
	t := b.now()
	if t.Sub(b.drawn) < redraw {
		return
	}
	b.drawn, b.shown = t, true
	fmt.Fprint(b.w, "\r\x1b[K"+line(done, total, t.Sub(b.began), note))
}

// Clear takes the bar off the screen. Whatever else is written there has to come after it.
func (b *Bar) Clear() {
	if b == nil || !b.shown {
		return
	}
	b.shown = false
	fmt.Fprint(b.w, "\r\x1b[K")
}

// line gives the bar what room the numbers leave.
func line(done, total int64, took time.Duration, note string) string {
	if total <= 0 {
		return note[:min(len(note), lineWidth)]
	}
	part := min(max(float64(done)/float64(total), 0), 1)
	text := fmt.Sprintf(" %3.0f%%", part*100)
	if note != "" {
		text += "  " + note
	}
	// The rate of the first moments says nothing about the rest.
	if took >= time.Second && part > 0 && part < 1 {
		left := time.Duration(float64(took) / part * (1 - part))
		text += "  " + Span(left.Round(time.Second)) + " left"
	}
	width := min(max(lineWidth-len("[]")-len(text), barMin), barMax)
	filled := int(part * float64(width))
	text = "[" + strings.Repeat("=", filled) + strings.Repeat(" ", width-filled) + "]" + text
	return text[:min(len(text), lineWidth)]
}
