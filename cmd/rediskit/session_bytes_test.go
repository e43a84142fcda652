package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// Whatever is asked, and whatever is put where it does not belong.
func TestNoOutputContainsASecretOrTheTagKey(t *testing.T) {
	s, c := single(t)
	created := s.login(t, "ada", session.Device{Name: "laptop"})
	rotated, err := s.Rotate(t.Context(), created.ID, time.Minute) // the hash of the old secret is kept for its grace
	if err != nil {
		t.Fatal(err)
	}
	s.store(t, c, rotated, "theme", "dark")
	ref, id := created.Ref, rotated.Reveal()

	var secrets []string
	add := func(raw []byte) {
		secrets = append(secrets, string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
			base64.RawStdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw))
	}
	for _, id := range []session.ID{created.ID, rotated} {
		secret, err := base64.RawURLEncoding.DecodeString(id.Reveal()[len(id.Public())+1:])
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(secret)
		add(secret)
		add(sum[:])
	}
	add(s.key)

	text := base64.StdEncoding.EncodeToString(s.key)
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	for _, args := range [][]string{
		{"list", "ada"}, {"count", "ada"}, {"show", "ada", ref}, {"revoke", "ada", "--all"}, {"revoke", "ada", "AAAAAAAAAAAAAAAA"},
		{"show", "ada", id}, {"revoke", "ada", id}, {"list", id}, {"count", id}, {"show", id, ref}, {"show", "ada"}, {"revoke", "ada"},
		{"list", "--", id}, {"list", "ada", id}, {"show", "ada", ref, id}, {"count", "ada", "--base64"},
		{"show", "ada", "-" + id[1:]}, {"list", "-" + id[1:]}, {"show", "-" + id[1:], ref},
		{"list", "ada", "--tag-key-file", file}, {"list", "ada", "--tag-key-file", text}, {"list", "ada", "--tag-key-file", file + ".none"},
		{"list", "ada", "--url", "redis://127.0.0.1:1"}, {"revoke", "ada", ref}, {"revoke", "ada", "--all", "--yes"},
	} {
		commands = append(commands, args, append(slices.Clone(args), "--json"))
	}
	run := func(args []string) {
		t.Helper()
		o := rediskitRuns(t.Context(), s.args(args...)...)
		for _, secret := range secrets {
			if strings.Contains(o.out+o.errs, secret) {
				t.Errorf("rediskit session %s printed a secret:\n%s%s", args, o.out, o.errs)
			}
		}
	}
	for _, env := range []string{text, hex.EncodeToString(s.key), text[:20], text + "!", ""} {
		t.Setenv(tagKeyEnv, env)
		for _, args := range commands {
			run(args)
		}
	}
	run([]string{"list", "--help"})
}

