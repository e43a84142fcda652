package script

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	_ "embed" // the script

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
)

//go:embed batch.lua
var batchSource string

var (
	batchOnce   = New(batchSource, Once)
	batchRepeat = New(batchSource, Idempotent)
)

var (
	// ErrCondition is the cause of a [*BatchError] when a condition of the batch does not hold. Nothing was
	// applied.
	ErrCondition = errors.New("the condition does not hold")

	// ErrTokenUsed reports that a batch's token belongs to another batch, one with other operations, values or
	// conditions. Nothing was applied.
	ErrTokenUsed = errors.New("the token was used for another batch")
)

const (
	maxOperationArgs = 4_000   // what Lua's unpack can do is 8,000, and 5,000 on the embedded server
	maxBatchArgs     = 100_000 // the server does nothing else in the meantime
)

// Batch is a list of simple operations that are applied together in one round trip: no other client sees or
// changes anything in between. The zero value is empty and ready. Operations are added by methods and [Op],
// and applied by [Batch.Run] in the order in which they were added; what an operation replied is then in the
// [Reply] that adding it returned. A Batch belongs to one goroutine at a time and may be run again.
//
// All keys share a slot on a cluster. Values are written as by [Args]. A mistake in a batch (an empty key, a
// TTL of zero, a value that Args refuses) is reported by Run, which then sends nothing.
//
// # All or nothing
//
// Redis does not take back what a script wrote before it failed. So before its first write the script checks
// the conditions, the types of the keys and the values of counters, and applies nothing if one is not as the
// operations need it. Operations on different types of value at one key need a Del between them. After these
// checks the batch's own methods fail half-way only if the connection's user is not allowed one of the
// commands. What [Op] adds can fail for reasons of its own, INCRBYFLOAT at a text for one: then the
// operations before it stay, and [BatchError] says how many. A server that is out of memory or cannot take
// writes refuses a batch as a whole.
//
// # Time to live
//
// Operations that can create a key take a ttl, and set the key's TTL to it anew, rounded up to milliseconds.
// Zero is an error. rediskit.NoTTL leaves the TTL that the key has, and a new key without one; after Set, which
// replaces the key, there is none. Expire and Persist change a TTL, the others leave it alone.
type Batch struct {
	ops        []operation
	conditions []check
	token      string
	lifetime   string // of the token
	err        error  // the first mistake
}

type operation struct {
	name  string
	key   string
	ttl   string // "0": none
	args  []string
	reply receiver // nil if nobody asks
	cmd   command
	by    int64 // of IncrBy and HIncrBy
	raw   bool  // of Op: nothing is known but cmd
}

func (o *operation) String() string { return fmt.Sprintf("%s %q", o.name, o.key) }

// check is what has to hold before anything is applied.
type check struct {
	name    string
	key     string
	args    []string
	says    string   // what has to be named when it does not hold
	counter *counter // has the arguments of INT and the last ones of FIELDINT
}

// Reply is what one operation of a [Batch] replied.
type Reply[T any] struct {
	// Value is zero until the batch was applied, and where Found is false.
	Value T
	// Found is false if the reply is nil: there is no such key or field.
	Found bool
}

type receiver interface {
	reset()
	receive(msg *rueidis.RedisMessage) error
}

func (r *Reply[T]) reset() { *r = Reply[T]{} }

func (r *Reply[T]) receive(msg *rueidis.RedisMessage) error {
	if msg.IsNil() {
		return nil
	}
	var value T
	if err := into(reflect.ValueOf(&value).Elem(), msg); err != nil {
		return err
	}
	*r = Reply[T]{Value: value, Found: true}
	return nil
}

// BatchError reports a batch that was not applied in full, or a reply to it that could not be decoded.
type BatchError struct {
	// Operation is the operation or condition that is the matter, for example HSET or IfAbsent, and Key its key.
	Operation string
	Key       string
	// Applied is how many operations were applied: none if a condition, a type or a counter stands against the
	// batch, those before Operation if that failed half-way, and all if only its reply is not what was wanted.
	Applied int
	// Err is the cause: ErrCondition, the server's *rueidis.RedisError, or an error of decoding.
	Err error
}

