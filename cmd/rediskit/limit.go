package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/ratelimit"
)

// limitTimeout is how long a decision may take. Somebody at a terminal rather waits than hears that it is not known.
const limitTimeout = 5 * time.Second

const limitForms = `Limits are written as ratelimit.ParseLimit reads them:
  sliding-window:100/1m    sliding-counter:100/1m    fixed-window:100/1m
  token-bucket:5/1s,burst=20    gcra:5/1s,burst=20    concurrency:10/30s
and with a penalty for who is refused: fixed-window:5/1h,penalty=1h`

func (a *app) limit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "limit",
		Short: "Ask rate limits, change their state, and try them on access logs",
		Long: `Works with the rate limits of package ratelimit: takes permits, looks at what is left, forgets what was
taken, blocks keys, and tells from an access log what a limit would have refused.

` + limitForms,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(a.limitCheck(), a.limitPeek(), a.limitReset(), a.limitBlock(), a.limitReplay())
	return cmd
}

// limitFlags are those of a command on the state of a key.
type limitFlags struct {
	limits    []string
	namespace string
	json      bool
}

func (f *limitFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.limits, "limit", nil, "a limit, such as sliding-window:100/1m; may be repeated")
	flags.StringVar(&f.namespace, "namespace", "", "that of the limiter's keys")
	flags.BoolVar(&f.json, "json", false, "print JSON")
}

// parseLimits reads the flags --limit.
func parseLimits(texts []string, concurrency bool) ([]ratelimit.Limit, error) {
	if len(texts) == 0 {
		return nil, usagef("no --limit: want at least one, such as sliding-window:100/1m")
	}
	var all []ratelimit.Limit
	for _, text := range texts {
		l, err := ratelimit.ParseLimit(text)
		if err != nil {
			return nil, usagef("--limit: %s", strings.TrimPrefix(err.Error(), "ratelimit: "))
		}
		if l.IsConcurrency() && !concurrency {
			return nil, usagef("--limit: %s is how many at a time, which only peek and reset know about", l)
		}
		all = append(all, l)
	}
	return all, nil
}

// limiter connects, and has do work with a limiter.
func (f *limitFlags) limiter(a *app, cmd *cobra.Command, do func(*ratelimit.Limiter) error) error {
	cfg := ratelimit.Config{Timeout: limitTimeout, DenyCache: -1}
	var err error
	if cfg.Keys, err = namespaced(f.namespace); err != nil {
		return err
	}
	client, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer client.Close()
	limiter, err := ratelimit.New(client, cfg)
	if err != nil {
		return err
	}
	return do(limiter)
}

// oneKey is for the arguments of a command on one key.
func oneKey(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("no KEY: want one such as user:42")
	case len(args) > 1:
		return fmt.Errorf("%d arguments, want one KEY", len(args))
	case args[0] == "":
		return errors.New("the KEY is empty")
	}
	return nil
}

func (a *app) limitCheck() *cobra.Command {
	var f limitFlags
	var cost int
	cmd := &cobra.Command{
		Use:   "check KEY --limit LIMIT",
		Short: "Take a permit of a key, if there is one",
		Long: `Takes a permit of a key, or --cost of them, and tells what is left. Of several limits it takes from all or
from none. It exits with 0 if that was allowed, and with 3 if it was refused.

` + limitForms,
		Example: "  rediskit limit check user:42 --limit sliding-window:100/1m\n" +
			"  rediskit limit check user:42 --limit gcra:10/1s,burst=20 --limit sliding-window:1000/1h --cost 5",
		Args: oneKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cost < 1 {
				return usagef("--cost is %d: want at least 1", cost)
			}
			all, err := parseLimits(f.limits, false)
			if err == nil {
				err = together(all, cost)
			}
			if err != nil {
				return err
			}
			return f.limiter(a, cmd, func(limiter *ratelimit.Limiter) error {
				res, err := limiter.AllowAllN(cmd.Context(), args[0], cost, all...)
				if err != nil {
					return err
				}
				return f.answer(a.out, args[0], all, res.Each)
			})
		},
	}
	cmd.Flags().IntVar(&cost, "cost", 1, "how many permits to take")
	f.add(cmd)
	return cmd
}

// together refuses what can never be taken from all limits.
func together(all []ratelimit.Limit, cost int) error {
	states := map[string]ratelimit.Limit{}
	for _, l := range all {
		spec, err := limits.Parse(l.String())
		if err != nil {
			return usagef("--limit: %w", err)
		}
		if other, ok := states[spec.Name()]; ok {
			return usagef("--limit: %s and %s are limits on the same permits", other, l)
		}
		if cost > l.Permits() {
			return usagef("--cost is %d: %s never has as many", cost, l)
		}
		states[spec.Name()] = l
	}
	return nil
}

