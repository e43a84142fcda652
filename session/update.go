package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

// maxTries bounds how often an update begins anew because somebody else was faster.
const maxTries = 8

// Update reads a session as [Manager.Get] does, lets change change its data, and writes the fields that differ then, if
// nobody else has changed the session meanwhile; else it begins anew, after a short random pause, and change is called with
// the new data. After 8 attempts the error is [ErrConflict]. Fields that T does not know stay as they are. If nothing differs,
// nothing is written.
//
// An error of change is returned as it is, and nothing is written. Other errors are those of Get and [ErrTooLarge].
// After an error that is [rediskit.MayHaveApplied] the change may have been made; Update does not repeat it then.
func (m *Manager[T]) Update(ctx context.Context, id ID, change func(*T) error) (Session[T], error) {
	const op = "session.Update"
	for try := 1; ; try++ {
		s, err := m.load(ctx, op, id, whenDue)
		if err != nil {
			return Session[T]{}, err
		}
		var own error // which may be the conflict of another session
		written, err := m.write(ctx, op, s, func(v *T) error {
			own = change(v)
			return own
		})
		if own != nil || !errors.Is(err, errVersion) {
			return written, err
		}
		m.counts.conflict(ctx)
		if try == maxTries {
			return Session[T]{}, err
		}
		if !pause(ctx, try) {
			return Session[T]{}, data.Err(op, m.sessionKey(id.tag, id.ref), ctx.Err())
		}
	}
}

// Save writes data in place of those of a version, as [Session.Version] has it. It writes the fields that differ from what is
// stored, counters too: what [Manager.Incr] has added since d was read is undone, unless d has it; a [Draft] leaves it
// alone. The error is [ErrConflict] if the version is another one by now. Otherwise it is like [Manager.Update].
func (m *Manager[T]) Save(ctx context.Context, id ID, version int64, d T) (Session[T], error) {
	const op = "session.Save"
	s, err := m.load(ctx, op, id, whenDue)
	if err != nil {
		return Session[T]{}, err
	}
	if s.Version != version {
		m.counts.conflict(ctx)
		return Session[T]{}, data.Err(op, m.sessionKey(id.tag, id.ref), errVersion)
	}
	return m.write(ctx, op, s, func(v *T) error {
		*v = d
		return nil
	})
}

// errVersion is the conflict that a script found, and not one that is an application's error.
var errVersion = fmt.Errorf("%w", ErrConflict)

