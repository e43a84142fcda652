package httpkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/tickettoken/rediskit/session"
)

// RequestSession is the session of one request, and what becomes of it. Get it by [SessionOf]. It is for one goroutine at a
// time, as the ResponseWriter is.
type RequestSession[T any] struct {
	// Data are the session's, or zero: change them in place, maps and slices included. What differs from what was loaded is
	// saved field by field, so that changes which other requests make of other fields stay; of the same field the last one wins.
	// What must be counted or decided exactly is for [session.Manager.Incr] and [session.Manager.Update], with the ID of Session.
	Data T

	mw         *sessions[T]
	r          *http.Request
	w          *sessionWriter
	draft      *session.Draft[T] // nil if there is no session
	unreadable session.ID        // a session that only a login or a logout can do something about
	gone       bool              // it was revoked meanwhile
	began      bool              // it was created in this request
	flashes    []string          // to be saved
	waiting    bool              // there are saved ones
	cookie     cookieChange
	used       atomic.Bool // the handler has looked at it; atomic, as that much may happen in several goroutines
}

type cookieChange int

const (
	keepCookie cookieChange = iota
	setCookie
	deleteCookie
)

// LoggedIn reports whether a user is logged in.
func (s *RequestSession[T]) LoggedIn() bool { return s.UserID() != "" }

// UserID returns who is logged in, and "" if nobody is.
func (s *RequestSession[T]) UserID() string {
	if s.draft == nil {
		return ""
	}
	return s.draft.Session.UserID
}

// Session returns what else is known of the session: its ID, ref, device and times as they were loaded, and Data as they are. If
// there is none, its ID is zero.
func (s *RequestSession[T]) Session() session.Session[T] {
	var all session.Session[T]
	if s.draft != nil {
		all = s.draft.Session
	}
	all.Data = s.Data
	return all
}

// Login logs a user in: it makes a new session, which [session.Manager.Login] describes, in place of the one there was, and sets the
// cookie. Data and flashes of a visitor or of the same user are carried over; those of another user are not.
//
// The result tells which of the user's sessions were evicted. The error is that of the Manager, [session.ErrLimit] among others, or
// [ErrResponseBegun], before which nothing is done. After an error the session is what it was; after one that is
// [rediskit.MayHaveApplied], the same user's may have ended.
func (s *RequestSession[T]) Login(ctx context.Context, userID string, opts ...session.CreateOption) (session.Created[T], error) {
	if s.w.begun {
		return session.Created[T]{}, fmt.Errorf("httpkit: Login: %w", ErrResponseBegun)
	}
	isAnother := s.LoggedIn() && s.UserID() != userID
	if !isAnother {
		flashes, err := s.Flashes(ctx)
		if err != nil {
			return session.Created[T]{}, err
		}
		s.flashes = flashes
	}
	carried := s.Data
	if isAnother || s.gone {
		carried = *new(T)
	}
	created, err := s.mw.m.Login(ctx, s.id(), userID, func(T) T { return carried }, s.mw.deviceOf(s.r), opts...)
	if err != nil {
		return created, err
	}
	if isAnother {
		s.flashes = nil
	}
	return created, s.begin(created.Session)
}

// id is that of the session, also of one that is not readable.
func (s *RequestSession[T]) id() session.ID {
	if s.draft != nil {
		return s.draft.Session.ID
	}
	return s.unreadable
}

// begin goes on with a session that was just created.
func (s *RequestSession[T]) begin(created session.Session[T]) error {
	draft, err := s.mw.m.Draft(created)
	if err != nil {
		return err
	}
	s.draft, s.Data, s.unreadable = draft, created.Data, session.ID{}
	s.gone, s.waiting, s.began, s.cookie = false, false, true, setCookie
	return nil
}

