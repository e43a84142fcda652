package hash

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
)

// scanCount is about how many fields a Map.All reads at a time.
const scanCount = 500

// MapConfig says how maps are kept.
type MapConfig[V any] struct {
	// TTL is what every write sets the TTL of its key to: at least 1 ms, or rediskit.NoTTL. It is required.
	TTL time.Duration

	// Codec encodes values. The default is codec.Default: strings, byte slices and numbers as they are.
	Codec codec.Codec[V]
}

// Map keeps values of type V in hashes under field names that are data, any strings; which hash, each call says.
// It is safe for concurrent use.
type Map[V any] struct {
	store store
	codec codec.Codec[V]
	plain bool // values are strings, and stored as they are
}

// Entry is a field with its value.
type Entry[V any] struct {
	Field string
	Value V
}

// NewMap returns access to hashes whose values are of type V. It returns an error if client is nil or cfg is
// bad, and sends nothing.
func NewMap[V any](client *rediskit.Client, cfg MapConfig[V]) (*Map[V], error) {
	s, err := newStore(client, cfg.TTL)
	if err != nil {
		return nil, err
	}
	if cfg.Codec == nil {
		cfg.Codec = codec.Default[V]()
	}
	plain := any(cfg.Codec) == any(codec.Raw[string]())
	return &Map[V]{store: s, codec: cfg.Codec, plain: plain}, nil
}

// Set writes a field. It may be repeated, and is by the client after a lost reply.
func (m *Map[V]) Set(ctx context.Context, key, field string, value V) error {
	const op = "hash.Set"
	s, err := m.encode(op, key, field, value)
	if err != nil {
		return err
	}
	_, err = m.store.write(ctx, op, key, always, []string{header: field, s}, 2)
	return err
}

// SetMany writes fields at one moment, at most 499,998. Without any it does nothing. It may be repeated, and is
// by the client after a lost reply.
func (m *Map[V]) SetMany(ctx context.Context, key string, values map[string]V) error {
	const op = "hash.SetMany"
	if err := data.CheckKey(op, key); err != nil || len(values) == 0 {
		return err
	}
	return m.writeMany(ctx, op, key, always, values)
}

// Replace puts values in the place of the whole hash; without any it deletes the hash. No reader sees anything
// but the old hash or the new one. With rediskit.NoTTL the TTL that the key has stays. It may be repeated, and
// is by the client after a lost reply.
func (m *Map[V]) Replace(ctx context.Context, key string, values map[string]V) error {
	const op = "hash.Replace"
	if err := data.CheckKey(op, key); err != nil {
		return err
	}
	return m.writeMany(ctx, op, key, replace, values)
}

func (m *Map[V]) writeMany(ctx context.Context, op, key string, how mode, values map[string]V) error {
	n := header + 2*len(values)
	if err := checkCount(op, key, n); err != nil {
		return err
	}
	args := make([]string, header, n)
	for field, v := range values {
		s, err := m.codec.Encode(v)
		if err != nil {
			return data.Errorf(op, key, "field %q: %w", field, err)
		}
		args = append(args, field, s)
	}
	_, err := m.store.write(ctx, op, key, how, args, len(args)-header)
	return err
}

// SetNX writes a field if the hash does not have it, and returns whether it did. If not, nothing changes.
//
// SetNX is not repeated after a lost reply, because it would find its own field; [rediskit.MayHaveApplied] tells.
func (m *Map[V]) SetNX(ctx context.Context, key, field string, value V) (bool, error) {
	const op = "hash.SetNX"
	s, err := m.encode(op, key, field, value)
	if err != nil {
		return false, err
	}
	return m.store.setNX(ctx, op, key, field, s)
}

// Get reads a field. It returns (zero, false, nil) if it is not there.
func (m *Map[V]) Get(ctx context.Context, key, field string) (value V, found bool, err error) {
	const op = "hash.Get"
	if err := data.CheckKey(op, key); err != nil {
		return value, false, err
	}
	s, err := m.store.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hget().Key(key).Field(field).Build()
	}).ToString()
	if found, err = data.Found(err); err != nil || !found {
		return value, false, data.Err(op, key, err)
	}
	if err := m.codec.Decode(s, &value); err != nil {
		var zero V
		return zero, false, data.Errorf(op, key, "field %q: %w", field, err)
	}
	return value, true, nil
}

