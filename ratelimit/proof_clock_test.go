package ratelimit_test

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/ratelimit"
)

// monitor is a connection on which a server tells of every command.
type monitor struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func startMonitor(t testing.TB, s *redistest.Server) *monitor {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	check(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprint(conn, "MONITOR\r\n")
	check(t, err)
	m := &monitor{t: t, conn: conn, in: bufio.NewReader(conn)}
	m.line()
	return m
}

func (m *monitor) line() string {
	m.t.Helper()
	line, err := m.in.ReadString('\n')
	check(m.t, err)
	return line
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// scriptsUntil returns the arguments of each script that was run until an ECHO of mark, from the number of keys on.
func (m *monitor) scriptsUntil(mark string) (scripts [][]string) {
	m.t.Helper()
	for {
		line := m.line()
		if strings.Contains(line, " lua] ") {
			continue // a command inside of a script
		}
		var words []string
		for _, word := range quoted.FindAllStringSubmatch(line, -1) {
			words = append(words, word[1])
		}
		switch {
		case len(words) == 2 && strings.EqualFold(words[0], "ECHO") && words[1] == mark:
			return scripts
		case len(words) > 2 && strings.EqualFold(words[0], "EVALSHA"):
			scripts = append(scripts, words[2:])
		}
	}
}

// isTime reports whether a number is within a day of this process's clock, in any unit.
func isTime(n int64) bool {
	now := time.Now()
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond, time.Nanosecond} {
		if d := n - now.UnixNano()/int64(unit); -int64(24*time.Hour/unit) < d && d < int64(24*time.Hour/unit) {
			return true
		}
	}
	return false
}

// A client's clock may be 70 seconds slow, or anything else: no script is told what it says. What a script is told is
// the same whenever the call is made, and a refund tells it only what the server said before.
func TestNoScriptIsToldAClientsTime(t *testing.T) {
	s, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{DenyCache: -1, Timeout: time.Minute})
	ctx := t.Context()
	var results []ratelimit.Result
	keep := func(r ratelimit.Result, err error) {
		t.Helper()
		check(t, err)
		results = append(results, r)
	}
	every := longLived(1000)
	names := slices.Sorted(maps.Keys(every))
	calls := func() {
		for _, name := range names {
			limit := every[name]
			keep(l.Allow(ctx, "k", limit))
			keep(l.AllowN(ctx, "k", limit, 3))
			keep(l.Wait(ctx, "k", limit, time.Minute))
			_, err := l.Peek(ctx, "k", limit)
			check(t, err)
			all, err := l.AllowAll(ctx, "k", limit, ratelimit.SlidingWindow(100, time.Minute))
			check(t, err)
			results = append(results, all.Each...)
			many, err := l.AllowMany(ctx, []ratelimit.Request{{Key: "k", Limit: limit}, {Key: "k", Limit: limit, Cost: 2}})
			check(t, err)
			results = append(results, many...)
			if name == "token bucket" || name == "GCRA" {
				r, err := l.Reserve(ctx, "k", limit, 1, time.Hour)
				check(t, err)
				results = append(results, r.Result)
			}
			check(t, l.Block(ctx, "blocked", time.Minute, limit))
		}
	}
	calls() // and the server knows the scripts
	check(t, l.Refund(ctx, results...))

	m := startMonitor(t, s)
	until := func(mark string) [][]string {
		t.Helper()
		_, err := s.Do("ECHO", mark)
		check(t, err)
		return m.scriptsUntil(mark)
	}
	began := now(t, s)
	calls()
	told := until("first")
	eventually(t, func() error {
		if now(t, s) < began+1100 {
			return errors.New("it is the same second still")
		}
		return nil
	})
	calls()
	if again := until("second"); len(told) < 8*len(every) || !slices.EqualFunc(told, again, slices.Equal) {
		t.Errorf("the same calls at another time tell the scripts something else:\n%q\n%q", told, again)
	}
	for _, args := range told {
		for _, arg := range args {
			if n, err := strconv.ParseInt(arg, 10, 64); err == nil && isTime(n) {
				t.Errorf("a script is told a time: %q", args)
			}
		}
	}

	var server []int64
	for _, r := range results {
		reply := r.ServerReply()
		server = append(server, reply.At, reply.A, reply.B, reply.C)
	}
	check(t, l.Refund(ctx, results...))
	refunds := until("refunds")
	if len(refunds) != len(results) {
		t.Errorf("%d scripts for %d refunds", len(refunds), len(results))
	}
	for _, args := range refunds {
		for _, arg := range args {
			if n, err := strconv.ParseInt(arg, 10, 64); err == nil && isTime(n) && !slices.Contains(server, n) {
				t.Errorf("a refund is told a time that the server did not: %q", args)
			}
		}
	}
}

// now is the server's time in milliseconds.
func now(t testing.TB, s *redistest.Server) int64 {
	t.Helper()
	reply, err := s.Do("TIME")
	check(t, err)
	var sec, us int64
	_, err = fmt.Sscan(reply.([]any)[0].(string)+" "+reply.([]any)[1].(string), &sec, &us)
	check(t, err)
	return sec*1000 + us/1000
}

func TestAClientsClockDecidesAboutNothingButResetAt(t *testing.T) {
	_, c := startServer(t)
	l := newLimiter(t, c, ratelimit.Config{Timeout: time.Minute})
	for name, limit := range longLived(2) {
		for range 3 {
			r, err := l.Allow(t.Context(), name, limit)
			check(t, err)
			for _, skew := range []time.Duration{-70 * time.Second, 70 * time.Second, -10 * 365 * 24 * time.Hour, 365 * 24 * time.Hour} {
				clock := time.Now().Add(skew)
				other := r.At(clock)
				if d := other.ResetAt.Sub(clock); d <= 0 || d > limit.Window()*2 {
					t.Errorf("%s: with a clock off by %v everything is back in %v", name, skew, d)
				}
				other.ResetAt = r.ResetAt
				if other != r {
					t.Errorf("%s: a clock that is off by %v makes %+v of %+v", name, skew, other, r)
				}
			}
		}
	}
}
