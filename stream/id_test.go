package stream_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit/stream"
)

// number is the model of an ID.
func number(id stream.ID) *big.Int {
	n := new(big.Int).SetUint64(id.Ms)
	return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(id.Seq))
}

// anyID makes IDs, many of them at a limit.
func anyID() *rapid.Generator[stream.ID] {
	part := rapid.OneOf(rapid.Uint64Range(0, 2), rapid.Uint64(), rapid.Uint64Range(math.MaxUint64-2, math.MaxUint64))
	return rapid.Custom(func(t *rapid.T) stream.ID {
		return stream.ID{Ms: part.Draw(t, "ms"), Seq: part.Draw(t, "seq")}
	})
}

func TestIDsAreNumbersOf128Bits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyID().Draw(t, "a"), anyID().Draw(t, "b")
		if got, want := a.Compare(b), number(a).Cmp(number(b)); got != want {
			t.Errorf("Compare: %d, want %d", got, want)
		}
		if a.IsZero() != (number(a).Sign() == 0) {
			t.Error("IsZero")
		}
		one := big.NewInt(1)
		next, prev := new(big.Int).Add(number(a), one), new(big.Int).Sub(number(a), one)
		if a == stream.End {
			next = number(a)
		}
		if a.IsZero() {
			prev = number(a)
		}
		if number(a.Next()).Cmp(next) != 0 || number(a.Prev()).Cmp(prev) != 0 {
			t.Errorf("Next %v, Prev %v", a.Next(), a.Prev())
		}
		if got, err := stream.ParseID(a.String()); got != a || err != nil {
			t.Errorf("ParseID of %v: %v, %v", a, got, err)
		}
	})
}

func TestIDsAreTextInJSON(t *testing.T) {
	b, err := json.Marshal(stream.ID{Ms: 5, Seq: 7})
	if string(b) != `"5-7"` || err != nil {
		t.Error(string(b), err)
	}
	var id stream.ID
	if err := json.Unmarshal(b, &id); id != (stream.ID{Ms: 5, Seq: 7}) || err != nil {
		t.Error(id, err)
	}
	if err := json.Unmarshal([]byte(`"5-7-9"`), &id); err == nil {
		t.Error("5-7-9 is an ID")
	}
}

func TestAnIDKnowsItsTime(t *testing.T) {
	at := time.Date(2024, 2, 3, 4, 5, 6, 789_999_999, time.UTC)
	id := stream.IDAt(at)
	if got := id.Time(); !got.Equal(at.Truncate(time.Millisecond)) || id.Seq != 0 {
		t.Error(got)
	}
	if id := stream.IDAt(time.Unix(-1, 0)); !id.IsZero() {
		t.Error(id)
	}
	if stream.End.Time().Before(at) {
		t.Error(stream.End.Time())
	}
}

func TestParseIDRefusesWhatIsNone(t *testing.T) {
	for _, s := range []string{"", "-", "+", "$", ">", "*", "1-", "-1", "1-2-3", "+1", " 1", "1 ", "a", "1-*", "18446744073709551616", "1_0"} {
		if id, err := stream.ParseID(s); err == nil || id != (stream.ID{}) {
			t.Errorf("%q: %v, %v", s, id, err)
		}
	}
	if id, err := stream.ParseID("17"); id != (stream.ID{Ms: 17}) || err != nil {
		t.Error(id, err)
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"0-0", "1700000000000-5", "18446744073709551615-18446744073709551615", "17", "-1", "1-2-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := stream.ParseID(s)
		if err != nil {
			return
		}
		if again, err := stream.ParseID(id.String()); again != id || err != nil {
			t.Errorf("%q is %v, and that is %v, %v", s, id, again, err)
		}
	})
}
