package script

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/tickettoken/rediskit"
)

// maxExact is 2^53: up to there Lua, whose numbers are float64, has every integer.
const maxExact = 1 << 53

// Args writes values as the arguments of a script:
//
//	string, []byte        as they are, any bytes
//	int…, uint…           in decimal
//	bool                  1 or 0
//	float32, float64      the shortest decimal form that reads back as the same number
//	time.Duration         whole milliseconds, rounded up
//	time.Time             microseconds since 1970
//
// Types whose underlying type is one of the first four rows are written like it. Everything else is an
// error that names the position, counted from 1 as in ARGV: nil, other types, NaN and infinite numbers, a
// Duration that is negative, or positive and under a millisecond, and a Time more than 285 years from 1970
// (the zero Time, say), which Lua's numbers cannot hold exactly: they hold integers up to 2^53 either way.
func Args(values ...any) ([]string, error) {
	args, err := formatAll(values)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	return args, nil
}

func formatAll(values []any) ([]string, error) {
	if len(values) == 0 {
		return nil, nil
	}
	args := make([]string, len(values))
	for i, v := range values {
		var err error
		if args[i], err = format(v); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return args, nil
}

func format(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return formatInt(v), nil
	case time.Duration:
		return formatDuration(v)
	case time.Time:
		return formatTime(v)
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return formatInt(v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.FormatUint(v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return formatFloat(v.Float(), v.Type().Bits())
	case reflect.Bool:
		if v.Bool() {
			return "1", nil
		}
		return "0", nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return string(v.Bytes()), nil
		}
	}
	return "", fmt.Errorf("%T is not a type that a script can be given", value)
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

func formatFloat(f float64, bits int) (string, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", fmt.Errorf("%v is not a finite number", f)
	}
	return strconv.FormatFloat(f, 'g', -1, bits), nil
}

func formatDuration(d time.Duration) (string, error) {
	if d < 0 || d > 0 && d < time.Millisecond {
		return "", fmt.Errorf("the duration is %v: want zero, or at least 1ms", d)
	}
	ms := d / time.Millisecond
	if d%time.Millisecond > 0 {
		ms++
	}
	return formatInt(int64(ms)), nil
}

func formatTime(t time.Time) (string, error) {
	if t.Before(time.UnixMicro(-maxExact)) || t.After(time.UnixMicro(maxExact)) {
		return "", fmt.Errorf("the time is %v: want at most 285 years before or after 1970", t)
	}
	return formatInt(t.UnixMicro()), nil
}

// formatTTL writes a time to live in milliseconds; "0" stands for none.
func formatTTL(ttl time.Duration) (string, error) {
	switch {
	case ttl == rediskit.NoTTL:
		return "0", nil
	case ttl == 0:
		return "", fmt.Errorf("the TTL is zero: want a duration, or rediskit.NoTTL")
	case ttl < time.Millisecond:
		return "", fmt.Errorf("the TTL is %v: want at least 1ms, or rediskit.NoTTL", ttl)
	}
	return formatDuration(ttl)
}
