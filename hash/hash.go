package hash

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/fields"
)

var (
	errNilClient = errors.New("hash: client is nil")
	errReply     = errors.New("unexpected form of reply")
)

// Config says how structs are kept.
type Config struct {
	// TTL is what every write sets the TTL of its key to: at least 1 ms, or rediskit.NoTTL. It is required.
	TTL time.Duration

	// Codec encodes the fields that have no form of their own: structs, slices, arrays and maps. It is given
	// pointers to them, both to encode and, in the value that it decodes into, to decode; codec.JSON,
	// codec.MessagePack and codec.Compress of these work so. The default is codec.JSON.
	Codec codec.Codec[any]
}

// Hash keeps structs of type T in hashes; which hash, each call says. It is safe for concurrent use.
type Hash[T any] struct {
	store store
	plan  *fields.Plan
	codec codec.Codec[any]
	pool  sync.Pool // *scratch[T]
}

// scratch is the working memory of a call. The struct in it can be pointed to, which an argument or a result
// could be only by moving to the heap.
type scratch[T any] struct {
	v    T
	rv   reflect.Value // of v
	args fields.Arguments
}

// New returns access to hashes that hold a T each, a struct. It sends nothing. It returns an error if client is
// nil or cfg is bad, and one that names the field if T has a field that cannot be kept: a channel, function,
// interface, complex number or pointer to a pointer, two fields of one name, or a mistake in a tag.
func New[T any](client *rediskit.Client, cfg Config) (*Hash[T], error) {
	s, err := newStore(client, cfg.TTL)
	if err != nil {
		return nil, err
	}
	t := reflect.TypeFor[T]()
	p, err := fields.Of(t)
	switch {
	case t.Kind() != reflect.Struct:
		return nil, fmt.Errorf("hash: %w; NewMap is for other values", err)
	case err != nil:
		return nil, fmt.Errorf("hash: %w", err)
	}
	if cfg.Codec == nil {
		cfg.Codec = codec.JSON[any]()
	}
	return &Hash[T]{store: s, plan: p, codec: cfg.Codec}, nil
}

// Set writes v, whether or not there is a hash. Afterwards the hash equals v in all fields of T: those that v
// omits (nil pointers, and empty values marked omitempty) are removed. Fields that T does not know stay. If v
// omits all its fields and there are no others, there is no hash afterwards.
//
// Set may be repeated, and is by the client after a lost reply.
func (h *Hash[T]) Set(ctx context.Context, key string, v T) error {
	_, err := h.write(ctx, "hash.Set", key, always, v, nil)
	return err
}

// SetFields writes the named fields of v, whether or not there is a hash, and no others; those that v omits are
// removed. The names are those in Redis. One that T does not have is an error. Without fields it does nothing.
//
// SetFields may be repeated, and is by the client after a lost reply.
func (h *Hash[T]) SetFields(ctx context.Context, key string, v T, fields ...string) error {
	_, err := h.writeFields(ctx, "hash.SetFields", key, always, v, fields)
	return err
}

// Create writes v if there is no hash, and returns whether it did. If not, nothing changes. Any hash counts,
// also one without fields of T; but a v that omits all its fields makes none, as with Set.
//
// Create is not repeated after a lost reply, because it would find its own hash; [rediskit.MayHaveApplied] tells.
func (h *Hash[T]) Create(ctx context.Context, key string, v T) (bool, error) {
	return h.write(ctx, "hash.Create", key, ifMissing, v, nil)
}

// Update is Set if there is a hash. If there is none it returns false, and nothing changes: what was deleted
// meanwhile is not brought back.
//
// You may repeat Update; the client does not after a lost reply.
func (h *Hash[T]) Update(ctx context.Context, key string, v T) (bool, error) {
	return h.write(ctx, "hash.Update", key, ifPresent, v, nil)
}

// UpdateFields is SetFields if there is a hash. If there is none it returns false, and nothing changes. Without
// fields it is an error.
//
// You may repeat UpdateFields; the client does not after a lost reply.
func (h *Hash[T]) UpdateFields(ctx context.Context, key string, v T, fields ...string) (bool, error) {
	const op = "hash.UpdateFields"
	if len(fields) == 0 {
		return false, data.Errorf(op, key, "no fields")
	}
	return h.writeFields(ctx, op, key, ifPresent, v, fields)
}

// Replace puts v in the place of the whole hash, also of the fields that T does not know. No reader sees
// anything but the old hash or the new one. With rediskit.NoTTL the TTL that the key has stays.
//
// Replace may be repeated, and is by the client after a lost reply.
func (h *Hash[T]) Replace(ctx context.Context, key string, v T) error {
	_, err := h.write(ctx, "hash.Replace", key, replace, v, nil)
	return err
}

