package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
)

// Info is what a user's index has of a session.
type Info struct {
	Ref        string
	Device     Device
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time // unless it is seen again
}

// entry is how the index has it: see lua/entry.lua.
type entry struct {
	created, seen  int64 // microseconds since 1970
	idle, absolute int64 // milliseconds; absolute 0 is none
	device         string
}

func parseEntry(s string) (e entry, err error) {
	rest := s
	for _, to := range [...]*int64{&e.created, &e.seen, &e.idle, &e.absolute} {
		number, after, ok := strings.Cut(rest, " ")
		n, err := strconv.ParseUint(number, 10, 53)
		if !ok || err != nil {
			return entry{}, fmt.Errorf("%w: malformed entry of the user's index", codec.ErrCorrupt)
		}
		*to, rest = int64(n), after
	}
	e.device = rest
	return e, nil
}

// ends returns when the session expires, in microseconds since 1970.
func (e *entry) ends() int64 {
	ends := e.seen + e.idle*1000
	if e.absolute > 0 {
		ends = min(ends, e.created+e.absolute*1000)
	}
	return ends
}

// reason tells why a session ended that has expired.
func (e *entry) reason() Reason {
	if e.absolute > 0 && e.created+e.absolute*1000 <= e.seen+e.idle*1000 {
		return ReasonAbsolute
	}
	return ReasonIdle
}

// info makes an Info of an entry. A device that cannot be read is left out: it decides nothing.
func (e *entry) info(ref string) Info {
	device, _ := decodeDevice(e.device)
	return Info{ref, device, at(e.created), at(e.seen), at(e.ends())}
}

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

// found is an entry of a script's reply. bad is set if it could not be read.
type found struct {
	ref string
	entry
	bad bool
}

// decodeEntries reads ref, entry, ref, entry …
func decodeEntries(msgs []rueidis.RedisMessage) ([]found, error) {
	if len(msgs)%2 != 0 {
		return nil, errReply
	}
	var all []found
	for i := 0; i < len(msgs); i += 2 {
		ref, err := msgs[i].ToString()
		if err != nil {
			return nil, err
		}
		text, err := msgs[i+1].ToString()
		if err != nil {
			return nil, err
		}
		e, err := parseEntry(text)
		all = append(all, found{ref, e, err != nil})
	}
	return all, nil
}

func newestFirst(a, b Info) int {
	if c := b.LastSeenAt.Compare(a.LastSeenAt); c != 0 {
		return c
	}
	if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(a.Ref, b.Ref)
}

func infosOf(all []found) []Info {
	infos := make([]Info, 0, len(all))
	for i := range all {
		if !all[i].bad {
			infos = append(infos, all[i].info(all[i].ref))
		}
	}
	slices.SortFunc(infos, newestFirst)
	return infos
}
