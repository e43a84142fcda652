package demo

import (
	"embed"
	"fmt"
	"path"
	"runtime"
	"strings"
)

// sources are the steps as they were compiled.
//
//go:embed step_*.go
var sources embed.FS

// show says what comes, and shows the lines that follow the call, up to that of result.
func (t *tour) show(about string) {
	_, file, line, _ := runtime.Caller(1)
	code, err := snippet(path.Base(file), line)
	if err != nil {
		t.failed = err
		return
	}
	t.printf("\n  %s\n\n", about)
	for _, text := range code {
		if text == "" {
			t.printf("\n")
			continue
		}
		t.printf("      %s\n", t.style.Code(text))
	}
	t.printf("\n")
}

// result says what came out.
func (t *tour) result(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	for i, line := range strings.Split(text, "\n") {
		arrow := t.style.Good("→")
		if i > 0 {
			arrow = " "
		}
		t.printf("  %s %s\n", arrow, line)
	}
}

// snippet returns the lines of a step's file that follow a line, up to the next call of result.
func snippet(file string, line int) ([]string, error) {
	source, err := sources.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("demo: the source of the step: %w", err)
	}
	lines := strings.Split(string(source), "\n")
	end := line
	for end < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[end]), "t.result(") {
		end++
	}
	if end == len(lines) {
		return nil, fmt.Errorf("demo: %s:%d: no result after show", file, line)
	}
	return tidy(lines[line:end]), nil
}

// tidy leaves out the checks of err and the indentation that all lines share.
func tidy(lines []string) []string {
	var kept []string
	for i := 0; i < len(lines); i++ {
		if i+2 < len(lines) && strings.TrimSpace(lines[i]) == "if err != nil {" &&
			strings.TrimSpace(lines[i+1]) == "return err" && strings.TrimSpace(lines[i+2]) == "}" {
			i += 2
			continue
		}
		kept = append(kept, lines[i])
	}
	indent := -1
	for _, text := range kept {
		if n := len(text) - len(strings.TrimLeft(text, "\t")); text != "" && (indent < 0 || n < indent) {
			indent = n
		}
	}
	for i, text := range kept {
		if text != "" {
			kept[i] = strings.ReplaceAll(text[indent:], "\t", "    ")
		}
	}
	return kept
}
