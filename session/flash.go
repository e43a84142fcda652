package session

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

// AddFlash keeps messages with a session until they are popped: what one page has to tell on the next. It takes one round
// trip, changes no version, and does not mark the session as seen.
//
// The error is [ErrNotFound], or [ErrTooLarge] if more than MaxFlashes bytes, with a few for each message, would wait.
// After an error that is [rediskit.MayHaveApplied] the messages may have been added; AddFlash does not repeat it then.
func (m *Manager[T]) AddFlash(ctx context.Context, id ID, messages ...string) error {
	const op = "session.AddFlash"
	if id.IsZero() {
		return data.Err(op, "", ErrInvalidID)
	}
	if len(messages) == 0 {
		return nil
	}
	var texts []byte
	for _, message := range messages {
		texts = appendText(texts, message)
	}
	key := m.sessionKey(id.tag, id.ref)
	if len(texts) > MaxFlashes {
		return data.Err(op, key, errFlashes)
	}
	reply, err := m.onData(ctx, m.run.flash, id, key, "add", id.sum(), strconv.Itoa(MaxFlashes), string(texts))
	if err != nil {
		return data.Err(op, key, err)
	}
	added, err := reply.AsInt64()
	if err == nil && added == 0 {
		err = errFlashes
	}
	return data.Err(op, key, err)
}

var errFlashes = fmt.Errorf("%w: more than %d bytes of messages would wait", ErrTooLarge, MaxFlashes)

// PopFlashes returns the messages that wait with a session, the oldest first, and removes them, in one script: of several
// callers one gets them. If there are none, it is no error. [Session.Flashes] tells whether there is anything to pop. It takes
// one round trip.
//
// The error is [ErrNotFound]. After an error that is [rediskit.MayHaveApplied] the messages may be gone, unseen.
func (m *Manager[T]) PopFlashes(ctx context.Context, id ID) ([]string, error) {
	const op = "session.PopFlashes"
	if id.IsZero() {
		return nil, data.Err(op, "", ErrInvalidID)
	}
	key := m.sessionKey(id.tag, id.ref)
	reply, err := m.onData(ctx, m.run.flash, id, key, "pop", id.sum())
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	texts, err := reply.ToString()
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	var messages []string
	for texts != "" {
		var message string
		if message, texts, err = nextText(texts); err != nil {
			return messages, data.Err(op, key, fmt.Errorf("%w: messages: %w", codec.ErrCorrupt, err))
		}
		messages = append(messages, message)
	}
	return messages, nil
}

// onData runs one half of a script on the data of a session and the other on the user's index. The error is ErrNotFound if
// there is no such session.
func (m *Manager[T]) onData(ctx context.Context, run *script.Script, id ID, key string, args ...string) (rueidis.RedisMessage, error) {
	results := run.ExecMulti(ctx, m.client, []script.Call{
		{Keys: []string{key}, Args: args},
		{Keys: []string{m.indexKey(id.tag)}, Args: []string{"entry", id.ref}},
	})
	reply, err := results[0].ToMessage()
	if isThere, err := data.Found(err); err != nil {
		return reply, err
	} else if !isThere {
		return reply, ErrNotFound
	}
	if listed, err := results[1].AsInt64(); err != nil {
		return reply, err
	} else if listed == 0 {
		return reply, ErrNotFound
	}
	return reply, nil
}
