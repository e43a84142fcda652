package keys

import (
	"slices"
	"strings"
	"testing"
)

// respell writes a name down again.
func respell(n Name) string {
	s := spelling{prefix: MustNew(n.Namespace).prefix, parts: n.Parts}
	if n.Tag >= 0 {
		s.tagged, s.tag, s.at = true, n.Parts[n.Tag], n.Tag
		s.parts = slices.Delete(slices.Clone(n.Parts), n.Tag, n.Tag+1)
	}
	return s.String()
}

// FuzzBuildParse makes two names of arbitrary text. The first must
// survive being written and parsed, and both must be equal if their keys are.
func FuzzBuildParse(f *testing.F) {
	f.Add("prod", "a|b:c", -1, "prod", "a|b|c", -1, "|")
	f.Add("", "prod/a", -1, "prod", "a", -1, "|")
	f.Add("", "", 0, "", "%empty", -1, "|")
	f.Add("", "{a}", -1, "", "a", 0, "|")
	f.Add("a", "x|y|z", 1, "a", "x|y|z", 2, "|")
	f.Add("", "\x00\xff\n|a*b", 0, "", "[^-\\]", 0, "|")
	f.Fuzz(func(t *testing.T, namespace1, parts1 string, tag1 int, namespace2, parts2 string, tag2 int, separator string) {
		one, ok1 := arbitraryName(namespace1, parts1, separator, tag1)
		two, ok2 := arbitraryName(namespace2, parts2, separator, tag2)
		if !ok1 || !ok2 {
			return
		}
		key1, key2 := respell(one), respell(two)
		if got, err := Parse(key1); err != nil || !equal(got, one) {
			t.Fatalf("Parse(%q) = %+v, %v, want %+v", key1, got, err, one)
		}
		if (key1 == key2) != equal(one, two) {
			t.Fatalf("%+v has key %q, %+v has key %q", one, key1, two, key2)
		}
		if strings.ContainsAny(key1, "*?[]^\\\"' \r\n\x00\x7f") {
			t.Fatalf("key %q contains a byte that must be escaped", key1)
		}
	})
}

// FuzzParse checks that Parse survives any text, and that what it accepts is
// the one spelling of what it returns.
func FuzzParse(f *testing.F) {
	for _, key := range []string{"", "a", "prod/session:{%empty}:a%3Ab", "{}", "a:%2a", "%", "a//b", "{a}:{b}", ":", "%empty"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := Parse(key)
		if err != nil {
			return
		}
		if again := respell(name); again != key {
			t.Fatalf("Parse(%q) = %+v, which is spelled %q", key, name, again)
		}
	})
}

// FuzzSlot compares Slot with the definition, bit by bit.
func FuzzSlot(f *testing.F) {
	for key := range slotVectors {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if got, want := Slot(key), slotByDefinition(key); got != want {
			t.Fatalf("Slot(%q) = %d, want %d", key, got, want)
		}
	})
}

// arbitraryName splits text into parts and makes the one at tag the hash tag,
// if there is such a part.
func arbitraryName(namespace, text, separator string, tag int) (Name, bool) {
	if _, err := New(namespace); err != nil {
		return Name{}, false
	}
	n := Name{Namespace: namespace, Parts: strings.Split(text, separator), Tag: -1}
	if 0 <= tag && tag < len(n.Parts) {
		n.Tag = tag
	}
	return n, true
}

func equal(a, b Name) bool {
	return a.Namespace == b.Namespace && slices.Equal(a.Parts, b.Parts) && a.Tag == b.Tag
}
