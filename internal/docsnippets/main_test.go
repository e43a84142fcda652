package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is the repository that the tests document.
var module = map[string]string{
	"go.mod": "module example.com/kit\n\ngo 1.25.0\n",
	"kit.go": `// Package kit is documented below.
package kit

type Client struct{}

func (*Client) Get(key string) (string, error) { return "", nil }

type Map[T any] struct{}

func (Map[T]) Put(string, T) error { return nil }
`,
	"list/list.go":      "package list\n\nfunc Push(string) {}\n",
	"nested/go.mod":     "module example.com/kit/nested\n\ngo 1.25.0\n",
	"nested/n.go":       "package nested\n\nconst N = 1\n",
	"testdata/wrong.md": "```\nnobody looks here\n",
	".hidden/wrong.md":  "```\nnor here\n",
}

const testPrelude = "var client *kit.Client\nvar ctx context.Context\n"

// fence stands for the three backquotes that a Go string cannot hold.
const fence = "```"

// problemsIn returns what is wrong with the files, each problem as printed.
func problemsIn(t *testing.T, files map[string]string) []string {
	t.Helper()
	root := t.TempDir()
	all := maps.Clone(module)
	maps.Copy(all, files)
	for name, content := range all {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		content = strings.ReplaceAll(content, "'''", fence)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	problems, err := run(root, testPrelude)
	if err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return lines
}

// wantProblems compares by prefix, because the rest is the compiler's wording.
func wantProblems(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("problems:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestGoodDocumentsHaveNoProblems(t *testing.T) {
	wantProblems(t, problemsIn(t, map[string]string{
		"statements.md": `# Each block sees the ones above it
'''go
value, err := client.Get("k")
if err != nil {
	return err
}
'''
text
'''go
value, err := client.Get(value + strconv.Itoa(1))
if errors.Is(err, context.Canceled) {
	return
}
list.Push(value)
'''
`,
		"declarations.md": `
'''go
func (h *handler) serve() error { return h.users.Put("x", User{Name: "n"}) }
'''
'''go
type handler struct{ users kit.Map[User] }
'''
<!-- go
type User struct{ Name string }
-->
'''go
h := &handler{}
_ = h.serve()
'''
A name may be declared again, and the statements below see the new one.
'''go
type User struct{ ID int }
'''
'''go
fmt.Println(User{ID: 7}.ID)
'''
`,
		"files.md": `
'''go
// Said first.

package main

import "fmt"

func main() { fmt.Println("hello") }
'''
`,
		"imports.md": `
'''go
import (
	"math/rand/v2"
	std "container/list"
)

n := rand.IntN(6)
std.New().PushBack(n)
'''
What a block imported, those below it know.
'''go
m := rand.N(6)
'''
`,
		"nested/README.md": "'''go\nn := nested.N + len(\"x\")\n'''\n",
		"quoted.md":        "- item\n\n  '''go\n  x := 1\n  '''\n\n> '''go\n> x++\n> '''\n\n~~~go\nx--\n~~~\n",
		"other.md":         "'''sh\ngo run .\n'''\n\n'''text\nfunc Get(key string) string\n'''\n",
		"windows.md":       "'''go\r\nx := 1\r\n'''\r\n",
	}))
}

func TestProblemsNameTheirLine(t *testing.T) {
	wantProblems(t, problemsIn(t, map[string]string{
		"a.md": `# Types
'''go
var n int
n = "seven"
'''
'''go
ok := client.Gett("k")
undefined.Call()
'''
'''go
func f() string { return 1 }
'''
`,
		"b.md": `
'''go
x := 1
	y :=
z := 2
'''
'''go
import "os"
import "example.com/nowhere"

nowhere.Call()
'''
'''go
n := rand.Int()
'''
`,
		"c.md": `
'''go
package main

func helper() {
	unused := 1
}
'''
`,
	}),
		"a.md:4: cannot use",
		"a.md:7: client.Gett undefined",
		"a.md:8: undefined: undefined",
		"a.md:11: cannot use",
		"b.md:5: syntax: ",
		"b.md:8: \"os\" imported and not used",
		"b.md:9: could not import example.com/nowhere",
		"b.md:14: rand could be crypto/rand or math/rand or math/rand/v2: import one of them",
		"c.md:3: package main without func main",
		"c.md:6: declared and not used: unused",
	)
}

func TestNoBlockCanBeLeftOut(t *testing.T) {
	wantProblems(t, problemsIn(t, map[string]string{
		"a.md": "'''go-nocheck\nx\n'''\n'''go nocheck\nx\n'''\n'''golang\nx\n'''\n'''Go\nx\n'''\n'''\nx\n'''\n",
		"b.md": "'''text\nnever closed\n",
		"c.md": "<!-- go\nvar x int\n",
	}),
		"a.md:1: a code block fenced as ```go-nocheck",
		"a.md:4: a code block fenced as ```go nocheck",
		"a.md:7: a code block fenced as ```golang",
		"a.md:10: a code block fenced as ```Go",
		"a.md:13: a code block without a language",
		"b.md:1: a code block that is never closed",
		"c.md:1: a comment that is never closed",
	)
}

func TestStatementsAndDeclarationsDoNotMix(t *testing.T) {
	wantProblems(t, problemsIn(t, map[string]string{
		"a.md": "'''go\nfunc f() {}\n\nf()\n'''\n",
	}), "a.md:4: syntax: ")
}

func TestLinksLeadSomewhere(t *testing.T) {
	wantProblems(t, problemsIn(t, map[string]string{
		"docs/guide.md": `# The guide
## One thing, and *another*
## Twice
## Twice
<a id="here"></a>
[up](../README.md) [code](../kit.go#L3) [folder](../list/) [self](#the-guide) [far](https://example.com/x#y)
[one](guide.md#one-thing-and-another) [two](#twice-1) [id](#here) [mail](mailto:a@example.com)
![picture](missing.png)
[gone](gone.md "title") and [reference][r]
[r]: ../nothing
<a href="nope.md">html</a>
`,
		"README.md": "[a](docs/guide.md#the-guide)\n[b](docs/guide.md#nothing)\n[c](../out.md)\n[d](/docs/guide.md)\n[e](kit.go#Client)\n" +
			"'''text\n[not a link](x.md)\n'''\n`[nor this](x.md)`\n<!-- [nor this](x.md)\n[or this](x.md) -->\n",
	}),
		"README.md:2: link to docs/guide.md#nothing: no heading",
		"README.md:3: link to ../out.md: leads out",
		"README.md:4: link to /docs/guide.md: starts at the root",
		"README.md:5: link to kit.go#Client: #Client is no line",
		"docs/guide.md:8: link to missing.png: no such file",
		"docs/guide.md:9: link to gone.md: no such file",
		"docs/guide.md:10: link to ../nothing: no such file",
		"docs/guide.md:11: link to nope.md: no such file",
	)
}

func TestTheTestsThatAreNamedAreThere(t *testing.T) {
	files := map[string]string{
		"list/list_test.go":     "package list\n\nfunc TestPushPushes(t *testing.T) {}\n\nfunc FuzzPush(f *testing.F) {}\n\n// func TestGone(\n",
		"testdata/some_test.go": "package testdata\n\nfunc TestGone(t *testing.T) {}\n",
		"guide.md": `| pushes | "TestPushPushes", "FuzzPush" |
| is gone | "TestPushPushes", "TestGone" |

Other code: "go test -run TestGone", "Testing", "TestGone(t)".
'''text
"TestGone"
'''
"BenchmarkPush"
`}
	files["guide.md"] = strings.ReplaceAll(files["guide.md"], "\"", "`")
	wantProblems(t, problemsIn(t, files), "guide.md:2: no test is named TestGone", "guide.md:8: no test is named BenchmarkPush")
}

func TestSlugsAreThoseOfTheHost(t *testing.T) {
	seen := make(map[string]int)
	for _, c := range []struct{ heading, want string }{
		{"Getting started", "getting-started"},
		{"What's `Get` for?", "whats-get-for"},
		{"A & B", "a--b"},
		{"v1.2 — notes", "v12--notes"},
		{"See [the guide](guide.md)", "see-the-guide"},
		{"Größe", "größe"},
		{"Getting started", "getting-started-1"},
	} {
		if got := slug(c.heading, seen); got != c.want {
			t.Errorf("slug(%q) = %q, want %q", c.heading, got, c.want)
		}
	}
}