// GetMany reads fields at one moment and returns those that are there. Without fields it sends nothing.
func (m *Map[V]) GetMany(ctx context.Context, key string, fields ...string) (map[string]V, error) {
	const op = "hash.GetMany"
	if err := data.CheckKey(op, key); err != nil || len(fields) == 0 {
		return nil, err
	}
	if err := checkCount(op, key, len(fields)); err != nil {
		return nil, err
	}
	msgs, err := m.store.mget(ctx, key, fields)
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	out := make(map[string]V, len(fields))
	d := decoder[V]{codec: m.codec}
	for i := range msgs {
		if msgs[i].IsNil() {
			continue
		}
		s, err := msgs[i].ToString()
		if err == nil {
			out[fields[i]], err = d.decode(fields[i], s)
		}
		if err != nil {
			return nil, data.Err(op, key, err)
		}
	}
	return out, nil
}

// GetAll reads the whole hash at one moment; the map is empty if there is none. All of it is in memory at once,
// here and in the server's reply, and the server does nothing else meanwhile: for large hashes there is All.
func (m *Map[V]) GetAll(ctx context.Context, key string) (map[string]V, error) {
	const op = "hash.GetAll"
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	all, err := m.store.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hgetall().Key(key).Build()
	}).AsStrMap()
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	if m.plain {
		return any(all).(map[string]V), nil
	}
	out := make(map[string]V, len(all))
	d := decoder[V]{codec: m.codec}
	for field, s := range all {
		if out[field], err = d.decode(field, s); err != nil {
			return nil, data.Err(op, key, err)
		}
	}
	return out, nil
}

// Values reads all values at one moment, in no order. What is said of GetAll about large hashes is true here.
func (m *Map[V]) Values(ctx context.Context, key string) ([]V, error) {
	const op = "hash.Values"
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	msgs, err := m.store.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Hvals().Key(key).Build()
	}).ToArray()
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	out := make([]V, len(msgs))
	for i := range msgs {
		s, err := msgs[i].ToString()
		if err == nil {
			err = m.codec.Decode(s, &out[i])
		}
		if err != nil {
			return nil, data.Errorf(op, key, "value %d: %w", i, err)
		}
	}
	return out, nil
}

// All iterates over the hash in parts of about 500 fields (small hashes come in one), in no order, and the
// server serves others in between. A field that is there from the beginning to the end comes at least once; one
// may come twice, and one that is written or removed meanwhile may come or not.
//
//	for e, err := range counts.All(ctx, key) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(e.Field, e.Value)
//	}
//
// An error is the last thing that comes. If the hash moves to another server, by a failover for instance, or if
// its server restarts, the walk begins anew and fields come again. To notice that it asks for INFO, which an ACL
// may forbid: then fields may be missed in this case.
func (m *Map[V]) All(ctx context.Context, key string) iter.Seq2[Entry[V], error] {
	const op = "hash.All"
	return func(yield func(Entry[V], error) bool) {
		fail := func(err error) { yield(Entry[V]{}, data.Err(op, key, err)) }
		if err := data.CheckKey(op, key); err != nil {
			yield(Entry[V]{}, err)
			return
		}
		d := decoder[V]{codec: m.codec}
		for page := (page{cursor: "0"}); ; {
			if err := m.store.scan(ctx, key, &page); err != nil {
				fail(err)
				return
			}
			for i := 0; i < len(page.items); i += 2 {
				e, err := d.entry(page.items[i], page.items[i+1])
				if err != nil {
					fail(err)
					return
				}
				if !yield(e, nil) {
					return
				}
			}
			if page.cursor == "0" {
				return
			}
		}
	}
}

// page is a part of a walk.
type page struct {
	run, cursor string
	items       []rueidis.RedisMessage // field, value, field, value …
}

