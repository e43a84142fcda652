package session_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

func TestNewNamesTheFieldOfTheConfigThatIsWrong(t *testing.T) {
	c := rediskittest.Embedded(t)
	for says, cfg := range map[string]session.Config{
		"Config.TagKey has 0 bytes":                   {TagKey: []byte{}},
		"Config.TagKey has 31 bytes":                  {TagKey: make([]byte, 31)},
		"Config.TTL is 999µs":                         {TTL: 999 * time.Microsecond},
		"Config.TTL is 87600h0m1s":                    {TTL: session.MaxTTL + time.Second},
		"Config.AbsoluteTTL is 1ns":                   {AbsoluteTTL: 1},
		"Config.TTL and AbsoluteTTL are both off":     {TTL: -1, AbsoluteTTL: -1},
		"Config.MaxPerUser is 1001":                   {MaxPerUser: 1001},
		"Config.OnLimit is 2":                         {OnLimit: 2},
		"Config.OnLimit is -1":                        {OnLimit: -1},
		"Config.TouchFraction is 1":                   {TouchFraction: 1},
		"Config.TouchFraction is NaN":                 {TouchFraction: math.NaN()},
		"Config.TouchFraction is +Inf":                {TouchFraction: math.Inf(1)},
		"Config.StreamMaxLen is -1: a stream of even": {StreamMaxLen: -1},
	} {
		if cfg.TagKey == nil {
			cfg.TagKey = tagKey
		}
		if _, err := session.New[Visit](c, cfg); err == nil || !strings.HasPrefix(err.Error(), "session: "+says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
	if _, err := session.New[Visit](nil, session.Config{TagKey: tagKey}); err == nil || err.Error() != "session: client is nil" {
		t.Error(err)
	}
}

func TestNewNamesTheFieldOfTheStructThatCannotBeStored(t *testing.T) {
	c := rediskittest.Embedded(t)
	cfg := session.Config{TagKey: tagKey}
	second := func(_ any, err error) error { return err }
	for says, err := range map[string]error{
		".A: type chan int: a chan": second(session.New[struct{ A chan int }](c, cfg)),
		".A: type func()":           second(session.New[struct{ A func() }](c, cfg)),
		".A: type interface {}":     second(session.New[struct{ A any }](c, cfg)),
		".A: type struct { B []*struct { C chan int } }: B: C: a chan cannot be stored": second(session.New[struct {
			A struct{ B []*struct{ C chan int } }
		}](c, cfg)),
		".A: type map[string]func(): a func cannot be stored": second(session.New[struct{ A map[string]func() }](c, cfg)),
		"has no fields to keep":                               second(session.New[struct{ a int }](c, cfg)),
		"int is not a struct":                                 second(session.New[int](c, cfg)),
		"has 1001 fields: at most 1000": second(session.New[struct {
			wide
			OneMore int
		}](c, cfg)),
		"*session_test.Visit is not a stru": second(session.New[*Visit](c, cfg)),
		`.A: the name ":s" begins with ':'`: second(session.New[struct {
			A int `redis:":s"`
		}](c, cfg)),
		`.B: the name ":other" begins with ':'`: second(session.New[struct {
			A int
			B int `redis:":other,omitempty"`
		}](c, cfg)),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "session: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

func TestNewTakesWhatIsLeftOutOrWritesItself(t *testing.T) {
	type node struct {
		Next  *node
		Other map[string][]node
		Call  func() `json:"-"`
	}
	m := managerOf[struct {
		A node
		B map[string]any
		C struct{ At *time.Time }
	}](t, rediskittest.Embedded(t), session.Config{})
	if m == nil {
		t.Fatal("it is refused")
	}
}

// closed is a Manager whose client is closed: whatever reaches the network fails with ErrClosed.
func closed(t *testing.T) *session.Manager[Visit] {
	t.Helper()
	c := rediskittest.Embedded(t)
	m, err := session.New[Visit](c, session.Config{TagKey: tagKey})
	ok(t, err)
	c.Close()
	if _, err := m.Count(t.Context(), "ada"); !errors.Is(err, rediskit.ErrClosed) {
		t.Fatal(err)
	}
	return m
}

func TestAMalformedIDCostsNoRoundTrip(t *testing.T) {
	m := closed(t)
	ctx := t.Context()
	good := strings.Repeat("A", 22) + "." + strings.Repeat("B", 16) + "." + strings.Repeat("C", 42) + "A"
	if id, err := session.ParseID(good); err != nil || id.Reveal() != good {
		t.Fatal(err)
	}
	change := func(at int, with string) string { return good[:at] + with + good[at+len(with):] }
	for _, text := range []string{
		"", ".", "..", "a.b.c", good + ".", "." + good, good[:61], good + strings.Repeat("A", 44), strings.Repeat("A", 1<<20),
		change(22, "-"), change(39, "_"), change(0, "="), change(3, "*"), change(3, "}"), change(30, ":"), change(30, "\x00"), change(50, "/"), change(50, "+"),
		change(5, "\n"), change(30, "\r"), change(60, "\n"), change(21, "B"), change(82, "B"), change(82, "="), change(81, "=="),
		strings.Replace(good, ".", "..", 1), good[:40] + "AAAA", good + "\n", " " + good, good[:22] + "." + good[23:39] + ".ééé" + good[46:],
	} {
		id, err := session.ParseID(text)
		if !errors.Is(err, session.ErrInvalidID) || !errors.Is(err, session.ErrNotFound) || !id.IsZero() {
			t.Errorf("%q: %v, %v", text, id, err)
		}
		if err != nil && len(text) > 3 && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows what was presented: %v", err)
		}
		if _, err := m.Get(ctx, id); !errors.Is(err, session.ErrInvalidID) || !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Get of %q: %v", text, err)
		}
	}
	var zero session.ID
	_, err := m.Touch(ctx, zero)
	errs := map[string]error{"Touch": err}
	_, errs["Update"] = m.Update(ctx, zero, func(*Visit) error { t.Error("called"); return nil })
	_, errs["Save"] = m.Save(ctx, zero, 1, Visit{})
	_, errs["Incr"] = m.Incr(ctx, zero, "views", 1)
	_, errs["Rotate"] = m.Rotate(ctx, zero, 0)
	_, errs["RevokeOthers"] = m.RevokeOthers(ctx, zero)
	for name, err := range errs {
		var oe *rediskit.OpError
		if !errors.Is(err, session.ErrInvalidID) || !errors.As(err, &oe) || oe.Op != "session."+name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.Delete(ctx, zero); err != nil {
		t.Error(err)
	}
}

func TestArgumentsAreCheckedBeforeTheNetwork(t *testing.T) {
	m := closed(t)
	ctx := t.Context()
	id := must(session.ParseID(strings.Repeat("A", 22) + "." + strings.Repeat("B", 16) + "." + strings.Repeat("A", 43)))(t)
	long := strings.Repeat("x", session.MaxUserID+1)
	refuse := func(op, says string, err error) {
		t.Helper()
		var oe *rediskit.OpError
		if !errors.As(err, &oe) || oe.Op != op || !strings.Contains(err.Error(), says) || errors.Is(err, rediskit.ErrClosed) {
			t.Errorf("want an error of %s that says %q, got %v", op, says, err)
		}
	}
	for says, userID := range map[string]string{"empty user ID": "", "the user ID has 1025 bytes": long} {
		_, err := m.Create(ctx, userID, ada, phone)
		refuse("session.Create", says, err)
		_, err = m.Login(ctx, id, userID, nil, phone)
		refuse("session.Login", says, err)
		_, err = m.List(ctx, userID)
		refuse("session.List", says, err)
		_, err = m.Count(ctx, userID)
		refuse("session.Count", says, err)
		_, err = m.Revoke(ctx, userID, id.Ref())
		refuse("session.Revoke", says, err)
		_, err = m.RevokeUser(ctx, userID)
		refuse("session.RevokeUser", says, err)
		_, _, err = m.Inspect(ctx, userID, id.Ref())
		refuse("session.Inspect", says, err)
	}
	extras := map[string]string{}
	for i := range session.MaxExtras + 1 {
		extras[user(i)] = ""
	}
	for says, d := range map[string]session.Device{
		"Device.IP has 65 bytes":      {IP: long[:65]},
		"Device.Name has 129 bytes":   {Name: long[:129]},
		"Device.Extra has 17 entries": {Extra: extras},
		"Device.Extra has 1025 bytes": {Extra: map[string]string{"a": long[:1000], "b": long[:23]}},
	} {
		_, err := m.Create(ctx, "ada", ada, d)
		refuse("session.Create", says, err)
		_, err = m.Anonymous(ctx, ada, d)
		refuse("session.Anonymous", says, err)
		_, err = m.Login(ctx, id, "ada", nil, d)
		refuse("session.Login", says, err)
	}
	for says, opt := range map[string]session.CreateOption{
		"WithSecret: 0 bytes":                session.WithSecret(nil),
		"WithSecret: 15 bytes":               session.WithSecret(make([]byte, 15)),
		"WithSecret: 65 bytes":               session.WithSecret(make([]byte, 65)),
		"WithTimeouts: TTL is 1ns":           session.WithTimeouts(1, 0),
		"WithTimeouts: AbsoluteTTL is 999µs": session.WithTimeouts(0, 999*time.Microsecond),
		"WithTimeouts: TTL and AbsoluteTTL":  session.WithTimeouts(-1, -1),
	} {
		_, err := m.Create(ctx, "ada", ada, phone, opt)
		refuse("session.Create", says, err)
	}
	for says, d := range map[string][2]time.Duration{
		"TTL is 1ns":              {1, 0},
		"AbsoluteTTL is 999µs":    {0, 999 * time.Microsecond},
		"TTL is 87600h0m1s":       {session.MaxTTL + time.Second, 0},
		"TTL and AbsoluteTTL are": {-1, -1},
	} {
		_, err := m.SetTimeouts(ctx, id, d[0], d[1])
		refuse("session.SetTimeouts", says, err)
	}
	refuse("session.AddFlash", "more than 4096 bytes of messages", m.AddFlash(ctx, id, strings.Repeat("x", session.MaxFlashes)))
	_, err := m.Incr(ctx, id, "nmae", 1)
	refuse("session.Incr", `has no field "nmae"`, err)
	_, err = m.Incr(ctx, id, "name", 1)
	refuse("session.Incr", "Name is not an integer", err)
	_, err = m.Incr(ctx, id, ":v", 1)
	refuse("session.Incr", "has no field", err)
	for _, grace := range []time.Duration{-1, 1, session.MaxTTL + 1} {
		_, err = m.Rotate(ctx, id, grace)
		refuse("session.Rotate", "the grace is", err)
	}
	// A ref that cannot be one is no session's.
	for _, ref := range []string{"", "x", strings.Repeat("B", 17), "../../etc/passwd", strings.Repeat("B", 15) + "}", strings.Repeat("B", 15) + "\n"} {
		if ended, err := m.Revoke(ctx, "ada", ref); ended || err != nil {
			t.Errorf("ref %q: %v, %v", ref, ended, err)
		}
	}
}

func TestUserIDsMayBeAnyBytes(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{MaxPerUser: 1})
		ctx := t.Context()
		hostile := []string{
			"\x00", "\x00\x00", "{", "}", "{}", "a}b{c", "*", "[a-z]", "a:b", "a b", "\r\nDEL x\r\n", "\xff\xfe", "é", "e\u0301", "%7B", "%empty", "..",
			"' OR 1=1", "$(rm)", "<script>", strings.Repeat("x", session.MaxUserID), strings.Repeat("x", session.MaxUserID-1), "-1", "ada", "Ada", "ada ",
		}
		ids := map[string]session.ID{}
		for _, userID := range hostile {
			s := must(m.Create(ctx, userID, Visit{Name: userID}, session.Device{Name: userID[:min(len(userID), 100)]}))(t)
			ids[userID] = s.ID
		}
		for _, userID := range hostile {
			s := must(m.Get(ctx, ids[userID]))(t)
			if s.UserID != userID || s.Data.Name != userID || s.Device.Name != userID[:min(len(userID), 100)] {
				t.Errorf("%q came back as %+v", userID, s)
			}
			equal(t, "count", must(m.Count(ctx, userID))(t), 1)
			equal(t, "revoked", must(m.RevokeUser(ctx, userID))(t), 1)
			gone(t, m, ids[userID])
		}
		equal(t, "keys", len(keysOf(t, c, m.Keys())), 0)
	})
}