// Error names the operation, the key, the cause and how much was applied.
func (e *BatchError) Error() string {
	return fmt.Sprintf("%s %q: %v (operations applied: %d)", e.Operation, e.Key, e.Err, e.Applied)
}

// Unwrap returns the cause.
func (e *BatchError) Unwrap() error { return e.Err }

// IfExists makes the batch depend on a key's being there. All conditions are about the state before the
// batch, and are checked before anything is applied; see [ErrCondition].
func (b *Batch) IfExists(key string) { b.condition("IfExists", key) }

// IfAbsent makes the batch depend on a key's not being there.
func (b *Batch) IfAbsent(key string) { b.condition("IfAbsent", key) }

// IfEquals makes the batch depend on a key's being there with a string value that equals value byte for byte.
func (b *Batch) IfEquals(key string, value any) { b.condition("IfEquals", key, value) }

func (b *Batch) condition(name, key string, values ...any) {
	args, err := b.arguments(key, values)
	if err != nil {
		b.mistake(fmt.Errorf("%s %q: %w", name, key, err))
		return
	}
	b.conditions = append(b.conditions, check{name: strings.ToUpper(name), key: key, args: args, says: name})
}

// Token makes the batch one that is applied once however often it is run, also by other processes: when it is
// applied, key is set for ttl and keeps the replies, and running the same batch again only gives these replies,
// or the error if it failed half-way. So a batch with a token is repeated by itself when its reply was lost,
// and may safely be run again after any error.
//
// The token's key names what is to happen once, such as a request or a message; it shares the slot of the
// other keys and is none of them. The same batch means equal operations, values and conditions, in order:
// another one gets [ErrTokenUsed]. A refused batch leaves no token. ttl is at least 1 ms, and to be longer
// than anybody may try again; NoTTL is an error.
func (b *Batch) Token(key string, ttl time.Duration) {
	lifetime, err := formatTTL(ttl)
	switch {
	case key == "":
		err = errors.New("empty key")
	case ttl == rediskit.NoTTL:
		err = errors.New("the TTL is rediskit.NoTTL: a token has to expire")
	case b.token != "":
		err = errors.New("the batch has a token already")
	}
	if err != nil {
		b.mistake(fmt.Errorf("Token %q: %w", key, err))
		return
	}
	b.token, b.lifetime = key, lifetime
}

// Set sets a key to a value, whatever it held.
func (b *Batch) Set(key string, value any, ttl time.Duration) {
	px, err := formatTTL(ttl)
	if err != nil {
		b.mistake(fmt.Errorf("SET %q: %w", key, err))
		return
	}
	values := []any{value}
	if px != "0" {
		values = append(values, "PX", px)
	}
	b.add(operation{name: "SET", key: key}, rediskit.NoTTL, values...)
}

// Get reads a string value.
func (b *Batch) Get(key string) *Reply[string] {
	return typed[string](b, operation{name: "GET", key: key}, rediskit.NoTTL)
}

// Del removes a key and tells whether it was there.
func (b *Batch) Del(key string) *Reply[bool] {
	return typed[bool](b, operation{name: "DEL", key: key}, rediskit.NoTTL)
}

// Exists tells whether a key is there.
func (b *Batch) Exists(key string) *Reply[bool] {
	return typed[bool](b, operation{name: "EXISTS", key: key}, rediskit.NoTTL)
}

// Expire gives a key a time to live from now on, and tells whether the key is there. For none, see Persist.
func (b *Batch) Expire(key string, ttl time.Duration) *Reply[bool] {
	if ttl <= 0 {
		b.mistake(fmt.Errorf("PEXPIRE %q: the TTL is %v: want at least 1ms; Persist takes one away", key, ttl))
	}
	return typed[bool](b, operation{name: "PEXPIRE", key: key}, rediskit.NoTTL, ttl)
}

// Persist takes a key's time to live away, and tells whether there was one.
func (b *Batch) Persist(key string) *Reply[bool] {
	return typed[bool](b, operation{name: "PERSIST", key: key}, rediskit.NoTTL)
}

