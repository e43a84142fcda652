package keys

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEachKindHasItsLayout(t *testing.T) {
	b := MustNew("prod")
	for _, row := range []struct{ got, want string }{
		{b.Session("8f3c").String(), "prod/session:8f3c"},
		{b.UserSession("42", "8f3c").String(), "prod/session:{42}:8f3c"},
		{b.UserSessions("42").String(), "prod/user:sessions:{42}"},
		{b.RateLimit("login", "42").String(), "prod/rl:login:{42}"},
		{b.Cache("event", "7").String(), "prod/cache:event:7"},
		{b.Lock("seat").String(), "prod/lock:{seat}"},
		{b.Idempotency("k").String(), "prod/idem:{k}"},
		{b.Queue("mail").String(), "prod/queue:{mail}"},
		{b.Topic("sales").String(), "prod/topic:{sales}"},
		{b.Channel("metrics", "9", "sold").String(), "prod/channel:metrics:9:sold"},
		{b.Circuit("pay").String(), "prod/cb:{pay}"},
		{b.Leaderboard("week").String(), "prod/board:{week}"},
		{b.Places("venues").String(), "prod/places:{venues}"},
		{b.Build("a", "b", "c").String(), "prod/a:b:c"},
		{b.Build().String(), "prod/"},
		{b.Tagged("42", "cart", "items").String(), "prod/cart:{42}:items"},
		{b.Tagged("42", "cart").String(), "prod/cart:{42}"},
		{b.Tagged("42").String(), "prod/{42}"},
		{Sub(b.Queue("mail"), "dead").String(), "prod/queue:{mail}:dead"},
		{Sub(b.Queue("mail"), "a:b", "").String(), "prod/queue:{mail}:a%3Ab:%empty"},
		{Sub(b.Queue("mail")).String(), "prod/queue:{mail}"},
		{Sub(b.Build(), "a").String(), "prod/a"},
		{b.Sessions().String(), "prod/session:*"},
		{b.CacheKind("event").String(), "prod/cache:event:*"},
		{b.RateLimitKind("login").String(), "prod/rl:login:*"},
		{b.Prefix("a", "*").String(), "prod/a:%2A:*"},
		{b.Prefix().String(), "prod/*"},
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
}

func TestTheZeroBuilderIsTheEmptyNamespace(t *testing.T) {
	var b Builder
	if empty := MustNew(""); empty != b {
		t.Errorf("MustNew(\"\") = %#v, want the zero Builder", empty)
	}
	for _, row := range []struct{ got, want string }{
		{b.Namespace(), ""},
		{b.Session("8f3c").String(), "session:8f3c"},
		{b.Build().String(), ""},
		{Sub(b.Build(), "a").String(), "a"},
		{b.Tagged("42").String(), "{42}"},
		{b.Prefix().String(), "*"},
		{b.Prefix("a").String(), "a:*"},
	} {
		if row.got != row.want {
			t.Errorf("got %q, want %q", row.got, row.want)
		}
	}
}

func TestANamespaceIsWrittenAsItIs(t *testing.T) {
	for _, namespace := range []string{"prod", "prod-eu.v2_x", "größe", "\xff"} {
		b, err := New(namespace)
		if err != nil {
			t.Errorf("New(%q): %v", namespace, err)
		}
		if got := b.Namespace(); got != namespace {
			t.Errorf("Namespace() = %q, want %q", got, namespace)
		}
		if got, want := b.Build("a").String(), namespace+"/a"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestABadNamespaceIsAnErrorThatSaysWhereAndWhy(t *testing.T) {
	for _, c := range []byte(":/{}*?[]^\\%\"' \x00\n\x1f\x7f") {
		if _, err := New("pr" + string(c) + "d"); err == nil {
			t.Errorf("New accepts a namespace with %q", c)
		}
	}
	_, err := New("prod:eu")
	if want := `keys: namespace "prod:eu": ':' at byte 4 is not allowed`; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("MustNew does not panic for a bad namespace")
		}
	}()
	MustNew("prod:eu")
}

func TestPartsAreEscaped(t *testing.T) {
	for _, row := range []struct{ part, want string }{
		{"", "%empty"},
		{"%empty", "%25empty"},
		{"8c6e2b1e-9b0f-4d52-8a10-1f5f2f3b5c11", "8c6e2b1e-9b0f-4d52-8a10-1f5f2f3b5c11"},
		{"ann@example.org", "ann@example.org"},
		{"2001:db8::1", "2001%3Adb8%3A%3A1"},
		{"/venues?q=a", "%2Fvenues%3Fq=a"},
		{`{x}*?[^a]\`, "%7Bx%7D%2A%3F%5B%5Ea%5D%5C"},
		{"a b'\"", "a%20b%27%22"},
		{"\x00\r\n\x1f\x7f", "%00%0D%0A%1F%7F"},
		{"Zürich\xff", "Zürich\xff"},
	} {
		if got := (Builder{}).Build(row.part).String(); got != row.want {
			t.Errorf("Build(%q) = %q, want %q", row.part, got, row.want)
		}
	}
}

func TestParseAcceptsOnlyWhatThePackageWrites(t *testing.T) {
	for key, want := range map[string]string{
		"/a":          "what stands before '/' is no namespace",
		"a:b/c":       "what stands before '/' is no namespace",
		"a//b":        `part 0: '/' is not escaped`,
		":":           "part 0: empty",
		"a:":          "part 1: empty",
		"a:{}":        "part 1: empty",
		"{a}:{b}":     "part 1 is a second hash tag",
		"{a":          "part 0: '{' is not escaped",
		"{{a}}":       "part 0: '{' is not escaped",
		"a:{b}c":      "part 1: '{' is not escaped",
		"a*":          "part 0: '*' is not escaped",
		"a b":         "part 0: ' ' is not escaped",
		"a:%":         "part 1: '%' without two upper-case hexadecimal digits",
		"a:%2":        "part 1: '%' without two upper-case hexadecimal digits",
		"a:%2a":       "part 1: '%' without two upper-case hexadecimal digits",
		"a:%empty:%e": "part 2: '%' without two upper-case hexadecimal digits",
		"a:%emptyb":   "part 1: '%' without two upper-case hexadecimal digits",
		"a:%41":       "part 1: '%41' is escaped without need",
		"a:%2D":       "part 1: '%2D' is escaped without need",
	} {
		_, err := Parse(key)
		if err == nil || !strings.HasPrefix(err.Error(), "keys: parse key: "+want) {
			t.Errorf("Parse(%q): got error %v, want %q", key, err, want)
		}
	}
}

func TestParseReadsTheKeysOfTheKinds(t *testing.T) {
	b := MustNew("prod")
	for _, row := range []struct {
		key   string
		parts []string
		tag   int
	}{
		{b.Session("a:b").String(), []string{"session", "a:b"}, -1},
		{b.UserSessions("").String(), []string{"user", "sessions", ""}, 2},
		{b.RateLimit("ip", "::1").String(), []string{"rl", "ip", "::1"}, 2},
		{b.Channel("a", "b").String(), []string{"channel", "a", "b"}, -1},
		{Sub(b.Queue("mail"), "dead").String(), []string{"queue", "mail", "dead"}, 1},
		{b.Build().String(), nil, -1},
	} {
		name, err := Parse(row.key)
		if err != nil {
			t.Errorf("Parse(%q): %v", row.key, err)
		}
		if name.Namespace != "prod" || !slices.Equal(name.Parts, row.parts) || name.Tag != row.tag {
			t.Errorf("Parse(%q) = %+v, want parts %q with tag %d", row.key, name, row.parts, row.tag)
		}
	}
}

func TestKeysThatBelongTogetherShareASlot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, user, other := anyBuilder(t), anyPart.Draw(t, "user"), anyPart.Draw(t, "other")
		for _, together := range [][]string{
			{b.UserSessions(user).String(), b.UserSession(user, other).String(), b.UserSession(user, "x").String()},
			{b.RateLimit("login", user).String(), b.RateLimit(other, user).String()},
			{b.Tagged(user).String(), b.Tagged(user, other).String(), b.Tagged(user, other, other).String()},
			{b.Queue(user).String(), Sub(b.Queue(user), other).String()},
			{b.Lock(user).String(), Sub(b.Lock(user), other).String()},
		} {
			if !SameSlot(together...) {
				t.Fatalf("not in one slot: %q", together)
			}
		}
	})
}

func TestNoTwoKindsShareAKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, id, other := anyBuilder(t), anyPart.Draw(t, "id"), anyPart.Draw(t, "other")
		all := []string{
			b.Session(id).String(), b.UserSession(id, other).String(), b.UserSessions(id).String(),
			b.RateLimit(id, other).String(), b.Cache(id, other).String(), b.Lock(id).String(),
			b.Idempotency(id).String(), b.Queue(id).String(), b.Topic(id).String(), b.Channel(id, other).String(),
			b.Circuit(id).String(), b.Leaderboard(id).String(), b.Places(id).String(),
		}
		slices.Sort(all)
		if unique := slices.Compact(slices.Clone(all)); len(unique) != len(all) {
			t.Fatalf("a key is made twice: %q", all)
		}
	})
}

func TestAPatternMatchesExactlyTheKeysBelowItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, parts := anyBuilder(t), anyParts.Draw(t, "parts")
		pattern := b.Prefix(parts...).String()

		// Half of the keys are made from the pattern's own parts: others hardly ever match.
		other, name := anyBuilder(t), anyParts.Draw(t, "name")
		if rapid.Bool().Draw(t, "below") {
			other, name = b, slices.Concat(parts, name)
		}
		key := other.Build(name...).String()
		everything := b.Namespace() == "" && len(parts) == 0
		want := everything || other == b &&
			len(name) >= len(parts) && slices.Equal(name[:len(parts)], parts) &&
			(len(name) > len(parts) || len(parts) == 0)
		if got := globMatch(pattern, key); got != want {
			t.Fatalf("pattern %q, key %q: match is %v, want %v", pattern, key, got, want)
		}
	})
}

func TestThePatternOfAKindMatchesItsKeysAndNoOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, id, other := anyBuilder(t), anyPart.Draw(t, "id"), anyPart.Draw(t, "other")
		sessions := []string{b.Session(id).String(), b.UserSession(other, id).String()}
		caches := []string{b.Cache(id, other).String()}
		limits := []string{b.RateLimit(id, other).String()}
		rest := []string{b.UserSessions(id).String(), b.Lock(id).String(), b.Queue(id).String()}
		for _, row := range []struct {
			pattern Pattern
			in      []string
			out     []string
		}{
			{b.Sessions(), sessions, slices.Concat(caches, limits, rest)},
			{b.CacheKind(id), caches, slices.Concat(sessions, limits, rest, []string{b.Cache(id+"*", other).String()})},
			{b.RateLimitKind(id), limits, slices.Concat(sessions, caches, rest, []string{b.RateLimit(id+"x", other).String()})},
		} {
			for _, key := range row.in {
				if !globMatch(row.pattern.String(), key) {
					t.Fatalf("%q does not match %q", row.pattern, key)
				}
			}
			for _, key := range row.out {
				if globMatch(row.pattern.String(), key) {
					t.Fatalf("%q matches %q", row.pattern, key)
				}
			}
		}
	})
}

func TestAKeyIsOneAllocation(t *testing.T) {
	b := MustNew("prod")
	id, parts := strings.Repeat("a:b", 100), []string{"x", "", "{y}"}
	var sink string
	for name, build := range map[string]func(){
		"Session":      func() { sink = b.Session(id).String() },
		"UserSessions": func() { sink = b.UserSessions(id).String() },
		"RateLimit":    func() { sink = b.RateLimit("login", id).String() },
		"Cache":        func() { sink = b.Cache("event", id).String() },
		"Channel":      func() { sink = b.Channel("a", id).String() },
		"Build":        func() { sink = b.Build("a", id).String() },
		"Build slice":  func() { sink = b.Build(parts...).String() },
		"Tagged":       func() { sink = b.Tagged(id, "a", "b").String() },
		"Sub":          func() { sink = Sub(QueueKey("queue:{x}"), id).String() },
		"Prefix":       func() { sink = b.Prefix("a", id).String() },
	} {
		if n := testing.AllocsPerRun(100, build); n != 1 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	_ = sink
}

func TestAKeyHoldsNoMoreMemoryThanItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spelling{
			prefix: rapid.SampledFrom([]string{"", "prod/", "queue:{x}"}).Draw(t, "prefix"),
			kind:   rapid.SampledFrom([]string{"", "lock", "user:sessions"}).Draw(t, "kind"),
			parts:  anyParts.Draw(t, "parts"),
			tagged: rapid.Bool().Draw(t, "tagged"),
			tag:    anyPart.Draw(t, "tag"),
			star:   rapid.Bool().Draw(t, "star"),
		}
		s.at = rapid.IntRange(0, len(s.parts)).Draw(t, "at")
		if size, text := s.size(), s.String(); size != len(text) {
			t.Fatalf("%d bytes reserved for the %d of %q", size, len(text), text)
		}
	})
}

// anyPart draws texts that are rich in what could break a key.
var anyPart = rapid.OneOf(
	rapid.StringOfN(rapid.RuneFrom([]rune(`:/{}*?[]^-\%"' ae0`)), 0, 6, -1),
	rapid.SampledFrom([]string{"", "%", "%empty", "%25", "%3A", "{}", "a:b", "prod/a", "session", "user"}),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }),
)

var anyParts = rapid.SliceOfN(anyPart, 0, 4)

func anyBuilder(t *rapid.T) Builder {
	return MustNew(rapid.SampledFrom([]string{"", "a", "a0", "session", "user"}).Draw(t, "namespace"))
}

// globMatch follows the rules of Redis for the patterns of SCAN, all of them,
// so that text that acted as a glob would be noticed.
func globMatch(pattern, s string) bool {
	for pattern != "" {
		switch c := pattern[0]; c {
		case '*':
			for i := range len(s) + 1 {
				if globMatch(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		case '[':
			if s == "" {
				return false
			}
			in, rest := globClass(pattern[1:], s[0])
			if !in {
				return false
			}
			pattern, s = rest, s[1:]
			continue
		default:
			if c == '\\' && len(pattern) > 1 {
				pattern = pattern[1:]
			}
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// globClass reads the class that pattern is the inside of, and what follows it.
func globClass(pattern string, c byte) (in bool, rest string) {
	not := strings.HasPrefix(pattern, "^")
	if not {
		pattern = pattern[1:]
	}
	for pattern != "" && pattern[0] != ']' {
		switch {
		case pattern[0] == '\\' && len(pattern) > 1:
			in = in || pattern[1] == c
			pattern = pattern[2:]
		case len(pattern) > 2 && pattern[1] == '-':
			from, to := min(pattern[0], pattern[2]), max(pattern[0], pattern[2])
			in = in || from <= c && c <= to
			pattern = pattern[3:]
		default:
			in = in || pattern[0] == c
			pattern = pattern[1:]
		}
	}
	return in != not, strings.TrimPrefix(pattern, "]")
}
