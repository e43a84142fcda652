package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
)

// use says whether loading a session marks it as seen.
type use int

const (
	whenDue use = iota
	always
	asItIs
)

// Get returns a session and, when that is due (see Config.TouchFraction), marks it as seen. It takes one round trip, and two
// more when that is due.
//
// The error is [ErrNotFound] if there is no such session, which is [ErrInvalidID] for the zero ID; or codec.ErrCorrupt if
// a field of the data cannot be read as T has it, because T has changed for instance. A session that could be read and not be marked is no error. Without a
// deadline Get takes as long as [rediskit.Client.Do].
func (m *Manager[T]) Get(ctx context.Context, id ID) (Session[T], error) {
	return m.load(ctx, "session.Get", id, whenDue)
}

// Touch is [Manager.Get] that marks the session as seen in any case. If that fails, it is an error.
func (m *Manager[T]) Touch(ctx context.Context, id ID) (Session[T], error) {
	return m.load(ctx, "session.Touch", id, always)
}

func (m *Manager[T]) load(ctx context.Context, op string, id ID, how use) (Session[T], error) {
	if id.IsZero() {
		m.counts.load(ctx, loadInvalid)
		return Session[T]{}, data.Err(op, "", ErrInvalidID)
	}
	key := m.sessionKey(id.tag, id.ref)
	s, e, due, err := m.read(ctx, id, key)
	if err == nil && (how == always || how == whenDue && due) {
		err = m.touch(ctx, id, key, &s, &e, how)
	}
	m.counts.load(ctx, outcomeOf(err))
	if err != nil {
		return Session[T]{}, data.Err(op, key, err)
	}
	return s, nil
}

// read reads a session, and tells whether it should be marked as seen.
func (m *Manager[T]) read(ctx context.Context, id ID, key string) (s Session[T], e entry, due bool, err error) {
	index := m.indexKey(id.tag)
	results := m.client.DoMulti(ctx, 3, func(b rueidis.Builder, i int) rueidis.Completed {
		switch i {
		case 0:
			return b.Hmget().Key(key).Field(m.names...).Build()
		case 1:
			return b.Hget().Key(index).Field(id.ref).Build()
		default:
			return b.Pttl().Key(key).Build()
		}
	})
	msgs, err := results[0].ToArray()
	if err != nil {
		return s, e, false, err
	}
	if len(msgs) != len(m.names) {
		return s, e, false, errReply
	}
	listed, err := results[1].ToString()
	isListed, err := data.Found(err)
	if err != nil {
		return s, e, false, err
	}
	left, err := results[2].AsInt64()
	if err != nil {
		return s, e, false, err
	}

	if msgs[0].IsNil() || left == -2 {
		if isListed {
			m.prune(ctx, id.tag, id.ref, listed)
		}
		return s, e, false, ErrNotFound
	}
	if ok, err := m.isHolder(ctx, id, key, msgs); err != nil || !ok {
		if err == nil {
			err = ErrNotFound
		}
		return s, e, false, err
	}
	if !isListed {
		m.discard(ctx, id.tag, id.ref)
		return s, e, false, ErrNotFound
	}
	if e, err = parseEntry(listed); err != nil {
		return s, e, false, err
	}
	if err := m.decode(&s, msgs); err != nil {
		return s, e, false, err
	}
	s.ID = id
	s.setEntry(id.ref, &e)
	// The data live as long as the entry says, or shorter if a process died in between; so by the TTL it is that late, or
	// later, and no clock but the server's is asked.
	now := e.ends() - left*1000
	due = left < 0 || float64(now-e.seen) >= m.touchAfter*float64(e.idle*1000)
	return s, e, due, nil
}

func (s *Session[T]) setEntry(ref string, e *entry) {
	info := e.info(ref)
	s.Ref, s.Device, s.CreatedAt, s.LastSeenAt, s.ExpiresAt = ref, info.Device, info.CreatedAt, info.LastSeenAt, info.ExpiresAt
}

