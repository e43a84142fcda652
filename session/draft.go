package session

import (
	"context"
	"reflect"
	"slices"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/fields"
)

// Draft is a session that was read and is changed in place, by a request that saves at its end what it has changed. It is for
// one goroutine at a time.
type Draft[T any] struct {
	// Session is as it was read. Of it Data may be changed, maps and slices in it as well.
	Session Session[T]

	m     *Manager[T]
	saved []string // names and values of the data's fields, as they were read or saved last
}

// Draft begins a change of a session as [Manager.Get] has returned it. It sends nothing. The error is that of data that
// cannot be encoded.
func (m *Manager[T]) Draft(s Session[T]) (*Draft[T], error) {
	d := &Draft[T]{Session: s, m: m}
	var err error
	d.saved, err = d.encode("session.Draft")
	return d, err
}

// Changed reports whether Save has something to write. The error is that of Save for data that cannot be encoded or are too
// large.
func (d *Draft[T]) Changed() (bool, error) {
	const op = "session.Draft.Changed"
	now, err := d.encode(op)
	if err != nil || slices.Equal(now, d.saved) {
		return false, err
	}
	if err := d.m.checkSize(now); err != nil {
		return false, data.Err(op, "", err)
	}
	return true, nil
}

// Save writes the fields of the data that differ from what was read, or saved last, and reports whether there were any. It does
// so whatever the version is: what others have changed in other fields meanwhile stays; of the same field the last
// change wins. See [Manager.Update] for a change that depends on what was there. If nothing differs, it sends
// nothing; else it takes one round trip.
//
// The error is [ErrNotFound] if the session is gone, or [ErrTooLarge]. Of a session that expired or was revoked a moment ago
// there may still be data, which nobody can use: saving them is no error. After an error that is [rediskit.MayHaveApplied] the
// change may have been made; Save does not repeat it then.
func (d *Draft[T]) Save(ctx context.Context) (changed bool, err error) {
	const op = "session.Draft.Save"
	now, err := d.encode(op)
	if err != nil {
		return false, err
	}
	if d.Session.ID.IsZero() {
		return false, data.Err(op, "", ErrInvalidID)
	}
	id := d.Session.ID
	key := d.m.sessionKey(id.tag, id.ref)
	version, changed, err := d.m.sendChanges(ctx, id, key, "", d.saved, now)
	if err != nil {
		return false, data.Err(op, key, err)
	}
	if changed {
		d.Session.Version, d.saved = version, now
	}
	return changed, nil
}

// encode returns names and values of the data's fields.
func (d *Draft[T]) encode(op string) ([]string, error) {
	var args fields.Arguments
	args.Reset(0)
	if err := d.m.plan.Encode(&args, reflect.ValueOf(&d.Session.Data).Elem(), nil, d.m.codec); err != nil {
		return nil, data.Err(op, "", err)
	}
	return args.List[:args.Finish()], nil
}
