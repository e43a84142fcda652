package httpkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/session"
)

// DefaultRotationGrace is the default of SessionConfig.RotationGrace.
const DefaultRotationGrace = 10 * time.Second

const (
	// saveTime bounds what is saved when the response begins or the handler ends, as the request's own context may have
	// ended.
	saveTime = 5 * time.Second
	// abandonTime bounds the end of a session whose handler panicked.
	abandonTime = time.Second
)

// SessionConfig configures [Session]. Zero means the default.
type SessionConfig struct {
	// CookieName is the name of the cookie. Default: "__Host-session", of which browsers make sure that nobody but this host, over
	// TLS, has set it; with Insecure "session".
	CookieName string

	// MaxAge is how long browsers keep the cookie, in whole seconds, rounded up: at least as long as a session may live,
	// for it is set when a session begins or is rotated, and not again. What a session's life is, Redis decides. Browsers keep
	// nothing for more than 400 days. Default: until the browser is closed, or what it takes for that.
	MaxAge time.Duration

	// Insecure leaves out the cookie's Secure attribute, for development on plain HTTP.
	Insecure bool

	// SameSite is the cookie's attribute. Default: http.SameSiteLaxMode.
	SameSite http.SameSite

	// ClientIP finds the IP of a new session's device.
	ClientIP ClientIP

	// Device describes the device of a new session, within the bounds of a session.Device; what it leaves empty of IP and
	// UserAgent is filled in. Default: these two.
	Device func(*http.Request) session.Device

	// Passive tells the requests that do not mark a session as seen, as they say nothing of the user being there: a page
	// that polls. Default: none.
	Passive func(*http.Request) bool

	// RotationGrace is how long the cookie from before [RequestSession.Rotate] stays valid, for requests that are under
	// way. Default: 10 seconds. Negative: it ends at once.
	RotationGrace time.Duration

	// CrossOrigin refuses unsafe requests that a browser sends from other origins, before anything is asked of Redis. It has
	// trusted origins, bypasses and a handler for refusals of its own. Default: a new one, which answers 403 and a problem.
	CrossOrigin *http.CrossOriginProtection

	// CSRFTokens asks unsafe requests that have a session for its token too, see [RequestSession.CSRFToken]: in the header
	// X-CSRF-Token, or in a form's field csrf_token within the first 64 KiB of the body. It is for browsers from before
	// 2020, which tell CrossOrigin nothing.
	CSRFTokens bool

	// OnError answers a request whose session could not be loaded, or not saved, in place of the handler. SessionOf is not
	// for it. Default: a problem, which is 403 for [ErrCSRFToken], 503 with a Retry-After of a second if Redis is unavailable
	// or the request's context has ended, and otherwise 500. What the error says is not for clients.
	OnError func(http.ResponseWriter, *http.Request, error)

	// Logger gets a line for each error, also for those that come too late to be answered. Default: none.
	Logger *slog.Logger
}

var (
	// ErrResponseBegun reports what needs a cookie when it is too late to set one.
	ErrResponseBegun = errors.New("the response has begun")

	// ErrCSRFToken reports a request without the token of its session.
	ErrCSRFToken = errors.New("httpkit: the request has not the CSRF token of its session")
)

