package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/metric"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/fields"
	"github.com/tickettoken/rediskit/keys"
)

// Defaults and bounds of [Config].
const (
	DefaultTTL           = 30 * time.Minute
	DefaultAbsoluteTTL   = 24 * time.Hour
	DefaultMaxPerUser    = 5
	DefaultTouchFraction = 0.1
	DefaultMaxData       = 64 << 10
	DefaultStreamMaxLen  = 10_000

	MaxPerUser = 1000                      // sessions of a user
	MaxTTL     = 10 * 365 * 24 * time.Hour // of a session
	MaxUserID  = 1024                      // bytes
	MaxFields  = 1000                      // of the data
	MaxFlashes = 4 << 10                   // bytes of messages that wait with a session
	MinTagKey  = 32                        // bytes
)

// OnLimit says what a login does when its user has as many sessions as allowed.
type OnLimit int

const (
	// Reject refuses the login with a [*LimitError].
	Reject OnLimit = iota
	// EvictOldest ends the session that was not seen for the longest time.
	EvictOldest
)

// Config configures a [Manager]. Zero means the default, negative means off.
type Config struct {
	// Keys names the keys: "<namespace>/session:{<tag>}:<ref>" and "<namespace>/user:sessions:{<tag>}". Default: no
	// namespace.
	Keys keys.Builder

	// TagKey is the secret, of at least MinTagKey random bytes, by which the tags of users are made of their IDs, so
	// that neither an ID nor a key shows who the user is. It is required, and the same in all processes. With another
	// one no session is found by its user: it stays valid, but is neither listed, counted nor revoked.
	TagKey []byte

	// TTL is how long a session lives that is not used. Default: 30 minutes. Negative: until AbsoluteTTL.
	TTL time.Duration

	// AbsoluteTTL is how long a session lives that is used. Default: 24 hours. Negative: for as long as it is used. It
	// cannot be off together with TTL.
	AbsoluteTTL time.Duration

	// MaxPerUser is how many sessions a user may have. Default: 5. Negative: MaxPerUser, which is the most there can be.
	MaxPerUser int

	// OnLimit says what a login beyond MaxPerUser does. Default: Reject.
	OnLimit OnLimit

	// TouchFraction is the part of its idle time after which a session that is used is marked as seen again; before, using
	// it writes nothing. So a session ends after being idle for between (1 - TouchFraction) and 1 times TTL. It is less
	// than 1. Default: 0.1. Negative: every use is marked.
	TouchFraction float64

	// MaxData bounds the names and encoded values of the data's fields, in bytes. Default: 64 KiB. Negative: off.
	MaxData int

	// Codec encodes the fields of the data that have no form of their own: see package hash. Default: codec.JSON.
	Codec codec.Codec[any]

	// OnEvent is called for every event that this Manager caused or met, when it is done and before the method returns,
	// with the method's context. It may call the Manager. Of what a reply would have told that was lost, see the package's
	// documentation, there is no event. Default: none.
	OnEvent func(context.Context, Event)

	// EventStream writes the events to a stream for other processes: see [Manager.EventStream].
	EventStream bool

	// StreamMaxLen is about how many events the stream keeps. Default: 10,000.
	StreamMaxLen int

	// MeterProvider counts, see the package's documentation. Default: nothing is counted.
	MeterProvider metric.MeterProvider

	// Logger gets a line where something failed that is no caller's business. Default: none.
	Logger *slog.Logger
}

// Format hides TagKey, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session.Config(%s)", c.Keys.Namespace()) }

// LogValue hides TagKey.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Manager creates, finds and ends sessions whose data are a T. It is safe for concurrent use, and needs no Close.
type Manager[T any] struct {
	client *rediskit.Client
	run    *scripts
	keys   keys.Builder
	tags   *tagger

	ttl, absoluteTTL time.Duration
	limit            int
	onLimit          OnLimit
	touchAfter       float64 // of the idle time
	maxData          int

	plan  *fields.Plan
	codec codec.Codec[any]
	names []string // of all fields of a session, with its own before those of T
	pool  sync.Pool

	onEvent func(context.Context, Event)
	stream  *eventStream
	counts  *counts
	log     *slog.Logger

	step func(name string) // of tests, between two steps
}

// The fields of a session that are not the application's, in the order in which they are read.
const (
	fieldSecret  = ":s" // SHA-256
	fieldOld     = ":o" // SHA-256 of the secret before the last rotation, and until when it is valid
	fieldUser    = ":u"
	fieldVersion = ":v"
	fieldFlashes = ":f"
	fieldEnds    = ":x" // when the data end: see endOfData
	ownFields    = 6
)

