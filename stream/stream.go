package stream

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/script"
)

var (
	//go:embed add.lua
	addSource string

	addScript = script.New(addSource, script.Once)
)

// DefaultField is the field in which an entry keeps its value unless Config.Field says otherwise.
const DefaultField = "v"

// maxFields bounds the fields of an entry: the script that adds it hands them to XADD all at once.
const maxFields = 3000

var (
	// ErrNoGroup reports that the stream, or the group of it that was named, does not exist.
	ErrNoGroup = errors.New("no such stream or group")

	// ErrNotNewer reports that an ID was chosen for an entry, but the stream has had one as high or higher.
	ErrNotNewer = errors.New("the ID is not higher than the last of the stream")
)

// Config says how entries are stored and for how long.
type Config[T any] struct {
	// TTL is how long a stream lives after the last entry was added to it, or a group created on it. It must be
	// set: at least 1 ms, or rediskit.NoTTL, with which writes leave the stream's TTL as it is.
	TTL time.Duration

	// Trim is applied by everything that adds entries. Default: nothing is trimmed.
	Trim Trim

	// Field is the name of the field that holds the value. Default: DefaultField. It must be empty if T is Fields.
	Field string

	// Codec encodes the value. Default: codec.Default. It must be nil if T is Fields.
	Codec codec.Codec[T]
}

// Stream is typed access to streams. It is safe for concurrent use.
type Stream[T any] struct {
	c    *rediskit.Client
	form form[T]
	ttl  string // in ms; empty: none
	trim Trim
}

// New returns access to streams of T. It sends nothing; its error names the field of cfg that is wrong.
//
// An entry of a stream is a list of fields. New makes the value one of them, by the codec. If T is [Fields], a value
// is the list itself, as others write it and read it.
func New[T any](c *rediskit.Client, cfg Config[T]) (*Stream[T], error) {
	if c == nil {
		return nil, errors.New("stream: client is nil")
	}
	if err := data.CheckTTL("stream", cfg.TTL); err != nil {
		return nil, err
	}
	if err := cfg.Trim.check(); err != nil {
		return nil, fmt.Errorf("stream: Config.Trim: %w", err)
	}
	s := &Stream[T]{c: c, trim: cfg.Trim}
	if _, ok := any((*T)(nil)).(*Fields); ok {
		if cfg.Field != "" {
			return nil, errors.New("stream: Config.Field is set: Fields have no field of that kind")
		}
		if cfg.Codec != nil {
			return nil, errors.New("stream: Config.Codec is set: Fields are stored as they are")
		}
	} else {
		s.form = form[T]{field: cfg.Field, codec: cfg.Codec}
		if s.form.field == "" {
			s.form.field = DefaultField
		}
		if s.form.codec == nil {
			s.form.codec = codec.Default[T]()
		}
	}
	if cfg.TTL != rediskit.NoTTL {
		s.ttl = data.Millis(cfg.TTL)
	}
	return s, nil
}

// AddOptions are choices for one entry. The zero value is what Add does.
type AddOptions struct {
	// ID is the entry's ID. It must be higher than every ID that the stream has had, else the error is ErrNotNewer.
	// Default: the server chooses.
	ID ID
	// NoCreate adds to a stream that exists, and creates none.
	NoCreate bool
	// Trim is in place of Config.Trim. Default: Config.Trim.
	Trim Trim
}

// Add adds an entry at the end of a stream and returns the ID that the server chose.
//
// After a lost reply the entry may have been added; Add never adds twice by itself. A caller who repeats it can tell
// the two apart by choosing the ID, see [Stream.AddWith].
func (s *Stream[T]) Add(ctx context.Context, key string, value T) (ID, error) {
	id, _, err := s.add(ctx, "stream.Add", key, value, AddOptions{})
	return id, err
}

// AddWith adds an entry as opt says and returns its ID, or false if opt.NoCreate is set and there is no stream. It is
// otherwise like Add.
//
// With opt.ID set it may be repeated after a lost reply: the error is then [ErrNotNewer] if the first had been
// applied, or if somebody else has added an entry since.
func (s *Stream[T]) AddWith(ctx context.Context, key string, value T, opt AddOptions) (ID, bool, error) {
	return s.add(ctx, "stream.AddWith", key, value, opt)
}

func (s *Stream[T]) add(ctx context.Context, op, key string, value T, opt AddOptions) (ID, bool, error) {
	if err := data.CheckKey(op, key); err != nil {
		return ID{}, false, err
	}
	args, err := s.addArgs(value, opt)
	if err != nil {
		return ID{}, false, data.Err(op, key, err)
	}
	var res rueidis.RedisResult
	if s.ttl != "" {
		res = addScript.Exec(ctx, s.c, []string{key}, args)
	} else {
		res = s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return xadd(b, key, args) })
	}
	id, ok, err := added(res)
	return id, ok, data.Err(op, key, err)
}

