package main

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

var lineFragment = regexp.MustCompile(`^L\d+(-L\d+)?$`)

// checkLinks follows the links of doc that stay in the repository.
func checkLinks(root string, doc *document, docs []*document) []problem {
	byName := make(map[string]*document, len(docs))
	for _, d := range docs {
		byName[d.name] = d
	}
	var problems []problem
	for _, l := range doc.links {
		if text := brokenLink(root, doc, l.target, byName); text != "" {
			problems = append(problems, problem{doc.name, l.line, "link to " + l.target + ": " + text})
		}
	}
	return problems
}

// brokenLink says what is wrong with a link, or nothing.
func brokenLink(root string, from *document, target string, docs map[string]*document) string {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return "not a link"
	case u.Scheme != "" || u.Host != "":
		return "" // leads out of the repository
	case target == "":
		return "leads nowhere"
	case strings.HasPrefix(u.Path, "/"):
		return "starts at the root of a host; write it relative to this file"
	}

	name := from.name
	if u.Path != "" {
		name = path.Join(path.Dir(from.name), u.Path)
		if name == ".." || strings.HasPrefix(name, "../") {
			return "leads out of the repository"
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			return "no such file"
		}
	}
	if u.Fragment == "" {
		return ""
	}
	switch to := docs[name]; {
	case to == nil && !lineFragment.MatchString(u.Fragment):
		return "#" + u.Fragment + " is no line of a file"
	case to != nil && !to.anchors[u.Fragment]:
		return "no heading #" + u.Fragment
	}
	return ""
}
