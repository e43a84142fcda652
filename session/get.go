package session

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strconv"
	"time"

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
// a field of the data cannot be read as T has it, because T has changed for instance. A session that could be read and not
// be marked is no error. Without a deadline Get takes as long as [rediskit.Client.Do].
func (m *Manager[T]) Get(ctx context.Context, id ID) (Session[T], error) {
	return m.load(ctx, "session.Get", id, whenDue)
}

// Touch is [Manager.Get] that marks the session as seen in any case. If that fails, it is an error.
func (m *Manager[T]) Touch(ctx context.Context, id ID) (Session[T], error) {
	return m.load(ctx, "session.Touch", id, always)
}

// Peek is [Manager.Get] that never marks the session as seen: for requests that the user has no part in, such as those of a
// page that polls, and for looking after a session.
func (m *Manager[T]) Peek(ctx context.Context, id ID) (Session[T], error) {
	return m.load(ctx, "session.Peek", id, asItIs)
}

// SetTimeouts gives a session time-outs of its own, as [WithTimeouts] does, and marks it as seen: for a "remember me" that comes
// later, or to let a session end sooner. A session that is older than absoluteTTL ends at once. What data it had before that
// may stay for as long as they were to, and are nobody's. It takes three round trips, and errors are those of [Manager.Touch]. After an error that is [rediskit.MayHaveApplied] either time-outs may hold; it
// may be repeated.
func (m *Manager[T]) SetTimeouts(ctx context.Context, id ID, ttl, absoluteTTL time.Duration) (Session[T], error) {
	const op = "session.SetTimeouts"
	idle, absolute, err := m.timeouts(ttl, absoluteTTL)
	if err != nil {
		return Session[T]{}, data.Err(op, "", err)
	}
	return m.load(ctx, op, id, always, number(idle), number(absolute))
}

// load reads a session and marks it as seen, with the idle and the absolute time-out if it gets others.
func (m *Manager[T]) load(ctx context.Context, op string, id ID, how use, timeouts ...string) (Session[T], error) {
	if id.IsZero() {
		m.counts.load(ctx, loadInvalid)
		return Session[T]{}, data.Err(op, "", ErrInvalidID)
	}
	key := m.sessionKey(id.tag, id.ref)
	s, due, err := m.read(ctx, id, key)
	if err == nil && (how == always || how == whenDue && due) {
		m.at("touch: read")
		err = m.touch(ctx, id, key, &s, how, timeouts...)
	}
	m.counts.load(ctx, outcomeOf(err))
	if err != nil {
		return Session[T]{}, data.Err(op, key, err)
	}
	return s, nil
}

// read reads a session, and tells whether it should be marked as seen.
func (m *Manager[T]) read(ctx context.Context, id ID, key string) (s Session[T], due bool, err error) {
	index := m.indexKey(id.tag)
	results := m.client.DoMulti(ctx, 3, func(b rueidis.Builder, i int) rueidis.Completed {
		switch i {
		case 0:
			return b.Pttl().Key(key).Build()
		case 1:
			return b.Hmget().Key(key).Field(m.names...).Build()
		default:
			return b.Hget().Key(index).Field(id.ref).Build()
		}
	})
	left, err := results[0].AsInt64()
	if err != nil {
		return s, false, err
	}
	msgs, err := results[1].ToArray()
	if err != nil {
		return s, false, err
	}
	if len(msgs) != len(m.names) {
		return s, false, errReply
	}
	listed, err := results[2].ToString()
	isListed, err := data.Found(err)
	if err != nil {
		return s, false, err
	}

	if msgs[0].IsNil() || left == noKey {
		if isListed {
			m.prune(ctx, id.tag, id.ref, listed, "lost")
		}
		return s, false, ErrNotFound
	}
	if ok, err := m.isHolder(ctx, id, key, msgs); err != nil || !ok {
		if err == nil {
			err = ErrNotFound
		}
		return s, false, err
	}
	if !isListed {
		m.discard(ctx, id.tag, id.ref)
		return s, false, ErrNotFound
	}
	e, err := parseEntry(listed)
	if err != nil {
		return s, false, err
	}
	dataEnd, err := endOfData(msgs[5], &e)
	if err != nil {
		return s, false, err
	}
	// When the data end and how long they still live tell the server's time, and no other clock is asked. The latter was
	// read first: if the session is touched in between, it seems later than it is, but no later than the data end,
	// and they do so no later than the entry that was read after them.
	now := dataEnd - max(left, 0)*1000
	if left != noTTL && e.ends() <= now {
		if m.prune(ctx, id.tag, id.ref, listed, "expired") {
			m.discard(ctx, id.tag, id.ref) // which were to live longer, before its time-outs changed
		}
		return s, false, ErrNotFound
	}
	if err := m.decode(&s, msgs); err != nil {
		return s, false, err
	}
	s.ID = id
	s.setEntry(id.ref, &e)
	// If a process died before it made the data live as long as the entry says, it is as much later to them.
	now = max(now, e.ends()-left*1000)
	due = left == noTTL || m.touchAfter == 0 || float64(now-e.seen) >= m.touchAfter*float64(e.idle*1000)
	return s, due, nil
}

// endOfData reads when the data end, in microseconds since 1970. Before a session is seen again, that is so many milliseconds after its login: then it is
// taken for as much too late as the login's second step came after the first.
func endOfData(msg rueidis.RedisMessage, e *entry) (us int64, err error) {
	text, err := msg.ToString()
	if err == nil {
		us, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: no end", codec.ErrCorrupt)
	}
	if text[0] == '+' {
		us = e.created + us*1000
	}
	return us, nil
}

// What PTTL says if there is nothing to count.
const (
	noTTL = -1
	noKey = -2
)

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
	s.Flashes = !msgs[4].IsNil()
	w := m.scratch()
	defer m.free(w)
	if _, err := m.plan.Decode(w.rv, nil, msgs[ownFields:], m.codec); err != nil {
		return err
	}
	s.Data = w.v
	return nil
}

// touch marks a session as seen: first in the index, which decides, then the data, which do not outlive the index's entry but
// where time-outs were shortened.
func (m *Manager[T]) touch(ctx context.Context, id ID, key string, s *Session[T], how use, timeouts ...string) error {
	seen, ends, ok, err := m.markSeen(ctx, id, timeouts...)
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

func (m *Manager[T]) markSeen(ctx context.Context, id ID, timeouts ...string) (e entry, ends string, ok bool, err error) {
	msgs, err := m.run.touch.Exec(ctx, m.client, []string{m.indexKey(id.tag)}, append([]string{id.ref}, timeouts...)).ToArray()
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

// prune removes an entry that has expired or has no data, tells of it, and reports whether it did. A failure is not the
// caller's: nobody can log in with it.
func (m *Manager[T]) prune(ctx context.Context, tag, ref, listed, why string) bool {
	const expired, lost = 1, 2
	n, err := m.run.prune.Exec(ctx, m.client, []string{m.indexKey(tag)}, []string{ref, listed, why}).AsInt64()
	if err != nil {
		m.warn(ctx, "session: an entry without data counts until it expires", ref, err)
		return false
	}
	f := found{ref: ref}
	f.entry, err = parseEntry(listed)
	switch {
	case err != nil:
	case n == expired:
		m.event(ctx, f.ended(EventExpired, "", f.reason(), f.ends()))
	case n == lost:
		m.event(ctx, f.ended(EventExpired, "", ReasonLost, f.ends()))
	}
	return n > 0
}