// Session is a session as it was at a moment.
type Session[T any] struct {
	ID     ID
	Ref    string // the session's public name
	UserID string // empty for an anonymous session
	Data   T
	Device Device // as it was at the login

	CreatedAt  time.Time
	LastSeenAt time.Time // as it is marked: see Config.TouchFraction
	ExpiresAt  time.Time // unless it is seen again
	Version    int64     // from 1, one more with every change of the data but by Incr
	Flashes    bool      // whether messages wait: see [Manager.PopFlashes]
}

// New makes a Manager. It sends nothing. It returns an error if client is nil, one that names the field if cfg is bad, and one
// that names the field of T if it cannot be stored: see package hash for those that can. There are at most MaxFields, and
// their names may not begin with ":".
func New[T any](client *rediskit.Client, cfg Config) (*Manager[T], error) {
	if client == nil {
		return nil, errors.New("session: client is nil")
	}
	m := &Manager[T]{client: client, run: server, keys: cfg.Keys, codec: cfg.Codec, onEvent: cfg.OnEvent, log: cfg.Logger}
	if err := m.configure(cfg); err != nil {
		return nil, fmt.Errorf("session: Config.%w", err)
	}
	var err error
	if m.plan, err = fields.Of(reflect.TypeFor[T]()); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if n := len(m.plan.Names()); n > MaxFields {
		return nil, fmt.Errorf("session: %v has %d fields: at most %d", reflect.TypeFor[T](), n, MaxFields)
	}
	m.names = append(m.names, fieldSecret, fieldOld, fieldUser, fieldVersion, fieldFlashes, fieldEnds)
	for i, name := range m.plan.Names() {
		if strings.HasPrefix(name, ":") {
			return nil, fmt.Errorf("session: %s: the name %q begins with ':', as those of rediskit do", m.plan.Path(i), name)
		}
		m.names = append(m.names, name)
	}
	return m, nil
}

