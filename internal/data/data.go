// Package data is what the packages of typed data types share: checks that come before the network, and the
// form of their errors.
package data

import (
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// Err puts an operation and a key to an error; nil stays nil.
func Err(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &rediskit.OpError{Op: op, Key: key, Err: err}
}

// CheckKey refuses the empty key, with which Redis would work and nobody means to.
func CheckKey(op, key string) error {
	if key == "" {
		return Errorf(op, key, "empty key")
	}
	return nil
}

// Errorf is an error of the call's arguments.
func Errorf(op, key, format string, args ...any) error {
	return &rediskit.OpError{Op: op, Key: key, Err: fmt.Errorf(format, args...)}
}

// CheckTTL makes sure that a package's Config.TTL was chosen and can be kept to.
func CheckTTL(pkg string, ttl time.Duration) error {
	switch {
	case ttl == rediskit.NoTTL || ttl >= time.Millisecond:
		return nil
	case ttl == 0:
		return fmt.Errorf("%s: Config.TTL is not set: give a duration, or rediskit.NoTTL", pkg)
	default:
		return fmt.Errorf("%s: Config.TTL is %v: must be at least 1ms, or rediskit.NoTTL", pkg, ttl)
	}
}

// Millis writes a duration as whole milliseconds, rounded up, so that a key never expires early.
func Millis(d time.Duration) string { return strconv.FormatInt(CeilMillis(d), 10) }

// CeilMillis is d in milliseconds, rounded up.
func CeilMillis(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// Found takes a missing value apart from an error.
func Found(err error) (bool, error) {
	switch {
	case err == nil:
		return true, nil
	case rueidis.IsRedisNil(err):
		return false, nil
	default:
		return false, err
	}
}
