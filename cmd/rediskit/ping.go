package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
)

func (a *app) ping() *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Tell how Redis is: reachable, role, version, memory, clients",
		Long: `Asks the server how it is, or the primary behind sentinels, or every master of a cluster, and prints a
table.

It exits with 0 if rediskit can work: the server, or the primary behind sentinels, answers and takes
writes; on a cluster, masters that answer serve every slot. Otherwise the reason goes to the standard
error and it exits with 1. So it serves as a readiness probe.`,
		Example: "  rediskit ping\n  rediskit ping --json --timeout 1s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout < time.Millisecond {
				return usagef("--timeout is %v: must be at least 1ms", timeout)
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			// Closing waits for commands under way, so that they have to end, too.
			cfg.HealthTimeout, cfg.CommandTimeout = timeout, timeout
			health, err := health(ctx, cfg)
			report := pingReport{Server: cfg.String(), Healthy: err == nil, Health: health}
			if err != nil {
				report.Error = message(err)
			}
			if asJSON {
				if jsonErr := report.json(a.out); jsonErr != nil {
					return jsonErr
				}
			} else if tableErr := report.table(a.out); tableErr != nil {
				return tableErr
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().DurationVar(&timeout, "timeout", rediskit.DefaultHealthTimeout, "how long all of it may take")
	return cmd
}

func health(ctx context.Context, cfg rediskit.Config) (rediskit.Health, error) {
	client, err := rediskit.Connect(ctx, cfg)
	if err != nil {
		return rediskit.Health{}, err
	}
	defer client.Close()
	return client.Health(ctx)
}

type pingReport struct {
	Server  string `json:"server"`
	Healthy bool   `json:"healthy"`
	Error   string `json:"error,omitempty"`
	rediskit.Health
}

func (r pingReport) json(w io.Writer) error {
	if r.Nodes == nil {
		r.Nodes = []rediskit.NodeHealth{}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// table prints what is known of the nodes, and nothing if that is nothing.
func (r pingReport) table(w io.Writer) error {
	if len(r.Nodes) == 0 {
		return nil
	}
	style := terminal.StyleOf(w)
	state := style.Good("healthy")
	if !r.Healthy {
		state = style.Bad("not healthy")
	}
	line := r.Mode + ", " + state
	if r.Mode == "cluster" {
		line += fmt.Sprintf(", %s of 16,384 slots served", terminal.Count(int64(r.SlotsCovered)))
	}
	if _, err := fmt.Fprintf(w, "%s\n\n", line); err != nil {
		return err
	}
	columns := []terminal.Column{{Title: "ADDRESS"}, {Title: "ROLE"}, {Title: "SERVER"}, {Title: "RTT", Right: true},
		{Title: "UP", Right: true}, {Title: "MEMORY", Right: true}, {Title: "CLIENTS", Right: true},
		{Title: "BLOCKED", Right: true}, {Title: "REPLICAS", Right: true}}
	var rows [][]string
	for _, n := range r.Nodes {
		rows = append(rows, nodeRow(n))
	}
	if err := terminal.Table(w, style, columns, rows); err != nil {
		return err
	}
	for _, n := range r.Nodes {
		if n.Err != "" {
			if _, err := fmt.Fprintf(w, "\n%s: %s\n", n.Addr, terminal.Line(n.Err)); err != nil {
				return err
			}
		}
	}
	return nil
}

func nodeRow(n rediskit.NodeHealth) []string {
	if n.Err != "" {
		return []string{n.Addr, "no answer"}
	}
	role := n.Role
	if role == "slave" {
		role = "replica"
	}
	memory := terminal.Bytes(n.MemoryUsed)
	if n.MemoryMax > 0 {
		memory += " of " + terminal.Bytes(n.MemoryMax)
	}
	return []string{
		n.Addr, cmp.Or(role, "?"), n.Product + " " + n.Version, terminal.Milliseconds(n.RTT), terminal.Span(n.Uptime), memory,
		terminal.Count(n.Clients), terminal.Count(n.Blocked), terminal.Count(n.Replicas),
	}
}
