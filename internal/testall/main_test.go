package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runOn runs the tests of a module made of files, path to content.
func runOn(t *testing.T, files map[string]string, flags ...string) (output string, err error) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/m\n\ngo 1.25.0\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	args := append([]string{dir, "--"}, flags...)
	err = run(append(args, "./..."), &out, t.Output())
	return out.String(), err
}

func wantLines(t *testing.T, output string, want, unwanted []string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(output, s) {
			t.Errorf("the output lacks %q", s)
		}
	}
	for _, s := range unwanted {
		if strings.Contains(output, s) {
			t.Errorf("the output has %q", s)
		}
	}
	if t.Failed() {
		t.Logf("the output:\n%s", output)
	}
}

const passing = `package good
import ("fmt"; "testing")
func TestWorks(t *testing.T) { t.Log("chatter"); fmt.Println("noise"); t.Run("sub", func(t *testing.T) {}) }
func Example() { fmt.Println(1)
// Output: 1
}
`

func TestAPassingPackageIsOneLine(t *testing.T) {
	output, err := runOn(t, map[string]string{"good/good_test.go": passing, "bare/bare.go": "package bare\n"})
	if err != nil {
		t.Error(err)
	}
	wantLines(t, output,
		[]string{"ok  \texample.com/m/good\t", "3 passed, 0 failed, 0 skipped\n", "[no test files]"},
		[]string{"chatter", "noise", "=== RUN", "PASS"})
}

func TestVerboseShowsEverything(t *testing.T) {
	output, err := runOn(t, map[string]string{"good/good_test.go": passing}, "-v")
	if err != nil {
		t.Error(err)
	}
	wantLines(t, output, []string{"chatter", "noise", "=== RUN   TestWorks", "ok  \texample.com/m/good\t"}, nil)
}

func TestAFailureShowsTheTestsThatFailed(t *testing.T) {
	output, err := runOn(t, map[string]string{
		"good/good_test.go": passing,
		"bad/bad_test.go": `package bad
import "testing"
func TestFine(t *testing.T) { t.Log("chatter") }
func TestBroken(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Error("seven is not eight") }) }
`,
		"dead/dead_test.go": `package dead
import "testing"
func TestDies(t *testing.T) { panic("what now") }
`,
	})
	if err == nil {
		t.Error("no error")
	}
	wantLines(t, output,
		[]string{"seven is not eight", "--- FAIL: TestBroken/sub", "panic: what now", "FAIL\texample.com/m/bad\t", "ok  \texample.com/m/good\t"},
		[]string{"chatter", "TestFine"})
}

func TestASkippedTestIsAFailureWithItsReason(t *testing.T) {
	output, err := runOn(t, map[string]string{
		"lazy/lazy_test.go": `package lazy
import "testing"
func TestFine(t *testing.T) {}
func TestNeedsAServer(t *testing.T) { t.Skip("no server here") }
`,
	})
	if err == nil || !strings.Contains(err.Error(), "1 skipped") {
		t.Errorf("error %v, want one that counts the skip", err)
	}
	wantLines(t, output,
		[]string{"no server here", "skipped: example.com/m/lazy TestNeedsAServer\n", "1 passed, 0 failed, 1 skipped\n"}, nil)
}

func TestCodeThatDoesNotCompileIsAFailure(t *testing.T) {
	output, err := runOn(t, map[string]string{"bad/bad_test.go": "package bad\nvar x int = \"\"\n"})
	if err == nil {
		t.Error("no error")
	}
	wantLines(t, output, []string{"bad_test.go:2:13: cannot use"}, nil)
}

func TestRunningNoTestIsAFailure(t *testing.T) {
	_, err := runOn(t, map[string]string{"good/good_test.go": passing}, "-run=Nothing")
	if err == nil || !strings.Contains(err.Error(), "no test ran") {
		t.Errorf("error %v, want one that says that no test ran", err)
	}
}

func TestWrongUseIsAnError(t *testing.T) {
	for _, args := range [][]string{nil, {"."}, {"--", "./..."}, {".", "--"}} {
		if err := run(args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.HasPrefix(err.Error(), "usage:") {
			t.Errorf("run(%q): error %v, want the usage", args, err)
		}
	}
}
