package script

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
)

// Run runs a script with arguments formatted by [Args] and decodes its reply. R says what is wanted:
//
//	R                      decoded from
//	int…, uint…            an integer, or a string in decimal form
//	float32, float64       a string such as Redis and string.format make it, or an integer
//	string, []byte         a string
//	bool                   1 or 0, also as a string; a status such as OK is true; nil is false
//	time.Duration          milliseconds, as an integer or a string
//	time.Time              microseconds since 1970, as an integer or a string
//	[]T                    an array
//	map[string]T           an array of names and values in turn, as a script gets it from HGETALL, or a map
//	struct                 an array with as many elements as the struct has exported fields, in order
//	*T                     what T is decoded from; nil for nil
//	any                    anything: int64, string, nil, or []any of these
//
// Types whose underlying type is one of these are decoded like it. In Lua false and nil are the reply nil,
// and true is 1. A nil reply becomes nil in a pointer, a slice, a map and any, and false in a bool. For any
// other R it is an error, never a zero value; an R that tells nil from a value is *R.
//
// Keys must not be empty and, on a cluster, share a slot. On a cluster a script without keys runs on some
// master.
//
// All errors are [*rediskit.OpError]: of the arguments, before anything is sent; as [rediskit.Client.Do]
// gives them, a [*rediskit.ConnectionError] or the server's *rueidis.RedisError, which the script itself may
// have made (see [Code]); or of a reply that is no R, which says what came and what was wanted. In the last
// case, and after an error that the script met half-way, what the script wrote is written.
func Run[R any](ctx context.Context, c *rediskit.Client, s *Script, keys []string, args ...any) (R, error) {
	r, err := run[R](ctx, c, s, keys, args)
	if err != nil {
		key := ""
		if len(keys) == 1 {
			key = keys[0]
		}
		return r, data.Err("script.Run", key, err)
	}
	return r, nil
}

func run[R any](ctx context.Context, c *rediskit.Client, s *Script, keys []string, args []any) (R, error) {
	var none R
	for i, key := range keys {
		if key == "" {
			return none, fmt.Errorf("key %d is empty", i+1)
		}
	}
	argv, err := formatAll(args)
	if err != nil {
		return none, err
	}
	return decode[R](s.Exec(ctx, c, keys, argv))
}

// Decode decodes a result of [Script.Exec] or [Script.ExecMulti] into an R as [Run] does. Errors are
// [*rediskit.OpError].
func Decode[R any](res rueidis.RedisResult) (R, error) {
	r, err := decode[R](res)
	return r, data.Err("script.Decode", "", err)
}

func decode[R any](res rueidis.RedisResult) (R, error) {
	var r, none R
	msg, err := res.ToMessage()
	if err == nil || rueidis.IsRedisNil(err) {
		err = into(reflect.ValueOf(&r).Elem(), &msg)
	}
	if err != nil {
		return none, err
	}
	return r, nil
}

// Code returns the code of the error that the server answered with, and "" if err is no such error. The
// code is the first word if that is in capitals, else it is ERR. A script so tells its caller what is the
// matter:
//
//	return redis.error_reply('SOLDOUT no seat is left')
//
// For the text, errors.As finds the *rueidis.RedisError. The client library takes the code ERR itself off,
// so that one of the server's own texts that goes on with a word in capitals seems to have that for a code.
//
// Redis before 7.0 and the embedded server wrap what a command called by redis.call has to complain about
// into a text without a code. Where it matters, use redis.pcall and return the error.
func Code(err error) string {
	var re *rueidis.RedisError
	if !errors.As(err, &re) || re.IsNil() {
		return ""
	}
	word, _, _ := strings.Cut(re.Error(), " ")
	capital := false
	for _, c := range []byte(word) {
		switch {
		case 'A' <= c && c <= 'Z':
			capital = true
		case '0' <= c && c <= '9' || c == '_':
		default:
			return "ERR"
		}
	}
	if !capital {
		return "ERR"
	}
	return word
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
)

