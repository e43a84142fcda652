package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`)

// checkTests looks for the tests that documents name.
func checkTests(root string, docs []*document) ([]problem, error) {
	tests, err := findTests(root)
	if err != nil {
		return nil, err
	}
	var problems []problem
	for _, doc := range docs {
		for _, name := range doc.tests {
			if !tests[name.target] {
				problems = append(problems, problem{doc.name, name.line, "no test is named " + name.target})
			}
		}
	}
	return problems, nil
}

// findTests reads the names of all tests below root.
func findTests(root string) (map[string]bool, error) {
	tests := make(map[string]bool)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && aside(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		for _, found := range testFunc.FindAllSubmatch(content, -1) {
			tests[string(found[1])] = true
		}
		return err
	})
	return tests, err
}