// IncrBy adds to a counter, which starts from zero, and replies its value. A counter beyond ±9.2e18 is
// refused as one that would overflow.
func (b *Batch) IncrBy(key string, by int64, ttl time.Duration) *Reply[int64] {
	return typed[int64](b, operation{name: "INCRBY", key: key, by: by}, ttl, by)
}

// HSet sets a field of a hash and tells whether the field is new.
func (b *Batch) HSet(key, field string, value any, ttl time.Duration) *Reply[bool] {
	return typed[bool](b, operation{name: "HSET", key: key}, ttl, field, value)
}

// HGet reads a field of a hash.
func (b *Batch) HGet(key, field string) *Reply[string] {
	return typed[string](b, operation{name: "HGET", key: key}, rediskit.NoTTL, field)
}

// HDel removes a field of a hash and tells whether it was there.
func (b *Batch) HDel(key, field string) *Reply[bool] {
	return typed[bool](b, operation{name: "HDEL", key: key}, rediskit.NoTTL, field)
}

// HIncrBy adds to a counter in a field of a hash, as IncrBy does.
func (b *Batch) HIncrBy(key, field string, by int64, ttl time.Duration) *Reply[int64] {
	return typed[int64](b, operation{name: "HINCRBY", key: key, by: by}, ttl, field, by)
}

// LPush puts a value at the head of a list and replies the list's length.
func (b *Batch) LPush(key string, value any, ttl time.Duration) *Reply[int64] {
	return typed[int64](b, operation{name: "LPUSH", key: key}, ttl, value)
}

// RPush puts a value at the tail of a list and replies the list's length.
func (b *Batch) RPush(key string, value any, ttl time.Duration) *Reply[int64] {
	return typed[int64](b, operation{name: "RPUSH", key: key}, ttl, value)
}

// SAdd adds a member to a set and tells whether it is new.
func (b *Batch) SAdd(key string, member any, ttl time.Duration) *Reply[bool] {
	return typed[bool](b, operation{name: "SADD", key: key}, ttl, member)
}

// SRem removes a member of a set and tells whether it was there.
func (b *Batch) SRem(key string, member any) *Reply[bool] {
	return typed[bool](b, operation{name: "SREM", key: key}, rediskit.NoTTL, member)
}

// ZAdd gives a member of a sorted set a score and tells whether the member is new.
func (b *Batch) ZAdd(key string, member any, score float64, ttl time.Duration) *Reply[bool] {
	return typed[bool](b, operation{name: "ZADD", key: key}, ttl, score, member)
}

// Op adds any command that is about one key, its first argument, with a reply decoded into an R as by [Run]:
//
//	all := script.Op[map[string]string](&batch, "HGETALL", key)
//
// Which TTL the key has afterwards is the caller's affair. The commands are those of Redis 6.2 on strings,
// hashes, lists, sets, sorted sets, places and streams, and DEL, UNLINK, EXISTS, TYPE, DUMP, PERSIST and those
// on TTLs; a command that takes several keys, blocks, or is unknown is an error, as are more than 4,000
// arguments.
func Op[R any](b *Batch, command, key string, args ...any) *Reply[R] {
	return typed[R](b, operation{name: strings.ToUpper(command), key: key, raw: true}, rediskit.NoTTL, args...)
}

func typed[R any](b *Batch, o operation, ttl time.Duration, values ...any) *Reply[R] {
	reply := new(Reply[R])
	o.reply = reply
	b.add(o, ttl, values...)
	return reply
}

// add completes an operation and adds it, unless there is a mistake in it.
func (b *Batch) add(o operation, ttl time.Duration, values ...any) {
	var known bool
	var err error
	if o.cmd, known = commandOf(o.name); !known {
		b.mistake(fmt.Errorf("%v: not a command that a batch can run", &o))
		return
	}
	if o.cmd.alone && len(values) > 0 {
		b.mistake(fmt.Errorf("%v: takes one key and no arguments", &o))
		return
	}
	if o.args, err = b.arguments(o.key, values); err == nil {
		o.ttl, err = formatTTL(ttl)
	}
	if err != nil {
		b.mistake(fmt.Errorf("%v: %w", &o, err))
		return
	}
	b.ops = append(b.ops, o)
}

