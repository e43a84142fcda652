package script_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

// lossy is a server behind a proxy that can lose replies, and a client that has used it already.
func lossy(t *testing.T, cfg rediskit.Config) (*redistest.Server, *redistest.FaultProxy, *rediskit.Client) {
	t.Helper()
	server := startServer(t)
	proxy, err := redistest.StartProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	cfg.Addrs = []string{proxy.Addr()}
	c := connect(t, cfg)
	for _, s := range []*script.Script{incr, record} {
		if err := s.Load(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var b script.Batch
	b.Get("none")
	if err := b.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return server, proxy, c
}

func startServer(t *testing.T) *redistest.Server {
	t.Helper()
	server, err := redistest.StartServer(redistest.ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// admin sends a command past the proxy.
func admin(t *testing.T, s *redistest.Server, args ...string) any {
	t.Helper()
	reply, err := s.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return reply
}

// wants waits until a command's reply is the one wanted.
func wants(t *testing.T, s *redistest.Server, want any, args ...string) {
	t.Helper()
	eventually(t, func() error {
		if got := admin(t, s, args...); got != want {
			return errors.New("not yet")
		}
		return nil
	})
}

func TestAOnceScriptIsNotRepeatedAfterALostReply(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{})
	proxy.CutAfterReplyBytes(0)
	_, err := script.Run[int64](t.Context(), c, incr, []string{"n"}, 1)
	wantError(t, err, "script.Run", "may have been applied")
	if !rediskit.MayHaveApplied(err) || !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	// A repeated run would come before this one.
	if n, err := script.Run[int64](t.Context(), c, incr, []string{"n"}, 1); err != nil || n != 2 {
		t.Fatalf("after one run lost and one more the counter is %d, %v", n, err)
	}
	if got := admin(t, server, "GET", "n"); got != "2" {
		t.Fatalf("the server has %v", got)
	}
}

func TestAScriptWhoseReplyDoesNotComeEndsWithItsContext(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{})
	proxy.BlackHoleReplies()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		wants(t, server, "1", "GET", "n")
	}()
	_, err := script.Run[int64](ctx, c, incr, []string{"n"}, 1)
	wantError(t, err, "script.Run")
	if !errors.Is(err, context.Canceled) || !rediskit.MayHaveApplied(err) || rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	if err := proxy.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		_, err := script.Run[int64](t.Context(), c, incr, []string{"other"}, 1)
		return err
	})
	if got := admin(t, server, "GET", "n"); got != "1" {
		t.Fatalf("the script ran again: %v", got)
	}
}

func TestAnIdempotentScriptIsRepeatedAfterALostReply(t *testing.T) {
	_, proxy, c := lossy(t, rediskit.Config{})
	proxy.CutAfterReplyBytes(0)
	n, err := script.Run[int64](t.Context(), c, record, []string{"s"}, "member")
	if err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	proxy.CutAfterReplyBytes(0)
	calls := []script.Call{{Keys: []string{"s"}, Args: []string{"member"}}, {Keys: []string{"s"}, Args: []string{"two"}}}
	for i, res := range record.ExecMulti(t.Context(), c, calls) {
		if found, err := script.Decode[bool](res); err != nil || !found {
			t.Fatalf("call %d: %v, %v", i, found, err)
		}
	}
}

