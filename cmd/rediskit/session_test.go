package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// visit is the data of the service whose sessions these are.
type visit struct {
	Name string         `redis:"name"`
	Cart map[string]int `redis:"cart,omitempty"`
}

// service has sessions of its own, and puts the key of its tags where the program looks for it.
type service struct {
	*session.Manager[visit]
	key       []byte
	namespace string
	url       string
}

func newService(t *testing.T, c *rediskit.Client, url string) *service {
	t.Helper()
	s := &service{key: make([]byte, session.MinTagKey), namespace: "cli-test-" + rand.Text(), url: url}
	rand.Read(s.key)
	t.Setenv(tagKeyEnv, base64.StdEncoding.EncodeToString(s.key))
	var err error
	s.Manager, err = session.New[visit](c, session.Config{TagKey: s.key, Keys: keys.MustNew(s.namespace)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// login makes a session that ends with the test.
func (s *service) login(t *testing.T, user string, device session.Device) session.Created[visit] {
	t.Helper()
	created, err := s.Create(t.Context(), user, visit{Name: "Ada", Cart: map[string]int{"tea": 2}}, device)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.RevokeUser(context.Background(), user); err != nil {
			t.Error(err)
		}
	})
	return created
}

// args are those of a session command with where the sessions are.
func (s *service) args(args ...string) []string {
	return slices.Concat([]string{"session", "--url", s.url}, args[:1], []string{"--namespace", s.namespace}, args[1:])
}

func (s *service) prints(t *testing.T, args ...string) string {
	t.Helper()
	return succeeds(t, s.args(args...)...)
}

// refuses runs a command whose answer is no.
func (s *service) refuses(t *testing.T, args ...string) string {
	t.Helper()
	o := rediskitRuns(t.Context(), s.args(args...)...)
	if o.code != exitRefused || o.errs != "" {
		t.Errorf("rediskit session %s: exit code %d, stderr %q; want a refusal", strings.Join(args, " "), o.code, o.errs)
	}
	return o.out
}

func (s *service) isThere(t *testing.T, id session.ID) bool {
	t.Helper()
	_, err := s.Get(t.Context(), id)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// eachService runs a test with a service on each kind of server.
func eachService(t *testing.T, test func(t *testing.T, s *service, c *rediskit.Client)) {
	t.Helper()
	each(t, func(t *testing.T, url string, c *rediskit.Client) { test(t, newService(t, c, url), c) })
}

func single(t *testing.T) (*service, *rediskit.Client) {
	t.Helper()
	c := rediskittest.Connect(t, rediskittest.OnSingle)
	return newService(t, c, urlOf(t, rediskittest.OnSingle)), c
}

type sessionLine struct {
	Ref       string
	Created   time.Time
	LastSeen  time.Time `json:"last_seen"`
	Expires   time.Time
	Device    deviceLine
	User      string `json:"user"`
	UserBytes []byte `json:"user_base64"`
	Found     bool
	Data      []pairLine
}

type deviceLine struct {
	Name, IP  string
	NameBytes []byte `json:"name_base64"`
	UserAgent string `json:"user_agent"`
	Extra     []pairLine
}

type pairLine struct {
	Name, Value string
	NameBytes   []byte `json:"name_base64"`
	ValueBytes  []byte `json:"value_base64"`
}

func TestListShowsTheSessionSeenLastFirst(t *testing.T) {
	eachService(t, func(t *testing.T, s *service, _ *rediskit.Client) {
		laptop := s.login(t, "ada", session.Device{Name: "laptop", IP: "192.0.2.7", UserAgent: "Mozilla/5.0"})
		phone := s.login(t, "ada", session.Device{IP: "2001:db8::1", UserAgent: "curl/8", Extra: map[string]string{"app": "3.1"}})
		s.login(t, "bob", session.Device{Name: "other"})

		const when = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`
		want := regexp.MustCompile(`^2 sessions of ada, times in UTC\n\n` +
			`REF +CREATED +LAST SEEN +EXPIRES +IP +DEVICE\n` +
			phone.Ref + `  ` + when + `  ` + when + `  ` + when + `  2001:db8::1  curl/8\n` +
			laptop.Ref + `  ` + when + `  ` + when + `  ` + when + `  192\.0\.2\.7    laptop\n$`)
		if out := s.prints(t, "list", "ada"); !want.MatchString(out) {
			t.Errorf("printed\n%s", out)
		}

		var list struct {
			User     string
			Sessions []sessionLine
		}
		decodeStrictly(t, s.prints(t, "list", "ada", "--json"), &list)
		if list.User != "ada" || len(list.Sessions) != 2 {
			t.Fatalf("got %+v", list)
		}
		for i, want := range []session.Session[visit]{phone.Session, laptop.Session} {
			got := list.Sessions[i]
			if got.Ref != want.Ref || !got.Created.Equal(want.CreatedAt) || !got.LastSeen.Equal(want.LastSeenAt) ||
				!got.Expires.Equal(want.ExpiresAt) || got.Device.IP != want.Device.IP || got.Device.UserAgent != want.Device.UserAgent ||
				got.Device.Name != want.Device.Name {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		if extra := list.Sessions[0].Device.Extra; len(extra) != 1 || extra[0].Name != "app" || extra[0].Value != "3.1" {
			t.Errorf("extra is %+v", extra)
		}
	})
}

func TestCountCounts(t *testing.T) {
	eachService(t, func(t *testing.T, s *service, _ *rediskit.Client) {
		for range 3 {
			s.login(t, "ada", session.Device{})
		}
		for user, want := range map[string]string{"ada": "3\n", "bob": "0\n"} {
			if out := s.prints(t, "count", user); out != want {
				t.Errorf("%s has %q", user, out)
			}
		}
		var counted struct {
			User  string
			Count int
		}
		if decodeStrictly(t, s.prints(t, "count", "ada", "--json"), &counted); counted.User != "ada" || counted.Count != 3 {
			t.Errorf("got %+v", counted)
		}
	})
}

func TestWhoHasNoSessionsMayHaveThemByAnotherKey(t *testing.T) {
	s, _ := single(t)
	const want = "bob has no sessions, by this tag key and namespace\n"
	for _, args := range [][]string{{"list", "bob"}, {"revoke", "bob", "--all"}, {"revoke", "bob", "--all", "--yes"}} {
		if out := s.prints(t, args...); out != want {
			t.Errorf("%s printed %q", args, out)
		}
	}
	s.login(t, "ada", session.Device{})
	t.Setenv(tagKeyEnv, strings.Repeat("0123456789abcdef", 4))
	if out := s.prints(t, "count", "ada"); out != "0\n" {
		t.Errorf("by another key she has %q", out)
	}
}

func TestShowShowsWhatIsStored(t *testing.T) {
	eachService(t, func(t *testing.T, s *service, c *rediskit.Client) {
		created := s.login(t, "ada", session.Device{Name: "laptop", IP: "192.0.2.7", UserAgent: "Mozilla/5.0", Extra: map[string]string{"app": "3.1"}})
		// Another version of the service has a field that this one does not know.
		s.store(t, c, created.ID, "theme", "dark")

		const when = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`
		want := regexp.MustCompile(`^ref         ` + created.Ref + `\nuser        ada\ncreated     ` + when + `\nlast seen   ` + when +
			`\nexpires     ` + when + `\ndevice      laptop\nip          192\.0\.2\.7\nuser agent  Mozilla/5\.0\nextra       app = 3\.1\n\n` +
			`FIELD  SIZE  VALUE\ncart    9 B  {"tea":2}\nname    3 B  Ada\ntheme   4 B  dark\n$`)
		if out := s.prints(t, "show", "ada", created.Ref); !want.MatchString(out) {
			t.Errorf("printed\n%s", out)
		}

		var got sessionLine
		decodeStrictly(t, s.prints(t, "show", "ada", created.Ref, "--json"), &got)
		if !got.Found || got.User != "ada" || got.Ref != created.Ref || got.Device.Name != "laptop" || !got.Expires.Equal(created.ExpiresAt) {
			t.Errorf("got %+v", got)
		}
		fields := map[string]string{}
		for _, pair := range got.Data {
			fields[pair.Name] = pair.Value
		}
		if len(fields) != 3 || fields["cart"] != `{"tea":2}` || fields["name"] != "Ada" || fields["theme"] != "dark" {
			t.Errorf("data are %q", fields)
		}
	})
}

func (s *service) store(t *testing.T, c *rediskit.Client, id session.ID, field, value string) {
	t.Helper()
	tag, ref, _ := strings.Cut(id.Public(), ".")
	err := c.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Hset().Key(keys.MustNew(s.namespace).UserSession(tag, ref).String()).FieldValue().FieldValue(field, value).Build()
	}).Error()
	if err != nil {
		t.Fatal(err)
	}
}