// Logout ends the session and deletes the cookie. Then the request is a visitor's, with zero Data: what it puts into these, or into a
// flash, makes a new session.
//
// If Redis could not be asked, the error says so, and the session lives on until it expires, without the browser's cookie. If
// the response has begun, the session is ended and the error is [ErrResponseBegun]: the cookie stays, and is worth nothing.
func (s *RequestSession[T]) Logout(ctx context.Context) error {
	err := s.mw.m.Delete(ctx, s.id())
	s.Data, s.draft, s.unreadable, s.flashes = *new(T), nil, session.ID{}, nil
	s.gone, s.began, s.waiting, s.cookie = false, false, false, keepCookie
	if _, err := s.r.Cookie(s.mw.cookie.Name); err == nil {
		s.cookie = deleteCookie
	}
	if err == nil && s.w.begun {
		err = fmt.Errorf("httpkit: Logout: %w: the cookie stays", ErrResponseBegun)
	}
	return err
}

// Rotate gives the session another secret and sets the cookie: whenever the user gains rights. The old cookie stays valid for
// SessionConfig.RotationGrace. A login needs no rotation.
//
// The error is that of [session.Manager.Rotate]; or [ErrResponseBegun], before which nothing is done. [session.ErrConflict] is that
// of a request which was under way while another one has rotated the session, so that the browser has a new cookie already.
func (s *RequestSession[T]) Rotate(ctx context.Context) error {
	if s.w.begun {
		return fmt.Errorf("httpkit: Rotate: %w", ErrResponseBegun)
	}
	if s.draft == nil {
		return fmt.Errorf("httpkit: Rotate: %w", session.ErrNotFound)
	}
	id, err := s.mw.m.Rotate(ctx, s.draft.Session.ID, s.mw.grace)
	if err != nil {
		return s.checked(err)
	}
	s.draft.Session.ID, s.cookie = id, setCookie
	return nil
}

// RevokeOthers ends all other sessions of the user and returns how many: after a password was changed. It is
// [session.Manager.RevokeOthers].
func (s *RequestSession[T]) RevokeOthers(ctx context.Context) (int, error) {
	n, err := s.mw.m.RevokeOthers(ctx, s.Session().ID)
	return n, s.checked(err)
}

// Flash keeps messages for the next page that asks for them by Flashes. They are saved with Data. If more than
// [session.MaxFlashes] bytes of them would wait, those of this request are dropped, and that is logged.
func (s *RequestSession[T]) Flash(messages ...string) { s.flashes = append(s.flashes, messages...) }

// Flashes returns the messages that wait, the oldest first, those of this request among them, and removes them: of several
// requests one gets them. If none waited when the session was loaded, there is no round trip. After an error that is
// [rediskit.MayHaveApplied] those that waited may be lost. A session that was revoked has none.
func (s *RequestSession[T]) Flashes(ctx context.Context) ([]string, error) {
	var messages []string
	if s.waiting && s.draft != nil {
		var err error
		messages, err = s.mw.m.PopFlashes(ctx, s.draft.Session.ID)
		if err != nil && !errors.Is(s.checked(err), session.ErrNotFound) {
			return messages, err
		}
		s.waiting = false
	}
	messages = append(messages, s.flashes...)
	s.flashes = nil
	return messages, nil
}

// Save saves Data and flashes now, as the response's beginning and the handler's end do by themselves: for streams, which go on for
// long. If nothing changed, nothing is sent.
//
// The error is that of [session.Draft.Save], [session.ErrNotFound] if the session was revoked among others, or of
// [session.Manager.Anonymous] or [session.Manager.AddFlash]; or [ErrResponseBegun] if there is no session and it is too late for
// one. After one that is [rediskit.MayHaveApplied] it may have been saved.
func (s *RequestSession[T]) Save(ctx context.Context) error {
	switch {
	case s.gone:
		return fmt.Errorf("httpkit: Save: %w", session.ErrNotFound)
	case s.draft != nil:
		s.draft.Session.Data = s.Data
		if _, err := s.draft.Save(ctx); err != nil {
			return s.checked(err)
		}
	default:
		changed, err := s.isChanged()
		if err == nil && changed {
			err = s.visit(ctx)
		}
		if err != nil || !changed {
			return err
		}
	}
	if len(s.flashes) == 0 {
		return nil
	}
	err := s.mw.m.AddFlash(ctx, s.draft.Session.ID, s.flashes...)
	switch {
	case errors.Is(err, session.ErrTooLarge):
		s.mw.warn(ctx, "httpkit: messages of a session were dropped", err)
	case err != nil:
		return s.checked(err)
	default:
		s.waiting = true
	}
	s.flashes = nil
	return nil
}

