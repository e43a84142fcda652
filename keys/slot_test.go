package keys

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// slotVectors are the answers of CLUSTER KEYSLOT of Redis 7.0.15.
var slotVectors = map[string]uint16{
	"":                         0,
	"123456789":                12739,
	"foo":                      12182,
	"foo{}{bar}":               8363,
	"foo{{bar}}zap":            4015,
	"foo{bar}{zap}":            5061,
	"user1000":                 3443,
	"{user1000}.following":     3443,
	"{user1000}.followers":     3443,
	"{}":                       15257,
	"{}a":                      10875,
	"{":                        4092,
	"{{}}":                     4092,
	"}{":                       12793,
	"}{a}":                     15495,
	"{a}b":                     15495,
	"{a":                       10276,
	"a}":                       5921,
	"\xff{\xfe}\x01":           3793,
	"prod/session:{42}:8f3c":   8000,
	"prod/user:sessions:{42}":  8000,
	"prod/rl:login:{42}:extra": 8000,
}

func TestSlotIsThatOfRedis(t *testing.T) {
	for key, want := range slotVectors {
		if got := Slot(key); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestSlotFollowsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringOf(rapid.RuneFrom([]rune("{}ab\x00é"))).Draw(t, "key")
		if got, want := Slot(key), slotByDefinition(key); got != want {
			t.Fatalf("Slot(%q) = %d, want %d", key, got, want)
		}
	})
}

func TestSlotDoesNotAllocate(t *testing.T) {
	key := "prod/session:{42}:8f3c"
	if n := testing.AllocsPerRun(100, func() { Slot(key) }); n != 0 {
		t.Errorf("Slot allocates %v times", n)
	}
}

func TestSameSlotComparesEveryKey(t *testing.T) {
	for _, row := range []struct {
		keys []string
		want bool
	}{
		{nil, true},
		{[]string{"a"}, true},
		{[]string{"a", "a"}, true},
		{[]string{"{a}:1", "{a}:2", "x{a}"}, true},
		{[]string{"a", "b"}, false},
		{[]string{"{a}:1", "{a}:2", "b"}, false},
		{[]string{"b", "{a}:1", "{a}:2"}, false},
		{[]string{"{}a", "{}b"}, false},
	} {
		if got := SameSlot(row.keys...); got != row.want {
			t.Errorf("SameSlot(%q) = %v, want %v", row.keys, got, row.want)
		}
	}
}

var hashTag = regexp.MustCompile(`(?s)^[^{]*\{([^}]+)\}`)

// slotByDefinition divides the bits of the hashed text by the polynomial.
func slotByDefinition(key string) uint16 {
	if tag := hashTag.FindStringSubmatch(key); tag != nil {
		key = tag[1]
	}
	var remainder uint32
	for _, c := range append([]byte(key), 0, 0) {
		for bit := 7; bit >= 0; bit-- {
			remainder = remainder<<1 | uint32(c>>bit&1)
			if remainder&0x10000 != 0 {
				remainder ^= 0x11021
			}
		}
	}
	return uint16(remainder) & 16383
}