// Session makes a middleware that loads the session of each request, hands it to the handler by [SessionOf], and saves what
// changed before the first byte of the response.
//
// Only an ID that was issued is accepted: any other one is as good as none. A request without a session costs no round trip, unless
// it has an ID of the right form. It gets a session, of a visitor, when the handler sets data, sends a flash or asks for a
// token; reading creates nothing. A session whose data no longer are a T is as good as none, and logged; a login ends it.
//
// The response begins with its header, its first byte, a Flush, a Hijack, or the end of the handler, but not with an
// informational response. If saving fails then, the handler's response, header and all, is replaced by OnError's, and what it writes
// is refused with the error. What changes later is saved when the handler ends, or by [RequestSession.Save]. Saving goes on
// though the client has left, for at most 5 seconds. If the session was revoked meanwhile, nothing is saved, and the
// response goes on.
//
// The cookie is set when the ID is new and at no other time, so that a request which was under way during a login or a rotation does
// not put the old ID back. It is deleted by a logout, and by a request that finds its session ended from the start, unless the
// browser says that it is no navigation (Sec-Fetch-Mode): a page's polling must not delete what its login has just set. A
// response that sets or deletes it has Cache-Control: no-store. Where SessionOf was called before it began, a response has Vary:
// Cookie. Of several cookies of one name, which a __Host- cookie never is, the first of the right form is the one.
//
// A handler's panic passes through. If the response has not begun, nothing is saved, no cookie is set, and a session
// that it began is ended.
//
// The ResponseWriter has Flush and Hijack if the server's has, ReadFrom and WriteString, and an Unwrap for
// [http.ResponseController]. Do not flush what Unwrap returns: that begins the response without saving. What Hijack takes
// over is not written by the server, so set a cookie before, with a header of status 101.
func Session[T any](m *session.Manager[T], cfg SessionConfig) (func(http.Handler) http.Handler, error) {
	if m == nil {
		return nil, errors.New("httpkit: Session: the manager is nil")
	}
	mw := &sessions[T]{m: m, device: cfg.Device, passive: cfg.Passive, tokens: cfg.CSRFTokens, onError: cfg.OnError, log: cfg.Logger}
	if err := mw.configure(cfg); err != nil {
		return nil, fmt.Errorf("httpkit: SessionConfig.%w", err)
	}
	cross := cfg.CrossOrigin
	if cross == nil {
		cross = http.NewCrossOriginProtection()
		cross.SetDenyHandler(http.HandlerFunc(forbid))
	}
	return func(next http.Handler) http.Handler {
		return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mw.serve(w, r, next) }))
	}, nil
}

// sessions is the middleware.
type sessions[T any] struct {
	m       *session.Manager[T]
	cookie  http.Cookie // without a value
	ip      ClientIP
	device  func(*http.Request) session.Device
	passive func(*http.Request) bool
	grace   time.Duration
	tokens  bool
	onError func(http.ResponseWriter, *http.Request, error)
	log     *slog.Logger
}

// configure returns errors that begin with the name of a field.
func (mw *sessions[T]) configure(cfg SessionConfig) error {
	c := &mw.cookie
	*c = http.Cookie{Name: cfg.CookieName, Path: "/", HttpOnly: true, Secure: !cfg.Insecure, SameSite: cfg.SameSite}
	switch {
	case c.Name == "" && cfg.Insecure:
		c.Name = "session"
	case c.Name == "":
		c.Name = "__Host-session"
	case c.Valid() != nil:
		return fmt.Errorf("CookieName %q is no name for a cookie", c.Name)
	case cfg.Insecure && strings.HasPrefix(c.Name, "__"):
		return fmt.Errorf("CookieName %q with Insecure: browsers take such names over TLS only", c.Name)
	}
	switch c.SameSite {
	case 0:
		c.SameSite = http.SameSiteLaxMode
	case http.SameSiteLaxMode, http.SameSiteStrictMode:
	case http.SameSiteNoneMode:
		if cfg.Insecure {
			return errors.New("SameSite is None with Insecure: browsers refuse such cookies")
		}
	default:
		return fmt.Errorf("SameSite is %d: want Lax, Strict or None", c.SameSite)
	}
	if d := cfg.MaxAge; d != 0 {
		if d < time.Millisecond || d > session.MaxTTL {
			return fmt.Errorf("MaxAge is %v: want 1ms to %v", d, session.MaxTTL)
		}
		c.MaxAge = int((d + time.Second - 1) / time.Second)
	}
	switch mw.grace = cfg.RotationGrace; {
	case mw.grace == 0:
		mw.grace = DefaultRotationGrace
	case mw.grace < 0:
		mw.grace = 0
	case mw.grace < time.Millisecond || mw.grace > session.MaxTTL:
		return fmt.Errorf("RotationGrace is %v: want 1ms to %v", mw.grace, session.MaxTTL)
	}
	mw.ip = cfg.ClientIP
	mw.ip.Trusted = slices.Clone(mw.ip.Trusted)
	if mw.onError == nil {
		mw.onError = failSession
	}
	if mw.log == nil {
		mw.log = slog.New(slog.DiscardHandler)
	}
	return mw.ip.validate()
}

