package scsstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/session"
)

// ErrOtherUser reports a commit of a user's token with the values of another user. Nothing was stored: call RenewToken of scs
// before another user logs in.
var ErrOtherUser = errors.New("the token belongs to another user: renew it before a login")

// Data are a session's data: what scs hands to its store.
type Data struct {
	Bytes []byte `redis:"data"`
}

// Config configures a [Store].
type Config struct {
	// User finds the ID of the user in the values of a session: that by which the application knows who is logged in. It is
	// empty as long as nobody is. It is required.
	User func(values map[string]any) string

	// Codec is that of the scs.SessionManager. Default: scs.GobCodec, as it is there.
	Codec scs.Codec

	// Keys names the keys of tokens, "<namespace>/scs:<hash>". Give it those of session.Config. Default: no namespace.
	Keys keys.Builder
}

// Store is an [scs.CtxStore]. It is safe for concurrent use, and needs no Close.
type Store struct {
	client   *rediskit.Client
	sessions *session.Manager[Data]
	user     func(map[string]any) string
	codec    scs.Codec
	keys     keys.Builder
}

var _ scs.CtxStore = (*Store)(nil)

// New makes a Store over the sessions of a Manager. It sends nothing. Of the Manager's time-outs none applies, as scs has its
// own: see the package's documentation. The error names the argument or field that is missing.
func New(client *rediskit.Client, sessions *session.Manager[Data], cfg Config) (*Store, error) {
	switch {
	case client == nil:
		return nil, errors.New("scsstore: client is nil")
	case sessions == nil:
		return nil, errors.New("scsstore: sessions is nil")
	case cfg.User == nil:
		return nil, errors.New("scsstore: Config.User is nil")
	}
	s := &Store{client: client, sessions: sessions, user: cfg.User, codec: cfg.Codec, keys: cfg.Keys}
	if s.codec == nil {
		s.codec = scs.GobCodec{}
	}
	return s, nil
}

type deviceKey struct{}

// WithDevice makes a context whose logins have a device, for lists of the user's sessions: scs does not show a store the
// request. Put it around LoadAndSave.
func WithDevice(ctx context.Context, d session.Device) context.Context {
	return context.WithValue(ctx, deviceKey{}, d)
}

// ID returns the ID of a request's session, to find it in a list or to revoke all others. ctx is that of a handler behind
// LoadAndSave of m. It takes one round trip. The ID need not be that of a session which still is one.
//
// The error is [session.ErrNotFound] if nothing was committed yet with the token that the request has.
func (s *Store) ID(ctx context.Context, m *scs.SessionManager) (session.ID, error) {
	const op = "scsstore.ID"
	text := m.Token(ctx)
	if text == "" {
		return session.ID{}, data.Err(op, "", session.ErrNotFound)
	}
	if m.HashTokenInStore { // as scs does
		sum := sha256.Sum256([]byte(text))
		text = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	t := s.token(text)
	is, err := s.look(ctx, t)
	if err == nil && (is == "" || is.isEnded()) {
		err = session.ErrNotFound
	}
	if err != nil {
		return session.ID{}, data.Err(op, t.key, err)
	}
	id, err := t.id(is)
	return id, data.Err(op, t.key, err)
}

// Find is [Store.FindCtx] without a deadline.
func (s *Store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// FindCtx returns what was committed with a token, and whether there is such a session. It does not mark the session as seen, as
// scs says by a commit how long it lives. It takes two round trips.
func (s *Store) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	const op = "scsstore.Find"
	if token == "" {
		return nil, false, nil
	}
	t := s.token(token)
	was := alias("")
	for {
		is, err := s.look(ctx, t)
		if err != nil {
			return nil, false, data.Err(op, t.key, err)
		}
		// If a login has just given the token another session, the one it had is gone.
		if is == was || is.isEnded() {
			return nil, false, nil
		}
		id, err := t.id(is)
		if err != nil {
			return nil, false, data.Err(op, t.key, err)
		}
		found, err := s.sessions.Peek(ctx, id)
		if err == nil {
			return found.Data.Bytes, true, nil
		}
		if !errors.Is(err, session.ErrNotFound) {
			return nil, false, err
		}
		was = is
	}
}

// Delete is [Store.DeleteCtx] without a deadline.
func (s *Store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// DeleteCtx ends a token and its session. When it has returned nil or [session.ErrNotFound], no commit makes the token valid
// again, whatever is under way. If there never was such a token, it does nothing. It may be repeated after any error. It takes up
// to four round trips.
//
// The error is [session.ErrNotFound] if the token's session was a user's and has ended already. Then RenewToken of scs fails, by
// which a request that was under way when the user was logged out would log them in again; and so does Destroy.
func (s *Store) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil // what scs deletes if a session that was never committed is destroyed
	}
	return s.remove(ctx, "scsstore.Delete", s.token(token))
}

func (s *Store) remove(ctx context.Context, op string, t token) error {
	is, err := s.end(ctx, t)
	if err != nil || is == "" {
		return data.Err(op, t.key, err)
	}
	id, err := t.id(is)
	if err != nil {
		return data.Err(op, t.key, err)
	}
	if is.isUsers() {
		if _, err := s.sessions.Peek(ctx, id); err != nil && !errors.Is(err, codec.ErrCorrupt) {
			return err
		}
	}
	return s.sessions.Delete(ctx, id)
}

// Commit is [Store.CommitCtx] without a deadline.
func (s *Store) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// CommitCtx stores what scs has encoded. The session ends at expiry, which is at most session.MaxTTL ahead; if it is
// past, the session ends now.
//
//   - A token that was never committed becomes a session, of the user that Config.User finds, or of nobody.
//   - A session of nobody in which a user is found now is a login: it becomes a session of that user.
//   - A user's session in which no user is found any more is a logout: the session and the token end.
//   - A user's session in which another user is found stays as it is, and the error is [ErrOtherUser].
//   - A token whose session has ended, however it did, stays without one, and the error is [session.ErrNotFound].
//
// Other errors are those of the Manager, among them a [*session.LimitError], with which nothing changes,
// [session.ErrTooLarge], and the Codec's. An error that is [rediskit.MayHaveApplied] leaves it open whether the data were
// stored. A login that fails is taken back: if that fails too, it counts until it expires, and nobody can use it.
//
// It takes three round trips for a new token, five for a session that is there, and eight for a login or a logout in it, or one
// more if others have to go.
func (s *Store) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	const op = "scsstore.Commit"
	if token == "" {
		return data.Errorf(op, "", "empty token")
	}
	c := commit{store: s, op: op, token: s.token(token), data: Data{b}}
	left := time.Until(expiry)
	if left <= 0 {
		return s.remove(ctx, op, c.token)
	}
	c.ttl = min(max(left, time.Millisecond), session.MaxTTL)
	_, values, err := s.codec.Decode(b)
	if err != nil {
		return data.Errorf(op, "", "Config.Codec: %w", err)
	}
	c.user = s.user(values)
	return c.do(ctx)
}
