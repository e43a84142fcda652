package stream

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ID names an entry: the milliseconds since 1970 of the server's clock when it was added, and a number that tells
// apart those of one millisecond. IDs of a stream only grow. The zero ID comes before every entry.
type ID struct {
	Ms, Seq uint64
}

// End is the ID after which no entry can come. It stands for the end of a stream: "+" where a range ends, "$" where
// reading begins, so that only entries added from then on are read.
var End = ID{math.MaxUint64, math.MaxUint64}

// ParseID reads the form that String writes, "1700000000000-0", and that without the second number.
func ParseID(s string) (ID, error) {
	ms, seq, two := strings.Cut(s, "-")
	var id ID
	var err error
	if id.Ms, err = strconv.ParseUint(ms, 10, 64); err == nil && two {
		id.Seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil {
		return ID{}, fmt.Errorf("stream: %q is not an ID", s)
	}
	return id, nil
}

// IDAt returns the lowest ID that an entry added at t can have, for ranges by time. Times before 1970 give the zero
// ID.
func IDAt(t time.Time) ID { return ID{Ms: uint64(max(t.UnixMilli(), 0))} }

// String writes the ID as Redis does.
func (id ID) String() string {
	b := make([]byte, 0, 41)
	b = strconv.AppendUint(b, id.Ms, 10)
	b = append(b, '-')
	return string(strconv.AppendUint(b, id.Seq, 10))
}

// MarshalText is String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseID.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// Compare returns -1, 0 or 1 if id comes before other, is the same, or comes after it.
func (id ID) Compare(other ID) int {
	return cmp.Or(cmp.Compare(id.Ms, other.Ms), cmp.Compare(id.Seq, other.Seq))
}

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// Time returns when the entry was added, by the server's clock, unless its ID was chosen by whoever added it.
func (id ID) Time() time.Time { return time.UnixMilli(int64(min(id.Ms, math.MaxInt64))) }

// Next returns the ID right after id; End for End.
func (id ID) Next() ID {
	switch {
	case id == End:
		return End
	case id.Seq == math.MaxUint64:
		return ID{id.Ms + 1, 0}
	default:
		return ID{id.Ms, id.Seq + 1}
	}
}

// Prev returns the ID right before id; the zero ID for the zero ID.
func (id ID) Prev() ID {
	switch {
	case id.IsZero():
		return id
	case id.Seq == 0:
		return ID{id.Ms - 1, math.MaxUint64}
	default:
		return ID{id.Ms, id.Seq - 1}
	}
}
