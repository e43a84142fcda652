package session

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

// takeBackTime bounds how long a login that failed goes on in order to take back what it may have done.
const takeBackTime = time.Second

var errReply = errors.New("unexpected form of reply")

// Created is a new session, and what became of others by it.
type Created[T any] struct {
	Session[T]
	Evicted []Ended // those that had to go, the one not seen for the longest time first
	Count   int     // how many sessions the user has now
}

// Ended is a session that is no more.
type Ended struct {
	Ref    string
	Device Device
	Reason Reason
}

// CreateOption is a choice for one session.
type CreateOption func(*createOptions)

type createOptions struct {
	secret           []byte
	chosen           bool // the secret
	ttl, absoluteTTL time.Duration
}

// WithSecret chooses the secret, of 16 to 64 bytes that nobody can guess, for those whose sessions have names of their
// own already. Default: 32 random bytes.
func WithSecret(secret []byte) CreateOption {
	return func(o *createOptions) { o.secret, o.chosen = secret, true }
}

// WithTimeouts chooses the session's time-outs, for "remember me" and the like. Zero is that of Config, negative is off
// as in Config.
func WithTimeouts(ttl, absoluteTTL time.Duration) CreateOption {
	return func(o *createOptions) { o.ttl, o.absoluteTTL = ttl, absoluteTTL }
}

// birth is what it takes to create a session.
type birth[T any] struct {
	op, tag, userID string
	key             []byte // the secret
	data            T
	device          Device
	idle, absolute  int64
	exchanged       string // a ref that ends in exchange
}

// Create logs a user in: it makes a session, which counts as one of the user's from that moment on, or none. Which sessions
// count, and the limit, are decided in one script on the server. It takes one round trip, and one more if sessions were
// evicted or the login is refused.
//
// The error is a [*LimitError], which is [ErrLimit], if the user has as many sessions as allowed and Config.OnLimit is
// Reject; [ErrTooLarge]; or that of a bad argument. After an error that is [rediskit.MayHaveApplied] Create has tried to take
// back what it may have done, for a second at most. If that failed too, the session counts until it expires or is evicted,
// and nobody can use it. Sessions that were evicted for it stay so.
func (m *Manager[T]) Create(ctx context.Context, userID string, d T, device Device, opts ...CreateOption) (Created[T], error) {
	const op = "session.Create"
	if err := checkUser(op, userID); err != nil {
		return Created[T]{}, err
	}
	b := birth[T]{op: op, tag: m.tags.tagOf(userID), userID: userID, data: d, device: device}
	if err := m.choose(&b, opts); err != nil {
		return Created[T]{}, err
	}
	return m.create(ctx, &b)
}

// Anonymous makes a session of nobody: of a visitor who may log in later, see [Manager.Login]. Its UserID is empty. It
// counts to nobody's limit and is on nobody's list. Errors are those of [Manager.Create].
func (m *Manager[T]) Anonymous(ctx context.Context, d T, device Device, opts ...CreateOption) (Session[T], error) {
	b := birth[T]{op: "session.Anonymous", tag: random(tagBytes), data: d, device: device}
	if err := m.choose(&b, opts); err != nil {
		return Session[T]{}, err
	}
	c, err := m.create(ctx, &b)
	return c.Session, err
}