// pause returns false if ctx ended first.
func pause(ctx context.Context, try int) bool {
	t := time.NewTimer(rand.N(time.Millisecond << try))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// updateHeader is how many arguments of update.lua come before the fields.
const updateHeader = 3

// write changes the data of a session that was read and writes what differs, if it still has the same version.
func (m *Manager[T]) write(ctx context.Context, op string, s Session[T], change func(*T) error) (Session[T], error) {
	key := m.sessionKey(s.ID.tag, s.ID.ref)
	w := m.scratch()
	defer m.free(w)
	values, err := m.encode(w, &w.before, 0, s.Data)
	if err != nil {
		return Session[T]{}, data.Err(op, key, err)
	}
	before := w.before.List[:values]
	if err := change(&s.Data); err != nil {
		return Session[T]{}, err
	}
	if values, err = m.encode(w, &w.after, 0, s.Data); err != nil {
		return Session[T]{}, data.Err(op, key, err)
	}
	m.at("update: read")
	version, changed, err := m.sendChanges(ctx, s.ID, key, number(s.Version), before, w.after.List[:values])
	if err != nil {
		return Session[T]{}, data.Err(op, key, err)
	}
	if changed {
		s.Version = version
	}
	return s, nil
}

// sendChanges writes what differs in two lists of names and values to a version of a session, or to any if that is empty.
func (m *Manager[T]) sendChanges(ctx context.Context, id ID, key, to string, before, after []string) (version int64, changed bool, err error) {
	args := m.difference(before, after)
	if len(args) == updateHeader {
		return 0, false, nil
	}
	if err := m.checkSize(after); err != nil {
		return 0, false, err
	}
	args[0], args[1] = id.sum(), to
	version, err = m.run.update.Exec(ctx, m.client, []string{key}, args).AsInt64()
	switch {
	case err != nil:
		return 0, false, err
	case version == 0:
		return 0, false, errVersion
	case version < 0:
		return 0, false, ErrNotFound
	}
	return version, true, nil
}

// difference makes the arguments of update.lua of two lists of names and values, both in the order of the plan.
func (m *Manager[T]) difference(before, after []string) []string {
	args := make([]string, updateHeader, updateHeader+len(after))
	var gone []string
	b, a := 0, 0
	for _, name := range m.plan.Names() {
		was, is := b < len(before) && before[b] == name, a < len(after) && after[a] == name
		switch {
		case is && (!was || before[b+1] != after[a+1]):
			args = append(args, name, after[a+1])
		case was && !is:
			gone = append(gone, name)
		}
		if was {
			b += 2
		}
		if is {
			a += 2
		}
	}
	args[2] = strconv.Itoa(len(args) - updateHeader)
	return append(args, gone...)
}

// Incr adds to a field of the data that is an integer, by its name in Redis, and returns the sum; a field that is not
// there counts from 0. It does not change the version, does not mark the session as seen, and takes one round trip. An
// [Manager.Update] that changes the same field overwrites it.
//
// The error is [ErrNotFound], one about the field, or the server's if the sum does not fit the field; then nothing changed.
// After an error that is [rediskit.MayHaveApplied] it may have been added; Incr does not repeat it then.
func (m *Manager[T]) Incr(ctx context.Context, id ID, field string, by int64) (int64, error) {
	const op = "session.Incr"
	i, err := m.plan.Find(field)
	if err == nil && !m.plan.IsInteger(i) {
		err = fmt.Errorf("field %s is not an integer", m.plan.Path(i))
	}
	if err != nil {
		return 0, data.Err(op, "", err)
	}
	if id.IsZero() {
		return 0, data.Err(op, "", ErrInvalidID)
	}
	key := m.sessionKey(id.tag, id.ref)
	least, most := m.plan.Range(i)
	reply, err := m.onData(ctx, m.run.incr, id, key, "add", id.sum(), field, number(by), least, most)
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	sum, err := reply.AsInt64()
	return sum, data.Err(op, key, err)
}

// Rotate gives a session another secret and returns its new ID: after a login, and whenever the user gains rights. The session
// stays the same, with its ref, data and place in the list. The old ID stays valid for grace, for requests that are under
// way; with a grace of zero it ends at once, and so it does with the next rotation.
//
// The error is [ErrNotFound], or [ErrConflict] if the ID is the one before another rotation, in its grace: then the client has
// been given a new one already. Rotate is repeated after a lost reply. If that fails too, the error is
// [rediskit.MayHaveApplied]: then the old ID may be valid for the grace only, and nobody has the new one.
func (m *Manager[T]) Rotate(ctx context.Context, id ID, grace time.Duration) (ID, error) {
	const op = "session.Rotate"
	if grace < 0 || grace > 0 && grace < time.Millisecond || grace > MaxTTL {
		return ID{}, data.Errorf(op, "", "the grace is %v: want zero, or 1ms to %v", grace, MaxTTL)
	}
	if id.IsZero() {
		return ID{}, data.Err(op, "", ErrInvalidID)
	}
	key := m.sessionKey(id.tag, id.ref)
	next := newID(id.tag, id.ref, newSecret())
	results := m.run.rotate.ExecMulti(ctx, m.client, []script.Call{
		{Keys: []string{key}, Args: []string{"secret", id.sum(), next.sum(), data.Millis(grace)}},
		{Keys: []string{m.indexKey(id.tag)}, Args: []string{"entry", id.ref}},
	})
	c, err := decodeChecked(results[0])
	listed, errListed := results[1].ToString()
	isListed, errListed := data.Found(errListed)
	switch {
	case err != nil:
		return ID{}, data.Err(op, key, err)
	case errListed != nil:
		return ID{}, data.Err(op, key, errListed)
	case c.holder == nobody:
		return ID{}, data.Err(op, key, ErrNotFound)
	case !isListed:
		m.discard(ctx, id.tag, id.ref) // nobody has their secret any more
		return ID{}, data.Err(op, key, ErrNotFound)
	case c.holder == ofOld:
		return ID{}, data.Err(op, key, ErrConflict)
	}
	f := found{ref: id.ref}
	f.entry, _ = parseEntry(listed)
	m.event(ctx, Event{Kind: EventRotated, UserID: c.user, Ref: id.ref, Device: f.info(id.ref).Device, At: at(c.now)})
	return next, nil
}
