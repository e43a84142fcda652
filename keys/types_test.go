package keys_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKeyOfOneKindIsNoKeyOfAnother(t *testing.T) {
	pkg := checkPackage(t)
	builder := types.NewMethodSet(pkg.Scope().Lookup("Builder").Type())
	made := map[string]types.Type{}
	for i := range builder.Len() {
		result := builder.At(i).Type().(*types.Signature).Results().At(0).Type()
		if named, ok := result.(*types.Named); ok {
			made[named.Obj().Name()] = named
		}
	}
	if len(made) < 10 {
		t.Fatalf("Builder makes only these types: %v", made)
	}
	made["string"] = types.Typ[types.String]
	for from, a := range made {
		for to, b := range made {
			if from != to && types.AssignableTo(a, b) {
				t.Errorf("a %s can be passed for a %s", from, to)
			}
		}
	}
}

func TestPassingAKeyOfTheWrongKindDoesNotCompile(t *testing.T) {
	pkg := checkPackage(t)
	for arg, compiles := range map[string]bool{
		`b.Cache("event", "7")`:               true,
		`b.Session("8f3c")`:                   false,
		`b.Build("cache", "event", "7")`:      false,
		`b.CacheKind("event")`:                false,
		`b.Cache("event", "7").String()`:      false,
		`keys.Sub(b.Cache("event", "7"), "")`: false,
	} {
		source := `package user
import "` + path + `"
func get(keys.CacheKey) {}
func use(b keys.Builder) { get(` + arg + `) }`
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "user.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		config := types.Config{Importer: only{pkg}}
		_, err = config.Check("user", fset, []*ast.File{file}, nil)
		if compiles && err != nil {
			t.Errorf("get(%s) does not compile: %v", arg, err)
		}
		if !compiles && (err == nil || !strings.Contains(err.Error(), "as keys.CacheKey value in argument to get")) {
			t.Errorf("get(%s): got error %v, want one about the type of the argument", arg, err)
		}
	}
}

// path is the import path of the package under test.
const path = "github.com/tickettoken/rediskit/keys"

// checkPackage type-checks the source of this package.
func checkPackage(t *testing.T) *types.Package {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	config := types.Config{Importer: importer.Default()}
	pkg, err := config.Check(path, fset, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// only imports one package.
type only struct{ pkg *types.Package }

func (o only) Import(string) (*types.Package, error) { return o.pkg, nil }
