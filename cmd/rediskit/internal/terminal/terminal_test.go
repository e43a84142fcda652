package terminal

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestSizesAreShortAndBinary(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10_189: "10 KiB", 10_000: "9.8 KiB",
		1<<20 - 1: "1.0 MiB", 1 << 30: "1.0 GiB", 5 << 40: "5.0 TiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestCountsHaveCommas(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000",
		math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
	if Keys(1) != "1 key" || Keys(0) != "0 keys" {
		t.Errorf("got %q and %q", Keys(1), Keys(0))
	}
}

func TestSpansHaveTwoUnitsAtMost(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Microsecond: "1ms", 20 * time.Millisecond: "20ms", 1600 * time.Millisecond: "2s",
		time.Minute: "1m", 61 * time.Second: "1m1s", 2 * time.Hour: "2h", 26*time.Hour + time.Minute: "1d2h",
		24*time.Hour + time.Second: "1d", 400 * 24 * time.Hour: "400d",
	} {
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestTextThatCouldCommandTheTerminalIsQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"user:42": "user:42", "Zürich 日本": "Zürich 日本", "with space": "with space",
		"":           `""`,
		"a\nb":       `"a\nb"`,
		"\x1b[2J":    `"\x1b[2J"`,
		"\xff":       `"\xff"`,
		`"quoted"`:   `"\"quoted\""`,
		"left\u202e": `"left\u202e"`,
	} {
		if got := Line(text); got != want {
			t.Errorf("Line(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestAFileAndABufferAreNoTerminals(t *testing.T) {
	t.Setenv("TERM", "xterm")
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Is(f) || Is(&bytes.Buffer{}) {
		t.Error("taken for a terminal")
	}
	if got := StyleOf(f).Bold("text"); got != "text" {
		t.Errorf("got %q", got)
	}
}

func TestABarIsDrawnWhenThereIsTimeForIt(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	bar := NewBar(&out, func() time.Time { return now })

	bar.Update(1, 4, "soon")
	bar.Clear()
	if out.Len() > 0 {
		t.Fatalf("drawn at once: %q", out.String())
	}

	now = now.Add(3 * time.Second)
	bar.Update(1, 4, "1 of 4")
	if want := "\r\x1b[K[=======                       ]  25%  1 of 4  9s left"; out.String() != want {
		t.Errorf("drew %q, want %q", out.String(), want)
	}

	out.Reset()
	bar.Update(2, 4, "too soon after")
	if out.Len() > 0 {
		t.Errorf("drew %q", out.String())
	}

	bar.Clear()
	bar.Clear()
	if out.String() != "\r\x1b[K" {
		t.Errorf("cleared with %q", out.String())
	}
}

func TestABarFitsItsLineWhateverItShows(t *testing.T) {
	for _, row := range []struct{ done, total int64 }{{0, 0}, {-1, 10}, {20, 10}, {math.MaxInt64, 1}, {5, 10}} {
		text := line(row.done, row.total, time.Hour, strings.Repeat("x", 100))
		if len(text) > 79 {
			t.Errorf("%d of %d: %d columns", row.done, row.total, len(text))
		}
	}
}

func TestABarOfNobodyKnowsWhatSaysHowMuch(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	bar := NewBar(&out, func() time.Time { return now })
	now = now.Add(time.Second)
	bar.Update(1, 0, "1 line")
	if want := "\r\x1b[K1 line"; out.String() != want {
		t.Errorf("drew %q, want %q", out.String(), want)
	}
}

func TestNoBarDrawsNothing(t *testing.T) {
	var bar *Bar
	bar.Update(1, 2, "")
	bar.Clear()
}

func TestATableIsAligned(t *testing.T) {
	var out bytes.Buffer
	err := Table(&out, Style{}, []Column{{"NAME", false}, {"N", true}, {"NOTE", false}}, [][]string{
		{"a", "1", ""}, {"größer", "1,000", "x"}, {"short"},
	})
	want := "" +
		"NAME        N  NOTE\n" +
		"a           1\n" +
		"größer  1,000  x\n" +
		"short\n"
	if err != nil || out.String() != want {
		t.Errorf("got\n%s%v", out.String(), err)
	}
}

func TestAKeyInJSONComesBack(t *testing.T) {
	for key, want := range map[string]string{"": `{"key":""}`, "a\n<": `{"key":"a\n\u003c"}`, "\xff": `{"key_base64":"/w=="}`} {
		if got, err := json.Marshal(NewJSONKey(key)); err != nil || string(got) != want {
			t.Errorf("%q is %s, %v, want %s", key, got, err, want)
		}
	}
}