func TestASessionThatThereIsNotIsARefusal(t *testing.T) {
	s, _ := single(t)
	ada := s.login(t, "ada", session.Device{})
	for _, ref := range []string{"AAAAAAAAAAAAAAAA", "A-hAAAAAAAAAAAAA", "A--AAAAAAAAAAAAA"} {
		want := "ada has no session " + ref + ", by this tag key and namespace\n"
		for _, command := range []string{"show", "revoke"} {
			if out := s.refuses(t, command, "ada", ref); out != want {
				t.Errorf("%s printed %q", command, out)
			}
		}
		var shown, revoked struct {
			User, Ref string
			Found     *bool
			Revoked   *int
		}
		decodeStrictly(t, s.refuses(t, "show", "ada", ref, "--json"), &shown)
		decodeStrictly(t, s.refuses(t, "revoke", "ada", ref, "--json"), &revoked)
		if shown.Found == nil || *shown.Found || shown.Ref != ref || revoked.Revoked == nil || *revoked.Revoked != 0 || revoked.User != "ada" {
			t.Errorf("got %+v and %+v", shown, revoked)
		}
	}
	// It is not bob's, whoever has it.
	s.refuses(t, "revoke", "bob", ada.Ref)
	if !s.isThere(t, ada.ID) {
		t.Error("ada is logged out")
	}
}

