package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/keys"
)

// What the program exits with.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2

	exitRefused = 3 // of limit and session: it works, and the answer is no
)

// app is one run of the program.
type app struct {
	out, errs io.Writer
	url       string

	// began is set when a command line has been read and understood as far as its form goes.
	began bool
}

// commands are those of the program. A new one comes with a file of its own and a line here.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.demo(),
		a.ping(),
		a.scan(),
		a.count(),
		a.delete(),
		a.limit(),
		a.session(),
	}
}

// run runs the program and returns what to exit with.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	a := &app{out: out, errs: errs}
	root := a.root()
	root.SetArgs(idLast(args))
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, refused{}) {
		return exitRefused
	}
	var usage *usageError
	if a.began && !errors.As(err, &usage) {
		fmt.Fprintln(errs, "rediskit: "+message(err))
		return exitFailed
	}
	fmt.Fprintf(errs, "%s: %s (%s --help tells more)\n", cmd.CommandPath(), message(err), cmd.CommandPath())
	return exitUsage
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rediskit",
		Short: "Look after Redis and Valkey: single servers, Sentinel and clusters",
		Long: `rediskit looks after Redis and Valkey: single servers, Sentinel and clusters.

Where the server is:
  --url URL              redis://[user:password@]host:port[/db]     a server
                         redis://host1:port1,host2:port2            a cluster
                         redis+sentinel://host1,host2/NAME          behind sentinels
                         rediss://, rediss+sentinel://              the same with TLS
                         unix:///path/to/socket                     a unix socket
  REDIS_URL              the same; it keeps a password out of the list of processes
  REDIS_HOST REDIS_PORT REDIS_USERNAME REDIS_PASSWORD REDIS_DB REDIS_TLS REDIS_TLS_CA
  REDIS_TLS_CERT REDIS_TLS_KEY REDIS_CLUSTER REDIS_SENTINEL_MASTER
                         one by one, if there is no URL; without any it is localhost:6379`,
		Version:          version(),
		SilenceErrors:    true,
		SilenceUsage:     true,
		Args:             unknownCommand,
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) { a.began = true },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.out)
	root.SetErr(a.errs)
	root.SetVersionTemplate("rediskit {{.Version}}\n")
	root.PersistentFlags().StringVar(&a.url, "url", "", "where Redis is; overrides the environment")
	root.AddCommand(a.commands()...)
	return root
}

// unknownCommand is for the arguments of a command that has others below it. Without it an unknown one comes to a message
// of cobra's that has three lines.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		err = fmt.Errorf("%w, did you mean %s?", err, strings.Join(similar, " or "))
	}
	return err
}

// usageError is a mistake in what was asked, found before anything was done.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// message is an error in one line, without the name of the program, which stands before it anyway.
func message(err error) string {
	text := err.Error()
	var partial *partialError // has more to tell than its cause
	if errors.Is(err, context.Canceled) && !errors.As(err, &partial) {
		text = "interrupted"
	}
	text = strings.TrimPrefix(text, "rediskit: ")
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// config is where Redis is: as --url says, or as the environment does.
func (a *app) config() (rediskit.Config, error) {
	if a.url == "" {
		cfg, err := rediskit.ConfigFromEnv()
		if err != nil {
			return cfg, &usageError{err}
		}
		return cfg, nil
	}
	cfg, err := rediskit.ParseURL(a.url)
	if err != nil {
		return cfg, usagef("--url: %s", strings.TrimPrefix(strings.TrimPrefix(err.Error(), "rediskit: URL: "), "rediskit: "))
	}
	// A URL cannot name files, so with --url as with REDIS_URL those of the environment count.
	ca, cert, key := os.Getenv("REDIS_TLS_CA"), os.Getenv("REDIS_TLS_CERT"), os.Getenv("REDIS_TLS_KEY")
	if ca != "" || cert != "" || key != "" {
		if cfg.TLS, err = rediskit.TLSFromFiles(ca, cert, key); err != nil {
			return cfg, usagef("REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY: %s", message(err))
		}
	}
	return cfg, nil
}

// connect connects to the Redis of config. The caller closes the client.
func (a *app) connect(ctx context.Context) (*rediskit.Client, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	return rediskit.Connect(ctx, cfg)
}

// namespaced makes the names of keys of the flag --namespace.
func namespaced(flag string) (keys.Builder, error) {
	if flag == "" {
		return keys.Builder{}, nil
	}
	names, err := keys.New(flag)
	if err != nil {
		return names, usagef("--namespace: %s", strings.TrimPrefix(err.Error(), "keys: "))
	}
	return names, nil
}

// bar returns a progress bar if somebody is there to see it.
func (a *app) bar() *terminal.Bar {
	if !terminal.Is(a.errs) {
		return nil
	}
	return terminal.NewBar(a.errs, time.Now)
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown version)"
	}
	return info.Main.Version + " " + info.GoVersion
}
