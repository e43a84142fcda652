package zset_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/zset"
)

// faulty starts a server of the test's own and connects to it through a proxy.
func faulty(t *testing.T, args ...string) (*redistest.Server, *redistest.FaultProxy, *rediskit.Client) {
	t.Helper()
	s := must[*redistest.Server](t)(redistest.StartServer(redistest.ServerConfig{Args: args}))
	t.Cleanup(func() { s.Close() })
	p := must[*redistest.FaultProxy](t)(redistest.StartProxy(s.Addr()))
	t.Cleanup(func() { p.Close() })
	c := must[*rediskit.Client](t)(rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{p.Addr()}}))
	t.Cleanup(c.Close)
	return s, p, c
}

func TestALostReplyIsReportedByCallsThatMustNotBeRepeated(t *testing.T) {
	_, p, c := faulty(t)
	ctx := t.Context()
	both(t, c, func(t *testing.T, s *zset.Set[string]) {
		const key = "k"
		must[int64](t)(s.Add(ctx, key, e("a", 1), e("b", 2), e("c", 3), e("d", 4), e("e", 5), e("f", 6), e("g", 7)))
		must[int64](t)(s.UnionStore(ctx, "none", []string{"none"}, zset.Combine{})) // the scripts are known now
		for _, test := range []struct {
			name  string
			write func() error
			left  int64
		}{
			{"Incr", func() error { _, err := s.Incr(ctx, key, "g", 1); return err }, 7},
			{"IncrIf", func() error { _, _, err := s.IncrIf(ctx, key, zset.XX, "g", 1); return err }, 7},
			{"AddIf", func() error { _, err := s.AddIf(ctx, key, zset.NX, e("new", 9)); return err }, 8},
			{"Remove", func() error { _, err := s.Remove(ctx, key, "new"); return err }, 7},
			{"RemoveByRank", func() error { _, err := s.RemoveByRank(ctx, key, 0, 0); return err }, 6},
			{"PopMin", func() error { _, err := s.PopMin(ctx, key, 1); return err }, 5},
			{"PopMax", func() error { _, err := s.PopMax(ctx, key, 2); return err }, 3},
			{"UnionStore", func() error {
				_, err := s.UnionStore(ctx, key, []string{key, key}, zset.Combine{})
				return err
			}, 3},
		} {
			before := must[int64](t)(s.Card(ctx, key)) // the connection is made anew after each cut
			p.CutAfterReplyBytes(0)
			if err := test.write(); !rediskit.MayHaveApplied(err) {
				t.Fatalf("%s: a lost reply gave %v", test.name, err)
			}
			if left := must[int64](t)(s.Card(ctx, key)); left != test.left {
				t.Errorf("%s: of %d members %d are left, want %d", test.name, before, left, test.left)
			}
		}
		score, _, err := s.Score(ctx, key, "e")
		equal(t, "a score that was doubled once", []any{score, err}, []any{10.0, nil})
		must[int64](t)(s.RemoveByScore(ctx, key, zset.ScoreRange{}))
	})
}

func TestALostReplyOfACallThatMayBeRepeatedIsNotSeen(t *testing.T) {
	_, p, c := faulty(t)
	ctx := t.Context()
	both(t, c, func(t *testing.T, s *zset.Set[string]) {
		must[int64](t)(s.Add(ctx, "k", e("a", 1)))
		p.CutAfterReplyBytes(0)
		equal(t, "added by the last attempt", must[int64](t)(s.Add(ctx, "k", e("b", 2))), 0)
		p.CutAfterReplyBytes(0)
		equal(t, "stored", must[int64](t)(s.UnionStore(ctx, "u", []string{"k"}, zset.Combine{})), 2)
		p.CutAfterReplyBytes(0)
		equal(t, "read", must[[]zset.Entry[string]](t)(s.Range(ctx, "u", 0, -1)), []zset.Entry[string]{e("a", 1), e("b", 2)})
		rank, score, ok, err := s.RankWithScore(ctx, "u", "b")
		equal(t, "rank", []any{rank, score, ok, err}, []any{int64(1), 2.0, true, nil})
		must[int64](t)(s.Remove(ctx, "k", "a", "b"))
	})
}

func TestABlockingPopSaysWhenItMayHaveLostAMember(t *testing.T) {
	server, p, c := faulty(t)
	s := open[string](t, c, time.Hour)
	must[int64](t)(s.Add(t.Context(), "k", e("first", 1)))
	if _, ok, err := s.BPopMin(t.Context(), []string{"k"}, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	failed := make(chan error)
	go func() {
		_, _, err := s.BPopMin(t.Context(), []string{"k"}, 0)
		failed <- err
	}()
	waitFor(t, func() bool {
		clients := must[any](t)(server.Do("INFO", "clients")).(string)
		return strings.Contains(clients, "blocked_clients:1\r\n")
	})
	p.CutAfterReplyBytes(0)
	must[any](t)(server.Do("ZADD", "k", "2", "lost"))
	if err := <-failed; !rediskit.MayHaveApplied(err) {
		t.Errorf("a lost reply gave %v", err)
	}
}

// The server comes back with the same members in another order of its hash table.
func TestAWalkMissesNobodyWhenItsServerRestarts(t *testing.T) {
	server, _, c := faulty(t, "--appendonly", "yes")
	s := open[string](t, c, rediskit.NoTTL)
	want := model{}
	for i := range 5000 {
		want[fmt.Sprint(i)] = float64(i)
	}
	must[int64](t)(s.Add(t.Context(), "k", want.sorted()...))
	got, n := model{}, 0
	for e, err := range s.All(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Member] = e.Score
		if n++; n == 2500 {
			if err := server.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
	equal(t, "members", len(got), len(want))
}

func TestAWalkWithoutLeaveToAskForTheServersRunStillWalks(t *testing.T) {
	server, _, c := faulty(t)
	s := open[string](t, c, rediskit.NoTTL)
	var entries []zset.Entry[string]
	for i := range 3000 {
		entries = append(entries, e(fmt.Sprint(i), 0))
	}
	must[int64](t)(s.Add(t.Context(), "k", entries...))
	must[any](t)(server.Do("ACL", "SETUSER", "default", "-info"))
	n := 0
	for _, err := range s.All(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < len(entries) {
		t.Errorf("%d of %d members", n, len(entries))
	}
}

// waitFor polls until cond is true.
func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("not within a minute")
		}
	}
}