func (b *Batch) arguments(key string, values []any) ([]string, error) {
	if key == "" {
		return nil, errors.New("empty key")
	}
	if len(values) > maxOperationArgs {
		return nil, fmt.Errorf("%d arguments: at most %d, or several operations", len(values), maxOperationArgs)
	}
	return formatAll(values)
}

func (b *Batch) mistake(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Run applies the batch in one round trip and fills the Replies. Without a Token it is not repeated after a
// lost reply, unless it only reads; rediskit.MayHaveApplied then tells that it may have been applied.
//
// Errors are [*rediskit.OpError]. The cause is a mistake in the batch, of which nothing was sent; a
// [*BatchError], by which errors.Is finds [ErrCondition]; [ErrTokenUsed]; [rediskit.ErrCrossSlot]; or what
// [rediskit.Client.Do] gives.
func (b *Batch) Run(ctx context.Context, c *rediskit.Client) error {
	return data.Err("script.Batch.Run", "", b.run(ctx, c))
}

func (b *Batch) run(ctx context.Context, c *rediskit.Client) error {
	for i := range b.ops {
		if r := b.ops[i].reply; r != nil {
			r.reset()
		}
	}
	switch {
	case b.err != nil:
		return b.err
	case len(b.ops) == 0:
		return errors.New("the batch has no operation")
	}
	checks, err := b.plan()
	if err != nil {
		return err
	}
	keys, args, err := b.encode(checks)
	if err != nil {
		return err
	}
	s := batchOnce
	if b.token != "" || b.reads() {
		s = batchRepeat
	}
	return b.receive(s.Exec(ctx, c, keys, args), checks)
}

func (b *Batch) reads() bool {
	for i := range b.ops {
		if b.ops[i].cmd.writes {
			return false
		}
	}
	return true
}

// receive takes the script's reply apart.
func (b *Batch) receive(res rueidis.RedisResult, checks []check) error {
	reply, err := res.ToArray()
	if err != nil {
		return err
	}
	unreadable := errors.New("the reply is not the batch script's")
	if len(reply) == 0 {
		return unreadable
	}
	outcome, _ := reply[0].ToString()
	switch {
	case outcome == "applied" && len(reply) == 2:
		return b.deliver(&reply[1])
	case outcome == "used":
		return ErrTokenUsed
	case len(reply) < 2:
		return unreadable
	}
	var cause error
	if len(reply) > 2 {
		cause = reply[2].Error()
	}
	switch i, err := reply[1].ToInt64(); {
	case err != nil:
		return err
	case outcome == "refused" && i == 0 && cause != nil:
		return &BatchError{Operation: "Token", Key: b.token, Err: cause}
	case outcome == "refused" && 1 <= i && i <= int64(len(checks)):
		if cause == nil {
			cause = ErrCondition
		}
		return &BatchError{Operation: checks[i-1].says, Key: checks[i-1].key, Err: cause}
	case outcome == "failed" && 1 <= i && i <= int64(len(b.ops)) && cause != nil:
		return &BatchError{Operation: b.ops[i-1].name, Key: b.ops[i-1].key, Applied: int(i) - 1, Err: cause}
	default:
		return unreadable
	}
}

// deliver hands each operation its reply.
func (b *Batch) deliver(list *rueidis.RedisMessage) error {
	replies, err := list.ToArray()
	if err != nil {
		return err
	}
	if len(replies) != len(b.ops) {
		return fmt.Errorf("%d replies to %d operations", len(replies), len(b.ops))
	}
	var first error
	for i, o := range b.ops {
		if o.reply == nil {
			continue
		}
		if err := o.reply.receive(&replies[i]); err != nil && first == nil {
			first = &BatchError{Operation: o.name, Key: o.key, Applied: len(b.ops), Err: err}
		}
	}
	return first
}
