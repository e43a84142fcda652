package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json, as described by go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// report turns events into what a person wants to read and what the exit status
// depends on.
type report struct {
	out     io.Writer
	verbose bool

	passed, failed int      // tests, subtests, examples and fuzz seeds
	skips          []string // package and test name of each

	packages map[string]*packageLog // those that have not ended yet
}

// packageLog holds what a package printed until it is known what of it matters.
type packageLog struct {
	lines []event
	fine  map[string]bool // tests that passed
}

// read consumes the output of one go test -json until it ends.
func (r *report) read(stream io.Reader) error {
	r.packages = make(map[string]*packageLog)
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				r.add(e)
			} else {
				io.WriteString(r.out, line) // not an event: somebody wrote past the test runner
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	// A package that never ended was cut off: show everything that it said.
	for _, log := range r.packages {
		r.print(log.lines)
	}
	return nil
}

func (r *report) add(e event) {
	switch e.Action {
	case "build-output":
		io.WriteString(r.out, e.Output)
		return
	case "build-fail":
		return
	}

	log := r.packages[e.Package]
	if log == nil {
		log = &packageLog{fine: make(map[string]bool)}
		r.packages[e.Package] = log
	}
	switch e.Action {
	case "output":
		if r.verbose {
			io.WriteString(r.out, e.Output)
		} else {
			log.lines = append(log.lines, e)
		}
	case "pass", "fail", "skip":
		if e.Test != "" {
			r.count(e, log)
			return
		}
		delete(r.packages, e.Package)
		r.print(log.worthReading(e.Action))
	}
}

func (r *report) count(e event, log *packageLog) {
	switch e.Action {
	case "pass":
		r.passed++
		log.fine[e.Test] = true
	case "fail":
		r.failed++
	case "skip":
		r.skips = append(r.skips, e.Package+" "+e.Test)
	}
}

// worthReading picks what go test prints without -v, and what skipped tests said
// of their reason besides. A test that neither passed nor failed was running
// when its package died, so its output counts as well.
func (log *packageLog) worthReading(verdict string) []event {
	var kept []event
	for _, e := range log.lines {
		switch {
		case strings.HasPrefix(e.Output, "=== "), e.Output == "PASS\n", log.fine[e.Test]:
		case e.Test == "" && verdict == "pass" && !closing(e):
			// What a package prints to standard output while all is well.
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

// closing tells the line that ends a package's output.
func closing(e event) bool {
	return strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "?   \t")
}

func (r *report) print(lines []event) {
	for _, e := range lines {
		io.WriteString(r.out, e.Output)
	}
}

// summary ends with a line of a form that test-counting tools know.
func (r *report) summary() {
	for _, name := range r.skips {
		fmt.Fprintln(r.out, "skipped:", name)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skips))
}
