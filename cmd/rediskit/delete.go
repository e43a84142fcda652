package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/scan"
)

func (a *app) delete() *cobra.Command {
	var cfg scan.Config
	var yes, all bool
	cmd := &cobra.Command{
		Use:   "delete PATTERN",
		Short: "Delete the keys that match a pattern, on every master; only with --yes",
		Long: `Deletes the keys that match a glob-style pattern, on every master. Without --yes it deletes nothing
and tells how many keys it would delete.

It goes slowly, so that others do not notice: --rate is how many keys a second a server is made to look
at, whether they match or not. On a terminal a bar shows how far it is. Interrupted, it tells how far it
got; running it again goes on.`,
		Example: "  rediskit delete 'cache:event:*'\n  rediskit delete 'cache:event:*' --yes --rate 5000",
		Args:    onePattern,
		RunE: func(cmd *cobra.Command, args []string) error {
			pattern := args[0]
			switch {
			case cfg.Rate == 0:
				return usagef("--rate is 0: want at least 1, or -1 for as fast as it goes")
			case yes && !all && matchesAll(pattern):
				return usagef("%q matches every key of the database: add --all if that is meant", pattern)
			}
			client, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			if yes {
				n, err := a.walk(client, cfg, func(s *scan.Scanner) (int64, error) { return s.Delete(cmd.Context(), pattern) })
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.out, "deleted %s\n", terminal.Keys(n))
				return err
			}
			// Looking hurts much less than deleting, so that only a rate that was asked for holds it back.
			if !cmd.Flags().Changed("rate") {
				cfg.Rate = -1
			}
			n, err := a.walk(client, cfg, func(s *scan.Scanner) (int64, error) { return s.Count(cmd.Context(), pattern) })
			if err != nil {
				return err
			}
			flags := "--yes"
			if matchesAll(pattern) {
				flags = "--yes --all"
			}
			_, err = fmt.Fprintf(a.out, "would delete %s; nothing was deleted (%s deletes)\n", terminal.Keys(n), flags)
			return err
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&yes, "yes", false, "delete, and do not only tell how many keys there are to delete")
	flags.BoolVar(&all, "all", false, "allow a pattern that matches every key")
	flags.IntVar(&cfg.Rate, "rate", scan.DefaultDeleteRate, "how many keys a second to look at; -1: as fast as it goes")
	typeFlag(cmd, &cfg.Type)
	return cmd
}

// matchesAll reports whether a pattern says nothing about the keys it matches.
func matchesAll(pattern string) bool {
	return strings.Contains(pattern, "*") && strings.Trim(pattern, "*?") == ""
}

// walk makes a scanner and lets do use it, behind a bar. An error then tells how far it got.
func (a *app) walk(client *rediskit.Client, cfg scan.Config, do func(*scan.Scanner) (int64, error)) (int64, error) {
	bar := a.bar()
	var last scan.Progress
	cfg.Progress = func(p scan.Progress) {
		last = p
		note := fmt.Sprintf("%s of %s", terminal.Count(p.Scanned), terminal.Keys(p.Total))
		if p.Deleted > 0 {
			note += ", " + terminal.Count(p.Deleted) + " deleted"
		}
		bar.Update(p.Scanned, p.Total, note)
	}
	scanner, err := scan.New(client, cfg)
	if err != nil {
		return 0, &usageError{err}
	}
	n, err := do(scanner)
	bar.Clear()
	if err != nil {
		return n, &partialError{err, n, last}
	}
	return n, nil
}

// partialError is the end of a walk that did not get to its end.
type partialError struct {
	err     error
	deleted int64
	last    scan.Progress
}

func (e *partialError) Error() string {
	text := message(e.err)
	if e.last.Total > 0 {
		text += fmt.Sprintf("; had looked at %s of %s", terminal.Count(e.last.Scanned), terminal.Keys(e.last.Total))
	}
	switch perhaps := rediskit.MayHaveApplied(e.err); {
	case e.deleted > 0 && perhaps:
		text += fmt.Sprintf(" and deleted %s, perhaps some more", terminal.Count(e.deleted))
	case e.deleted > 0:
		text += fmt.Sprintf(" and deleted %s", terminal.Count(e.deleted))
	case perhaps:
		text += " and may have deleted some"
	}
	return text
}

func (e *partialError) Unwrap() error { return e.err }
