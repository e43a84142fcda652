// Package terminal is what the command line knows about where it writes to: whether somebody looks at it, how bold
// is said there, how sizes and times are written, and a bar that shows progress.
package terminal

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Is reports whether w is a terminal that understands escape sequences.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	term := os.Getenv("TERM")
	return term != "" && term != "dumb"
}

// Style decorates text. The zero Style leaves it plain.
type Style struct{ on bool }

// StyleOf returns the style for w: plain if it is no terminal or the user asked for no colours (NO_COLOR).
func StyleOf(w io.Writer) Style { return Style{on: Is(w) && os.Getenv("NO_COLOR") == ""} }

// Bold is for titles.
func (s Style) Bold(text string) string { return s.wrap("1", text) }

// Dim is for what one may skip.
func (s Style) Dim(text string) string { return s.wrap("2", text) }

// Code is for lines of a program.
func (s Style) Code(text string) string { return s.wrap("36", text) }

// Good is for what came out as it should.
func (s Style) Good(text string) string { return s.wrap("32", text) }

// Bad is for what did not.
func (s Style) Bad(text string) string { return s.wrap("31", text) }

func (s Style) wrap(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bytes writes a size with three digits and a binary unit.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.5 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %ciB", digits, v, units[unit])
}

// Count writes a whole number with commas between thousands.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Keys is Count with the noun.
func Keys(n int64) string {
	if n == 1 {
		return "1 key"
	}
	return Count(n) + " keys"
}

// Milliseconds writes a short time.
func Milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 2, 64) + " ms"
}

// Span writes a long time with its two largest units: 3d4h, 59m58s.
func Span(d time.Duration) string {
	seconds := int64(math.Round(d.Seconds()))
	if d > 0 && seconds == 0 {
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + "ms"
	}
	units := []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}
	for i, u := range units {
		if seconds < u.size || u.size == 1 {
			continue
		}
		text := fmt.Sprintf("%d%s", seconds/u.size, u.name)
		if next := units[i+1]; seconds%u.size/next.size > 0 {
			text += fmt.Sprintf("%d%s", seconds%u.size/next.size, next.name)
		}
		return text
	}
	return fmt.Sprintf("%ds", seconds)
}

// Line writes text that may be anything on one line, so that it neither breaks the line nor commands the terminal:
// as it is if every character is printable, and as a Go string in quotes otherwise, or if it could be taken for one.
func Line(text string) string {
	plain := func(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }
	if text == "" || text[0] == '"' || strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) >= 0 {
		return strconv.Quote(text)
	}
	return text
}

// JSONKey is a key in JSON, which has no way to say what is not UTF-8.
type JSONKey struct {
	Key    *string `json:"key,omitempty"`
	Base64 string  `json:"key_base64,omitempty"`
}

// NewJSONKey returns a key as JSON has it.
func NewJSONKey(key string) JSONKey {
	if !utf8.ValidString(key) {
		return JSONKey{Base64: base64.StdEncoding.EncodeToString([]byte(key))}
	}
	return JSONKey{Key: &key}
}