func TestADeviceKeepsAnyBytes(t *testing.T) {
	everywhere(t, func(t *testing.T, c *rediskit.Client) {
		m := manager(t, c, session.Config{})
		ctx := t.Context()
		for _, d := range []session.Device{
			{},
			{IP: "\x00", UserAgent: "1:2:3", Name: " 0 0 0 0 ", Extra: map[string]string{"": "", "\xff": "\x00\n", ":": "9:"}},
			{UserAgent: strings.Repeat("\xff", session.MaxUserAgent)},
			{Extra: map[string]string{"k": strings.Repeat("v", session.MaxExtra-1)}},
		} {
			s := must(m.Create(ctx, "ada", ada, d))(t)
			if got := must(m.Touch(ctx, s.ID))(t).Device; !reflect.DeepEqual(got, d) {
				t.Errorf("%q came back as %q", d, got)
			}
			must(m.RevokeUser(ctx, "ada"))(t)
		}
	})
}

func TestALongUserAgentIsCutBetweenCharacters(t *testing.T) {
	m := manager(t, rediskittest.Embedded(t), session.Config{})
	ctx := t.Context()
	for agent, want := range map[string]int{
		strings.Repeat("x", 600):                            512,
		"x" + strings.Repeat("é", 300):                      511,
		strings.Repeat("x", 510) + "😀😀":                     510,
		strings.Repeat("\x80", 600):                         512,
		strings.Repeat("x", 511) + "é" + "\xff\xff\xff\xff": 511,
	} {
		s := must(m.Create(ctx, user(want)+agent, ada, session.Device{UserAgent: agent}))(t)
		equal(t, "length", len(s.Device.UserAgent), want)
		if got := must(m.Get(ctx, s.ID))(t).Device.UserAgent; got != s.Device.UserAgent || !strings.HasPrefix(agent, got) {
			t.Errorf("got %q", got)
		}
	}
}