func TestRevokeEndsOneSession(t *testing.T) {
	eachService(t, func(t *testing.T, s *service, _ *rediskit.Client) {
		first, second := s.login(t, "ada", session.Device{}), s.login(t, "ada", session.Device{})
		if out, want := s.prints(t, "revoke", "ada", first.Ref), "revoked session "+first.Ref+" of ada\n"; out != want {
			t.Errorf("printed %q", out)
		}
		if s.isThere(t, first.ID) || !s.isThere(t, second.ID) {
			t.Error("not the one that was meant")
		}
		s.refuses(t, "revoke", "ada", first.Ref)
		var revoked struct {
			User, Ref string
			Revoked   int
		}
		decodeStrictly(t, s.prints(t, "revoke", "ada", second.Ref, "--json"), &revoked)
		if revoked.Revoked != 1 || revoked.Ref != second.Ref || s.isThere(t, second.ID) {
			t.Errorf("got %+v", revoked)
		}
	})
}

func TestRevokeAllEndsNothingWithoutYes(t *testing.T) {
	eachService(t, func(t *testing.T, s *service, _ *rediskit.Client) {
		var ids []session.ID
		for range 3 {
			ids = append(ids, s.login(t, "ada", session.Device{}).ID)
		}
		bob := s.login(t, "bob", session.Device{}).ID

		want := "would revoke 3 sessions of ada; nothing was revoked (--yes revokes)\n"
		if out := s.prints(t, "revoke", "ada", "--all"); out != want {
			t.Errorf("printed %q", out)
		}
		var answer struct {
			User    string
			Would   int `json:"would_revoke"`
			Revoked int
		}
		if decodeStrictly(t, s.prints(t, "revoke", "ada", "--all", "--json"), &answer); answer.Would != 3 || answer.User != "ada" {
			t.Errorf("got %+v", answer)
		}
		for _, id := range ids {
			if !s.isThere(t, id) {
				t.Fatal("a dry run ended a session")
			}
		}
		if out := s.prints(t, "revoke", "ada", "--all", "--yes"); out != "revoked 3 sessions of ada\n" {
			t.Errorf("printed %q", out)
		}
		for _, id := range ids {
			if s.isThere(t, id) {
				t.Error("a session is left")
			}
		}
		if decodeStrictly(t, s.prints(t, "revoke", "bob", "--all", "--yes", "--json"), &answer); answer.Revoked != 1 || s.isThere(t, bob) {
			t.Errorf("got %+v", answer)
		}
	})
}

