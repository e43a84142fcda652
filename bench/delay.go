package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tickettoken/rediskit/internal/redistest"
)

// delay is a process of its own that makes the way to a server longer. In this process it would add to
// the subjects' allocations and share their scheduler.
type delay struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startDelay(ctx context.Context, target string, rtt time.Duration) (*delay, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-delay="+target, "-rtt="+rtt.String())
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stdin.Close()
		cmd.Wait()
		return nil, fmt.Errorf("starting the delay: %w", err)
	}
	return &delay{addr: strings.TrimSpace(line), cmd: cmd, stdin: stdin}, nil
}

func (d *delay) close() {
	d.stdin.Close()
	d.cmd.Wait()
}

// serveDelay is that process. It ends with its standard input, so also with whoever started it.
func serveDelay(target string, rtt time.Duration) error {
	p, err := redistest.StartProxy(target)
	if err != nil {
		return err
	}
	defer p.Close()
	p.SetDelay(rtt)
	fmt.Println(p.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
