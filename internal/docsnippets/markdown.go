package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// document is what the checks need to know of one Markdown file.
type document struct {
	name     string // relative to the root, with slashes
	blocks   []block
	links    []link
	tests    []link          // names of tests
	anchors  map[string]bool // what a #fragment may name
	problems []problem       // found while reading
}

// block is a piece of Go.
type block struct {
	line  int // of its first line of code
	lines int
	code  string
}

type link struct {
	line   int
	target string
}

var (
	fencePattern   = regexp.MustCompile("^([ \t]*(?:>[ \t]?)*)(`{3,}|~{3,})[ \t]*([^`]*)$")
	headingPattern = regexp.MustCompile(`^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$`)
	htmlIDPattern  = regexp.MustCompile(`(?i)<[a-z][^>]*\s(?:id|name)="([^"]+)"`)
	codePattern    = regexp.MustCompile("``.+?``|`[^`]*`")
	inlinePattern  = regexp.MustCompile(`\]\(\s*(?:<([^>]*)>|([^()\s]*(?:\([^()\s]*\)[^()\s]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)`)
	definedPattern = regexp.MustCompile(`^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?`)
	testPattern    = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)`")
	linkText       = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	htmlLink       = regexp.MustCompile(`(?i)<(?:a|img)\s[^>]*?(?:href|src)="([^"]*)"`)

	// Other spellings of the language, and attempts to say "but do not compile".
	almostGo = regexp.MustCompile(`(?i)^(golang.*|go([^a-z.].*)?)$`)
)

const hiddenStart, hiddenEnd = "<!-- go", "-->"

// parseDocument reads a Markdown file line by line. It knows fences, comments,
// headings and links, which is all that the checks are about.
func parseDocument(name, content string) *document {
	doc := &document{name: name, anchors: make(map[string]bool)}
	lines := strings.Split(strings.ReplaceAll(content, "\r\n", "\n"), "\n")
	slugs := make(map[string]int)

	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch fence := fencePattern.FindStringSubmatch(line); {
		case fence != nil:
			end := closingFence(lines, i, fence[2])
			doc.addFence(i, end, lines, fence[1], strings.TrimSpace(fence[3]))
			i = end
		case strings.TrimSpace(line) == hiddenStart:
			end := indexFrom(lines, i+1, func(s string) bool { return strings.TrimSpace(s) == hiddenEnd })
			if end == len(lines) {
				doc.problem(i, "a comment that is never closed; "+hiddenEnd+" must stand on a line of its own")
			}
			doc.addBlock(i+1, end, lines, "")
			i = end
		case strings.HasPrefix(strings.TrimSpace(line), "<!--"):
			i = indexFrom(lines, i, func(s string) bool { return strings.Contains(s, hiddenEnd) })
		default:
			doc.addProse(i, line, slugs)
		}
	}
	return doc
}

// indexFrom returns the first index at or after start whose line fits, or the
// number of lines.
func indexFrom(lines []string, start int, fits func(string) bool) int {
	for i := start; i < len(lines); i++ {
		if fits(lines[i]) {
			return i
		}
	}
	return len(lines)
}

func closingFence(lines []string, open int, marks string) int {
	return indexFrom(lines, open+1, func(s string) bool {
		s = strings.TrimLeft(s, " \t>")
		return strings.HasPrefix(s, marks) && strings.Trim(s, marks[:1]+" \t") == ""
	})
}

func (doc *document) problem(index int, text string) {
	doc.problems = append(doc.problems, problem{doc.name, index + 1, text})
}

func (doc *document) addFence(open, end int, lines []string, prefix, info string) {
	switch {
	case info == "go":
		doc.addBlock(open+1, end, lines, prefix)
	case info == "":
		doc.problem(open, "a code block without a language; what has none is ```text")
	case almostGo.MatchString(info):
		doc.problem(open, "a code block fenced as ```"+info+"; Go is fenced as ```go and always checked")
	}
	if end == len(lines) {
		doc.problem(open, "a code block that is never closed")
	}
}

// addBlock takes the lines from start up to end, without the indentation and
// quotation marks that their fence has.
func (doc *document) addBlock(start, end int, lines []string, prefix string) {
	code := make([]string, 0, end-start)
	for _, line := range lines[start:end] {
		n := 0
		for n < len(line) && n < len(prefix) && (line[n] == prefix[n] || line[n] == ' ') {
			n++
		}
		code = append(code, line[n:])
	}
	doc.blocks = append(doc.blocks, block{start + 1, len(code), strings.Join(code, "\n") + "\n"})
}

func (doc *document) addProse(index int, line string, slugs map[string]int) {
	if heading := headingPattern.FindStringSubmatch(line); heading != nil {
		doc.anchors[slug(heading[1], slugs)] = true
	}
	for _, found := range testPattern.FindAllStringSubmatch(line, -1) {
		doc.tests = append(doc.tests, link{index + 1, found[1]})
	}
	line = codePattern.ReplaceAllString(line, "")
	for _, id := range htmlIDPattern.FindAllStringSubmatch(line, -1) {
		doc.anchors[id[1]] = true
	}
	for _, found := range inlinePattern.FindAllStringSubmatch(line, -1) {
		doc.links = append(doc.links, link{index + 1, found[1] + found[2]})
	}
	for _, pattern := range []*regexp.Regexp{definedPattern, htmlLink} {
		for _, found := range pattern.FindAllStringSubmatch(line, -1) {
			doc.links = append(doc.links, link{index + 1, found[1]})
		}
	}
}

// slug is the anchor that a heading gets on the hosts that show Markdown: its
// letters in lower case, spaces as hyphens, nothing else but hyphens and
// underscores, and a number when the same slug was there before.
func slug(heading string, seen map[string]int) string {
	// The text of a link is part of the heading, its target is not.
	heading = linkText.ReplaceAllString(heading, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	s := b.String()
	n := seen[s]
	seen[s]++
	if n > 0 {
		s += "-" + strconv.Itoa(n)
	}
	return s
}
