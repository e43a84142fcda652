package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// universe is every package that code in one module can import.
type universe struct {
	dir       string
	path      string // of the module
	goVersion string
	names     map[string]string   // import path to package name
	paths     map[string][]string // package name to import paths, most likely first
	exports   map[string]string   // import path to the file of its export data
	importer  types.Importer
}

var (
	modulePattern    = regexp.MustCompile(`(?m)^module\s+(\S+)`)
	goVersionPattern = regexp.MustCompile(`(?m)^go\s+(\S+)`)
)

// loadUniverse compiles the packages of the module in dir and their
// dependencies, which costs little where go build just did.
func loadUniverse(dir string, fset *token.FileSet) (*universe, error) {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	u := &universe{
		dir:     dir,
		names:   make(map[string]string),
		paths:   make(map[string][]string),
		exports: make(map[string]string),
	}
	if m := modulePattern.FindSubmatch(mod); m != nil {
		u.path = string(m[1])
	}
	if m := goVersionPattern.FindSubmatch(mod); m != nil {
		u.goVersion = "go" + string(m[1])
	}
	u.importer = importer.ForCompiler(fset, "gc", u.open)

	if err := u.list("-deps", "-export", "./..."); err != nil {
		return nil, err
	}
	if err := u.list("std"); err != nil {
		return nil, err
	}
	for path, name := range u.names {
		if u.rank(path) < hiddenPackage && name != "main" {
			u.paths[name] = append(u.paths[name], path)
		}
	}
	for _, paths := range u.paths {
		slices.SortFunc(paths, func(a, b string) int {
			if d := u.rank(a) - u.rank(b); d != 0 {
				return d
			}
			return strings.Compare(a, b)
		})
	}
	return u, nil
}

// list adds what go list says of packages. A package that does not compile has
// no export data; whoever imports it hears of that.
func (u *universe) list(args ...string) error {
	format := "{{.ImportPath}}\t{{.Name}}\t{{.Export}}"
	cmd := exec.Command("go", append([]string{"list", "-e", "-f", format}, args...)...)
	cmd.Dir = u.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list in %s: %w\n%s", u.dir, err, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 || fields[1] == "" {
			continue
		}
		u.names[fields[0]] = fields[1]
		if fields[2] != "" {
			u.exports[fields[0]] = fields[2]
		}
	}
	return nil
}

// open gives the importer a package's export data.
func (u *universe) open(path string) (io.ReadCloser, error) {
	if u.exports[path] == "" {
		if err := u.list("-deps", "-export", path); err != nil {
			return nil, err
		}
	}
	file := u.exports[path]
	if file == "" {
		return nil, fmt.Errorf("package %s is not there or does not compile", path)
	}
	return os.Open(file)
}

// The order in which packages of one name come to mind.
const (
	ownPackage = iota
	ownInternalPackage
	standardPackage
	foreignPackage
	hiddenPackage // internal packages of others
)

func (u *universe) rank(path string) int {
	own := path == u.path || strings.HasPrefix(path, u.path+"/")
	internal := strings.Contains("/"+path+"/", "/internal/") || strings.HasPrefix(path, "vendor/")
	first, _, _ := strings.Cut(path, "/")
	switch {
	case own && internal:
		return ownInternalPackage
	case own:
		return ownPackage
	case internal:
		return hiddenPackage
	case !strings.Contains(first, "."):
		return standardPackage
	}
	return foreignPackage
}

var errNoPackage = errors.New("no such package")

// find returns the import path that a package name stands for.
func (u *universe) find(name string) (string, error) {
	paths := u.paths[name]
	if len(paths) == 0 {
		return "", errNoPackage
	}
	if len(paths) > 1 && u.rank(paths[0]) == u.rank(paths[1]) {
		return "", fmt.Errorf("%s could be %s: import one of them", name, strings.Join(paths, " or "))
	}
	return paths[0], nil
}

// findModules returns the folders of the modules below root, root itself first.
func findModules(root string) ([]string, error) {
	dirs := []string{root}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root {
			if aside(entry.Name()) {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				dirs = append(dirs, path)
			}
		}
		return nil
	})
	return dirs, err
}