func TestTheTagKeyIsHexOrBase64InTheEnvironmentOrAFile(t *testing.T) {
	s, _ := single(t)
	// Its two alphabets differ in base64.
	s.key = bytes.Repeat([]byte{0xfb, 0xff, 0xbf, 0x10}, 8)
	m, err := session.New[visit](rediskittest.Connect(t, rediskittest.OnSingle), session.Config{TagKey: s.key, Keys: keys.MustNew(s.namespace)})
	if err != nil {
		t.Fatal(err)
	}
	s.Manager = m
	s.login(t, "ada", session.Device{})
	file := filepath.Join(t.TempDir(), "key")
	for _, text := range []string{
		hex.EncodeToString(s.key), strings.ToUpper(hex.EncodeToString(s.key)) + "\n",
		base64.StdEncoding.EncodeToString(s.key) + "\n", base64.RawStdEncoding.EncodeToString(s.key),
		base64.URLEncoding.EncodeToString(s.key), base64.RawURLEncoding.EncodeToString(s.key) + "\r\n",
	} {
		t.Setenv(tagKeyEnv, text)
		if out := s.prints(t, "count", "ada"); out != "1\n" {
			t.Errorf("by %q of the environment she has %q", text, out)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, env := range []string{"", "not a key", strings.Repeat("ab", 32)} {
			t.Setenv(tagKeyEnv, env)
			if out := s.prints(t, "count", "ada", "--tag-key-file", file); out != "1\n" {
				t.Errorf("by %q of a file she has %q", text, out)
			}
		}
	}
}

func TestABadTagKeyIsNamedBeforeAnythingIsDone(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const ok = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, row := range []struct{ env, file, want string }{
		{"", "", "no tag key: want session.Config.TagKey of the services in hex or base64 in REDISKIT_SESSION_TAG_KEY"},
		{" \n", "", "no tag key"},
		{ok[:62], "", "REDISKIT_SESSION_TAG_KEY: want at least 32 bytes in hex or base64"},
		{"MDEyMzQ1Njc4OWFiY2RlZg==", "", "REDISKIT_SESSION_TAG_KEY: want at least 32 bytes"},
		{strings.Repeat("key ", 20), "", "REDISKIT_SESSION_TAG_KEY: want at least 32 bytes in hex or base64"},
		{ok, file("short", ok[:62]), "--tag-key-file: want at least 32 bytes in hex or base64"},
		{ok, file("empty", ""), "--tag-key-file: want at least 32 bytes"},
		{ok, file("raw", "\x00\xff"+ok), "--tag-key-file: want at least 32 bytes"},
		{ok, filepath.Join(dir, "none"), "--tag-key-file: no such file or directory"},
		{ok, dir, "--tag-key-file: is a directory"},
	} {
		t.Setenv(tagKeyEnv, row.env)
		args := []string{"session", "list", "ada", "--url", "redis://127.0.0.1:1"}
		if row.file != "" {
			args = append(args, "--tag-key-file", row.file)
		}
		if o := fails(t, exitUsage, args...); !strings.Contains(o.errs, row.want) || o.out != "" {
			t.Errorf("%q, %q: stderr %q, want %q", row.env, row.file, o.errs, row.want)
		}
	}
}

func TestUserIDsOfAnyBytesCanBeNamed(t *testing.T) {
	s, _ := single(t)
	odd := "\x00\xff\x1b[2J\n"
	encoded := base64.StdEncoding.EncodeToString([]byte(odd))
	for _, row := range []struct {
		user, shown string
		args        []string
	}{
		{odd, `"\x00\xff\x1b[2J\n"`, []string{encoded, "--base64"}},
		{odd, `"\x00\xff\x1b[2J\n"`, []string{base64.RawURLEncoding.EncodeToString([]byte(odd)), "--base64"}},
		{"--json", "--json", []string{"--", "--json"}},
		{"a user: *", "a user: *", []string{"a user: *"}},
		{"Zoë", "Zoë", []string{"Zoë"}},
	} {
		ref := s.login(t, row.user, session.Device{}).Ref
		if out := s.prints(t, append([]string{"list"}, row.args...)...); !strings.HasPrefix(out, "1 session of "+row.shown+",") {
			t.Errorf("list of %q printed\n%s", row.user, out)
		}
		out := s.prints(t, slices.Concat([]string{"revoke"}, row.args, []string{ref})...)
		if want := "revoked session " + ref + " of " + row.shown + "\n"; out != want {
			t.Errorf("revoke printed %q, want %q", out, want)
		}
	}
	var counted struct {
		User  []byte `json:"user_base64"`
		Count int
	}
	decodeStrictly(t, s.prints(t, "count", encoded, "--base64", "--json"), &counted)
	if string(counted.User) != odd {
		t.Errorf("got %+v", counted)
	}
}

func TestNothingInASessionCommandsTheTerminal(t *testing.T) {
	s, c := single(t)
	const evil = "\x1b]0;owned\a\r\n\u202eevil\x00\xff"
	created := s.login(t, "ada", session.Device{Name: evil, IP: "\x1b[31m", UserAgent: strings.Repeat("Ü", 400), Extra: map[string]string{evil: evil}})
	s.store(t, c, created.ID, evil, evil)
	s.store(t, c, created.ID, "long", strings.Repeat("é", 5000))

	list := s.prints(t, "list", "ada")
	shown := s.prints(t, "show", "ada", created.Ref)
	for _, out := range []string{list, shown} {
		for _, r := range strings.ReplaceAll(out, "\n", "") {
			if r == '\u202e' || r == '\ufffd' || r < ' ' {
				t.Errorf("%q is in\n%s", r, out)
			}
		}
	}
	if n := strings.Count(list, "\n"); n != 4 {
		t.Errorf("%d lines for one session:\n%s", n, list)
	}
	for _, want := range []string{`device      "\x1b]0;owned\a\r\n\u202eevil\x00\xff"`, "9.8 KiB  " + strings.Repeat("é", 200) + "…\n",
		"user agent  " + strings.Repeat("Ü", 200) + "…\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}

	var got sessionLine
	decodeStrictly(t, s.prints(t, "show", "ada", created.Ref, "--json"), &got)
	if string(got.Device.NameBytes) != evil || string(got.Device.Extra[0].NameBytes) != evil || string(got.Device.Extra[0].ValueBytes) != evil {
		t.Errorf("the device in JSON is %+v", got.Device)
	}
	if !slices.ContainsFunc(got.Data, func(p pairLine) bool { return string(p.NameBytes) == evil && string(p.ValueBytes) == evil }) ||
		!slices.ContainsFunc(got.Data, func(p pairLine) bool { return p.Name == "long" && len(p.Value) == 10_000 }) {
		t.Errorf("the data in JSON are %+v", got.Data)
	}
}