func FuzzParseID(f *testing.F) {
	good := strings.Repeat("A", 22) + "." + strings.Repeat("B", 16) + "."
	f.Add(good + strings.Repeat("A", 43))
	f.Add(good + strings.Repeat("A", 22))
	f.Add(good)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := session.ParseID(text)
		if err != nil {
			if !id.IsZero() || !errors.Is(err, session.ErrInvalidID) {
				t.Fatal(id, err)
			}
			return
		}
		if id.Reveal() != text || id.String() != text[:39]+".…" || len(text) > 126 {
			t.Fatalf("%q is read as %q", text, id.Reveal())
		}
	})
}

func FuzzDevice(f *testing.F) {
	f.Add("192.0.2.1", "agent", "name", "k", "v")
	f.Add("", "", "", "", "")
	f.Fuzz(func(t *testing.T, ip, agent, name, key, value string) {
		d := session.Device{IP: ip, UserAgent: agent, Name: name, Extra: map[string]string{key: value}}
		if len(agent) > session.MaxUserAgent || len(ip)+len(name)+len(key)+len(value) > 60_000 {
			return
		}
		got, err := session.DecodeDevice(d.Encode())
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("%q came back as %q, %v", d, got, err)
		}
		for _, text := range []string{ip, agent, name, key + value} {
			session.DecodeDevice(text) // whatever it is
			session.ParseEntry(text)
		}
	})
}