// into decodes a message into v, which can be set and is zero.
func into(v reflect.Value, msg *rueidis.RedisMessage) error {
	if msg.IsNil() {
		return intoNil(v)
	}
	if err := msg.Error(); err != nil {
		return err
	}
	switch v.Type() {
	case timeType:
		us, err := integer(v, msg, 64)
		if err == nil {
			v.Set(reflect.ValueOf(time.UnixMicro(us)))
		}
		return err
	case durationType:
		ms, err := integer(v, msg, 64)
		if err != nil {
			return err
		}
		if ms > int64(math.MaxInt64/time.Millisecond) || ms < int64(math.MinInt64/time.Millisecond) {
			return fmt.Errorf("got %s, want %v: out of range", came(msg), v.Type())
		}
		v.SetInt(ms * int64(time.Millisecond))
		return nil
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := integer(v, msg, v.Type().Bits())
		v.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return intoUint(v, msg)
	case reflect.Float32, reflect.Float64:
		return intoFloat(v, msg)
	case reflect.Bool:
		return intoBool(v, msg)
	case reflect.String:
		s, ok := text(msg)
		if !ok {
			return mismatch(v, msg)
		}
		v.SetString(s)
		return nil
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return into(v.Elem(), msg)
	case reflect.Slice:
		return intoSlice(v, msg)
	case reflect.Map:
		return intoMap(v, msg)
	case reflect.Struct:
		return intoStruct(v, msg)
	case reflect.Interface:
		return intoAny(v, msg)
	default:
		return mismatch(v, msg)
	}
}

func intoNil(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Bool:
		return nil
	default:
		return fmt.Errorf("got nil, want %v; a *%v takes both", v.Type(), v.Type())
	}
}

// integer reads a number of so many bits. v is for the error.
func integer(v reflect.Value, msg *rueidis.RedisMessage, bits int) (int64, error) {
	if msg.IsInt64() {
		n, err := msg.ToInt64()
		if shift := 64 - bits; err == nil && n<<shift>>shift != n {
			return 0, fmt.Errorf("got %s, want %v: out of range", came(msg), v.Type())
		}
		return n, err
	}
	s, ok := text(msg)
	if !ok {
		return 0, mismatch(v, msg)
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return 0, malformed(v, s, err)
	}
	return n, nil
}

func intoUint(v reflect.Value, msg *rueidis.RedisMessage) error {
	if msg.IsInt64() {
		n, err := msg.ToInt64()
		if err == nil && (n < 0 || v.OverflowUint(uint64(n))) {
			return fmt.Errorf("got %s, want %v: out of range", came(msg), v.Type())
		}
		v.SetUint(uint64(n))
		return err
	}
	s, ok := text(msg)
	if !ok {
		return mismatch(v, msg)
	}
	n, err := strconv.ParseUint(s, 10, v.Type().Bits())
	if err != nil {
		return malformed(v, s, err)
	}
	v.SetUint(n)
	return nil
}

func intoFloat(v reflect.Value, msg *rueidis.RedisMessage) error {
	switch s, ok := text(msg); {
	case msg.IsInt64():
		n, err := msg.ToInt64()
		v.SetFloat(float64(n))
		return err
	case msg.IsFloat64():
		f, err := msg.ToFloat64()
		v.SetFloat(f)
		return err
	case ok:
		f, err := strconv.ParseFloat(s, v.Type().Bits())
		if err != nil {
			return malformed(v, s, err)
		}
		v.SetFloat(f)
		return nil
	default:
		return mismatch(v, msg)
	}
}

func intoBool(v reflect.Value, msg *rueidis.RedisMessage) error {
	var s string
	var ok bool
	switch {
	case msg.IsBool():
		b, err := msg.ToBool()
		v.SetBool(b)
		return err
	case msg.IsInt64():
		n, err := msg.ToInt64()
		if err != nil {
			return err
		}
		s, ok = strconv.FormatInt(n, 10), true
	default:
		s, ok = text(msg)
	}
	switch {
	case !ok:
		return mismatch(v, msg)
	case s == "1" || s == "OK":
		v.SetBool(true)
		return nil
	case s == "0":
		return nil
	default:
		return fmt.Errorf("got %s other than 0, 1 and OK, want %v", came(msg), v.Type())
	}
}

