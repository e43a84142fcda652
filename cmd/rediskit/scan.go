package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/scan"
)

// infoAtOnce is how many keys are asked about together. The client sends them in few round trips.
const infoAtOnce = 100

func (a *app) scan() *cobra.Command {
	var cfg scan.Config
	var info, asJSON bool
	cmd := &cobra.Command{
		Use:   "scan PATTERN",
		Short: "List the keys that match a pattern, on every master",
		Long: `Lists the keys that match a glob-style pattern, on every master, one a line, in no order.
It never sends KEYS. A key with characters that cannot be printed is written as a Go string in quotes.

It stops after --limit keys. If that is the default and not your wish, it is a failure, because the list
is not complete.

With --json each line is an object: {"key": …}, or {"key_base64": …} for a key that is not UTF-8; with
--info also "type", "ttl_ms" (null: does not expire), "size" (bytes of memory) and "encoding".`,
		Example: "  rediskit scan 'session:*' --limit 20\n  rediskit scan '*' --type hash --info\n" +
			"  rediskit scan 'cache:*' --limit -1 --json",
		Args: onePattern,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cfg.Limit == 0 {
				return usagef("--limit is 0: want at least 1, or -1 for no limit")
			}
			client, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			list := newListing(a, info, asJSON)
			cfg.Progress = func(scan.Progress) { list.flush(cmd.Context()) }
			list.scanner, err = scan.New(client, cfg)
			if err != nil {
				return err
			}
			err = list.run(cmd.Context(), args[0])
			if errors.Is(err, scan.ErrLimit) {
				err = fmt.Errorf("stopped after %s, and more match: --limit sets how many, -1 lists all", terminal.Keys(int64(cfg.Limit)))
				if cmd.Flags().Changed("limit") {
					fmt.Fprintln(a.errs, "rediskit: "+err.Error())
					return nil
				}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&cfg.Limit, "limit", scan.DefaultLimit, "how many keys to list; -1: all")
	flags.BoolVar(&info, "info", false, "tell type, time to live and size of each key")
	flags.BoolVar(&asJSON, "json", false, "print a JSON object a line")
	typeFlag(cmd, &cfg.Type)
	return cmd
}

// onePattern is for the arguments of a command on the keys that match a pattern.
func onePattern(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("no PATTERN: want one such as 'session:*'")
	case len(args) > 1:
		return fmt.Errorf("%d arguments, want one PATTERN: put it in quotes, or the shell replaces it by names of files", len(args))
	case args[0] == "":
		return errors.New("the PATTERN is empty")
	}
	return nil
}

func typeFlag(cmd *cobra.Command, value *string) {
	types := []string{"string", "list", "set", "zset", "hash", "stream"}
	cmd.Flags().StringVar(value, "type", "", "only keys of this type: string, list, set, zset, hash, stream")
	// The error is that of a flag which is not there.
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(types, cobra.ShellCompDirectiveNoFileComp))
}

// listing prints keys as they come. Those that have to be asked about wait until there are enough of them, or until
// the walk has made a step.
type listing struct {
	scanner *scan.Scanner
	out     *bufio.Writer
	info    bool
	json    *json.Encoder // nil for text

	waiting []string
	titled  bool
	err     error // why nothing more is to be printed
}

func newListing(a *app, info, asJSON bool) *listing {
	l := &listing{out: bufio.NewWriter(a.out), info: info}
	if asJSON {
		l.json = json.NewEncoder(l.out)
		l.json.SetEscapeHTML(false)
	}
	return l
}

func (l *listing) run(ctx context.Context, pattern string) error {
	for key, err := range l.scanner.Keys(ctx, pattern) {
		if err != nil {
			l.flush(ctx)
			return err
		}
		l.waiting = append(l.waiting, key)
		if len(l.waiting) == infoAtOnce {
			l.print(ctx)
		}
		if l.err != nil {
			return l.err
		}
	}
	l.flush(ctx)
	return l.err
}

func (l *listing) flush(ctx context.Context) {
	l.print(ctx)
	if err := l.out.Flush(); l.err == nil {
		l.err = err
	}
}

// print prints the keys that wait.
func (l *listing) print(ctx context.Context) {
	names := l.waiting
	l.waiting = nil
	if l.err != nil || len(names) == 0 {
		return
	}
	if !l.info {
		for _, key := range names {
			l.line(key, nil)
		}
		return
	}
	type answer struct {
		info  scan.Info
		found bool
		err   error
	}
	answers := make([]answer, len(names))
	var wg sync.WaitGroup
	for i, key := range names {
		wg.Go(func() {
			info, found, err := l.scanner.Info(ctx, key)
			answers[i] = answer{info, found, err}
		})
	}
	wg.Wait()
	for i, a := range answers {
		switch {
		case a.err != nil:
			if l.err == nil {
				l.err = a.err
			}
		case a.found: // others went while the walk was under way
			l.line(names[i], &a.info)
		}
	}
}

// keyLine is what --json prints of a key.
type keyLine struct {
	terminal.JSONKey
	*infoLine
}

type infoLine struct {
	Type     string `json:"type"`
	TTL      *int64 `json:"ttl_ms"`
	Size     int64  `json:"size"`
	Encoding string `json:"encoding,omitempty"`
}

func (l *listing) line(key string, info *scan.Info) {
	if l.err != nil {
		return
	}
	if l.json == nil {
		l.text(key, info)
		return
	}
	row := keyLine{JSONKey: terminal.NewJSONKey(key)}
	if info != nil {
		row.infoLine = &infoLine{Type: info.Type, Size: info.Size, Encoding: info.Encoding}
		if info.TTL != rediskit.NoTTL {
			ms := info.TTL.Milliseconds()
			row.TTL = &ms
		}
	}
	l.err = l.json.Encode(row)
}

func (l *listing) text(key string, info *scan.Info) {
	if info == nil {
		_, l.err = fmt.Fprintln(l.out, terminal.Line(key))
		return
	}
	const format = "%-8s  %8s  %9s  %s\n"
	if !l.titled {
		l.titled = true
		if _, l.err = fmt.Fprintf(l.out, format, "TYPE", "TTL", "SIZE", "KEY"); l.err != nil {
			return
		}
	}
	ttl := "none"
	if info.TTL != rediskit.NoTTL {
		ttl = terminal.Span(info.TTL)
	}
	_, l.err = fmt.Fprintf(l.out, format, info.Type, ttl, terminal.Bytes(info.Size), terminal.Line(key))
}
