//go:build unix

package redistest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Two small shell scripts tie a server's life to ours without a goroutine or
// a thread that has to stay (Linux's parent-death signal watches the thread
// that forked) and on every Unix.
const (
	// launchScript becomes the server once it is told to. If we die before,
	// it reads the end of the pipe and the server never starts.
	launchScript = `read -r _ && exec "$0" "$@" </dev/null`

	// guardScript reads from a pipe of which we alone hold the other end. A
	// line means that the server ended in good order; the end of the pipe
	// means that we died, and the server and its temporary directories go too:
	// at the second try, if the dying server was still writing.
	guardScript = `read -r _ || { kill -9 "$0"; rm -rf "$@" || { sleep 1; rm -rf "$@"; }; }`
)

// process is a child that is killed when we die.
type process struct {
	pid      int
	server   *os.Process
	guard    *os.Process
	lifeline io.WriteCloser
	reaped   bool
}

// startProcess runs bin with its output appended to log. Should we die, the
// temporary directories are removed as well.
func startProcess(bin string, args []string, log *os.File, temporary []string) (*process, error) {
	launch := exec.Command("/bin/sh", append([]string{"-c", launchScript, bin}, args...)...)
	launch.Stdout, launch.Stderr = log, log
	gate, err := startInOwnGroup(launch)
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	p := &process{pid: launch.Process.Pid, server: launch.Process}

	guard := exec.Command("/bin/sh", append([]string{"-c", guardScript, strconv.Itoa(p.pid)}, temporary...)...)
	if p.lifeline, err = startInOwnGroup(guard); err != nil {
		p.server.Kill()
		p.server.Wait()
		return nil, err
	}
	p.guard = guard.Process

	if _, err := io.WriteString(gate, "go\n"); err != nil {
		p.kill()
		return nil, fmt.Errorf("starting %s: %w", bin, err)
	}
	return p, nil
}

// startInOwnGroup starts cmd out of reach of the terminal's Ctrl-C, so that
// servers outlive the tests that still use them, and returns its stdin.
func startInOwnGroup(cmd *exec.Cmd) (io.WriteCloser, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		stdin.Close()
		return nil, err
	}
	return stdin, nil
}

// alive reports whether the process still runs and reaps it if it does not.
func (p *process) alive() bool {
	if p.reaped {
		return false
	}
	var status syscall.WaitStatus
	for {
		pid, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid == 0 && err == nil {
			return true
		}
		p.server.Release()
		p.ended()
		return false
	}
}

// kill ends the process at once, also a stopped one, and reaps it.
func (p *process) kill() {
	if !p.alive() {
		return
	}
	p.server.Kill()
	p.server.Wait()
	p.ended()
}

// terminate asks the process to shut down and kills it if it has not within
// the bound, which it reports.
func (p *process) terminate(bound time.Duration) error {
	if !p.alive() {
		return nil
	}
	p.server.Signal(syscall.SIGTERM)
	p.server.Signal(syscall.SIGCONT) // a stopped process gets no SIGTERM
	err := poll(bound, "the server to shut down", func() error {
		if p.alive() {
			return fmt.Errorf("process %d still runs", p.pid)
		}
		return nil
	})
	p.kill()
	return err
}

// stop freezes the process, cont lets it go on.
func (p *process) stop() error { return p.server.Signal(syscall.SIGSTOP) }
func (p *process) cont() error { return p.server.Signal(syscall.SIGCONT) }

// ended dismisses the guard, before the system may give the pid to another.
func (p *process) ended() {
	p.reaped = true
	io.WriteString(p.lifeline, "ended\n")
	p.lifeline.Close()
	p.guard.Wait()
}
