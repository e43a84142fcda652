package stream

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
)

// Info describes a stream.
type Info struct {
	Length      int64 // entries
	Groups      int64
	First, Last ID    // of the entries; zero if there are none
	LastID      ID    // the highest ID the stream has had
	MaxDeleted  ID    // the highest ID that was deleted; zero before Redis 7
	Added       int64 // entries, ever; -1 before Redis 7
}

// GroupInfo describes a group.
type GroupInfo struct {
	Name          string
	Consumers     int64
	Pending       int64 // entries given out and not acknowledged
	LastDelivered ID    // the highest ID that was given out
	Read          int64 // entries given out, ever; -1 if the server cannot tell
	Lag           int64 // entries still to be given out; -1 if the server cannot tell
}

// ConsumerInfo describes a consumer of a group.
type ConsumerInfo struct {
	Name    string
	Pending int64
	// Idle is since the consumer last tried to read or claim.
	Idle time.Duration
	// Inactive is since it last got something; -1 before Redis 7.2, where Idle is something of both, and if it never
	// got anything.
	Inactive time.Duration
}

// Info describes a stream, or returns false if there is none.
func (s *Stream[T]) Info(ctx context.Context, key string) (Info, bool, error) {
	const op = "stream.Info"
	if err := data.CheckKey(op, key); err != nil {
		return Info{}, false, err
	}
	m, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.XinfoStream().Key(key).Build() }).AsMap()
	if err = groupError(err); errors.Is(err, ErrNoGroup) {
		return Info{}, false, nil
	}
	if err != nil {
		return Info{}, false, data.Err(op, key, err)
	}
	f := fields{m: m}
	info := Info{
		Length:     f.number("length", 0),
		Groups:     f.number("groups", 0),
		First:      f.entry("first-entry"),
		Last:       f.entry("last-entry"),
		LastID:     f.id("last-generated-id"),
		MaxDeleted: f.id("max-deleted-entry-id"),
		Added:      f.number("entries-added", -1),
	}
	return info, f.err == nil, data.Err(op, key, f.err)
}

// Groups describes the groups of a stream; none if there is no stream.
func (s *Stream[T]) Groups(ctx context.Context, key string) ([]GroupInfo, error) {
	const op = "stream.Groups"
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	array, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.XinfoGroups().Key(key).Build() }).ToArray()
	if err = groupError(err); errors.Is(err, ErrNoGroup) {
		return nil, nil
	}
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	out := make([]GroupInfo, len(array))
	for i := range array {
		f := fieldsOf(&array[i])
		out[i] = GroupInfo{
			Name:          f.text("name"),
			Consumers:     f.number("consumers", 0),
			Pending:       f.number("pending", 0),
			LastDelivered: f.id("last-delivered-id"),
			Read:          f.number("entries-read", -1),
			Lag:           f.number("lag", -1),
		}
		if f.err != nil {
			return nil, data.Err(op, key, f.err)
		}
	}
	return out, nil
}

// Consumers describes the consumers of a group. The error is [ErrNoGroup] if there is no such group.
func (s *Stream[T]) Consumers(ctx context.Context, key, group string) ([]ConsumerInfo, error) {
	const op = "stream.Consumers"
	if err := checkGroup(op, key, group); err != nil {
		return nil, err
	}
	array, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.XinfoConsumers().Key(key).Group(group).Build()
	}).ToArray()
	if err != nil {
		return nil, data.Err(op, key, groupError(err))
	}
	out := make([]ConsumerInfo, len(array))
	for i := range array {
		f := fieldsOf(&array[i])
		out[i] = ConsumerInfo{
			Name:     f.text("name"),
			Pending:  f.number("pending", 0),
			Idle:     time.Duration(f.number("idle", 0)) * time.Millisecond,
			Inactive: -1,
		}
		if ms := f.number("inactive", -1); ms >= 0 {
			out[i].Inactive = time.Duration(ms) * time.Millisecond
		}
		if f.err != nil {
			return nil, data.Err(op, key, f.err)
		}
	}
	return out, nil
}

// fields are those of a reply of XINFO. They differ between versions, so one that is missing, or null, has a
// substitute. The first error is kept.
type fields struct {
	m   map[string]rueidis.RedisMessage
	err error
}

func fieldsOf(m *rueidis.RedisMessage) *fields {
	f := &fields{}
	f.m, f.err = m.AsMap()
	return f
}

func (f *fields) get(name string) (m rueidis.RedisMessage, ok bool) {
	m, ok = f.m[name]
	return m, ok && !m.IsNil()
}

func (f *fields) keep(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *fields) number(name string, missing int64) int64 {
	m, ok := f.get(name)
	if !ok {
		return missing
	}
	n, err := m.AsInt64()
	f.keep(err)
	return n
}

func (f *fields) text(name string) string {
	m, ok := f.get(name)
	if !ok {
		return ""
	}
	s, err := m.ToString()
	f.keep(err)
	return s
}

func (f *fields) id(name string) ID {
	m, ok := f.get(name)
	if !ok {
		return ID{}
	}
	id, err := idOf(&m)
	f.keep(err)
	return id
}

// entry returns the ID of a field that is a whole entry.
func (f *fields) entry(name string) ID {
	m, ok := f.get(name)
	if !ok {
		return ID{}
	}
	parts, err := m.ToArray()
	if err == nil && len(parts) == 0 {
		err = errReply
	}
	if err != nil {
		f.keep(err)
		return ID{}
	}
	id, err := idOf(&parts[0])
	f.keep(err)
	return id
}
