package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/session"
)

// tagKeyEnv is where the key of the tags comes from: not from the command line, which everybody on a machine can read.
const tagKeyEnv = "REDISKIT_SESSION_TAG_KEY"

const sessionForms = `USER is the user's ID as the services have it. One that begins with a dash comes after --, and with --base64 it is
base64, for what cannot be typed.

Sessions are found by a keyed hash of the USER. Its key, session.Config.TagKey of the services, is in hex or base64 in
` + tagKeyEnv + ` or in the file that --tag-key-file names. With another key, or another --namespace, there
are no sessions to be found. It is never printed, nor is the secret of a session.`

func (a *app) session() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "session",
		Short: "Look at the sessions of a user, and end them",
		Long: `Works with the sessions of package session: lists and counts those of a user, shows what one holds, and
ends one or all of them.

` + sessionForms,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(a.sessionList(), a.sessionShow(), a.sessionRevoke(), a.sessionCount())
	return cmd
}

// sessionFlags are those of a command on the sessions of a user.
type sessionFlags struct {
	namespace, tagKeyFile string
	base64, json          bool
}

func (f *sessionFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.namespace, "namespace", "", "that of the sessions' keys")
	flags.StringVar(&f.tagKeyFile, "tag-key-file", "", "a file with the services' TagKey in hex or base64; overrides "+tagKeyEnv)
	flags.BoolVar(&f.base64, "base64", false, "USER is base64")
	flags.BoolVar(&f.json, "json", false, "print JSON")
}

// stored stands for the data of sessions, whatever they are: they are shown as they are stored, and never decoded.
type stored struct{ Any string }

type sessions = session.Manager[stored]

// sessions connects, and has do work with the sessions of a user.
func (f *sessionFlags) sessions(a *app, cmd *cobra.Command, arg string, do func(m *sessions, user string) error) error {
	user, err := f.user(arg)
	if err != nil {
		return err
	}
	var cfg session.Config
	if cfg.Keys, err = namespaced(f.namespace); err != nil {
		return err
	}
	if cfg.TagKey, err = tagKey(f.tagKeyFile); err != nil {
		return err
	}
	client, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer client.Close()
	m, err := session.New[stored](client, cfg)
	if err != nil {
		return err
	}
	return do(m, user)
}

// user reads the argument USER.
func (f *sessionFlags) user(arg string) (string, error) {
	user := arg
	if f.base64 {
		decoded, err := decodeBase64(arg)
		if err != nil {
			return "", usagef("the USER is not base64, as --base64 says")
		}
		user = string(decoded)
	}
	switch {
	case user == "":
		return "", usagef("the USER is empty")
	case len(user) > session.MaxUserID:
		return "", usagef("the USER has %d bytes: at most %d", len(user), session.MaxUserID)
	case isSessionID(user):
		return "", usagef("the USER is the ID of a session, which is a secret: want the ID of a user")
	}
	return user, nil
}

// isSessionID reports whether somebody took what is in a cookie for something else. It must not be shown.
func isSessionID(arg string) bool {
	_, err := session.ParseID(arg)
	return err == nil
}

// tagKey reads the key of the tags. Its errors show neither the key nor the name of the file, in whose place somebody may
// have put the key itself.
func tagKey(file string) ([]byte, error) {
	text, from := os.Getenv(tagKeyEnv), tagKeyEnv
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			if path := (*fs.PathError)(nil); errors.As(err, &path) {
				err = path.Err
			}
			return nil, usagef("--tag-key-file: %w", err)
		}
		text, from = string(content), "--tag-key-file"
	}
	text = strings.TrimSpace(text)
	if text == "" && file == "" {
		return nil, usagef("no tag key: want session.Config.TagKey of the services in hex or base64 in %s, or in a file named by --tag-key-file", tagKeyEnv)
	}
	// Hex can be read as base64, and would be another key. Random bytes in base64 never look like hex.
	key, err := hex.DecodeString(text)
	if err != nil {
		key, err = decodeBase64(text)
	}
	if err != nil || len(key) < session.MinTagKey {
		return nil, usagef("%s: want at least %d bytes in hex or base64", from, session.MinTagKey)
	}
	return key, nil
}

// decodeBase64 takes either alphabet, with or without padding.
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding.DecodeString(text)
	}
	return base64.RawStdEncoding.DecodeString(text)
}

// oneUser is for the arguments of a command on a user.
func oneUser(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("no USER: want the ID of one")
	}
	if len(args) > 1 {
		return fmt.Errorf("%d arguments, want one USER", len(args))
	}
	return nil
}

var refPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{16}$`)

// userAndRef is for the arguments of a command on a session.
func userAndRef(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("no USER and no REF: want the ID of a user, and a REF as session list shows them")
	case len(args) == 1:
		return errors.New("no REF: want one as session list shows them")
	case len(args) > 2:
		return fmt.Errorf("%d arguments, want USER and REF", len(args))
	case isSessionID(args[1]):
		return errors.New("the REF is a whole ID, which is a secret: want its middle part, between the dots")
	case !refPattern.MatchString(args[1]):
		return errors.New("the REF is none: want the 16 characters that session list shows")
	}
	return nil
}

// idLast keeps a whole ID, which does not belong here and begins with a dash once in 64 times, from being taken for flags and
// shown, secret and all, in an error about them.
func idLast(args []string) []string {
	if !slices.Contains(args, "session") || slices.Contains(args, "--") {
		return args
	}
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") && isSessionID(arg) })
	if i < 0 {
		return args
	}
	return slices.Concat(args[:i], args[i+1:], []string{"--", args[i]})
}

func (a *app) sessionList() *cobra.Command {
	var f sessionFlags
	cmd := &cobra.Command{
		Use:   "list USER",
		Short: "List a user's sessions",
		Long: `Lists a user's sessions, the one seen last first: refs, times in UTC, and devices as the logins saw them.

` + sessionForms,
		Example: "  rediskit session list user-42 --namespace shop",
		Args:    oneUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.sessions(a, cmd, args[0], func(m *sessions, user string) error {
				all, err := m.List(cmd.Context(), user)
				if err != nil {
					return err
				}
				return f.printList(a.out, user, all)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) sessionShow() *cobra.Command {
	var f sessionFlags
	cmd := &cobra.Command{
		Use:   "show USER REF",
		Short: "Show a session, and the data in it",
		Long: `Shows a session of a user, and its data as they are stored; --json does not shorten them. The session does not count
as seen by that. If there is no such session, the exit code is 3.

` + sessionForms,
		Example: "  rediskit session show user-42 TuA4UhVRkhSm7gdD --namespace shop",
		Args:    userAndRef,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.sessions(a, cmd, args[0], func(m *sessions, user string) error {
				info, values, err := m.Inspect(cmd.Context(), user, args[1])
				if errors.Is(err, session.ErrNotFound) {
					return f.noSession(a.out, user, args[1], "found", false)
				}
				if err != nil {
					return err
				}
				return f.printSession(a.out, user, info, values)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) sessionRevoke() *cobra.Command {
	var f sessionFlags
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "revoke USER REF | revoke USER --all",
		Short: "End one session of a user, or with --all and --yes all of them",
		Long: `Ends a session of a user, or with --all all of them. When it is done, no request that is under way makes the
session valid again. If there is no such session, the exit code is 3. With --all and without --yes it ends nothing
and tells how many sessions there are to end.

` + sessionForms,
		Example: "  rediskit session revoke user-42 TuA4UhVRkhSm7gdD\n  rediskit session revoke user-42 --all --yes",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 1:
				return errors.New("a REF and --all: want one of them")
			case all:
				return oneUser(cmd, args)
			case len(args) == 1:
				return errors.New("no REF: want one as session list shows them, or --all")
			}
			return userAndRef(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.sessions(a, cmd, args[0], func(m *sessions, user string) error {
				if all {
					return f.revokeAll(cmd.Context(), a, m, user, yes)
				}
				ended, err := m.Revoke(cmd.Context(), user, args[1])
				if err != nil {
					return err
				}
				if !ended {
					return f.noSession(a.out, user, args[1], "revoked", 0)
				}
				if f.json {
					return printJSON(a.out, about(user, object{"ref": args[1], "revoked": 1}))
				}
				_, err = fmt.Fprintf(a.out, "revoked session %s of %s\n", args[1], terminal.Line(user))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all sessions of the user")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --all: end them, and do not only tell how many there are")
	f.add(cmd)
	return cmd
}

func (f *sessionFlags) revokeAll(ctx context.Context, a *app, m *sessions, user string, yes bool) error {
	revoke, done := m.Count, "would_revoke"
	if yes {
		revoke, done = m.RevokeUser, "revoked"
	}
	n, err := revoke(ctx, user)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(a.out, about(user, object{done: n}))
	}
	name := terminal.Line(user)
	switch {
	case n == 0:
		_, err = fmt.Fprintln(a.out, noSessions(user))
	case yes:
		_, err = fmt.Fprintf(a.out, "revoked %s of %s\n", sessionCount(n), name)
	default:
		_, err = fmt.Fprintf(a.out, "would revoke %s of %s; nothing was revoked (--yes revokes)\n", sessionCount(n), name)
	}
	return err
}

func (a *app) sessionCount() *cobra.Command {
	var f sessionFlags
	cmd := &cobra.Command{
		Use:   "count USER",
		Short: "Count a user's sessions",
		Long: `Prints how many sessions a user has. Those that have expired do not count.

` + sessionForms,
		Example: "  rediskit session count user-42 --namespace shop",
		Args:    oneUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.sessions(a, cmd, args[0], func(m *sessions, user string) error {
				n, err := m.Count(cmd.Context(), user)
				if err != nil {
					return err
				}
				if f.json {
					return printJSON(a.out, about(user, object{"count": n}))
				}
				_, err = fmt.Fprintln(a.out, n)
				return err
			})
		},
	}
	f.add(cmd)
	return cmd
}
