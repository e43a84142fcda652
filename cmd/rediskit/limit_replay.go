package main

import (
	"bufio"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/replay"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
)

func (a *app) limitReplay() *cobra.Command {
	var texts []string
	var key string
	var top int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "replay --limit LIMIT FILE...",
		Short: "Tell what limits would have refused of the requests in an access log",
		Long: `Reads access logs in Common or Combined Log Format, plain or packed with gzip, and tells what each limit would have
refused: how many requests, of which keys, and when. - is the standard input. It needs no server: limits
are decided as Redis would, on the clock of the log.

Several files are merged by time, so that their order does not matter: those of several servers, or rotated
ones. Malformed lines are counted, and the first of each file are shown. Lines without a key are counted, too:
those with a dash in its place.

A log knows whole seconds. To a limit, all requests of one second come at its beginning, so that one
that spreads requests within a second refuses more of them than it would have.

` + limitForms + "\n(concurrency excepted: a log does not tell how many requests there were at a time)",
		Example: "  rediskit limit replay --limit sliding-window:100/1m --limit gcra:2/1s,burst=20 /var/log/nginx/access.log*\n" +
			"  ssh web1 cat access.log.gz | rediskit limit replay --limit fixed-window:5/1m --key ip+path -",
		Args: func(_ *cobra.Command, args []string) error {
			stdin := 0
			for _, name := range args {
				if name == "-" {
					stdin++
				}
			}
			switch {
			case len(args) == 0:
				return errors.New("no FILE: want access logs, or - for the standard input")
			case stdin > 1:
				return errors.New("the standard input can be read only once")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if top < 0 {
				return usagef("--top is %d: want at least 0", top)
			}
			cfg := replay.Config{Top: top}
			if top == 0 {
				cfg.Top = -1
			}
			var err error
			if cfg.Limits, err = parseLimits(texts, false); err != nil {
				return err
			}
			if cfg.Key, err = replay.ParseKey(key); err != nil {
				return usagef("--key: %w", err)
			}
			bar := a.bar()
			cfg.Progress = func(read, total, lines int64) { bar.Update(read, total, terminal.Count(lines)+" lines") }
			var inputs []replay.Input
			for _, name := range args {
				in := replay.Input{Name: name}
				if name == "-" {
					in = replay.Input{Name: "standard input", Reader: cmd.InOrStdin()}
				}
				inputs = append(inputs, in)
			}
			report, err := replay.Run(cmd.Context(), cfg, inputs)
			bar.Clear()
			if report == nil {
				return err
			}
			out := bufio.NewWriter(a.out)
			print := func() error { return report.Text(out, terminal.StyleOf(a.out)) }
			if asJSON {
				print = func() error { return report.JSON(out) }
			}
			if failed := errors.Join(print(), out.Flush()); failed != nil {
				return failed
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&texts, "limit", nil, "a limit to try, such as sliding-window:100/1m; may be repeated to compare")
	flags.StringVar(&key, "key", "ip", "what is limited: ip (of IPv6 the /64), host, user, path (without query), method, or several: ip+path")
	flags.IntVar(&top, "top", replay.DefaultTop, "how many of the most refused keys to show for each limit")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
