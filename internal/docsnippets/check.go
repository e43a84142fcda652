package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// checker type-checks blocks with the compiler's own rules, without compiling
// them: a fragment may leave a variable unused, and that is for a type checker
// to forgive.
type checker struct {
	root      string
	prelude   string
	fset      *token.FileSet
	modules   []string    // folders; nil until needed
	universes []*universe // of the first modules; loaded when needed
}

func newChecker(root, prelude string) *checker {
	return &checker{root: root, prelude: prelude, fset: token.NewFileSet()}
}

// preludeName is what stands for a file name in the prelude. No error there is
// ever shown.
const preludeName = "prelude"

// check returns what is wrong with the Go in doc. The error is for what kept it
// from finding out.
func (c *checker) check(doc *document) ([]problem, error) {
	if len(doc.blocks) == 0 {
		return nil, nil
	}
	prelude, err := readFragment(preludeName, block{line: 1, lines: strings.Count(c.prelude, "\n"), code: c.prelude})
	if err != nil {
		return nil, err
	}
	fragments := []*fragment{prelude}
	var problems []problem
	for _, b := range doc.blocks {
		f, err := readFragment(doc.name, b)
		if err != nil {
			problems = append(problems, syntaxProblems(doc.name, b, err)...)
		}
		fragments = append(fragments, f)
	}
	for i := 1; i < len(fragments); i++ {
		found, err := c.checkFragment(fragments, i)
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	slices.SortStableFunc(problems, func(a, b problem) int { return a.line - b.line })
	return problems, nil
}

func syntaxProblems(doc string, b block, err error) []problem {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		return []problem{{doc, b.line, err.Error()}}
	}
	// What follows the first syntax error mostly follows from it.
	line := min(max(list[0].Pos.Line, b.line), b.line+b.lines)
	return []problem{{doc, line, "syntax: " + list[0].Msg}}
}

// checkFragment type-checks fragments[i] together with what it can see of the
// others, and returns only the problems in fragments[i].
func (c *checker) checkFragment(fragments []*fragment, i int) ([]problem, error) {
	f := fragments[i]
	var sources []source
	switch f.kind {
	case broken:
		return nil, nil
	case completeFile:
		sources = []source{{text: lineDirective(f.doc, f.line) + f.code}}
	case declarations, statements:
		sources = unit(fragments, i)
	}

	u, err := c.choose(sources, f.kind)
	if err != nil {
		return nil, err
	}
	var problems []problem
	report := func(pos token.Position, text string) {
		if pos.Filename == f.doc && pos.Line >= f.line && pos.Line < f.line+f.lines {
			problems = append(problems, problem{f.doc, pos.Line, text})
		}
	}
	files := make([]*ast.File, 0, len(sources))
	for _, s := range sources {
		resolved, unclear := u.resolve(s, f.kind)
		for _, e := range unclear {
			report(e.pos, e.text)
		}
		file, err := parser.ParseFile(c.fset, "", resolved, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: reading again: %w", f.doc, f.line, err)
		}
		s.dropFrom(file)
		files = append(files, file)
	}
	if len(problems) > 0 {
		return problems, nil // an unclear name is undefined as well; once is enough
	}

	config := types.Config{
		Importer:  u.importer,
		GoVersion: u.goVersion,
		Error: func(err error) {
			var e types.Error
			if !errors.As(err, &e) {
				return
			}
			if f.kind != completeFile && strings.HasPrefix(e.Msg, "declared and not used") {
				return
			}
			report(c.fset.Position(e.Pos), strings.ReplaceAll(e.Msg, "\n", " "))
		},
	}
	// The errors went to config.Error one by one.
	pkg, _ := config.Check("p", c.fset, files, nil)
	if f.kind == completeFile && pkg.Name() == "main" && pkg.Scope().Lookup("main") == nil {
		problems = append(problems, problem{f.doc, f.line, "package main without func main"})
	}
	return problems, nil
}

// source is the text of one file of a unit, still without the imports that go
// without saying.
type source struct {
	doc      string
	text     string
	prelude  bool
	imports  []importLine      // of the fragment that is checked
	known    []importLine      // of the fragments above it
	declared map[string]bool   // package-level names of the unit
	drop     func(string) bool // which package-level names do not count here
}

