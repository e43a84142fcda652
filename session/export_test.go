package session

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/script"
)

// SetClock makes the scripts tell a time that is that much later than the server's.
func (m *Manager[T]) SetClock(later time.Duration) {
	m.run = makeScripts(source("clock") + fmt.Sprintf("now = now + %d\n", later.Microseconds()))
}

// OnStep is called between two steps of a method, with the name of the place.
func (m *Manager[T]) OnStep(step func(place string)) { m.step = step }

// CreateHalf is Create of a process that dies before the second of its two steps was sent, or whose first step is lost.
func (m *Manager[T]) CreateHalf(ctx context.Context, userID string, d T, device Device, half int) (ID, error) {
	b := birth[T]{op: "test", tag: m.tags.tagOf(userID), userID: userID, data: d, device: device}
	if err := m.choose(&b, nil); err != nil {
		return ID{}, err
	}
	id := newID(b.tag, newRef(), b.key)
	calls, err := m.calls(&b, id, m.scratch())
	if err != nil {
		return ID{}, err
	}
	return id, m.run.create.Exec(ctx, m.client, calls[half].Keys, calls[half].Args).Error()
}

// RevokeHalf is Revoke of a process that dies before it removes the data.
func (m *Manager[T]) RevokeHalf(ctx context.Context, id ID) error {
	return m.run.remove.Exec(ctx, m.client, []string{m.indexKey(id.tag)}, []string{"these", id.ref}).Error()
}

// SessionKey and IndexKey are where a session is.
func (m *Manager[T]) SessionKey(id ID) string { return m.sessionKey(id.tag, id.ref) }
func (m *Manager[T]) IndexKey(id ID) string   { return m.indexKey(id.tag) }

// Secret is what may be nowhere but in the ID.
func (id ID) Secret() string { return id.Reveal()[len(id.Public())+1:] }

// DecodeDevice and ParseEntry read what is in Redis.
func DecodeDevice(s string) (Device, error) { return decodeDevice(s) }
func (d Device) Encode() string             { return d.encode() }

func ParseEntry(s string) (Info, error) {
	e, err := parseEntry(s)
	if err != nil {
		return Info{}, err
	}
	return e.info(""), nil
}

// Load loads all scripts, so that a test can lose the reply of the one it means.
func (m *Manager[T]) Load(ctx context.Context) error {
	r := m.run
	for _, s := range []*script.Script{r.create, r.touch, r.extend, r.update, r.incr, r.flash, r.rotate, r.check, r.prune, r.list, r.remove} {
		if err := s.Load(ctx, m.client); err != nil {
			return err
		}
	}
	return nil
}

// Stored is a field of a session's data as Redis has it.
func (m *Manager[T]) Stored(ctx context.Context, id ID, field string) (string, error) {
	return m.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hget().Key(m.SessionKey(id)).Field(field).Build()
	}).ToString()
}

// Keys are the Manager's.
func (m *Manager[T]) Keys() keys.Builder { return m.keys }
