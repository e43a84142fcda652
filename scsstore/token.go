package scsstore

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
	"github.com/tickettoken/rediskit/session"
)

// late is how long the alias of a token outlives its session, so that a request which was under way when that ended is
// known by it.
const late = 24 * time.Hour

//go:embed alias.lua
var aliasSource string

//go:embed end.lua
var endSource string

var (
	aliasScript = script.New(aliasSource, script.Idempotent)
	endScript   = script.New(endSource, script.Idempotent)
)

// token is what Redis may know of one of scs's tokens, and what proves that somebody has it.
type token struct {
	key    string // of the alias
	secret []byte // of the session
}

func (s *Store) token(text string) token {
	// Two hashes that tell nothing of each other: Redis has the one, and of the other the hash that package session keeps.
	name, secret := sha256.Sum256([]byte("alias "+text)), sha256.Sum256([]byte("secret "+text))
	return token{s.keys.Build("scs", base64.RawURLEncoding.EncodeToString(name[:16])).String(), secret[:]}
}

// alias is what a token stands for: a kind, and the public part of a session's ID. The empty one is that of a token which was
// never seen.
type alias string

// The kinds of alias. The last two are those of tokens that stand for nothing any more.
const (
	visitor      = 'v'
	user         = 'u'
	visitorEnded = 'V'
	userEnded    = 'U'
)

func aliasOf(s session.Session[Data]) alias {
	if s.UserID == "" {
		return alias(string(visitor) + s.ID.Public())
	}
	return alias(string(user) + s.ID.Public())
}

func (a alias) isEnded() bool { return a != "" && (a[0] == visitorEnded || a[0] == userEnded) }

func (a alias) isUsers() bool { return a != "" && (a[0] == user || a[0] == userEnded) }

// id is the ID of a token's session.
func (t token) id(a alias) (session.ID, error) {
	id, err := session.JoinID(string(a[1:]), t.secret)
	if err != nil {
		return id, fmt.Errorf("%w: the alias of a token", codec.ErrCorrupt)
	}
	return id, nil
}

// look returns what a token stands for.
func (s *Store) look(ctx context.Context, t token) (alias, error) {
	is, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key(t.key).Build() }).ToString()
	_, err = data.Found(err)
	return alias(is), err
}

// keep returns what a token stands for, and makes the alias outlive a session that lives for ttl.
func (s *Store) keep(ctx context.Context, t token, ttl time.Duration) (alias, error) {
	return s.become(ctx, t, "", "", ttl)
}

// become makes a token stand for another session, unless it stands for something else than it was by now, and returns what it
// stands for then.
func (s *Store) become(ctx context.Context, t token, was, next alias, ttl time.Duration) (alias, error) {
	is, err := aliasScript.Exec(ctx, s.client, []string{t.key}, []string{string(was), string(next), data.Millis(ttl + late)}).ToString()
	return alias(is), err
}

// end makes a token stand for nothing any more.
func (s *Store) end(ctx context.Context, t token) (alias, error) {
	is, err := endScript.Exec(ctx, s.client, []string{t.key}, nil).ToString()
	return alias(is), err
}