// isHolder reports whether the ID's secret is the session's, or was before a rotation whose grace lasts.
func (m *Manager[T]) isHolder(ctx context.Context, id ID, key string, msgs []rueidis.RedisMessage) (bool, error) {
	sum, err := msgs[0].ToString()
	if err != nil {
		return false, err
	}
	if subtle.ConstantTimeCompare([]byte(sum), []byte(id.sum())) == 1 {
		return true, nil
	}
	old, err := msgs[1].ToString()
	if isThere, err := data.Found(err); err != nil || !isThere {
		return false, err
	}
	if len(old) < sha256.Size || subtle.ConstantTimeCompare([]byte(old[:sha256.Size]), []byte(id.sum())) == 0 {
		return false, nil
	}
	c, err := m.check(ctx, id, key)
	return c.holder != nobody, err
}

// holder is who presents a secret, as the scripts say.
type holder int64

const (
	nobody   holder = 0
	ofSecret holder = 1
	ofOld    holder = 2 // before the last rotation, in its grace
)

// checked is the reply of check.lua and rotate.lua.
type checked struct {
	holder
	user string
	now  int64
}

// check asks whose secret that of an ID is.
func (m *Manager[T]) check(ctx context.Context, id ID, key string) (checked, error) {
	return decodeChecked(m.run.check.Exec(ctx, m.client, []string{key}, []string{id.sum()}))
}

func decodeChecked(res rueidis.RedisResult) (c checked, err error) {
	msgs, err := res.ToArray()
	if err != nil {
		return c, err
	}
	if len(msgs) != 3 {
		return c, errReply
	}
	who, err := msgs[0].AsInt64()
	if err != nil {
		return c, err
	}
	if c.user, err = msgs[1].ToString(); err != nil {
		return c, err
	}
	c.holder = holder(who)
	c.now, err = msgs[2].AsInt64()
	return c, err
}

// decode reads what the session has of itself and the application's data.
func (m *Manager[T]) decode(s *Session[T], msgs []rueidis.RedisMessage) error {
	user, err := msgs[2].ToString()
	if err != nil {
		return fmt.Errorf("%w: no user", codec.ErrCorrupt)
	}
	s.UserID = user
	version, err := msgs[3].ToString()
	if err == nil {
		s.Version, err = strconv.ParseInt(version, 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%w: no version", codec.ErrCorrupt)
	}
	w := m.scratch()
	defer m.free(w)
	if _, err := m.plan.Decode(w.rv, nil, msgs[ownFields:], m.codec); err != nil {
		return err
	}
	s.Data = w.v
	return nil
}

// touch marks a session as seen: first in the index, then the data, which so never outlive their entry.
func (m *Manager[T]) touch(ctx context.Context, id ID, key string, s *Session[T], e *entry, how use) error {
	seen, ends, ok, err := m.markSeen(ctx, id)
	if err == nil && !ok {
		return ErrNotFound // revoked since it was read, or expired
	}
	if err == nil {
		m.at("touch: marked")
		s.setEntry(id.ref, &seen)
		err = m.run.extend.Exec(ctx, m.client, []string{key}, []string{ends}).Error()
	}
	if err != nil && how == whenDue {
		m.warn(ctx, "session: not marked as seen", id.ref, err)
		return nil
	}
	return err
}

func (m *Manager[T]) markSeen(ctx context.Context, id ID) (e entry, ends string, ok bool, err error) {
	msgs, err := m.run.touch.Exec(ctx, m.client, []string{m.indexKey(id.tag)}, []string{id.ref}).ToArray()
	if ok, err = data.Found(err); err != nil || !ok {
		return e, "", false, err
	}
	if len(msgs) != 2 {
		return e, "", false, errReply
	}
	text, err := msgs[0].ToString()
	if err != nil {
		return e, "", false, err
	}
	e, err = parseEntry(text)
	return e, number(e.ends()), true, err
}

// prune removes an entry without data, and tells of it. A failure is not the caller's: nobody can log in with it.
func (m *Manager[T]) prune(ctx context.Context, tag, ref, listed string) {
	const expired, lost = 1, 2
	n, err := m.run.prune.Exec(ctx, m.client, []string{m.indexKey(tag)}, []string{ref, listed}).AsInt64()
	if err != nil {
		m.warn(ctx, "session: an entry without data counts until it expires", ref, err)
		return
	}
	f := found{ref: ref}
	f.entry, err = parseEntry(listed)
	if err != nil {
		return
	}
	switch n {
	case expired:
		m.event(ctx, f.ended(EventExpired, "", f.reason(), f.ends()))
	case lost:
		m.event(ctx, f.ended(EventExpired, "", ReasonLost, f.ends()))
	}
}