// AddMany adds the values in their order, sent together, and returns their IDs. Each is added by itself: others'
// entries may come between them, and one that the server turned away at first, and that was sent again, can come
// after later ones. If some fail, the IDs of those are zero and the error is the first one's. Without values it does
// nothing.
//
// After a lost reply each of those with a zero ID may have been added; AddMany never adds twice by itself.
func (s *Stream[T]) AddMany(ctx context.Context, key string, values ...T) ([]ID, error) {
	const op = "stream.AddMany"
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, nil
	}
	calls := make([]script.Call, len(values))
	keys := []string{key}
	for i, v := range values {
		args, err := s.addArgs(v, AddOptions{})
		if err != nil {
			return nil, data.Err(op, key, err)
		}
		calls[i] = script.Call{Keys: keys, Args: args}
	}
	var results []rueidis.RedisResult
	if s.ttl != "" {
		results = addScript.ExecMulti(ctx, s.c, calls)
	} else {
		results = s.c.DoMulti(ctx, len(calls), func(b rueidis.Builder, i int) rueidis.Completed {
			return xadd(b, key, calls[i].Args)
		})
	}
	ids := make([]ID, len(results))
	var first error
	for i, res := range results {
		id, _, err := added(res)
		if err != nil && first == nil {
			first = err
		}
		ids[i] = id
	}
	return ids, data.Err(op, key, first)
}

// addArgs returns the arguments of add.lua: the TTL, and what XADD takes after the key.
func (s *Stream[T]) addArgs(value T, opt AddOptions) ([]string, error) {
	trim := s.trim
	if opt.Trim != (Trim{}) {
		if err := opt.Trim.check(); err != nil {
			return nil, fmt.Errorf("AddOptions.Trim: %w", err)
		}
		trim = opt.Trim
	}
	args := append(make([]string, 0, 10), s.ttl)
	if opt.NoCreate {
		args = append(args, "NOMKSTREAM")
	}
	args = trim.appendTo(args)
	if opt.ID.IsZero() {
		args = append(args, "*")
	} else {
		args = append(args, opt.ID.String())
	}
	return s.form.appendTo(args, value)
}

func xadd(b rueidis.Builder, key string, args []string) rueidis.Completed {
	return b.Arbitrary("XADD").Keys(key).Args(args[1:]...).Build()
}

// added reads the reply of XADD.
func added(res rueidis.RedisResult) (ID, bool, error) {
	text, err := res.ToString()
	if ok, err := data.Found(err); !ok {
		if re, isRe := rueidis.IsRedisErr(err); isRe && strings.Contains(re.Error(), "equal or smaller than") {
			err = fmt.Errorf("%w: %w", ErrNotNewer, err)
		}
		return ID{}, false, err
	}
	id, err := ParseID(text)
	return id, err == nil, err
}

// Len returns the number of entries; 0 if there is no stream.
func (s *Stream[T]) Len(ctx context.Context, key string) (int64, error) {
	const op = "stream.Len"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Xlen().Key(key).Build() }).AsInt64()
	return n, data.Err(op, key, err)
}

// Delete removes entries and returns how many there were. Their IDs stay pending in groups that were given them.
// Without ids it does nothing. After a lost reply they may be gone; the call may be repeated, but then counts only
// what the last attempt removed.
func (s *Stream[T]) Delete(ctx context.Context, key string, ids ...ID) (int64, error) {
	const op = "stream.Delete"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	if err := checkIDs(op, key, ids); err != nil || len(ids) == 0 {
		return 0, err
	}
	n, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Xdel().Key(key).Id(texts(ids)...).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}

// Trim removes the oldest entries until t is kept and returns how many they were. After a lost reply they may be
// gone; the call may be repeated, but then counts only what the last attempt removed.
func (s *Stream[T]) Trim(ctx context.Context, key string, t Trim) (int64, error) {
	const op = "stream.Trim"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	if t == (Trim{}) {
		return 0, data.Errorf(op, key, "nothing to trim to: use stream.MaxLen or stream.MinID")
	}
	if err := t.check(); err != nil {
		return 0, data.Err(op, key, err)
	}
	n, err := s.c.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("XTRIM").Keys(key).Args(t.appendTo(nil)...).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}

func texts(ids []ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// Trim says which entries are too old to keep. The zero value keeps all. Make one with [MaxLen] or [MinID].
//
// By default the server keeps somewhat more than asked (up to the size of a node, 100 entries), because that costs
// it next to nothing; [Trim.Exact] makes it keep no more.
type Trim struct {
	by    string // MAXLEN or MINID; empty: keep all
	n     int64
	id    ID
	exact bool
	limit int64
}

// MaxLen keeps the newest n entries. Zero keeps none, if it is Exact.
func MaxLen(n int64) Trim { return Trim{by: "MAXLEN", n: n} }

// MinID keeps entries from id on.
func MinID(id ID) Trim { return Trim{by: "MINID", id: id} }

// Exact keeps no more than asked.
func (t Trim) Exact() Trim {
	t.exact = true
	return t
}

// AtMost removes at most n entries at once, so that a call is never slow. It cannot be Exact. The server's own
// limit, without this, is 100 nodes: 10,000 entries by default.
func (t Trim) AtMost(n int64) Trim {
	t.limit = n
	return t
}

func (t Trim) check() error {
	switch {
	case t.n < 0:
		return fmt.Errorf("MaxLen(%d): must not be negative", t.n)
	case t.limit < 0:
		return fmt.Errorf("AtMost(%d): must not be negative", t.limit)
	case t.by == "" && t != (Trim{}):
		return errors.New("neither MaxLen nor MinID")
	case t.exact && t.limit > 0:
		return errors.New("Exact and AtMost exclude each other")
	}
	return nil
}

func (t Trim) appendTo(args []string) []string {
	if t.by == "" {
		return args
	}
	how, threshold := "~", strconv.FormatInt(t.n, 10)
	if t.exact {
		how = "="
	}
	if t.by == "MINID" {
		threshold = t.id.String()
	}
	args = append(args, t.by, how, threshold)
	if t.limit > 0 {
		args = append(args, "LIMIT", strconv.FormatInt(t.limit, 10))
	}
	return args
}
