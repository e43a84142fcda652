package main

import "regexp"

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
	err := walk(root, "_test.go", func(_, content string) {
		for _, found := range testFunc.FindAllStringSubmatch(content, -1) {
			tests[found[1]] = true
		}
	})
	return tests, err
}