// unit puts together a package in which fragments[i] means what a reader takes
// it to mean.
func unit(fragments []*fragment, i int) []source {
	var known []importLine
	for _, f := range fragments[:i+1] {
		known = append(known, f.imports...)
	}
	slices.Reverse(known) // the nearest import of a name comes first

	winners, declared := visible(fragments, i)
	var sources []source
	for j, f := range fragments {
		if f.kind != declarations {
			continue
		}
		s := source{
			doc:      f.doc,
			text:     lineDirective(f.doc, f.line) + f.body,
			prelude:  j == 0,
			known:    known,
			declared: declared,
			drop:     func(name string) bool { return name != "_" && winners[name] != j },
		}
		if j == i {
			s.imports = f.imports
		}
		sources = append(sources, s)
	}
	if fragments[i].kind == statements {
		sources = append(sources, source{
			doc:      fragments[i].doc,
			text:     nested(fragments[:i+1]),
			imports:  fragments[i].imports,
			known:    known,
			declared: declared,
			drop:     func(string) bool { return false },
		})
	}
	return sources
}

// nested puts each fragment of statements into a block inside the one before, so
// that it sees that one's variables and may declare them again.
func nested(fragments []*fragment) string {
	var b, ends strings.Builder
	// The result has a name that nobody shadows: both "return" and "return err"
	// are right then.
	b.WriteString("func _() (result_ error) {\n")
	for _, f := range fragments {
		if f.kind == statements {
			b.WriteString("{\n" + lineDirective(f.doc, f.line) + f.body + "\n")
			ends.WriteString("}\n")
		}
	}
	return b.String() + lineDirective(preludeName, 1) + ends.String() + "return nil\n}\n"
}

// visible decides which fragment's declaration of each name counts in
// fragments[i]. A method counts where the type does that it was declared for.
func visible(fragments []*fragment, i int) (winners map[string]int, declared map[string]bool) {
	places := make(map[string][]int) // name to fragments, in order
	declared = make(map[string]bool)
	for j, f := range fragments {
		if f.kind != declarations {
			continue
		}
		file, err := parse("package p\n"+f.body, parser.SkipObjectResolution)
		if err != nil {
			continue // readFragment read it, so this cannot be
		}
		for _, name := range declaredNames(file) {
			declared[name] = true
			places[name] = append(places[name], j)
		}
	}
	winners = make(map[string]int, len(places))
	for name := range places {
		j := nearest(places[name], i)
		if base, _, isMethod := strings.Cut(name, "."); isMethod && nearest(places[base], j) != nearest(places[base], i) {
			j = -1
		}
		winners[name] = j
	}
	return winners, declared
}

// nearest picks the last place up to i, else the first below, else -1.
func nearest(places []int, i int) int {
	found := -1
	for _, j := range places {
		if j <= i || found < 0 {
			found = j
		}
	}
	return found
}

// dropFrom takes the declarations that do not count out of a parsed source.
func (s source) dropFrom(file *ast.File) {
	if s.drop == nil {
		return
	}
	file.Decls = slices.DeleteFunc(file.Decls, func(decl ast.Decl) bool {
		if d, ok := decl.(*ast.GenDecl); ok {
			if d.Tok == token.IMPORT {
				return false
			}
			d.Specs = slices.DeleteFunc(d.Specs, func(spec ast.Spec) bool {
				names := specNames(spec)
				return len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return !s.drop(n) })
			})
			return len(d.Specs) == 0
		}
		names := namesOf(decl)
		return len(names) > 0 && s.drop(names[0])
	})
}

// choose returns the first module, the root before the nested ones, in which
// all that the sources import is there. If there is none it is the root, and
// type-checking will say what is missing.
func (c *checker) choose(sources []source, k kind) (*universe, error) {
	if c.modules == nil {
		modules, err := findModules(c.root)
		if err != nil {
			return nil, err
		}
		c.modules = modules
	}
	for i, dir := range c.modules {
		if i == len(c.universes) {
			u, err := loadUniverse(dir, c.fset)
			if err != nil {
				return nil, err
			}
			c.universes = append(c.universes, u)
		}
		u := c.universes[i]
		if !slices.ContainsFunc(sources, func(s source) bool { return !s.prelude && !u.has(s, k) }) {
			return u, nil
		}
	}
	return c.universes[0], nil
}
