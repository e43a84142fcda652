// Docsnippets checks every Markdown file of the repository: that the Go in it
// compiles, that its relative links lead somewhere, and that the tests it names
// are there.
//
//	go run ./internal/docsnippets [-C dir]
//
// # Go blocks
//
// Every block fenced as ```go is type-checked. There is no way to leave one out;
// what is not Go, such as a signature by itself, is fenced as ```text.
//
// A block that starts with a package clause is a file of its own and compiles
// exactly as it stands.
//
// Any other block is a fragment: statements, or declarations. The fragments of
// one Markdown file read like a notebook:
//
//   - Statements see the variables of the statements above them, and may declare
//     the same names anew.
//   - Declarations (func, type, var, const) are seen everywhere in the file.
//     Where a name is declared twice, the nearest above counts.
//   - Packages import themselves: those of this module, the standard library and
//     this module's dependencies, by the name they are used under. A fragment
//     may also start with import declarations; it has to where a name is
//     ambiguous, such as rand.
//   - ctx, client, t, w and r are there already: a context.Context, a
//     *rediskit.Client, a *testing.T, an http.ResponseWriter and an *http.Request.
//   - A fragment may return, with an error or with nothing, and may leave
//     variables unused.
//
// What a fragment needs but a reader need not see goes into a comment before it,
// which is checked like a block:
//
//	<!-- go
//	type User struct{ Name string }
//	-->
//
// # Links
//
// A link without a scheme must point to a file or folder of the repository, and
// its #fragment to a heading there.
//
// # Tests
//
// A name such as `TestThisAndThat` by itself in backquotes is that of a test, a
// fuzz target or a benchmark of the repository.
package main