// Login is [Manager.Create] for a client that has a session already, and ends that one: an ID from before the login is worth
// nothing after it. Data of an anonymous session, or of the same user's, are carried over by carry, or as they are if
// carry is nil. If there is no such session, or it is another user's, or cannot be read, carry gets the zero T.
//
// First the new session is made, then the old one ends; a concurrent change of the old one may be lost, and messages that
// wait with it are. Of the same user's sessions the old one makes room for the new one at that very moment. Errors are those
// of Create and those of reading the old session, but not [ErrNotFound]. If the old one could not be ended, which is logged,
// it lives on until it expires.
func (m *Manager[T]) Login(ctx context.Context, old ID, userID string, carry func(T) T, device Device, opts ...CreateOption) (Created[T], error) {
	const op = "session.Login"
	if err := checkUser(op, userID); err != nil {
		return Created[T]{}, err
	}
	b := birth[T]{op: op, tag: m.tags.tagOf(userID), userID: userID, device: device}
	if err := m.choose(&b, opts); err != nil {
		return Created[T]{}, err
	}
	before, err := m.load(ctx, op, old, asItIs)
	there, unreadable := err == nil, errors.Is(err, codec.ErrCorrupt)
	if !there && !unreadable && !errors.Is(err, ErrNotFound) {
		return Created[T]{}, err
	}
	m.at("login: read")
	if there && (before.UserID == "" || before.UserID == userID) {
		b.data = before.Data
	}
	if carry != nil {
		b.data = carry(b.data)
	}
	if (there || unreadable) && old.tag == b.tag {
		b.exchanged = old.ref
	}
	c, err := m.create(ctx, &b)
	if err != nil {
		return c, err
	}
	m.at("login: created")
	var errEnd error
	switch {
	case b.exchanged != "":
	case unreadable:
		errEnd = m.logout(ctx, op, old, ReasonLogin)
	case there:
		_, errEnd = m.end(ctx, op, old.tag, old.ref, before.UserID, ReasonLogin)
	}
	if errEnd != nil {
		m.warn(ctx, "session: the session before the login is left to expire", old.ref, errEnd)
	}
	return c, nil
}

// choose applies options and checks what can be checked before anything is sent.
func (m *Manager[T]) choose(b *birth[T], opts []CreateOption) (err error) {
	var o createOptions
	for _, opt := range opts {
		opt(&o)
	}
	if b.key = o.secret; !o.chosen {
		b.key = newSecret()
	} else if len(b.key) < minSecret || len(b.key) > maxSecret {
		return data.Errorf(b.op, "", "WithSecret: %d bytes: want %d to %d", len(b.key), minSecret, maxSecret)
	}
	if b.idle, b.absolute, err = m.timeouts(o.ttl, o.absoluteTTL); err != nil {
		return data.Errorf(b.op, "", "WithTimeouts: %w", err)
	}
	if err := b.device.check(); err != nil {
		return data.Err(b.op, "", err)
	}
	return nil
}

// timeouts are those of a session in milliseconds, where zero is Config's.
func (m *Manager[T]) timeouts(ttl, absoluteTTL time.Duration) (idle, absolute int64, err error) {
	return lifetime(cmp.Or(ttl, m.ttl), cmp.Or(absoluteTTL, m.absoluteTTL))
}

// createHeader is how many arguments of create.lua come before the application's fields.
const createHeader = 10

