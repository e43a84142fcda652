package scsstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/session"
)

// takeBackTime bounds how long a login that failed goes on in order to take back what it did.
const takeBackTime = time.Second

// commit is one call of CommitCtx.
type commit struct {
	store *Store
	op    string
	token token
	user  string // who is logged in
	data  Data
	ttl   time.Duration
}

// errBegin says that the token stands for something else by now, so that all is to be decided anew.
var errBegin = fmt.Errorf("other commits of the token were faster: %w", session.ErrConflict)

// do decides by what the token stands for, which changes at most three times: from nothing to a visitor's session, to a user's,
// to the end. Who changes it does so only if nobody else has; so all commits of a token agree on one session, and none
// that has ended comes back.
func (c *commit) do(ctx context.Context) error {
	is, err := c.store.keep(ctx, c.token, c.ttl)
	for try := 1; err == nil; try++ {
		if err = c.put(ctx, is); err == nil {
			return nil
		}
		if err == errBegin && try < 4 {
			is, err = c.store.look(ctx, c.token)
		}
	}
	var named *rediskit.OpError
	if errors.As(err, &named) {
		return err
	}
	return data.Err(c.op, c.token.key, err)
}

// put stores the data in the session that the token stands for, or in the one that it becomes.
func (c *commit) put(ctx context.Context, is alias) error {
	switch {
	case is == "":
		return c.login(ctx, is)
	case is.isEnded():
		return session.ErrNotFound
	}
	id, err := c.token.id(is)
	if err != nil {
		return err
	}
	found, err := c.store.sessions.SetTimeouts(ctx, id, c.ttl, -1)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return c.unlessMoved(ctx, is, err)
	case err != nil:
		return err
	case found.UserID == c.user:
		return c.save(ctx, is, found)
	case c.user == "":
		return c.store.remove(ctx, c.op, c.token)
	case found.UserID != "":
		return ErrOtherUser
	}
	if err := c.login(ctx, is); err != nil {
		return err
	}
	// If this fails, a visitor's session is left to expire which no token stands for.
	_ = c.store.sessions.Delete(ctx, id)
	return nil
}

func (c *commit) save(ctx context.Context, is alias, found session.Session[Data]) error {
	draft, err := c.store.sessions.Draft(found)
	if err != nil {
		return err
	}
	draft.Session.Data = c.data
	if _, err = draft.Save(ctx); errors.Is(err, session.ErrNotFound) {
		return c.unlessMoved(ctx, is, err)
	}
	return err
}

// login makes a session for the token, if that still stands for what it did.
func (c *commit) login(ctx context.Context, was alias) error {
	made, err := c.create(ctx)
	if errors.Is(err, session.ErrLimit) {
		return c.unlessMoved(ctx, was, err)
	}
	if err != nil {
		return err
	}
	next := aliasOf(made)
	is, err := c.store.become(ctx, c.token, was, next, c.ttl)
	if err == nil && is == next {
		return nil
	}
	// The token stands for another one, or nobody knows: this one was told to no client.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTime)
	defer cancel()
	if errBack := c.store.sessions.Delete(bounded, made.ID); err == nil {
		err = errBack
	}
	if err == nil {
		err = errBegin
	}
	return err
}

func (c *commit) create(ctx context.Context) (session.Session[Data], error) {
	device, _ := ctx.Value(deviceKey{}).(session.Device)
	options := []session.CreateOption{session.WithSecret(c.token.secret), session.WithTimeouts(c.ttl, -1)}
	if c.user == "" {
		return c.store.sessions.Anonymous(ctx, c.data, device, options...)
	}
	made, err := c.store.sessions.Create(ctx, c.user, c.data, device, options...)
	return made.Session, err
}

// unlessMoved returns err, unless another commit has given the token another session meanwhile.
func (c *commit) unlessMoved(ctx context.Context, was alias, err error) error {
	is, errLook := c.store.look(ctx, c.token)
	switch {
	case errLook != nil:
		return errLook
	case is != was:
		return errBegin
	}
	return err
}
