package stream_test

import (
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/stream"
)

func TestALostReplyIsRepeatedOnlyWhereThatIsSafe(t *testing.T) {
	server := rediskittest.Server(t)
	proxy := rediskittest.FaultProxy(t, server.Addr())
	c := connect(t, rediskit.Config{Addrs: []string{proxy.Addr()}})
	ctx := t.Context()
	for _, ttl := range []time.Duration{time.Hour, rediskit.NoTTL} {
		s := open[string](t, c, ttl)
		first, last := stream.ID{Ms: 1}, stream.ID{Ms: 3}
		from := stream.From{Key: "k"}
		for name, call := range map[string]struct {
			repeated bool
			left     int64 // of three entries
			do       func() error
		}{
			"Len":            {true, 3, func() error { _, err := s.Len(ctx, "k"); return err }},
			"Range":          {true, 3, func() error { _, err := s.Range(ctx, "k", stream.Span{}, 0); return err }},
			"Read":           {true, 3, func() error { _, err := s.Read(ctx, 0, from); return err }},
			"BRead":          {true, 3, func() error { _, err := s.BRead(ctx, 0, 0, from); return err }},
			"Pending":        {true, 3, func() error { _, err := s.Pending(ctx, "k", group); return err }},
			"PendingEntries": {true, 3, func() error { _, err := s.PendingEntries(ctx, "k", group, stream.PendingQuery{}); return err }},
			"Info":           {true, 3, func() error { _, _, err := s.Info(ctx, "k"); return err }},
			"Groups":         {true, 3, func() error { _, err := s.Groups(ctx, "k"); return err }},
			"Consumers":      {true, 3, func() error { _, err := s.Consumers(ctx, "k", group); return err }},
			"SetGroupID":     {true, 3, func() error { return s.SetGroupID(ctx, "k", group, first) }},
			"SetGroupID End": {false, 3, func() error { return s.SetGroupID(ctx, "k", group, stream.End) }},
			"Add":            {false, 4, func() error { _, err := s.Add(ctx, "k", "x"); return err }},
			"AddMany":        {false, 5, func() error { _, err := s.AddMany(ctx, "k", "x", "y"); return err }},
			"Delete":         {false, 2, func() error { _, err := s.Delete(ctx, "k", first); return err }},
			"Trim":           {false, 1, func() error { _, err := s.Trim(ctx, "k", stream.MinID(last).Exact()); return err }},
			"CreateGroup":    {false, 3, func() error { _, err := s.CreateGroup(ctx, "k", "new", first); return err }},
			"DestroyGroup":   {false, 3, func() error { _, err := s.DestroyGroup(ctx, "k", group); return err }},
			"DeleteConsumer": {false, 3, func() error { _, err := s.DeleteConsumer(ctx, "k", ann); return err }},
			"ReadGroup":      {false, 3, func() error { _, err := s.ReadGroup(ctx, ann, 0, "k"); return err }},
			"BReadGroup":     {false, 3, func() error { _, err := s.BReadGroup(ctx, ann, 0, 0, "k"); return err }},
			"ReadPending":    {false, 3, func() error { _, err := s.ReadPending(ctx, ann, "k", stream.ID{}, 0); return err }},
			"Ack":            {false, 3, func() error { _, err := s.Ack(ctx, "k", group, first); return err }},
			"Claim":          {false, 3, func() error { _, err := s.Claim(ctx, ann, "k", 0, first); return err }},
			"AutoClaim":      {false, 3, func() error { _, err := s.AutoClaim(ctx, ann, "k", 0, first, 0); return err }},
		} {
			server.Do("DEL", "k")
			for _, id := range []string{"1", "2", "3"} {
				server.Do("XADD", "k", id, "v", "x")
			}
			server.Do("XGROUP", "CREATE", "k", group, "0")
			// The connections are there and the scripts are known, so that the next reply is the call's.
			eventually(t, func() error { _, err := s.Add(ctx, "other", "x"); return err })
			eventually(t, func() error { _, err := s.BRead(ctx, 0, 0, stream.From{Key: "other"}); return err })
			must[bool](t)(s.CreateGroup(ctx, "other", name+ttl.String(), stream.End))
			proxy.CutAfterReplyBytes(0)
			err := call.do()
			if call.repeated != (err == nil) || rediskit.MayHaveApplied(err) == call.repeated {
				t.Errorf("%s: %v", name, err)
			}
			if n := server.Do("XLEN", "k"); n != call.left {
				t.Errorf("%s: %d entries are left, want %d", name, n, call.left)
			}
		}
	}
}
