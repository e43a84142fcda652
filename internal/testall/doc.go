// Testall runs the tests of several modules and prints what go test would print
// of them, save that it counts: it fails when a test was skipped, and when no
// test ran at all. A suite that skips what it cannot run passes everywhere and
// proves nothing.
//
//	go run ./internal/testall MODULE... -- [go test flags] PACKAGES
//
// Each MODULE is a folder with a go.mod. With -v among the flags everything is
// printed as it comes; without, a package that passed is one line, and one that
// failed shows its tests that failed or were skipped.
package main
