package rediskit

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"
)

var (
	// ErrClosed is the cause of the [*ConnectionError] that calls return after [Client.Close].
	ErrClosed = errors.New("client is closed")

	// ErrCrossSlot reports keys that one command or script needs together but that a cluster keeps in
	// different slots. Give them a common hash tag: keys.Builder.Tagged does.
	ErrCrossSlot = errors.New("keys are in different slots of the cluster")

	// ErrTopologyChanged reports that nodes or slots changed while a call that visits every master was
	// under way, so that its result may be incomplete. Repeating the call is safe.
	ErrTopologyChanged = errors.New("the topology changed during the call")
)

// ConnectionError reports that a command got no answer: the server could not be reached, the
// connection broke, the context ended while the reply was awaited, or the server kept refusing every
// command (LOADING, READONLY, CLUSTERDOWN …) until the retries ended.
//
// An error that the server gives as its answer to the command itself is not a ConnectionError.
type ConnectionError struct {
	// Addr names the server, "host:port" or a socket's path; several are separated by commas.
	Addr string
	// Sent tells that a command that writes may have reached the server although its reply did not
	// reach us, so that it may have been applied. It is false for commands that only read.
	Sent bool
	// Err is the cause. It is context.Canceled or context.DeadlineExceeded if the call's context ended.
	Err error
}

// Error names the address and the cause. It never contains a password.
func (e *ConnectionError) Error() string {
	if e.Sent {
		return fmt.Sprintf("rediskit: %s: no reply, the command may have been applied: %v", e.Addr, e.Err)
	}
	return fmt.Sprintf("rediskit: %s: %v", e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// OpError adds the operation and the key to the error of a call of rediskit's data packages.
type OpError struct {
	// Op is the package and the method, for example "hash.Set".
	Op string
	// Key is the key the operation was about; empty if there is more than one.
	Key string
	// Err is the cause: a *ConnectionError, the server's answer, or an error of encoding.
	Err error
}

// Error names the operation, the key and the cause.
func (e *OpError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s %q: %v", e.Op, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// ScanError reports a walk over the keyspace that did not reach its end.
type ScanError struct {
	// Pattern is the pattern of the walk.
	Pattern string
	// Err is the cause, ErrTopologyChanged among others.
	Err error
}

// Error names the pattern and the cause.
func (e *ScanError) Error() string { return fmt.Sprintf("scan %q: %v", e.Pattern, e.Err) }

// Unwrap returns the cause.
func (e *ScanError) Unwrap() error { return e.Err }

// IsUnavailable reports whether err means that Redis could not be reached or could not serve the
// command now, so that a caller may fall back or try again later: a [*ConnectionError] whose cause is
// anything but a cancelled context, or a refusal such as LOADING, READONLY, CLUSTERDOWN, MASTERDOWN,
// TRYAGAIN, BUSY, OOM, MISCONF or NOREPLICAS. A missing key, a wrong type and a cancelled context are
// no outage; a deadline that passed is one.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var ce *ConnectionError
	if errors.As(err, &ce) {
		return true
	}
	return refusalOf(err) != ""
}

// MayHaveApplied reports whether a command that writes may have been applied although the call
// returned err: the command was sent and its reply was lost. If it returns false for a non-nil err,
// the command changed nothing; one exception is a script or batch that failed half-way with an error
// of its own (a wrong type at its second write, say), whose earlier writes stay.
func MayHaveApplied(err error) bool {
	var ce *ConnectionError
	return errors.As(err, &ce) && ce.Sent
}

// refusals are the error codes with which a server turns a command away before doing any of it,
// because of its own state and not because of the command.
var refusals = [...]string{
	"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "UNBLOCKED",
	"OOM", "MISCONF", "NOREPLICAS",
}

// refusalOf returns the code of a refusal, or "" if err is something else. Redis before 7.0 wraps the
// error of a command inside a script into a text of its own, with the code in the middle.
func refusalOf(err error) string {
	var re *rueidis.RedisError
	if !errors.As(err, &re) || re.IsNil() {
		return ""
	}
	msg := re.Error()
	for _, code := range refusals {
		if strings.HasPrefix(msg, code+" ") {
			return code
		}
	}
	if strings.HasPrefix(msg, "Error running script") {
		for _, code := range refusals {
			if strings.Contains(msg, "-"+code+" ") {
				return code
			}
		}
	}
	return ""
}

// passes reports whether a refusal is one that ends by itself within moments, so that waiting for it is
// worth while: a failover, a migrating slot, a data set being loaded.
func passes(code string) bool {
	switch code {
	case "LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "UNBLOCKED":
		return true
	}
	return false
}