func (m *Manager[T]) configure(cfg Config) (err error) {
	if len(cfg.TagKey) < MinTagKey {
		return fmt.Errorf("TagKey has %d bytes: want at least %d random ones", len(cfg.TagKey), MinTagKey)
	}
	if m.tags, err = newTagger(cfg.TagKey); err != nil {
		return fmt.Errorf("TagKey: %w", err)
	}
	if _, _, err := lifetime(cfg.TTL, cfg.AbsoluteTTL); err != nil {
		return err
	}
	m.ttl, m.absoluteTTL = cfg.TTL, cfg.AbsoluteTTL
	switch {
	case cfg.MaxPerUser == 0:
		m.limit = DefaultMaxPerUser
	case cfg.MaxPerUser < 0:
		m.limit = MaxPerUser
	case cfg.MaxPerUser > MaxPerUser:
		return fmt.Errorf("MaxPerUser is %d: want at most %d", cfg.MaxPerUser, MaxPerUser)
	default:
		m.limit = cfg.MaxPerUser
	}
	if m.onLimit = cfg.OnLimit; m.onLimit != Reject && m.onLimit != EvictOldest {
		return fmt.Errorf("OnLimit is %d: want Reject or EvictOldest", cfg.OnLimit)
	}
	switch f := cfg.TouchFraction; {
	case f == 0:
		m.touchAfter = DefaultTouchFraction
	case f < 0:
		m.touchAfter = 0
	case f >= 1 || math.IsNaN(f):
		return fmt.Errorf("TouchFraction is %v: want less than 1", f)
	default:
		m.touchAfter = f
	}
	switch m.maxData = cfg.MaxData; {
	case m.maxData == 0:
		m.maxData = DefaultMaxData
	case m.maxData < 0:
		m.maxData = math.MaxInt
	}
	if m.codec == nil {
		m.codec = codec.JSON[any]()
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.counts, err = newCounts(cfg.MeterProvider); err != nil {
		return fmt.Errorf("MeterProvider: %w", err)
	}
	if cfg.StreamMaxLen < 0 {
		return fmt.Errorf("StreamMaxLen is %d: a stream of events is always bounded", cfg.StreamMaxLen)
	}
	if cfg.EventStream {
		m.stream, err = newEventStream(m.client, m.EventStream(), cfg.StreamMaxLen, m.counts)
	}
	return err
}

// lifetime makes milliseconds of two time-outs, with 0 for no absolute one. Its errors begin with a name.
func lifetime(ttl, absoluteTTL time.Duration) (idle, absolute int64, err error) {
	if idle, err = timeout("TTL", ttl, DefaultTTL); err != nil {
		return 0, 0, err
	}
	if absolute, err = timeout("AbsoluteTTL", absoluteTTL, DefaultAbsoluteTTL); err != nil {
		return 0, 0, err
	}
	if idle == 0 {
		idle = absolute
	}
	if idle == 0 {
		return 0, 0, errors.New("TTL and AbsoluteTTL are both off: a session has to end")
	}
	return idle, absolute, nil
}

// timeout is in milliseconds, 0 if it is off.
func timeout(name string, d, unset time.Duration) (int64, error) {
	switch {
	case d == 0:
		return data.CeilMillis(unset), nil
	case d < 0:
		return 0, nil
	case d < time.Millisecond || d > MaxTTL:
		return 0, fmt.Errorf("%s is %v: want 1ms to %v", name, d, MaxTTL)
	}
	return data.CeilMillis(d), nil
}

// String names the Manager by its namespace.
func (m *Manager[T]) String() string { return "session.Manager(" + m.keys.Namespace() + ")" }

// GoString is String.
func (m *Manager[T]) GoString() string { return m.String() }

// Format writes what String returns, whatever the verb.
func (m *Manager[T]) Format(f fmt.State, _ rune) { fmt.Fprint(f, m.String()) }

func (m *Manager[T]) sessionKey(tag, ref string) string { return m.keys.UserSession(tag, ref).String() }
func (m *Manager[T]) indexKey(tag string) string        { return m.keys.UserSessions(tag).String() }

// at marks a place between two steps, at which tests let the process die.
func (m *Manager[T]) at(name string) {
	if m.step != nil {
		m.step(name)
	}
}

func checkUser(op, userID string) error {
	switch {
	case userID == "":
		return data.Errorf(op, "", "empty user ID")
	case len(userID) > MaxUserID:
		return data.Errorf(op, "", "the user ID has %d bytes: at most %d", len(userID), MaxUserID)
	}
	return nil
}

// discard removes data that no index leads to. They would expire by themselves: a failure is not the caller's.
func (m *Manager[T]) discard(ctx context.Context, tag string, refs ...string) {
	results := m.client.DoMulti(ctx, len(refs), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Unlink().Key(m.sessionKey(tag, refs[i])).Build().ToRetryable()
	})
	for i := range results {
		if err := results[i].Error(); err != nil {
			m.warn(ctx, dataLeft, refs[i], err)
			return
		}
	}
}

const dataLeft = "session: the data of an ended session are left to expire"

// warn logs what failed and is not the caller's business. If the caller went away, it is nobody's.
func (m *Manager[T]) warn(ctx context.Context, text, ref string, err error) {
	level := slog.LevelWarn
	if ctx.Err() != nil {
		level = slog.LevelDebug
	}
	m.log.Log(ctx, level, text, "ref", ref, "error", err)
}

// scratch is the working memory of a call. The T in it can be pointed to, which an argument or a result could be only by
// moving to the heap.
type scratch[T any] struct {
	v             T
	rv            reflect.Value // of v
	before, after fields.Arguments
}

func (m *Manager[T]) scratch() *scratch[T] {
	s, ok := m.pool.Get().(*scratch[T])
	if !ok {
		s = new(scratch[T])
		s.rv = reflect.ValueOf(&s.v).Elem()
	}
	return s
}

// free keeps working memory for the next call, but nothing of this one alive.
func (m *Manager[T]) free(s *scratch[T]) {
	var zero T
	s.v = zero
	before, after := s.before.Free(), s.after.Free()
	if before && after {
		m.pool.Put(s)
	}
}

// encode writes data as arguments behind a header.
func (m *Manager[T]) encode(s *scratch[T], args *fields.Arguments, header int, v T) (values int, err error) {
	s.v = v
	args.Reset(header)
	if err := m.plan.Encode(args, s.rv, nil, m.codec); err != nil {
		return 0, err
	}
	return args.Finish(), nil
}

// checkSize checks the size of names and values of fields that are to be written. What is stored already may be larger, when
// another release of the application allowed it.
func (m *Manager[T]) checkSize(texts []string) error {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if size > m.maxData {
		return fmt.Errorf("%w: %d bytes of %d", ErrTooLarge, size, m.maxData)
	}
	return nil
}