// What docs/cli.md says to do to end the sessions of all users.
func TestDeletingTheIndexesLogsEverybodyOut(t *testing.T) {
	eachService(t, func(t *testing.T, s *service, _ *rediskit.Client) {
		ctx := t.Context()
		var read []session.Session[visit]
		for i := range 20 {
			for range 2 {
				read = append(read, s.login(t, fmt.Sprint("user-", i), session.Device{}).Session)
			}
		}
		visitor, err := s.Anonymous(ctx, visit{}, session.Device{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Delete(context.Background(), visitor.ID) })
		read = append(read, visitor)

		out := succeeds(t, "delete", s.namespace+"/user:sessions:*", "--yes", "--url", s.url)
		if out != "deleted 21 keys\n" {
			t.Errorf("printed %q", out)
		}
		for _, before := range read {
			// What was under way does not bring them back.
			_, errTouch := s.Touch(ctx, before.ID)
			_, errSave := s.Save(ctx, before.ID, before.Version, visit{Name: "late"})
			_, errRotate := s.Rotate(ctx, before.ID, time.Minute)
			for _, err := range []error{errTouch, errSave, errRotate} {
				if !errors.Is(err, session.ErrNotFound) {
					t.Errorf("after it: %v", err)
				}
			}
			if s.isThere(t, before.ID) {
				t.Errorf("%s of %q is logged in", before.Ref, before.UserID)
			}
		}
		again := s.login(t, "user-1", session.Device{})
		if again.Count != 1 || !s.isThere(t, again.ID) {
			t.Errorf("logged in again, she has %d sessions", again.Count)
		}
	})
}

func TestASessionWithoutDataIsShown(t *testing.T) {
	s, c := single(t)
	type nothing struct {
		Nick string `redis:"nick,omitempty"`
	}
	m, err := session.New[nothing](c, session.Config{TagKey: s.key, Keys: keys.MustNew(s.namespace)})
	if err != nil {
		t.Fatal(err)
	}
	created, err := m.Create(t.Context(), "ada", nothing{}, session.Device{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.RevokeUser(context.Background(), "ada")
	if out := s.prints(t, "show", "ada", created.Ref); !strings.HasSuffix(out, "UTC\nno data\n") {
		t.Errorf("printed\n%s", out)
	}
}

func TestMistakesAboutSessionsAreFoundBeforeAnythingIsDone(t *testing.T) {
	t.Setenv(tagKeyEnv, strings.Repeat("ab", 32))
	const ref = " AAAAAAAAAAAAAAAA"
	for _, row := range []struct{ args, want string }{
		{"session lst", `unknown command "lst", did you mean list?`},
		{"session list", "no USER: want the ID of one"},
		{"session count", "no USER"},
		{"session list ada bob", "2 arguments, want one USER"},
		{"session show", "no USER and no REF"},
		{"session show ada", "no REF: want one as session list shows them"},
		{"session show ada x", "the REF is none: want the 16 characters that session list shows"},
		{"session show ada" + ref + ref, "3 arguments, want USER and REF"},
		{"session revoke ada", "no REF: want one as session list shows them, or --all"},
		{"session revoke ada --all" + ref, "a REF and --all: want one of them"},
		{"session revoke --all", "no USER"},
		{"session list ada --namespace a:b", "--namespace: "},
		{"session list !!! --base64", "the USER is not base64, as --base64 says"},
		{"session list = --base64", "the USER is empty"},
		{"session list " + strings.Repeat("u", session.MaxUserID+1), "the USER has 1025 bytes: at most 1024"},
	} {
		if o := fails(t, exitUsage, strings.Fields(row.args+" --url redis://127.0.0.1:1")...); !strings.Contains(o.errs, row.want) || o.out != "" {
			t.Errorf("rediskit %s: stderr %q, want %q; stdout %q", row.args, o.errs, row.want, o.out)
		}
	}
	if o := fails(t, exitUsage, "session", "list", "", "--url", "redis://127.0.0.1:1"); !strings.Contains(o.errs, "the USER is empty") {
		t.Errorf("stderr %q", o.errs)
	}
}

func TestSessionsOfAServerThatIsNotThereAreAFailure(t *testing.T) {
	t.Setenv(tagKeyEnv, strings.Repeat("ab", 32))
	for _, args := range []string{"list ada", "count ada", "show ada AAAAAAAAAAAAAAAA", "revoke ada AAAAAAAAAAAAAAAA", "revoke ada --all --yes"} {
		fails(t, exitFailed, strings.Fields("session "+args+" --url redis://127.0.0.1:1")...)
	}
}

func TestSessionsThatCannotBePrintedAreAFailure(t *testing.T) {
	s, _ := single(t)
	ref := s.login(t, "ada", session.Device{}).Ref
	for _, args := range []string{"list ada", "list bob", "list ada --json", "count ada", "count ada --json", "show ada " + ref, "show ada " + ref + " --json",
		"show ada AAAAAAAAAAAAAAAA", "revoke ada --all", "revoke bob " + ref, "revoke ada " + ref} {
		var errs strings.Builder
		code := run(t.Context(), s.args(strings.Fields(args)...), full{}, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), "disk full") {
			t.Errorf("rediskit session %s: exit code %d, stderr %q", args, code, errs.String())
		}
	}
}
