package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		os.Exit(1)
	}
}

// run runs go test in each module, also after one that failed, so that one run
// shows all there is to fix.
func run(args []string, stdout, stderr io.Writer) error {
	split := slices.Index(args, "--")
	if split < 1 || split == len(args)-1 {
		return errors.New("usage: testall MODULE... -- [go test flags] PACKAGES")
	}
	modules, testArgs := args[:split], args[split+1:]

	r := &report{out: stdout, verbose: slices.Contains(testArgs, "-v")}
	var failures []error
	for _, module := range modules {
		if err := testModule(module, testArgs, r, stderr); err != nil {
			failures = append(failures, fmt.Errorf("module %s: %w", module, err))
		}
	}
	r.summary()

	if len(r.skips) > 0 {
		failures = append(failures, fmt.Errorf("%d skipped, and none may be", len(r.skips)))
	}
	if r.passed+r.failed == 0 {
		failures = append(failures, errors.New("no test ran"))
	}
	return errors.Join(failures...)
}

// testModule streams one go test run into r. The error is go test's own verdict
// or what kept it from being heard.
func testModule(dir string, testArgs []string, r *report, stderr io.Writer) error {
	cmd := exec.Command("go", append([]string{"-C", dir, "test", "-json"}, testArgs...)...)
	cmd.Stderr = stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := r.read(events)
	if readErr != nil {
		// Nobody reads on, and go test would wait for that for ever.
		_ = cmd.Process.Kill()
	}
	return errors.Join(readErr, cmd.Wait())
}