func (a *app) limitPeek() *cobra.Command {
	var f limitFlags
	cmd := &cobra.Command{
		Use:   "peek KEY --limit LIMIT",
		Short: "Tell what is left of a key, and take nothing",
		Long: `Tells what check would answer, and takes nothing. It exits with 0 if check would be allowed, and with 3 if
it would be refused.

` + limitForms,
		Example: "  rediskit limit peek user:42 --limit sliding-window:100/1m",
		Args:    oneKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := parseLimits(f.limits, true)
			if err != nil {
				return err
			}
			return f.limiter(a, cmd, func(limiter *ratelimit.Limiter) error {
				var each []ratelimit.Result
				for _, l := range all {
					res, err := limiter.Peek(cmd.Context(), args[0], l)
					if err != nil {
						return err
					}
					each = append(each, res)
				}
				return f.answer(a.out, args[0], all, each)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) limitReset() *cobra.Command {
	var f limitFlags
	cmd := &cobra.Command{
		Use:   "reset KEY --limit LIMIT",
		Short: "Forget what was taken of a key, and end its block",
		Long: `Forgets what was taken of a key, and ends its block. Of a limit only the algorithm and the window matter.
Programs that remember a refusal may believe it for up to a second more.

` + limitForms,
		Example: "  rediskit limit reset user:42 --limit sliding-window:100/1m",
		Args:    oneKey,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := parseLimits(f.limits, true)
			if err != nil {
				return err
			}
			return f.limiter(a, cmd, func(limiter *ratelimit.Limiter) error {
				if err := limiter.Reset(cmd.Context(), args[0], all...); err != nil {
					return err
				}
				return f.done(a.out, args[0], all, "reset", doneLine{Reset: true})
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) limitBlock() *cobra.Command {
	var f limitFlags
	cmd := &cobra.Command{
		Use:   "block KEY DURATION --limit LIMIT",
		Short: "Refuse a key for a time, whatever is left of it",
		Long: `Refuses a key for a time, whatever is left of it. An earlier block is made shorter or longer; reset ends it. Of a
limit only the algorithm and the window matter.

` + limitForms,
		Example: "  rediskit limit block user:42 1h --limit sliding-window:100/1m",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("%d arguments, want KEY and DURATION, such as user:42 1h", len(args))
			}
			return oneKey(cmd, args[:1])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := time.ParseDuration(args[1])
			if err != nil {
				return usagef("the DURATION is %q: want one such as 90s, 15m or 24h", args[1])
			}
			if d < time.Millisecond || d > limits.MaxWindow {
				return usagef("the DURATION is %v: want 1ms to %v", d, limits.MaxWindow)
			}
			all, err := parseLimits(f.limits, false)
			if err != nil {
				return err
			}
			return f.limiter(a, cmd, func(limiter *ratelimit.Limiter) error {
				if err := limiter.Block(cmd.Context(), args[0], d, all...); err != nil {
					return err
				}
				return f.done(a.out, args[0], all, "blocked for "+d.String(), doneLine{Blocked: d.Milliseconds()})
			})
		},
	}
	f.add(cmd)
	return cmd
}

// refused is the end of a command that was told no. That is an answer and not an error, so nothing is printed for it.
type refused struct{}

func (refused) Error() string { return "refused" }

// answerLine is what --json prints of check and peek.
type answerLine struct {
	terminal.JSONKey
	Allowed    bool         `json:"allowed"`
	RetryAfter int64        `json:"retry_after_ms"`
	Limits     []limitsLine `json:"limits"`
}

type limitsLine struct {
	Limit      string    `json:"limit"`
	Allowed    bool      `json:"allowed"`
	Permits    int       `json:"permits"`
	Remaining  int       `json:"remaining"`
	RetryAfter int64     `json:"retry_after_ms"`
	ResetAt    time.Time `json:"reset_at"`
}

// answer prints the results of limits, and is refused if one of them refuses.
func (f *limitFlags) answer(w io.Writer, key string, all []ratelimit.Limit, each []ratelimit.Result) error {
	line := answerLine{JSONKey: terminal.NewJSONKey(key), Allowed: true}
	rows := make([][]string, len(all))
	for i, r := range each {
		answer, retry := "yes", ""
		if !r.Allowed {
			answer, retry = "no", r.RetryAfter.String()
		}
		line.Allowed = line.Allowed && r.Allowed
		line.RetryAfter = max(line.RetryAfter, r.RetryAfter.Milliseconds())
		line.Limits = append(line.Limits, limitsLine{all[i].String(), r.Allowed, r.Limit, r.Remaining, r.RetryAfter.Milliseconds(), r.ResetAt})
		rows[i] = []string{all[i].String(), answer, terminal.Count(int64(r.Remaining)), terminal.Count(int64(r.Limit)),
			terminal.Span(max(time.Until(r.ResetAt), 0)), retry}
	}
	if f.json {
		if err := printJSON(w, line); err != nil {
			return err
		}
	} else {
		style := terminal.StyleOf(w)
		text := style.Good("allowed")
		if !line.Allowed {
			text = style.Bad("refused") + ", try again in " + (time.Duration(line.RetryAfter) * time.Millisecond).String()
		}
		if _, err := fmt.Fprintf(w, "%s\n\n", text); err != nil {
			return err
		}
		columns := []terminal.Column{{Title: "LIMIT"}, {Title: "ALLOWED"}, {Title: "LEFT", Right: true}, {Title: "OF", Right: true},
			{Title: "ALL BACK IN", Right: true}, {Title: "RETRY AFTER", Right: true}}
		if err := terminal.Table(w, style, columns, rows); err != nil {
			return err
		}
	}
	if !line.Allowed {
		return refused{}
	}
	return nil
}

// doneLine is what --json prints of reset and block.
type doneLine struct {
	terminal.JSONKey
	Limits  []string `json:"limits"`
	Reset   bool     `json:"reset,omitempty"`
	Blocked int64    `json:"blocked_ms,omitempty"`
}

func (f *limitFlags) done(w io.Writer, key string, all []ratelimit.Limit, what string, line doneLine) error {
	line.JSONKey = terminal.NewJSONKey(key)
	for _, l := range all {
		line.Limits = append(line.Limits, l.String())
	}
	if f.json {
		return printJSON(w, line)
	}
	_, err := fmt.Fprintf(w, "%s %s: %s\n", terminal.Line(key), what, strings.Join(line.Limits, " "))
	return err
}

func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