func intoSlice(v reflect.Value, msg *rueidis.RedisMessage) error {
	if s, ok := text(msg); ok && v.Type().Elem().Kind() == reflect.Uint8 {
		// A copy: the message's bytes may not be written to.
		v.SetBytes([]byte(s))
		return nil
	}
	if !msg.IsArray() {
		return mismatch(v, msg)
	}
	elems, err := msg.ToArray()
	if err != nil {
		return err
	}
	v.Set(reflect.MakeSlice(v.Type(), len(elems), len(elems)))
	for i := range elems {
		if err := into(v.Index(i), &elems[i]); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return nil
}

func intoMap(v reflect.Value, msg *rueidis.RedisMessage) error {
	if v.Type().Key().Kind() != reflect.String || !msg.IsArray() && !msg.IsMap() {
		return mismatch(v, msg)
	}
	pairs, err := msg.AsMap()
	if err != nil {
		return fmt.Errorf("got %s, want %v: names and values in turn", came(msg), v.Type())
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for name, elem := range pairs {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := into(value, &elem); err != nil {
			return fmt.Errorf("a value: %w", err)
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
	return nil
}

func intoStruct(v reflect.Value, msg *rueidis.RedisMessage) error {
	if !msg.IsArray() {
		return mismatch(v, msg)
	}
	elems, err := msg.ToArray()
	if err != nil {
		return err
	}
	fields := make([]int, 0, v.NumField())
	for i := range v.NumField() {
		if v.Field(i).CanSet() {
			fields = append(fields, i)
		}
	}
	if len(fields) != len(elems) {
		err := fmt.Errorf("got %s, want %v: %d fields", came(msg), v.Type(), len(fields))
		if len(elems) < len(fields) {
			err = fmt.Errorf("%w (a Lua table ends before its first nil; false takes its place)", err)
		}
		return err
	}
	for i, at := range fields {
		if err := into(v.Field(at), &elems[i]); err != nil {
			return fmt.Errorf("field %s: %w", v.Type().Field(at).Name, err)
		}
	}
	return nil
}

func intoAny(v reflect.Value, msg *rueidis.RedisMessage) error {
	if v.NumMethod() > 0 {
		return mismatch(v, msg)
	}
	var x any
	var err error
	switch {
	// Not ToAny, which would turn a nested error into a value.
	case msg.IsArray():
		var list []any
		err = into(reflect.ValueOf(&list).Elem(), msg)
		x = list
	case msg.IsMap():
		var pairs map[string]any
		err = into(reflect.ValueOf(&pairs).Elem(), msg)
		x = pairs
	default:
		x, err = msg.ToAny()
	}
	if err != nil {
		return err
	}
	v.Set(reflect.ValueOf(x))
	return nil
}

// text returns a string or status.
func text(msg *rueidis.RedisMessage) (string, bool) {
	if !msg.IsString() {
		return "", false
	}
	s, err := msg.ToString()
	return s, err == nil
}

func mismatch(v reflect.Value, msg *rueidis.RedisMessage) error {
	return fmt.Errorf("got %s, want %v", came(msg), v.Type())
}

// malformed leaves the text itself out, because it may be a secret.
func malformed(v reflect.Value, s string, err error) error {
	return fmt.Errorf("got a string of %d bytes, want %v: %w", len(s), v.Type(), errors.Unwrap(err))
}

// came describes a reply without showing text that was stored.
func came(msg *rueidis.RedisMessage) string {
	switch s, ok := text(msg); {
	case msg.IsInt64():
		n, _ := msg.ToInt64()
		return fmt.Sprintf("the integer %d", n)
	case ok:
		return fmt.Sprintf("a string of %d bytes", len(s))
	case msg.IsArray():
		elems, _ := msg.ToArray()
		return fmt.Sprintf("an array of %d", len(elems))
	case msg.IsMap():
		return "a map"
	default:
		return "a reply of RESP3"
	}
}