func (mw *sessions[T]) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	s := &RequestSession[T]{mw: mw, r: r}
	if err := s.load(); err != nil {
		mw.fail(w, r, err)
		return
	}
	s.r = r.WithContext(context.WithValue(r.Context(), sessionKey[T]{}, s))
	if mw.tokens && !isSafe(r.Method) && s.draft != nil && !s.hasToken() {
		mw.fail(w, r, ErrCSRFToken)
		return
	}
	s.w = &sessionWriter{to: w, before: w.Header().Clone(), session: s}
	finished := false
	defer func() {
		// Without recovering: the panic goes on to the server as it is.
		if !finished {
			s.abandon()
		}
	}()
	next.ServeHTTP(s.w.forHandler(), s.r)
	s.finish()
	finished = true
}

// load finds the session of the request. Only the failure to ask is an error.
func (s *RequestSession[T]) load() error {
	id, ok := presentedBy(s.r, s.mw.cookie.Name)
	if !ok {
		return nil
	}
	get := s.mw.m.Get
	if s.mw.passive != nil && s.mw.passive(s.r) {
		get = s.mw.m.Peek
	}
	found, err := get(s.r.Context(), id)
	switch {
	case errors.Is(err, session.ErrNotFound):
		// A page's own request may have been under way while the page logged in, and its answer come last: it must not
		// delete the new cookie, which has the same name.
		if mode := s.r.Header.Get("Sec-Fetch-Mode"); mode == "" || mode == "navigate" {
			s.cookie = deleteCookie
		}
		return nil
	case errors.Is(err, codec.ErrCorrupt):
		s.mw.warn(s.r.Context(), "httpkit: the data of a session cannot be read, so it is as good as none", err)
		s.unreadable = id
		return nil
	case err != nil:
		return err
	}
	s.draft, err = s.mw.m.Draft(found)
	s.Data, s.waiting = found.Data, found.Flashes
	return err
}

// presentedBy is the ID that a request presents: the first cookie of the right form.
func presentedBy(r *http.Request, name string) (session.ID, bool) {
	for _, c := range r.CookiesNamed(name) {
		if id, err := session.ParseID(c.Value); err == nil {
			return id, true
		}
	}
	return session.ID{}, false
}

// deviceOf describes where a request comes from.
func (mw *sessions[T]) deviceOf(r *http.Request) (d session.Device) {
	if mw.device != nil {
		d = mw.device(r)
	}
	if addr := mw.ip.Addr(r); d.IP == "" && addr.IsValid() {
		d.IP = addr.String()
	}
	if d.UserAgent == "" {
		d.UserAgent = r.UserAgent()
	}
	return d
}

// fail answers in place of the handler.
func (mw *sessions[T]) fail(w http.ResponseWriter, r *http.Request, err error) {
	mw.warn(r.Context(), "httpkit: a request was refused for its session", err)
	mw.onError(w, r, err)
}

// warn logs an error. That of a client that went away is nobody's business.
func (mw *sessions[T]) warn(ctx context.Context, text string, err error) {
	level := slog.LevelWarn
	if ctx.Err() != nil {
		level = slog.LevelDebug
	}
	mw.log.Log(ctx, level, text, "error", err)
}

// failSession is the default of SessionConfig.OnError.
func failSession(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrCSRFToken) {
		forbid(w, r)
		return
	}
	fail(w, r, err)
}

func forbid(w http.ResponseWriter, _ *http.Request) {
	problem{Title: http.StatusText(http.StatusForbidden), Status: http.StatusForbidden}.write(w)
}

type sessionKey[T any] struct{}

// SessionOf returns the session of a request that went through [Session] with a T, the innermost one if there are several. It is
// never nil: who has no session gets one by what is put into it. It panics if there is no such middleware around the handler.
func SessionOf[T any](r *http.Request) *RequestSession[T] {
	s, ok := r.Context().Value(sessionKey[T]{}).(*RequestSession[T])
	if !ok {
		panic(fmt.Sprintf("httpkit: SessionOf: no Session[%v] is around this handler", reflect.TypeFor[T]()))
	}
	s.used.Store(true)
	return s
}