// forget loses the reply to run, and has the server forget its scripts before run's next attempt reaches it.
func forget(t *testing.T, server *redistest.Server, proxy *redistest.FaultProxy, run func()) {
	t.Helper()
	if err := proxy.RefuseNew(true); err != nil {
		t.Fatal(err)
	}
	proxy.CutAfterReplyBytes(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	wants(t, server, int64(1), "EXISTS", "s")
	admin(t, server, "SCRIPT", "FLUSH")
	if err := proxy.RefuseNew(false); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestARepeatedScriptMayFindAServerThatForgotIt(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{CommandTimeout: time.Minute})
	forget(t, server, proxy, func() {
		n, err := script.Run[int64](t.Context(), c, record, []string{"s"}, "member")
		if err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
	})
	if err := record.Load(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	admin(t, server, "DEL", "s")
	forget(t, server, proxy, func() {
		res := record.ExecMulti(t.Context(), c, []script.Call{{Keys: []string{"s"}, Args: []string{"member"}}})
		if n, err := script.Decode[int64](res[0]); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func TestAFailureAfterALostReplyStillSaysThatTheScriptMayHaveBeenApplied(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{CommandTimeout: time.Minute})
	admin(t, server, "ACL", "SETUSER", "default", "-eval")
	forget(t, server, proxy, func() {
		_, err := script.Run[int64](t.Context(), c, record, []string{"s"}, "member")
		if script.Code(err) != "NOPERM" || !rediskit.MayHaveApplied(err) {
			t.Errorf("%v, MayHaveApplied: %v", err, rediskit.MayHaveApplied(err))
		}
	})
	_, err := script.Run[int64](t.Context(), c, record, []string{"s"}, "member")
	if script.Code(err) != "NOPERM" || rediskit.MayHaveApplied(err) {
		t.Errorf("nothing was lost this time: %v", err)
	}
}

func TestABatchWithATokenIsAppliedOnceThoughItsReplyIsLost(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{})
	for range 3 {
		before := num(t, c, "INCRBY", "n", "0")
		proxy.CutAfterReplyBytes(0)
		var b script.Batch
		b.Token(rediskittest.Keys(t)("token"), time.Minute)
		n := b.IncrBy("n", 1, time.Minute)
		length := b.RPush("log", "entry", time.Minute)
		if err := b.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if n.Value != before+1 || length.Value != n.Value {
			t.Fatalf("the replies are %d and %d after %d batches", n.Value, length.Value, before)
		}
	}
	if n := admin(t, server, "GET", "n"); n != "3" {
		t.Fatalf("three batches counted %v", n)
	}
	if n := admin(t, server, "LLEN", "log"); n != int64(3) {
		t.Fatalf("three batches logged %v", n)
	}
}

func TestABatchWithoutATokenIsNotRepeatedAfterALostReply(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{})
	var b script.Batch
	n := b.IncrBy("n", 1, time.Minute)
	proxy.CutAfterReplyBytes(0)
	err := b.Run(t.Context(), c)
	wantError(t, err, "script.Batch.Run")
	if !rediskit.MayHaveApplied(err) || n.Found {
		t.Fatalf("%v, %v", err, *n)
	}
	wants(t, server, "1", "GET", "n")
	if err := b.Run(t.Context(), c); err != nil || n.Value != 2 {
		t.Fatalf("%v, %v", err, *n)
	}
}

func TestABatchThatOnlyReadsIsRepeatedAfterALostReply(t *testing.T) {
	server, proxy, c := lossy(t, rediskit.Config{})
	admin(t, server, "SET", "a", "x")
	var b script.Batch
	got, missing := b.Get("a"), b.Exists("b")
	proxy.CutAfterReplyBytes(0)
	if err := b.Run(t.Context(), c); err != nil || got.Value != "x" || missing.Value {
		t.Fatalf("%v, %v, %v", err, *got, *missing)
	}
}

func TestWhatAReplicaRefusesIsRepeatedUntilItIsThePrimary(t *testing.T) {
	var b, once script.Batch
	for _, b := range []*script.Batch{&b, &once} {
		b.Get("a")
		b.IncrBy("n", 1, time.Minute)
	}
	once.Token("token", time.Minute)
	for name, run := range map[string]func(c *rediskit.Client) error{
		"Run": func(c *rediskit.Client) error {
			return errorOf(script.Run[int](t.Context(), c, incr, []string{"n"}, 1))
		},
		"Exec":                func(c *rediskit.Client) error { return incr.Exec(t.Context(), c, []string{"n"}, []string{"1"}).Error() },
		"Batch":               func(c *rediskit.Client) error { return b.Run(t.Context(), c) },
		"a Batch and a Token": func(c *rediskit.Client) error { return once.Run(t.Context(), c) },
	} {
		t.Run(name, func(t *testing.T) {
			primary, replica := startServer(t), startServer(t)
			admin(t, replica, "REPLICAOF", "127.0.0.1", strconv.Itoa(primary.Port()))
			c := connect(t, rediskit.Config{Addrs: []string{replica.Addr()}, CommandTimeout: time.Minute})
			done := make(chan error)
			go func() { done <- run(c) }()
			eventually(t, func() error {
				if info := admin(t, replica, "INFO", "errorstats").(string); !strings.Contains(info, "READONLY") {
					return errors.New("nothing was refused yet")
				}
				return nil
			})
			admin(t, replica, "REPLICAOF", "NO", "ONE")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := admin(t, replica, "GET", "n"); got != "1" {
				t.Fatalf("the counter is %v", got)
			}
		})
	}
}

func withToken(b *script.Batch) *script.Batch {
	b.Token("token", time.Minute)
	return b
}

func TestAServerOutOfMemoryRefusesABatchAsAWhole(t *testing.T) {
	server := startServer(t)
	c := connect(t, rediskit.Config{Addrs: []string{server.Addr()}})
	admin(t, server, "SET", "a", "before")
	admin(t, server, "CONFIG", "SET", "maxmemory", "1")
	var b script.Batch
	got := b.Get("a")
	b.Set("a", "after", time.Minute)
	b.HSet("h", "f", 1, time.Minute)
	for _, b := range []*script.Batch{&b, withToken(&b)} {
		err := b.Run(t.Context(), c)
		wantError(t, err, "script.Batch.Run")
		if script.Code(err) != "OOM" || !rediskit.IsUnavailable(err) || got.Found {
			t.Fatal(err)
		}
		if admin(t, server, "GET", "a") != "before" || admin(t, server, "EXISTS", "h", "token") != int64(0) {
			t.Fatal("a part of the batch was applied")
		}
	}
}

func TestABatchThatFailsHalfWaySaysHowFarItCame(t *testing.T) {
	server := startServer(t)
	admin(t, server, "ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-hset")
	c := connect(t, rediskit.Config{Addrs: []string{server.Addr()}, Username: "app", Password: "secret"})
	var b script.Batch
	b.Set("a", 1, time.Minute)
	b.Set("b", 1, time.Minute)
	b.HSet("h", "f", 1, time.Minute)
	b.Set("c", 1, time.Minute)
	err := b.Run(t.Context(), c)
	wantError(t, err, "script.Batch.Run", `HSET "h"`, "operations applied: 2")
	var be *script.BatchError
	if !errors.As(err, &be) || be.Operation != "HSET" || be.Key != "h" || be.Applied != 2 {
		t.Fatal(err)
	}
	if n := admin(t, server, "EXISTS", "a", "b", "h", "c"); n != int64(2) {
		t.Fatalf("%v keys are there", n)
	}
}