// calls are the two steps of a birth. The first without the second is nobody's session.
func (m *Manager[T]) calls(b *birth[T], id ID, s *scratch[T]) ([]script.Call, error) {
	values, err := m.encode(s, &s.before, createHeader, b.data)
	if err == nil {
		err = m.checkSize(s.before.List[createHeader : createHeader+values])
	}
	if err != nil {
		return nil, err
	}
	ttl := b.idle
	if b.absolute > 0 {
		ttl = min(ttl, b.absolute)
	}
	lives := number(ttl)
	args := s.before.List[:createHeader+values]
	copy(args, []string{"data", lives, fieldSecret, id.sum(), fieldUser, b.userID, fieldVersion, "1", fieldEnds, "+" + lives})
	limit, policy := m.limit, "reject"
	if b.userID == "" {
		limit = 1
	}
	if m.onLimit == EvictOldest {
		policy = "evict"
	}
	admit := []string{policy, strconv.Itoa(limit), id.ref, lives, number(b.idle) + " " + number(b.absolute) + " " + b.device.encode()}
	if b.exchanged != "" {
		admit = append(admit, b.exchanged)
	}
	return []script.Call{
		{Keys: []string{m.sessionKey(b.tag, id.ref)}, Args: args},
		{Keys: []string{m.indexKey(b.tag)}, Args: admit},
	}, nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func (m *Manager[T]) create(ctx context.Context, b *birth[T]) (Created[T], error) {
	id := newID(b.tag, newRef(), b.key)
	index := m.indexKey(b.tag)
	s := m.scratch()
	defer m.free(s)
	calls, err := m.calls(b, id, s)
	if err != nil {
		return Created[T]{}, data.Err(b.op, index, err)
	}
	results := m.run.create.ExecMulti(ctx, m.client, calls)
	errData := results[0].Error()
	a, err := decodeAdmission(results[1])
	if err == nil {
		m.report(ctx, b, a)
	}
	m.at("create: admitted")
	switch {
	case err != nil || errData != nil:
		m.counts.login(ctx, loginFailed)
		m.takeBack(ctx, b.tag, id.ref, errData, err)
		if err == nil {
			err = errData
		}
		return Created[T]{}, data.Err(b.op, index, err)
	case !a.admitted:
		m.counts.login(ctx, loginRefused)
		m.discard(ctx, b.tag, id.ref)
		return Created[T]{}, data.Err(b.op, index, &LimitError{Limit: m.limit, Count: a.count})
	}
	m.counts.login(ctx, loginAdmitted)
	c := Created[T]{Count: a.count}
	device := b.device
	device.UserAgent = cut(device.UserAgent, MaxUserAgent)
	c.Session = Session[T]{ID: id, Ref: id.ref, UserID: b.userID, Data: b.data, Device: device, Version: 1}
	e := entry{created: a.now, seen: a.now, idle: b.idle, absolute: b.absolute}
	c.CreatedAt, c.LastSeenAt, c.ExpiresAt = at(e.created), at(e.seen), at(e.ends())
	gone := make([]string, 0, len(a.evicted)+len(a.exchanged))
	for _, f := range a.evicted {
		c.Evicted = append(c.Evicted, Ended{f.ref, f.info(f.ref).Device, ReasonLimit})
		gone = append(gone, f.ref)
	}
	for _, f := range a.exchanged {
		gone = append(gone, f.ref)
	}
	m.discard(ctx, b.tag, gone...)
	m.event(ctx, Event{Kind: EventCreated, UserID: b.userID, Ref: id.ref, Device: device, At: c.CreatedAt})
	return c, nil
}

// report tells of the sessions that ended by an admission.
func (m *Manager[T]) report(ctx context.Context, b *birth[T], a admission) {
	for _, f := range a.expired {
		m.event(ctx, f.ended(EventExpired, b.userID, f.reason(), a.now))
	}
	for _, f := range a.evicted {
		m.event(ctx, f.ended(EventEvicted, b.userID, ReasonLimit, a.now))
	}
	for _, f := range a.exchanged {
		m.event(ctx, f.ended(EventRevoked, b.userID, ReasonLogin, a.now))
	}
}

// takeBack removes what a login may have left behind that failed. The caller's context may have ended.
func (m *Manager[T]) takeBack(ctx context.Context, tag, ref string, errs ...error) {
	none := true
	for _, err := range errs {
		none = none && err != nil && !rediskit.MayHaveApplied(err)
	}
	if none {
		return
	}
	ctx = context.WithoutCancel(ctx)
	bounded, cancel := context.WithTimeout(ctx, takeBackTime)
	defer cancel()
	results := m.client.DoMulti(bounded, 2, func(b rueidis.Builder, i int) rueidis.Completed {
		if i == 0 {
			return b.Hdel().Key(m.indexKey(tag)).Field(ref).Build().ToRetryable()
		}
		return b.Unlink().Key(m.sessionKey(tag, ref)).Build().ToRetryable()
	})
	for i := range results {
		if err := results[i].Error(); err != nil {
			m.warn(ctx, "session: a login that failed may count until it expires", ref, err)
			return
		}
	}
}

// admission is the reply of create.lua.
type admission struct {
	admitted                    bool
	count                       int
	now                         int64
	expired, evicted, exchanged []found
}

func decodeAdmission(res rueidis.RedisResult) (a admission, err error) {
	msgs, err := res.ToArray()
	if err != nil {
		return a, err
	}
	var numbers [5]int64
	if len(msgs) < len(numbers) {
		return a, errReply
	}
	for i := range numbers {
		if numbers[i], err = msgs[i].AsInt64(); err != nil {
			return a, err
		}
	}
	a.admitted, a.count, a.now = numbers[0] == 1, int(numbers[1]), numbers[2]
	all, err := decodeEntries(msgs[len(numbers):])
	if err != nil {
		return a, err
	}
	expired, evicted := int(numbers[3]), int(numbers[4])
	if expired < 0 || evicted < 0 || expired+evicted > len(all) {
		return a, errReply
	}
	a.expired, a.evicted, a.exchanged = all[:expired], all[expired:expired+evicted], all[expired+evicted:]
	return a, nil
}
