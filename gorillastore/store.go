package gorillastore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/session"
)

// Data are a session's data.
type Data struct {
	Name   string `redis:"name"`   // of the cookie
	Values []byte `redis:"values"` // as Config.Serializer has them
}

// Config configures a [Store].
type Config struct {
	// User finds the ID of the user in the values of a session: that by which the application knows who is logged in. It is
	// empty as long as nobody is. It is required.
	User func(values map[any]any) string

	// Options are those that a session begins with. MaxAge is how long a session lives that is not used, as well as its
	// cookie; zero is session.Config's TTL, and a cookie that lives until the browser is closed. Default: Path "/", Secure,
	// HttpOnly, SameSite=Lax, and zero.
	Options *sessions.Options

	// Serializer encodes the values. Default: securecookie.GobEncoder, with which types in interfaces are registered as they
	// are for the other stores: see gob.Register.
	Serializer securecookie.Serializer

	// Device describes the device of a new session. Default: its user agent, and the IP of the connection's peer, which behind
	// a proxy is the proxy: see httpkit.ClientIP.
	Device func(*http.Request) session.Device
}

// Store is a [sessions.Store]. It is safe for concurrent use, and needs no Close.
type Store struct {
	sessions   *session.Manager[Data]
	user       func(map[any]any) string
	options    sessions.Options
	serializer securecookie.Serializer
	device     func(*http.Request) session.Device
}

var _ sessions.Store = (*Store)(nil)