// isChanged reports whether a request without a session has something to keep: empty maps and the like are nothing.
func (s *RequestSession[T]) isChanged() (bool, error) {
	if len(s.flashes) > 0 || reflect.ValueOf(&s.Data).Elem().IsZero() {
		return len(s.flashes) > 0, nil
	}
	zero, err := s.mw.m.Draft(session.Session[T]{})
	if err != nil {
		return false, err
	}
	zero.Session.Data = s.Data
	return zero.Changed()
}

// visit makes a session of a visitor.
func (s *RequestSession[T]) visit(ctx context.Context) error {
	if s.gone {
		return fmt.Errorf("httpkit: a new session: %w", session.ErrNotFound)
	}
	if s.w.begun {
		return fmt.Errorf("httpkit: a new session: %w", ErrResponseBegun)
	}
	created, err := s.mw.m.Anonymous(ctx, s.Data, s.mw.deviceOf(s.r))
	if err != nil {
		return err
	}
	return s.begin(created)
}

// checked notes that there is no session any more, if that is the error, which it returns. The cookie stays as it is: its session may
// have been rotated meanwhile, and the browser have a new one.
func (s *RequestSession[T]) checked(err error) error {
	if errors.Is(err, session.ErrNotFound) && s.draft != nil {
		s.draft, s.gone, s.cookie = nil, true, keepCookie
	}
	return err
}

// commit saves what the handler does not save itself. That there is no session any more is no error of the handler's.
func (s *RequestSession[T]) commit() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.r.Context()), saveTime)
	defer cancel()
	if err := s.Save(ctx); !errors.Is(err, session.ErrNotFound) {
		return err
	}
	return nil
}

// setHeader writes what clients and caches have to know.
func (s *RequestSession[T]) setHeader(h http.Header) {
	if s.used.Load() || s.cookie != keepCookie {
		addVary(h)
	}
	if s.cookie == keepCookie {
		return
	}
	c := s.mw.cookie
	if s.cookie == setCookie {
		c.Value = s.draft.Session.ID.Reveal()
	} else {
		c.MaxAge = -1
	}
	h.Add("Set-Cookie", c.String())
	// Whatever the handler says: a cache that keeps this response gives one client's session to the next.
	h.Set("Cache-Control", "no-store")
	h.Del("CDN-Cache-Control")
	h.Del("Expires")
}

func addVary(h http.Header) {
	for _, line := range h.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Cookie") {
				return
			}
		}
	}
	h.Add("Vary", "Cookie")
}

// refuse answers in place of the handler.
func (s *RequestSession[T]) refuse(w http.ResponseWriter, err error) { s.mw.fail(w, s.r, err) }

// finish does what is left to do when the handler has returned.
func (s *RequestSession[T]) finish() {
	if !s.w.begun {
		_ = s.w.begin() // has answered for itself
		return
	}
	if s.w.err != nil {
		return
	}
	if err := s.commit(); err != nil {
		s.mw.warn(s.r.Context(), "httpkit: what changed in a session after the response had begun is lost", err)
	}
}

// abandon ends a session whose cookie never went out, because the handler panicked: it would count to the user's limit.
func (s *RequestSession[T]) abandon() {
	if s.w.begun || !s.began || s.draft == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.r.Context()), abandonTime)
	defer cancel()
	if err := s.mw.m.Delete(ctx, s.draft.Session.ID); err != nil {
		s.mw.warn(ctx, "httpkit: a session that nobody has the cookie of lives on until it expires", err)
	}
}