// scan reads the page after p into p.
func (s *store) scan(ctx context.Context, key string, p *page) error {
	args := []string{p.cursor, p.run, strconv.Itoa(scanCount)}
	reply, err := scanScript.Exec(ctx, s.client, []string{key}, args).ToArray()
	if err != nil {
		return err
	}
	if len(reply) != 3 {
		return errReply
	}
	if p.run, err = reply[0].ToString(); err != nil {
		return err
	}
	if p.cursor, err = reply[1].ToString(); err != nil {
		return err
	}
	if p.items, err = reply[2].ToArray(); err == nil && len(p.items)%2 != 0 {
		err = errReply
	}
	return err
}

// Incr adds to a field that holds an integer as text, as the default codec writes it, and returns the sum. A
// field or hash that is not there counts from 0. The server counts in 64 bits; a sum beyond them, or a value
// that is no integer, is an error of the server's, and nothing changes.
//
// Incr must not be repeated after a lost reply, and the client does not; [rediskit.MayHaveApplied] tells.
func (m *Map[V]) Incr(ctx context.Context, key, field string, by int64) (int64, error) {
	return m.store.incr(ctx, key, field, by)
}

// IncrFloat adds to a field that holds a number as text, as the default codec writes it, and returns the sum.
// For more see [Hash.IncrFloat].
//
// IncrFloat must not be repeated after a lost reply, and the client does not; [rediskit.MayHaveApplied] tells.
func (m *Map[V]) IncrFloat(ctx context.Context, key, field string, by float64) (float64, error) {
	return m.store.incrFloat(ctx, key, field, by)
}

// DelFields removes fields and returns how many of them were there. If none was, nothing changes. Without fields
// it does nothing.
//
// You may repeat DelFields, but the number is that of the last call; so the client does not after a lost reply.
func (m *Map[V]) DelFields(ctx context.Context, key string, fields ...string) (int64, error) {
	return m.store.delFields(ctx, key, fields)
}

// Exists returns whether the hash has a field.
func (m *Map[V]) Exists(ctx context.Context, key, field string) (bool, error) {
	return m.store.exists(ctx, key, field)
}

// Len returns how many fields the hash has; 0 if there is no hash.
func (m *Map[V]) Len(ctx context.Context, key string) (int64, error) { return m.store.length(ctx, key) }

// Fields returns the names of all fields, in no order. What is said of GetAll about large hashes is true here.
func (m *Map[V]) Fields(ctx context.Context, key string) ([]string, error) {
	return m.store.fields(ctx, key)
}

// Delete deletes keys: see [Hash.Delete].
func (m *Map[V]) Delete(ctx context.Context, keys ...string) (int64, error) {
	return m.store.delete(ctx, keys)
}

// TTL returns how long the key has left: see [Hash.TTL].
func (m *Map[V]) TTL(ctx context.Context, key string) (time.Duration, bool, error) {
	return m.store.timeToLive(ctx, key)
}

// Expire gives the key another TTL until the next write: see [Hash.Expire].
func (m *Map[V]) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return m.store.expire(ctx, key, ttl)
}

// Persist takes the TTL off the key until the next write: see [Hash.Persist].
func (m *Map[V]) Persist(ctx context.Context, key string) (bool, error) {
	return m.store.persist(ctx, key)
}

func (m *Map[V]) encode(op, key, field string, value V) (string, error) {
	if err := data.CheckKey(op, key); err != nil {
		return "", err
	}
	s, err := m.codec.Encode(value)
	if err != nil {
		return "", data.Errorf(op, key, "field %q: %w", field, err)
	}
	return s, nil
}

// decoder decodes one value after the other in the same place, so that only one is moved to the heap.
type decoder[V any] struct {
	codec codec.Codec[V]
	value V
}

func (d *decoder[V]) decode(field, s string) (V, error) {
	var zero V
	d.value = zero
	if err := d.codec.Decode(s, &d.value); err != nil {
		return zero, fmt.Errorf("field %q: %w", field, err)
	}
	return d.value, nil
}

func (d *decoder[V]) entry(field, value rueidis.RedisMessage) (e Entry[V], err error) {
	if e.Field, err = field.ToString(); err != nil {
		return e, err
	}
	s, err := value.ToString()
	if err != nil {
		return e, err
	}
	e.Value, err = d.decode(e.Field, s)
	return e, err
}
