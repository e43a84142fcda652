package session

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound reports that there is no such session: it never was, has expired, was revoked or evicted, or the
	// secret is not that of the session. Callers cannot tell these apart, and should not tell their users.
	ErrNotFound = errors.New("no such session")

	// ErrInvalidID is the [ErrNotFound] of an ID that is malformed. Nothing was asked of Redis.
	ErrInvalidID = fmt.Errorf("malformed ID: %w", ErrNotFound)

	// ErrLimit is what a [*LimitError] is.
	ErrLimit = errors.New("the user has as many sessions as allowed")

	// ErrConflict reports that somebody else changed the session meanwhile.
	ErrConflict = errors.New("the session was changed meanwhile")

	// ErrTooLarge reports data beyond Config.MaxData.
	ErrTooLarge = errors.New("the data are too large")
)

// LimitError refuses a login because the user has as many sessions as allowed. It is [ErrLimit].
type LimitError struct {
	Limit int // how many sessions a user may have
	Count int // how many this one has
}

// Error tells the numbers.
func (e *LimitError) Error() string { return fmt.Sprintf("%v: %d of %d", ErrLimit, e.Count, e.Limit) }

// Unwrap returns ErrLimit.
func (e *LimitError) Unwrap() error { return ErrLimit }