// New makes a Store over the sessions of a Manager. It sends nothing. The error names the argument or field that is wrong.
func New(manager *session.Manager[Data], cfg Config) (*Store, error) {
	s := &Store{sessions: manager, user: cfg.User, serializer: cfg.Serializer, device: cfg.Device}
	switch {
	case manager == nil:
		return nil, errors.New("gorillastore: manager is nil")
	case cfg.User == nil:
		return nil, errors.New("gorillastore: Config.User is nil")
	case cfg.Options == nil:
		s.options = sessions.Options{Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	case cfg.Options.MaxAge < 0:
		return nil, fmt.Errorf("gorillastore: Config.Options.MaxAge is %d: that ends single sessions", cfg.Options.MaxAge)
	default:
		s.options = *cfg.Options
		if err := checkCookie("session", &s.options); err != nil {
			return nil, fmt.Errorf("gorillastore: Config.%w", err)
		}
	}
	if s.serializer == nil {
		s.serializer = securecookie.GobEncoder{}
	}
	if s.device == nil {
		s.device = peer
	}
	return s, nil
}

func peer(r *http.Request) session.Device {
	d := session.Device{UserAgent: r.UserAgent()}
	if addr := (httpkit.ClientIP{}).Addr(r); addr.IsValid() {
		d.IP = addr.String()
	}
	return d
}

// Get returns the session of a name that the request has, as [Store.New] does, and the same one whenever it is called in a request.
func (s *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session of a name that the request has, and marks it as seen when that is due. It takes one round trip, and two
// more when it is marked; a request without a cookie of the right form costs none.
//
// If the request has none, or one that has ended, it returns a new one, which [Store.Save] stores. If Redis could not be asked,
// or the values cannot be read, it returns a new one and the error.
func (s *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	const op = "gorillastore.New"
	g := sessions.NewSession(s, name)
	options := s.options
	g.Options, g.IsNew = &options, true
	id, ok := presented(r, name)
	if !ok {
		return g, nil
	}
	found, err := s.sessions.Get(r.Context(), id)
	// The session of another cookie is not this one, whatever its values would say here.
	if errors.Is(err, session.ErrNotFound) || err == nil && found.Data.Name != name {
		return g, nil
	}
	if err != nil {
		return g, err
	}
	values := make(map[any]any)
	if err := s.serializer.Deserialize(found.Data.Values, &values); err != nil {
		return g, data.Errorf(op, "", "Config.Serializer: %w", err)
	}
	g.Values, g.ID, g.IsNew = values, id.Reveal(), false
	return g, nil
}

// presented is the ID that a request has: the first cookie of the right form.
func presented(r *http.Request, name string) (session.ID, bool) {
	for _, c := range r.CookiesNamed(name) {
		if id, err := session.ParseID(c.Value); err == nil {
			return id, true
		}
	}
	return session.ID{}, false
}

// Save stores the values and sets the cookie. The session lives for Options.MaxAge from now on, or if that is zero for
// session.Config's TTL, and no longer than session.Config's AbsoluteTTL. If MaxAge is negative the session ends, and the cookie is
// deleted, even if Redis fails.
//
//   - A new session is that of the user whom Config.User finds, or of nobody.
//   - If Config.User finds another user than there was, or one for the first time, it is a login: there is a new session with a
//     new ID, and the one there was ends. If it finds none any more, the user's session ends, and the values are a visitor's.
//   - A session whose ID is set to "" gets a new one: the ID that there was ends.
//   - A session that has ended since it was read stays so: the error is [session.ErrNotFound], nothing is stored, and no cookie
//     is set, as another request may have set a newer one.
//
// Of values that several requests save at once the last win, all of them, as with the other stores. Errors are those of the
// Manager, among them a [*session.LimitError], [session.ErrTooLarge], those of the Serializer and those of options
// that browsers refuse. After an error the session is what it was, unless the error is [rediskit.MayHaveApplied]; a login that
// fails is taken back, and if that fails too, it counts until it expires, and nobody can use it.
//
// It takes one round trip for a new session, four for one that is there, and six for a login or a logout in it, or one more if
// others have to go. To end a session it takes two.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, g *sessions.Session) error {
	const op = "gorillastore.Save"
	options := s.options
	if g.Options != nil {
		options = *g.Options
	}
	if err := checkCookie(g.Name(), &options); err != nil {
		return data.Err(op, "", err)
	}
	if options.MaxAge < 0 {
		return s.end(r, w, g, &options)
	}
	encoded, err := s.serializer.Serialize(g.Values)
	if err != nil {
		return data.Errorf(op, "", "Config.Serializer: %w", err)
	}
	c := change{
		store: s, request: r, user: s.user(g.Values), data: Data{g.Name(), encoded},
		ttl: time.Duration(options.MaxAge) * time.Second,
	}
	id, err := c.save(r.Context(), g)
	if err != nil {
		return err
	}
	g.ID = id.Reveal()
	http.SetCookie(w, sessions.NewCookie(g.Name(), g.ID, &options))
	return nil
}

// end logs out.
func (s *Store) end(r *http.Request, w http.ResponseWriter, g *sessions.Session, options *sessions.Options) error {
	http.SetCookie(w, sessions.NewCookie(g.Name(), "", options))
	id, err := session.ParseID(g.ID)
	if err != nil {
		id, _ = presented(r, g.Name())
	}
	return s.sessions.Delete(r.Context(), id)
}

// change is one call of Save.
type change struct {
	store   *Store
	request *http.Request
	user    string
	data    Data
	ttl     time.Duration
}

// save returns the ID that the session has then.
func (c *change) save(ctx context.Context, g *sessions.Session) (session.ID, error) {
	const op = "gorillastore.Save"
	if g.ID == "" && g.IsNew {
		old, _ := presented(c.request, g.Name()) // which New did not find, or could not read
		return c.begin(ctx, old)
	}
	if g.ID != "" {
		id, err := session.ParseID(g.ID)
		if err != nil {
			return id, data.Err(op, "", err)
		}
		return c.update(ctx, id)
	}
	old, ok := presented(c.request, g.Name())
	if !ok {
		return old, data.Err(op, "", session.ErrNotFound)
	}
	id, err := c.update(ctx, old)
	if err != nil || !id.Equal(old) {
		return id, err
	}
	return c.store.sessions.Rotate(ctx, old, 0)
}

// update stores the data in a session that is there.
func (c *change) update(ctx context.Context, id session.ID) (session.ID, error) {
	found, err := c.store.sessions.SetTimeouts(ctx, id, c.ttl, 0)
	if err != nil {
		return id, err
	}
	if found.Data.Name != c.data.Name {
		return id, data.Err("gorillastore.Save", "", session.ErrNotFound)
	}
	if found.UserID != c.user {
		return c.begin(ctx, id)
	}
	draft, err := c.store.sessions.Draft(found)
	if err == nil {
		draft.Session.Data = c.data
		_, err = draft.Save(ctx)
	}
	return id, err
}

// begin makes a new session and ends the one before.
func (c *change) begin(ctx context.Context, old session.ID) (session.ID, error) {
	m, device, timeouts := c.store.sessions, c.store.device(c.request), session.WithTimeouts(c.ttl, 0)
	if c.user == "" {
		// Of a logout the end is what matters, so it comes first.
		if err := m.Delete(ctx, old); err != nil {
			return session.ID{}, err
		}
		made, err := m.Anonymous(ctx, c.data, device, timeouts)
		return made.ID, err
	}
	made, err := m.Login(ctx, old, c.user, func(Data) Data { return c.data }, device, timeouts)
	return made.ID, err
}
