//go:build unix

package lease

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const stoppedEnv = "REDISKIT_LEASE_STOPPED"

// The test starts itself as a process that holds a lease, and stops that process until the lease is over.
func TestAStoppedProcessSeesNoLiveContextWhenItGoesOn(t *testing.T) {
	if os.Getenv(stoppedEnv) != "" {
		beStopped(t)
		return
	}
	for range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), stoppedEnv+"=1", "GOMAXPROCS=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "held" {
			t.Fatalf("the process says %q", lines.Text())
		}
		signal(t, cmd, syscall.SIGSTOP)
		<-time.After(stoppedLength) // this is no waiting for something: it is the lease
		signal(t, cmd, syscall.SIGCONT)
		said := ""
		for lines.Scan() {
			said += lines.Text() + "\n"
		}
		if err := cmd.Wait(); err != nil || strings.Contains(said, "FAIL") {
			t.Fatalf("%v: %s", err, said)
		}
	}
}

func signal(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

const stoppedLength = 300 * time.Millisecond

func beStopped(t *testing.T) {
	l := Hold(t.Context(), Terms{Length: stoppedLength, Sent: time.Now(), Renew: away, Lost: errLost})
	fmt.Println("held")
	for {
		before := time.Now()
		if l.Err() != nil {
			return
		}
		if before.Sub(l.terms.Sent) >= stoppedLength {
			t.Fatalf("the context is alive %v after the lease began", before.Sub(l.terms.Sent))
		}
	}
}
