package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit/scan"
)

func (a *app) count() *cobra.Command {
	var cfg scan.Config
	cmd := &cobra.Command{
		Use:   "count PATTERN",
		Short: "Count the keys that match a pattern, on every master",
		Long: `Prints how many keys match a glob-style pattern, on every master. No key that is there
throughout is left out; one may be counted twice while the server's table grows or shrinks.`,
		Example: "  rediskit count 'session:*'\n  rediskit count '*' --type stream",
		Args:    onePattern,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			n, err := a.walk(client, cfg, func(s *scan.Scanner) (int64, error) { return s.Count(cmd.Context(), args[0]) })
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, n)
			return err
		},
	}
	typeFlag(cmd, &cfg.Type)
	return cmd
}
