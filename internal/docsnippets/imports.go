package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"
)

// unclearName is a package name that cannot be resolved.
type unclearName struct {
	pos  token.Position
	text string
}

// has tells whether u has every package that s needs.
func (u *universe) has(s source, k kind) bool {
	if k == completeFile {
		file, err := parse(s.text, parser.ImportsOnly)
		if err != nil {
			return false
		}
		for _, spec := range file.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err != nil || !u.hasPath(p) {
				return false
			}
		}
		return true
	}
	for _, line := range s.imports {
		if !u.hasPath(line.path) {
			return false
		}
	}
	_, _, missing := u.implied(s)
	return len(missing) == 0
}

func (u *universe) hasPath(path string) bool {
	return u.names[path] != ""
}

// resolve returns s with a package clause and all its imports. A complete file
// has both.
func (u *universe) resolve(s source, k kind) (text string, unclear []unclearName) {
	if k == completeFile {
		return s.text, nil
	}
	var b strings.Builder
	b.WriteString("package p\n")
	for _, line := range s.imports {
		// Each on a line of its own: an import that is not used is an error there.
		b.WriteString(lineDirective(s.doc, line.line))
		b.WriteString("import " + line.name + " " + strconv.Quote(line.path) + "\n")
	}
	implied, unclear, _ := u.implied(s)
	for name, path := range implied {
		b.WriteString(lineDirective(preludeName, 1))
		b.WriteString("import " + name + " " + strconv.Quote(path) + "\n")
	}
	b.WriteString(s.text)
	return b.String(), unclear
}

// implied finds the packages that s uses without importing them: names in front
// of a selector that nothing declares.
func (u *universe) implied(s source) (imports map[string]string, unclear []unclearName, missing []string) {
	fset := token.NewFileSet()
	// The parser's own resolution of names is all that is needed here.
	file, err := parser.ParseFile(fset, "", "package p\n"+s.text, 0)
	if err != nil {
		return nil, nil, nil // found by readFragment
	}
	free := make(map[*ast.Ident]bool)
	for _, ident := range file.Unresolved {
		free[ident] = true
	}
	imported := make(map[string]bool)
	for _, line := range s.imports {
		imported[u.localName(line)] = true
	}

	imports = make(map[string]string)
	told := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		ident, ok := selector.X.(*ast.Ident)
		if !ok || !free[ident] || s.declared[ident.Name] || imported[ident.Name] || imports[ident.Name] != "" || told[ident.Name] {
			return true
		}
		for _, line := range s.known {
			if u.localName(line) == ident.Name {
				imports[ident.Name] = line.path
				return true
			}
		}
		switch path, err := u.find(ident.Name); err {
		case nil:
			imports[ident.Name] = path
		case errNoPackage:
			missing = append(missing, ident.Name) // type-checking will say "undefined"
			told[ident.Name] = true
		default:
			unclear = append(unclear, unclearName{fset.Position(ident.Pos()), err.Error()})
			told[ident.Name] = true
		}
		return true
	})
	return imports, unclear, missing
}

// localName returns the name that an import declares.
func (u *universe) localName(line importLine) string {
	if line.name != "" {
		return line.name
	}
	if name := u.names[line.path]; name != "" {
		return name
	}
	return path.Base(line.path)
}