// SetNX writes one field of v if the hash does not have it, and returns whether it did. If not, nothing changes.
// A field that v omits is an error.
//
// SetNX is not repeated after a lost reply, because it would find its own field; [rediskit.MayHaveApplied] tells.
func (h *Hash[T]) SetNX(ctx context.Context, key string, v T, field string) (bool, error) {
	const op = "hash.SetNX"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	i, err := h.plan.Find(field)
	if err != nil {
		return false, data.Err(op, key, err)
	}
	s := h.scratch()
	defer h.free(s)
	if err := h.encode(s, v, []int{i}); err != nil {
		return false, data.Err(op, key, err)
	}
	if s.args.Finish() == 0 {
		return false, data.Errorf(op, key, "field %q: the value is one that is omitted", field)
	}
	return h.store.setNX(ctx, op, key, field, s.args.List[header+1])
}

// Get reads a T. It returns (zero, false, nil) if there is no hash, or one that has no field of T. Fields that
// are not in the hash are zero in the T, and fields that T does not know are not read.
//
// A value that is not one of the field's type is an error that names the field and is codec.ErrCorrupt.
func (h *Hash[T]) Get(ctx context.Context, key string) (T, bool, error) {
	return h.get(ctx, "hash.Get", key, h.plan.Names(), nil)
}

// GetFields is Get for the named fields alone; the others are zero in the T. It returns (zero, false, nil) if
// the hash has none of them. A name that T does not have is an error, and so is no name at all.
func (h *Hash[T]) GetFields(ctx context.Context, key string, fields ...string) (T, bool, error) {
	const op = "hash.GetFields"
	which, err := h.plan.Pick(fields)
	if err == nil && len(fields) == 0 {
		err = errors.New("no fields")
	}
	if err != nil {
		var zero T
		return zero, false, data.Err(op, key, err)
	}
	return h.get(ctx, op, key, fields, which)
}

// GetMany reads several hashes at once, of any slots, and returns those that are there by their keys. It reads
// each at one moment, but not all at the same.
//
// After an error, which is about the first key that failed, the map has what could be read.
func (h *Hash[T]) GetMany(ctx context.Context, keys ...string) (map[string]T, error) {
	const op = "hash.GetMany"
	for _, key := range keys {
		if err := data.CheckKey(op, key); err != nil {
			return nil, err
		}
	}
	results := h.store.client.DoMulti(ctx, len(keys), func(b rueidis.Builder, i int) rueidis.Completed {
		return b.Hmget().Key(keys[i]).Field(h.plan.Names()...).Build()
	})
	out := make(map[string]T, len(keys))
	s := h.scratch()
	defer h.free(s)
	var firstErr error
	for i := range results {
		msgs, err := results[i].ToArray()
		var v T
		var found bool
		if err == nil {
			v, found, err = h.decode(s, msgs, len(h.plan.Names()), nil)
		}
		if found {
			out[keys[i]] = v
		}
		if err != nil && firstErr == nil {
			firstErr = data.Err(op, keys[i], err)
		}
	}
	return out, firstErr
}

// Incr adds to a field that is an integer (or a time.Duration, in nanoseconds) and returns the sum. A field or
// hash that is not there counts from 0. The server counts in 64 bits, whatever the size of the field in T; a
// sum beyond them, or a value that is no integer, is an error of the server's, and nothing changes.
//
// Incr must not be repeated after a lost reply, and the client does not; [rediskit.MayHaveApplied] tells.
func (h *Hash[T]) Incr(ctx context.Context, key, field string, by int64) (int64, error) {
	if err := h.check(field, h.plan.IsInteger, "an integer"); err != nil {
		return 0, data.Err("hash.Incr", key, err)
	}
	return h.store.incr(ctx, key, field, by)
}

// IncrFloat adds to a field that is a float and returns the sum. A field or hash that is not there counts from
// 0. The server adds decimal fractions, with 17 digits, so that 0.1 and 0.2 are 0.3. NaN and infinities are
// errors, and so is a sum that becomes one.
//
// IncrFloat must not be repeated after a lost reply, and the client does not; [rediskit.MayHaveApplied] tells.
func (h *Hash[T]) IncrFloat(ctx context.Context, key, field string, by float64) (float64, error) {
	if err := h.check(field, h.plan.IsFloat, "a float"); err != nil {
		return 0, data.Err("hash.IncrFloat", key, err)
	}
	return h.store.incrFloat(ctx, key, field, by)
}

// DelFields removes fields of T and returns how many of them were there. If none was, nothing changes. Without
// fields it does nothing.
//
// You may repeat DelFields, but the number is that of the last call; so the client does not after a lost reply.
func (h *Hash[T]) DelFields(ctx context.Context, key string, fields ...string) (int64, error) {
	if _, err := h.plan.Pick(fields); err != nil {
		return 0, data.Err("hash.DelFields", key, err)
	}
	return h.store.delFields(ctx, key, fields)
}

