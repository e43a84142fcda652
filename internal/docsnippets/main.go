package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	dir := flag.String("C", ".", "the root of the repository")
	flag.Parse()

	problems, err := run(*dir, rediskitPrelude)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docsnippets:", err)
		os.Exit(1)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// rediskitPrelude is the fragment that comes before the first of every file.
const rediskitPrelude = `
var ctx context.Context
var client *rediskit.Client
var t *testing.T
var w http.ResponseWriter
var r *http.Request
`

// problem is something wrong at a place in a Markdown file.
type problem struct {
	file string // relative to the root, with slashes
	line int
	text string
}

func (p problem) String() string {
	return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.text)
}

// run checks the repository at root. Its problems are in the order of the files
// and their lines, snippets before links before names of tests.
func run(root, prelude string) ([]problem, error) {
	docs, err := readDocs(root)
	if err != nil {
		return nil, err
	}
	var problems []problem
	c := newChecker(root, prelude)
	for _, doc := range docs {
		problems = append(problems, doc.problems...)
		found, err := c.check(doc)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	for _, doc := range docs {
		problems = append(problems, checkLinks(root, doc, docs)...)
	}
	found, err := checkTests(root, docs)
	return append(problems, found...), err
}

// readDocs reads every Markdown file below root.
func readDocs(root string) ([]*document, error) {
	var docs []*document
	err := walk(root, ".md", func(name, content string) { docs = append(docs, parseDocument(name, content)) })
	return docs, err
}

// walk reads every file below root whose name ends so, hidden folders and test
// data excepted. Names are relative to root, with slashes.
func walk(root, suffix string, do func(name, content string)) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && aside(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, suffix) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		do(filepath.ToSlash(relative), string(content))
		return nil
	})
}

// aside tells the folders whose content is not the repository's own.
func aside(name string) bool {
	return strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules"
}
