package list_test

import (
	"context"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/list"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestALostReplyIsRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	server := rediskittest.Server(t)
	proxy := rediskittest.FaultProxy(t, server.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{proxy.Addr()}})
	ctx := t.Context()
	for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
		l := open[string](t, c, ttl)
		for name, call := range map[string]struct {
			repeated bool
			left     int64 // of the elements a, b, c
			do       func() error
		}{
			"Len":              {true, 3, func() error { _, err := l.Len(ctx, "k"); return err }},
			"Index":            {true, 3, func() error { _, _, err := l.Index(ctx, "k", 0); return err }},
			"Range":            {true, 3, func() error { _, err := l.Range(ctx, "k", 0, -1); return err }},
			"Pos":              {true, 3, func() error { _, _, err := l.Pos(ctx, "k", "b"); return err }},
			"Trim to a length": {true, 2, func() error { return l.Trim(ctx, "k", 0, 1) }},
			"Trim to the last": {true, 2, func() error { return l.Trim(ctx, "k", -2, -1) }},
			"Trim of the head": {false, 2, func() error { return l.Trim(ctx, "k", 1, -1) }},
			"Trim of the tail": {false, 2, func() error { return l.Trim(ctx, "k", 0, -2) }},
			"LPush":            {false, 4, func() error { _, err := l.LPush(ctx, "k", "x"); return err }},
			"RPushX":           {false, 4, func() error { _, err := l.RPushX(ctx, "k", "x"); return err }},
			"InsertBefore":     {false, 4, func() error { _, _, err := l.InsertBefore(ctx, "k", "b", "x"); return err }},
			"Set":              {false, 3, func() error { _, err := l.Set(ctx, "k", 0, "x"); return err }},
			"LPop":             {false, 2, func() error { _, _, err := l.LPop(ctx, "k"); return err }},
			"RPopN":            {false, 1, func() error { _, err := l.RPopN(ctx, "k", 2); return err }},
			"Remove":           {false, 2, func() error { _, err := l.Remove(ctx, "k", 0, "b"); return err }},
			"Delete":           {false, 0, func() error { _, err := l.Delete(ctx, "k"); return err }},
			"Move":             {false, 2, func() error { _, _, err := l.Move(ctx, "k", "dst", list.Left, list.Left); return err }},
			"BLPop":            {false, 2, func() error { _, _, err := l.BLPop(ctx, []string{"k"}, 0); return err }},
			"BMove": {false, 2, func() error {
				_, _, err := l.BMove(ctx, "k", "dst", list.Left, list.Left, 0)
				return err
			}},
		} {
			server.Do("DEL", "k")
			server.Do("RPUSH", "k", "a", "b", "c")
			warm(t, l, ctx)
			proxy.CutAfterReplyBytes(0)
			err := call.do()
			if call.repeated != (err == nil) || rediskit.MayHaveApplied(err) == call.repeated {
				t.Errorf("%s: %v", name, err)
			}
			if n := server.Do("LLEN", "k"); n != call.left {
				t.Errorf("%s: %d elements are left, want %d", name, n, call.left)
			}
		}
	}
}

// warm makes the connections that a call will use, so that the next reply is the call's.
func warm(t *testing.T, l *list.List[string], ctx context.Context) {
	t.Helper()
	eventually(t, func() error { _, err := l.RPush(ctx, "other", "x"); return err })
	eventually(t, func() error { _, _, err := l.BLPop(ctx, []string{"other"}, 0); return err })
	for _, call := range []func() error{
		func() error { _, err := l.RPush(ctx, "other", "x"); return err },
		func() error { _, err := l.Set(ctx, "other", 0, "x"); return err },
		func() error { _, _, err := l.InsertAfter(ctx, "other", "x", "y"); return err },
		func() error { _, _, err := l.Move(ctx, "other", "other", list.Left, list.Left); return err },
		func() error { _, err := l.Delete(ctx, "other"); return err },
	} {
		if err := call(); err != nil { // the scripts are known too
			t.Fatal(err)
		}
	}
}