// Exists returns whether the hash has a field of T.
func (h *Hash[T]) Exists(ctx context.Context, key, field string) (bool, error) {
	if _, err := h.plan.Find(field); err != nil {
		return false, data.Err("hash.Exists", key, err)
	}
	return h.store.exists(ctx, key, field)
}

// Len returns how many fields the hash has, known to T or not; 0 if there is no hash.
func (h *Hash[T]) Len(ctx context.Context, key string) (int64, error) {
	return h.store.length(ctx, key)
}

// Fields returns the names of all fields the hash has, known to T or not, in no order.
func (h *Hash[T]) Fields(ctx context.Context, key string) ([]string, error) {
	return h.store.fields(ctx, key)
}

// Delete deletes keys, of any slots, and returns how many there were. It deletes each by itself.
//
// You may repeat Delete, but the number is that of the last call; so the client does not after a lost reply.
// The error is about the first key that failed; the others are deleted and counted nevertheless.
func (h *Hash[T]) Delete(ctx context.Context, keys ...string) (int64, error) {
	return h.store.delete(ctx, keys)
}

// TTL returns how long the key has left: rediskit.NoTTL if it does not expire, and (0, false, nil) if there is
// no key.
func (h *Hash[T]) TTL(ctx context.Context, key string) (time.Duration, bool, error) {
	return h.store.timeToLive(ctx, key)
}

// Expire gives the key another TTL, at least 1 ms, until the next write, and returns false if there is no key.
// It may be repeated, and is by the client after a lost reply.
func (h *Hash[T]) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return h.store.expire(ctx, key, ttl)
}

// Persist takes the TTL off the key until the next write, and returns false if the key has none or is not there.
// You may repeat it; the client does not after a lost reply.
func (h *Hash[T]) Persist(ctx context.Context, key string) (bool, error) {
	return h.store.persist(ctx, key)
}

// writeFields is write for fields by their names.
func (h *Hash[T]) writeFields(ctx context.Context, op, key string, m mode, v T, fields []string) (bool, error) {
	which, err := h.plan.Pick(fields)
	if err != nil {
		return false, data.Err(op, key, err)
	}
	return h.write(ctx, op, key, m, v, which)
}

// write writes fields of v, all of them if which is nil.
func (h *Hash[T]) write(ctx context.Context, op, key string, m mode, v T, which []int) (bool, error) {
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	if which != nil && len(which) == 0 {
		return false, nil
	}
	s := h.scratch()
	defer h.free(s)
	if err := h.encode(s, v, which); err != nil {
		return false, data.Err(op, key, err)
	}
	values := s.args.Finish()
	return h.store.write(ctx, op, key, m, s.args.List, values)
}

func (h *Hash[T]) get(ctx context.Context, op, key string, names []string, which []int) (v T, found bool, err error) {
	if err := data.CheckKey(op, key); err != nil {
		return v, false, err
	}
	msgs, err := h.store.mget(ctx, key, names)
	if err != nil {
		return v, false, data.Err(op, key, err)
	}
	s := h.scratch()
	defer h.free(s)
	v, found, err = h.decode(s, msgs, len(names), which)
	return v, found, data.Err(op, key, err)
}

// check makes sure that a field exists and is of a kind.
func (h *Hash[T]) check(field string, is func(int) bool, what string) error {
	i, err := h.plan.Find(field)
	if err != nil {
		return err
	}
	if !is(i) {
		return errors.New("field " + h.plan.Path(i) + " is not " + what)
	}
	return nil
}

func (h *Hash[T]) scratch() *scratch[T] {
	s, ok := h.pool.Get().(*scratch[T])
	if !ok {
		s = new(scratch[T])
		s.rv = reflect.ValueOf(&s.v).Elem()
	}
	s.args.Reset(header)
	return s
}

// free keeps working memory for the next call, but nothing of this one alive.
func (h *Hash[T]) free(s *scratch[T]) {
	var zero T
	s.v = zero
	if s.args.Free() {
		h.pool.Put(s)
	}
}

func (h *Hash[T]) encode(s *scratch[T], v T, which []int) error {
	s.v = v
	return h.plan.Encode(&s.args, s.rv, which, h.codec)
}

func (h *Hash[T]) decode(s *scratch[T], msgs []rueidis.RedisMessage, want int, which []int) (v T, found bool, err error) {
	if len(msgs) != want {
		return v, false, errReply
	}
	var zero T
	s.v = zero
	if found, err = h.plan.Decode(s.rv, which, msgs, h.codec); err != nil {
		return v, false, err
	}
	return s.v, found, nil
}
