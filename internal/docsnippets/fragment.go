package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strconv"
	"strings"
)

type kind int

const (
	broken       kind = iota // does not parse
	completeFile             // starts with a package clause
	declarations
	statements
)

// fragment is a block that was read as Go.
type fragment struct {
	block
	doc     string
	kind    kind
	imports []importLine
	body    string // the code with its imports blanked out
}

type importLine struct {
	line int
	name string // as written, so mostly empty
	path string
}

// readFragment finds out what a block is. An error is one of syntax, with the
// position in the Markdown file.
func readFragment(doc string, b block) (*fragment, error) {
	f := &fragment{block: b, doc: doc, body: b.code}
	if startsWithPackage(b.code) {
		if _, err := parse(lineDirective(doc, b.line)+b.code, parser.SkipObjectResolution); err != nil {
			return f, err
		}
		f.kind = completeFile
		return f, nil
	}

	const header = "package p\n"
	start := header + lineDirective(doc, b.line)
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", start+b.code, parser.ImportsOnly)
	if err != nil {
		return f, err
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return f, err
		}
		line := importLine{line: fset.Position(spec.Pos()).Line, path: path}
		if spec.Name != nil {
			line.name = spec.Name.Name
		}
		f.imports = append(f.imports, line)
	}
	for _, decl := range file.Decls {
		from, to := fset.Position(decl.Pos()).Offset, fset.Position(decl.End()).Offset
		f.body = blank(f.body, from-len(start), to-len(start))
	}

	_, asDeclarations := parse(start+f.body, parser.SkipObjectResolution)
	if asDeclarations == nil {
		f.kind = declarations
		return f, nil
	}
	_, asStatements := parse(header+"func _() {\n"+lineDirective(doc, b.line)+f.body+"\n}", parser.SkipObjectResolution)
	if asStatements == nil {
		f.kind = statements
		return f, nil
	}
	// The reading that went further is the one that was meant.
	if firstLine(asDeclarations) > firstLine(asStatements) {
		return f, asDeclarations
	}
	return f, asStatements
}

func startsWithPackage(code string) bool {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(code))
	s.Init(file, []byte(code), func(token.Position, string) {}, 0)
	_, first, _ := s.Scan()
	return first == token.PACKAGE
}

func parse(source string, mode parser.Mode) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", source, mode|parser.AllErrors)
}

// lineDirective makes every error below it point into the Markdown file.
func lineDirective(doc string, line int) string {
	return fmt.Sprintf("//line %s:%d\n", doc, line)
}

func blank(s string, from, to int) string {
	spaces := strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, s[from:to])
	return s[:from] + spaces + s[to:]
}

func firstLine(err error) int {
	var list scanner.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		return list[0].Pos.Line
	}
	return 0
}

// declaredNames returns the names that a file declares at package level:
// "Name", or "Type.Method".
func declaredNames(file *ast.File) []string {
	var names []string
	for _, decl := range file.Decls {
		names = append(names, namesOf(decl)...)
	}
	return names
}

func namesOf(decl ast.Decl) []string {
	var names []string
	switch d := decl.(type) {
	case *ast.FuncDecl:
		names = append(names, funcName(d))
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			names = append(names, specNames(spec)...)
		}
	}
	return names
}

func specNames(spec ast.Spec) []string {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return []string{s.Name.Name}
	case *ast.ValueSpec:
		names := make([]string, len(s.Names))
		for i, ident := range s.Names {
			names[i] = ident.Name
		}
		return names
	}
	return nil
}

func funcName(d *ast.FuncDecl) string {
	if base := receiverType(d); base != "" {
		return base + "." + d.Name.Name
	}
	return d.Name.Name
}

// receiverType returns the name of the type that a method belongs to.
func receiverType(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	t := d.Recv.List[0].Type
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.ParenExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}
