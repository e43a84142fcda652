package main

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/demo"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
)

func (a *app) demo() *cobra.Command {
	var only []string
	var list bool
	var names []string
	for _, step := range demo.Steps() {
		names = append(names, step.Name)
	}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Take a tour: real work with each package, the Go that does it, and the result",
		Long: `Does real work with each package of rediskit and shows the Go that does it, with the result.

Without --url and without REDIS_* in the environment it runs on an embedded server, so that nothing has to
be installed. On a real server it keeps to a namespace of its own, gives every key a time to live, and
deletes them at the end.`,
		Example: "  rediskit demo\n  REDIS_URL=redis://localhost:6379 rediskit demo --step list,zset",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if list {
				var rows [][]string
				for _, step := range demo.Steps() {
					rows = append(rows, []string{step.Name, step.About})
				}
				return terminal.Table(a.out, terminal.StyleOf(a.out), []terminal.Column{{Title: "STEP"}, {Title: "SHOWS"}}, rows)
			}
			cfg := demo.Config{Out: a.out, Only: only}
			if a.configured() {
				redis, err := a.config()
				if err != nil {
					return err
				}
				cfg.Redis = &redis
			}
			err := demo.Run(cmd.Context(), cfg)
			if errors.Is(err, demo.ErrNoStep) {
				return usagef("--step: %w, want %s", err, strings.Join(names, ", "))
			}
			return err
		},
	}
	cmd.Flags().StringSliceVar(&only, "step", nil, "make only these steps")
	cmd.Flags().BoolVar(&list, "list", false, "list the steps")
	// The error is that of a flag which is not there.
	_ = cmd.RegisterFlagCompletionFunc("step", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// configured reports whether anybody said where Redis is.
func (a *app) configured() bool {
	return a.url != "" || slices.ContainsFunc([]string{
		"REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS", "REDIS_TLS_CA",
		"REDIS_TLS_CERT", "REDIS_TLS_KEY", "REDIS_CLUSTER", "REDIS_SENTINEL_MASTER",
	}, func(name string) bool { return os.Getenv(name) != "" })
}
