package session

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/stream"
)

// EventKind says what happened to a session.
type EventKind string

// What happens to sessions.
const (
	EventCreated EventKind = "created"
	EventRotated EventKind = "rotated"
	EventEvicted EventKind = "evicted"
	EventRevoked EventKind = "revoked"
	EventExpired EventKind = "expired" // when it is met, which is some time after it happened, or never
)

// Reason says why a session ended.
type Reason string

// Why sessions end.
const (
	ReasonLimit    Reason = "limit"    // evicted: the user logged in once too often
	ReasonLogout   Reason = "logout"   // revoked by Delete
	ReasonLogin    Reason = "login"    // revoked by Login, which made another one in its place
	ReasonRevoked  Reason = "revoked"  // revoked by Revoke
	ReasonOthers   Reason = "others"   // revoked by RevokeOthers
	ReasonUser     Reason = "user"     // revoked by RevokeUser
	ReasonIdle     Reason = "idle"     // expired: it was not used
	ReasonAbsolute Reason = "absolute" // expired: it was too old
	ReasonLost     Reason = "lost"     // expired: the server has lost its data, by eviction of keys for instance
)

// Event is something that happened to a session. It has no secret.
type Event struct {
	Kind   EventKind
	Reason Reason // why it ended, else empty
	UserID string // empty for an anonymous session, and for one that had expired when it was met by its ID
	Ref    string
	Device Device
	At     time.Time // by the server's clock
}

// ended makes the event of an end.
func (f *found) ended(kind EventKind, userID string, reason Reason, now int64) Event {
	return Event{kind, reason, userID, f.ref, f.info(f.ref).Device, at(now)}
}

func (m *Manager[T]) event(ctx context.Context, e Event) {
	m.counts.event(ctx, e)
	if m.stream != nil {
		m.stream.add(e)
	}
	if m.onEvent != nil {
		m.onEvent(ctx, e)
	}
}

// EventStream returns the key of the stream that events are written to if Config.EventStream is set,
// "<namespace>/session-events". It lives for 24 hours after the last event. Read it with package stream, as
// stream.Fields, and make events of them by [ReadEvent].
//
// Writing is best effort and delays nothing: a goroutine, which ends when it has nothing left to do, writes the events of this
// process in order. Events are dropped, and counted, while 1,000 of them wait or Redis does not answer; so who must not miss
// a revocation asks for the session instead, which is what [Manager.Get] does.
func (m *Manager[T]) EventStream() string { return m.keys.Build("session-events").String() }

const (
	streamTTL     = 24 * time.Hour
	streamWaiting = 1000 // events
	streamBatch   = 100
	streamTimeout = 5 * time.Second
)

// eventStream writes events one after the other, by a goroutine that is there as long as there are any.
type eventStream struct {
	to     *stream.Stream[stream.Fields]
	key    string
	counts *counts

	mu      sync.Mutex
	waiting []stream.Fields // of events, made at once, for the maps in events are the application's
	running bool
}

func newEventStream(c *rediskit.Client, key string, maxLen int, counts *counts) (*eventStream, error) {
	if maxLen == 0 {
		maxLen = DefaultStreamMaxLen
	}
	to, err := stream.New(c, stream.Config[stream.Fields]{TTL: streamTTL, Trim: stream.MaxLen(int64(maxLen))})
	return &eventStream{to: to, key: key, counts: counts}, err
}

func (s *eventStream) add(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= streamWaiting {
		s.counts.stream(streamDropped, 1)
		return
	}
	s.waiting = append(s.waiting, e.fields())
	if !s.running {
		s.running = true
		go s.run()
	}
}

func (s *eventStream) run() {
	for {
		s.mu.Lock()
		n := min(len(s.waiting), streamBatch)
		if n == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		batch := slices.Clone(s.waiting[:n])
		s.waiting = append(s.waiting[:0], s.waiting[n:]...)
		s.mu.Unlock()

		ctx, cancel := context.WithTimeout(context.Background(), streamTimeout)
		ids, err := s.to.AddMany(ctx, s.key, batch...)
		cancel()
		if err != nil {
			ids = slices.DeleteFunc(ids, func(id stream.ID) bool { return id == stream.ID{} })
		}
		s.counts.stream(streamWritten, len(ids))
		s.counts.stream(streamDropped, n-len(ids))
	}
}

func (e Event) fields() stream.Fields {
	return stream.Fields{
		{Name: "kind", Value: string(e.Kind)},
		{Name: "reason", Value: string(e.Reason)},
		{Name: "user", Value: e.UserID},
		{Name: "ref", Value: e.Ref},
		{Name: "device", Value: e.Device.encode()},
		{Name: "at", Value: number(e.At.UnixMicro())},
	}
}

var errEvent = errors.New("session: not the fields of an event")

// ReadEvent reads an event from the fields of an entry of [Manager.EventStream].
func ReadEvent(f stream.Fields) (Event, error) {
	var texts [6]string
	for i, name := range [...]string{"kind", "reason", "user", "ref", "device", "at"} {
		text, ok := f.Get(name)
		if !ok {
			return Event{}, errEvent
		}
		texts[i] = text
	}
	device, err := decodeDevice(texts[4])
	if err != nil {
		return Event{}, errEvent
	}
	us, err := strconv.ParseInt(texts[5], 10, 64)
	if err != nil {
		return Event{}, errEvent
	}
	return Event{EventKind(texts[0]), Reason(texts[1]), texts[2], texts[3], device, at(us)}, nil
}
