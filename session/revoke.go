package session

import (
	"context"
	"slices"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

// Delete logs out: it ends the session of an ID. If there is none, it does nothing, and so it does with an ID that a rotation
// has replaced, once its grace is over: the session goes on under the new one. Errors are Redis's; it is repeated after
// a lost reply and may be repeated after any error.
func (m *Manager[T]) Delete(ctx context.Context, id ID) error {
	return m.logout(ctx, "session.Delete", id, ReasonLogout)
}

func (m *Manager[T]) logout(ctx context.Context, op string, id ID, reason Reason) error {
	if id.IsZero() {
		return nil
	}
	key := m.sessionKey(id.tag, id.ref)
	c, err := m.check(ctx, id, key)
	if err != nil || c.holder == nobody {
		return data.Err(op, key, err)
	}
	m.at("delete: checked")
	_, err = m.end(ctx, op, id.tag, id.ref, c.user, reason)
	return err
}

// Revoke ends a session of a user by its ref, and returns whether there was one. When it has returned without an
// error, no request anywhere, however late it began, makes the session valid again.
//
// It takes one round trip. It is repeated after a lost reply, and then returns true whether or not there was one; it may
// be repeated after any error. After a failover, which can lose the latest writes, callers who must be sure repeat it.
func (m *Manager[T]) Revoke(ctx context.Context, userID, ref string) (bool, error) {
	const op = "session.Revoke"
	if err := checkUser(op, userID); err != nil || !isRef(ref) {
		return false, err
	}
	return m.end(ctx, op, m.tags.tagOf(userID), ref, userID, ReasonRevoked)
}

// RevokeOthers ends all sessions of the user but that of the ID, and returns how many it ended: after a password was
// changed. The error is [ErrNotFound] if the ID is no session's. Otherwise it is like [Manager.RevokeUser].
func (m *Manager[T]) RevokeOthers(ctx context.Context, id ID) (int, error) {
	const op = "session.RevokeOthers"
	if id.IsZero() {
		return 0, data.Err(op, "", ErrInvalidID)
	}
	key := m.sessionKey(id.tag, id.ref)
	c, err := m.check(ctx, id, key)
	if err == nil && c.holder == nobody {
		err = ErrNotFound
	}
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	m.at("others: checked")
	return m.revokeMany(ctx, op, id.tag, c.user, ReasonOthers, "others", id.ref)
}

// RevokeUser ends all sessions of a user and returns how many those were. When it has returned without an error, no request
// anywhere, however late it began, makes one of them valid again. A login that is under way may come after it: to
// keep a user out, let logins fail first.
//
// It takes two round trips. It is repeated after a lost reply, in which case those that the first attempt has ended
// are not counted and make no events; and may be repeated after any error. After a failover, which can lose the latest
// writes, callers who must be sure repeat it.
func (m *Manager[T]) RevokeUser(ctx context.Context, userID string) (int, error) {
	const op = "session.RevokeUser"
	if err := checkUser(op, userID); err != nil {
		return 0, err
	}
	return m.revokeMany(ctx, op, m.tags.tagOf(userID), userID, ReasonUser, "all")
}

// end ends one session and tells whether it was there.
func (m *Manager[T]) end(ctx context.Context, op, tag, ref, userID string, reason Reason) (bool, error) {
	index := m.indexKey(tag)
	calls := []script.Call{
		{Keys: []string{index}, Args: []string{"these", ref}},
		{Keys: []string{m.sessionKey(tag, ref)}, Args: []string{"data"}},
	}
	results := m.run.remove.ExecMulti(ctx, m.client, calls)
	now, removed, _, err := decodeRemoved(results[0])
	again := rediskit.MayHaveApplied(err) && ctx.Err() == nil
	if again {
		results = m.run.removeAgain.ExecMulti(ctx, m.client, calls)
		now, removed, _, err = decodeRemoved(results[0])
	}
	if err != nil {
		return false, data.Err(op, index, err)
	}
	if err := results[1].Error(); err != nil {
		m.warn(ctx, dataLeft, ref, err)
	}
	if again && len(removed) == 0 {
		// It was the first attempt that ended it, or there was nothing: to whoever asked, it is ended.
		m.event(ctx, Event{Kind: EventRevoked, Reason: reason, UserID: userID, Ref: ref, At: at(now)})
		return true, nil
	}
	return m.tell(ctx, removed, now, userID, reason) == 1, nil
}

// tell makes events of sessions that were removed, and returns how many of them had not expired.
func (m *Manager[T]) tell(ctx context.Context, removed []found, now int64, userID string, reason Reason) (live int) {
	for _, f := range removed {
		if f.bad || f.ends() <= now {
			m.event(ctx, f.ended(EventExpired, userID, f.reason(), now))
			continue
		}
		live++
		m.event(ctx, f.ended(EventRevoked, userID, reason, now))
	}
	return live
}

// revokeMany ends sessions of a user, and then removes their data.
func (m *Manager[T]) revokeMany(ctx context.Context, op, tag, userID string, reason Reason, args ...string) (int, error) {
	index := []string{m.indexKey(tag)}
	res := m.run.remove.Exec(ctx, m.client, index, args)
	if rediskit.MayHaveApplied(res.Error()) && ctx.Err() == nil {
		res = m.run.removeAgain.Exec(ctx, m.client, index, args)
	}
	now, removed, ok, err := decodeRemoved(res)
	if err == nil && !ok {
		err = ErrNotFound
	}
	if err != nil {
		return 0, data.Err(op, index[0], err)
	}
	m.at("revoke: removed")
	refs := make([]string, len(removed))
	for i := range removed {
		refs[i] = removed[i].ref
	}
	m.discard(ctx, tag, refs...)
	return m.tell(ctx, removed, now, userID, reason), nil
}

func decodeRemoved(res rueidis.RedisResult) (now int64, removed []found, ok bool, err error) {
	msgs, err := res.ToArray()
	if ok, err = data.Found(err); err != nil || !ok {
		return 0, nil, false, err
	}
	if len(msgs) == 0 {
		return 0, nil, false, errReply
	}
	if now, err = msgs[0].AsInt64(); err != nil {
		return 0, nil, false, err
	}
	removed, err = decodeEntries(msgs[1:])
	return now, removed, true, err
}

// List returns a user's sessions, the one seen last first, from the index alone. Expired ones are not among them.
func (m *Manager[T]) List(ctx context.Context, userID string) ([]Info, error) {
	return m.list(ctx, "session.List", userID)
}

func (m *Manager[T]) list(ctx context.Context, op, userID string) ([]Info, error) {
	if err := checkUser(op, userID); err != nil {
		return nil, err
	}
	index := m.indexKey(m.tags.tagOf(userID))
	msgs, err := m.run.list.Exec(ctx, m.client, []string{index}, []string{"list"}).ToArray()
	if err != nil {
		return nil, data.Err(op, index, err)
	}
	all, err := decodeEntries(msgs)
	return infosOf(all), data.Err(op, index, err)
}

// Count returns how many sessions a user has, from the index alone. Expired ones do not count.
func (m *Manager[T]) Count(ctx context.Context, userID string) (int, error) {
	const op = "session.Count"
	if err := checkUser(op, userID); err != nil {
		return 0, err
	}
	index := m.indexKey(m.tags.tagOf(userID))
	n, err := m.run.list.Exec(ctx, m.client, []string{index}, []string{"count"}).AsInt64()
	return int(n), data.Err(op, index, err)
}

// Inspect returns what is known of a user's session, by its ref: for operators and support. values are the fields of its
// data as they are stored, known to T or not; what belongs to rediskit, such as the secret's hash, is not among them. The
// error is [ErrNotFound] if there is no such session. It does not mark the session as seen.
func (m *Manager[T]) Inspect(ctx context.Context, userID, ref string) (info Info, values map[string]string, err error) {
	const op = "session.Inspect"
	if err := checkUser(op, userID); err != nil {
		return Info{}, nil, err
	}
	if !isRef(ref) {
		return Info{}, nil, data.Err(op, "", ErrNotFound)
	}
	all, err := m.list(ctx, op, userID)
	if err != nil {
		return Info{}, nil, err
	}
	i := slices.IndexFunc(all, func(info Info) bool { return info.Ref == ref })
	key := m.sessionKey(m.tags.tagOf(userID), ref)
	if i >= 0 {
		values, err = m.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Hgetall().Key(key).Build()
		}).AsStrMap()
	}
	if err == nil && len(values) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Info{}, nil, data.Err(op, key, err)
	}
	for _, name := range m.names[:ownFields] {
		delete(values, name)
	}
	return all[i], values, nil
}
