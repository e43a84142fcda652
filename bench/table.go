package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// rounded keeps four digits: what follows is noise.
func rounded(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 3, 64), 64)
	if err != nil {
		return 0
	}
	return y
}

// number writes x for people: three digits or all before the point, thousands set apart; nothing for 0.
func number(x float64) string {
	switch {
	case x == 0:
		return ""
	case x < 10:
		return trimZeros(strconv.FormatFloat(x, 'f', 2, 64))
	case x < 100:
		return trimZeros(strconv.FormatFloat(x, 'f', 1, 64))
	}
	if x >= 1000 {
		mag := math.Pow(10, math.Floor(math.Log10(x))-2)
		x = math.Round(x/mag) * mag
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func trimZeros(s string) string {
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// grid is a table ready to be written: columns of text, of which the first few are words, to be aligned left.
type grid struct {
	header []string
	left   int
	cells  [][]string
}

// gridOf lays the rows of one area out. A subject over a longer round trip stands beside itself on loopback.
func gridOf(rows []row) grid {
	var rtts []float64 // other than loopback
	extra := false
	for _, r := range rows {
		if r.RTTMicros > 0 && !slices.Contains(rtts, r.RTTMicros) {
			rtts = append(rtts, r.RTTMicros)
		}
		extra = extra || r.Unit != ""
	}
	g := grid{left: 3, header: []string{"operation", "goroutines", "subject", "ops/s", "vs rediskit", "p50 µs", "p99 µs",
		"allocs/op", "B/op"}}
	if extra {
		g.header = append(g.header, "besides")
	}
	for _, rtt := range rtts {
		at := time.Duration(rtt * 1e3).String()
		g.header = append(g.header, "ops/s +"+at, "vs rediskit +"+at, "p50 µs +"+at, "p99 µs +"+at)
	}

	type line struct {
		operation, subject string
		goroutines         int
	}
	var lines []line
	byLine := make(map[line][]row)
	for _, r := range rows {
		l := line{r.Operation, r.Subject, r.Goroutines}
		if byLine[l] == nil {
			lines = append(lines, l)
		}
		byLine[l] = append(byLine[l], r)
	}
	for _, l := range lines {
		cells := []string{l.operation, strconv.Itoa(l.goroutines), l.subject}
		r := at(byLine[l], 0)
		cells = append(cells, number(r.OpsPerS), times(r.Ratio), number(r.P50Micros), number(r.P99Micros))
		cells = append(cells, perOp(r, r.AllocsPerOp), perOp(r, r.BytesPerOp))
		if extra {
			cells = append(cells, strings.TrimSpace(number(r.Value)+" "+r.Unit))
		}
		for _, rtt := range rtts {
			r := at(byLine[l], rtt)
			cells = append(cells, number(r.OpsPerS), times(r.Ratio), number(r.P50Micros), number(r.P99Micros))
		}
		g.cells = append(g.cells, cells)
	}
	return g
}

func at(rows []row, rtt float64) row {
	for _, r := range rows {
		if r.RTTMicros == rtt {
			return r
		}
	}
	return row{}
}

func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return strconv.FormatFloat(ratio, 'f', 2, 64) + "×"
}

// perOp writes a count that may be next to none: what the process allocates besides is a few hundredths a call.
// Where nothing at all was counted, nobody looked.
func perOp(r row, x float64) string {
	switch {
	case r.AllocsPerOp == 0 && r.BytesPerOp == 0:
		return ""
	case x < 0.05:
		return "0"
	case x < 100:
		return trimZeros(strconv.FormatFloat(x, 'f', 1, 64))
	}
	return number(x)
}

// writeText writes columns aligned for a terminal.
func (g grid) writeText(w io.Writer) {
	widths := make([]int, len(g.header))
	for _, cells := range append([][]string{g.header}, g.cells...) {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	last := ""
	for n, cells := range append([][]string{g.header}, g.cells...) {
		group := cells[0] + "/" + cells[1]
		if n > 0 && group != last {
			fmt.Fprintln(w)
		}
		last = group
		var b strings.Builder
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < g.left {
				b.WriteString(c + pad + "  ")
			} else {
				b.WriteString(pad + c + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// writeMarkdown writes the same as a table of a document.
func (g grid) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "| %s |\n|", strings.Join(g.header, " | "))
	for i := range g.header {
		if i < g.left {
			fmt.Fprint(w, " --- |")
		} else {
			fmt.Fprint(w, " ---: |")
		}
	}
	fmt.Fprintln(w)
	for _, cells := range g.cells {
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// Between these lines of the document stands what writeDocument wrote.
const (
	tableBegin = "<!-- results: written by bench -markdown, do not edit -->"
	tableEnd   = "<!-- end of results -->"
)

// document returns the part of docs/benchmarks.md that is measured.
func document(r report, all []area) string {
	var b strings.Builder
	b.WriteString(r.Environment.String() + "\n")
	for _, a := range all {
		rows := rowsOf(r.Rows, a.name)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s Medians of %s.\n\n", a.name, a.about, roundsOf(rows))
		gridOf(rows).writeMarkdown(&b)
	}
	return b.String()
}

func roundsOf(rows []row) string {
	rounds, all, disturbed := rows[0].Rounds, 0, 0
	for _, r := range rows {
		rounds = min(rounds, r.Rounds)
		all += r.Rounds
		disturbed += r.Disturbed
	}
	text := fmt.Sprintf("%d rounds", rounds)
	if disturbed > 0 {
		text += fmt.Sprintf(" (other processes disturbed %d of %d measurements)", disturbed, all)
	}
	return text
}

// String is a sentence about where it was measured.
func (e environment) String() string {
	peers := make([]string, 0, len(e.Peers))
	for module, version := range e.Peers {
		peers = append(peers, module+" "+version)
	}
	slices.Sort(peers)
	return fmt.Sprintf("Measured with %s on %s, %d × %s; server: %s, on the same machine; peers: %s.",
		e.Go, e.OS, e.CPUs, e.CPU, e.Server, strings.Join(peers, ", "))
}

// writeDocument replaces what stands between the markers in the file.
func writeDocument(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(data), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q", path, tableBegin, tableEnd)
	}
	return os.WriteFile(path, []byte(before+tableBegin+"\n\n"+text+"\n"+tableEnd+after), 0o644)
}
