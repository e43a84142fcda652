package stream_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/blocktest"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/stream"
)

const group = "group"

func consumer(worker int) stream.Consumer {
	return stream.Consumer{Group: group, Name: "worker-" + strconv.Itoa(worker)}
}

// proveReaders lets workers read a stream with BRead, each for itself and all of it.
func proveReaders(t *testing.T, s *stream.Stream[int], key string, n int, push func(ctx context.Context, i int) error) {
	var after [blocktest.Workers]stream.ID
	got := blocktest.Race{
		N:    n,
		Push: push,
		Take: func(ctx context.Context, w int) ([]int, error) {
			entries, err := s.BRead(ctx, 0, w, stream.From{Key: key, After: after[w]})
			if len(entries) > 0 {
				after[w] = entries[len(entries)-1].ID
			}
			return values(entries), err
		},
	}.Run(t)
	for w := range got {
		left := must[[]stream.Entry[int]](t)(s.Range(t.Context(), key, stream.Span{After: after[w]}, 0))
		blocktest.WantEachOnce(t, n, got[w], values(left))
	}
}

// proveGroup lets the workers of a group read a stream with BReadGroup, each a part of it.
func proveGroup(t *testing.T, s *stream.Stream[int], key string, n int, push func(ctx context.Context, i int) error) {
	ctx := t.Context()
	must[bool](t)(s.CreateGroup(ctx, key, group, stream.ID{}))
	got := blocktest.Race{
		N:    n,
		Push: push,
		Take: func(ctx context.Context, w int) ([]int, error) {
			entries, err := s.BReadGroup(ctx, consumer(w), 0, w, key)
			return values(entries), err
		},
	}.Run(t)
	for w := range got {
		// Nothing was given to a worker that the worker did not see.
		pending := must[stream.Batch[int]](t)(s.ReadPending(ctx, consumer(w), key, stream.ID{}, 0))
		if !slices.Equal(values(pending.Entries), got[w]) {
			t.Errorf("worker %d saw %d entries, and %d are pending for it", w, len(got[w]), len(pending.Entries))
		}
	}
	left := must[[]stream.Entry[int]](t)(s.ReadGroup(ctx, consumer(-1), 0, key))
	blocktest.WantEachOnce(t, n, append(got, values(left))...)
}

// inFours adds four entries at a time.
func inFours(s *stream.Stream[int], key string) func(ctx context.Context, i int) error {
	return func(ctx context.Context, i int) error {
		if i%4 != 3 {
			return nil
		}
		_, err := s.AddMany(ctx, key, i-3, i-2, i-1, i)
		return err
	}
}

var proofs = map[string]func(t *testing.T, s *stream.Stream[int], key string, n int, push func(ctx context.Context, i int) error){
	"BRead":      proveReaders,
	"BReadGroup": proveGroup,
}

func TestSoakAContextThatEndsLosesNoEntry(t *testing.T) {
	for name, prove := range proofs {
		t.Run(name, func(t *testing.T) {
			rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
				s, key := open[int](t, c, rediskit.NoTTL), rediskittest.Keys(t)("stream")
				n := blocktest.Elements()
				push := func(ctx context.Context, i int) error {
					_, err := s.Add(ctx, key, i)
					return err
				}
				if name == "BRead" {
					push = inFours(s, key) // each entry goes to all workers, so each costs eight times as much
				}
				prove(t, s, key, n, push)
			})
		})
	}
}

func TestSoakReadersFollowAStreamFromNodeToNodeAndLoseNothing(t *testing.T) {
	cluster, err := redistest.StartCluster(redistest.ClusterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	c := connect(t, rediskit.Config{Addrs: cluster.Addrs(), Cluster: true})
	for name, prove := range proofs {
		t.Run(name, func(t *testing.T) {
			s, key := open[int](t, c, rediskit.NoTTL), rediskittest.Keys(t)("stream")
			slot := must[int](t)(cluster.SlotOf(key))
			const moves, perMove = 6, 200
			var migration *redistest.Migration
			prove(t, s, key, moves*perMove*soak.Scale(), func(ctx context.Context, i int) error {
				// The slot is on its way for half of the time.
				switch i % perMove {
				case 0:
					now := must[*redistest.Server](t)(cluster.NodeForSlot(slot))
					masters := must[[]*redistest.Server](t)(cluster.Masters())
					next := masters[(slices.Index(masters, now)+1)%len(masters)]
					migration = must[*redistest.Migration](t)(cluster.BeginMigrate(slot, next))
				case perMove / 2:
					if err := migration.Finish(); err != nil {
						t.Fatal(err)
					}
				}
				_, err := s.Add(ctx, key, i)
				return err
			})
		})
	}
}

// reading is one of the calls that wait. The stream must exist, and the group.
type reading func(s *stream.Stream[string], ctx context.Context, wait time.Duration, keys ...string) ([]stream.Entry[string], error)

// eachReading runs a test with each of the calls that wait.
func eachReading(t *testing.T, test func(t *testing.T, read reading)) {
	t.Run("BRead", func(t *testing.T) {
		test(t, func(s *stream.Stream[string], ctx context.Context, wait time.Duration, keys ...string) ([]stream.Entry[string], error) {
			var from []stream.From
			for _, key := range keys {
				from = append(from, stream.From{Key: key, After: stream.End})
			}
			return s.BRead(ctx, wait, 0, from...)
		})
	})
	t.Run("BReadGroup", func(t *testing.T) {
		test(t, func(s *stream.Stream[string], ctx context.Context, wait time.Duration, keys ...string) ([]stream.Entry[string], error) {
			return s.BReadGroup(ctx, consumer(0), wait, 0, keys...)
		})
	})
}

func TestACallThatWaitsReadsWhatComes(t *testing.T) {
	eachReading(t, func(t *testing.T, read reading) {
		rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			s := open[string](t, c, time.Hour)
			for _, k := range []string{key("a"), key("b")} {
				must[stream.ID](t)(s.Add(ctx, k, "old"))
				must[bool](t)(s.CreateGroup(ctx, k, group, stream.End))
			}
			if entries, err := read(s, ctx, time.Millisecond, key("a"), key("b")); entries != nil || err != nil {
				t.Fatal("of nothing new:", entries, err)
			}
			began, got := make(chan struct{}), make(chan []stream.Entry[string])
			go func() {
				close(began)
				var entries []stream.Entry[string]
				for len(entries) == 0 {
					var err error
					if entries, err = read(s, ctx, 0, key("a"), key("b")); err != nil {
						t.Error(err)
						break
					}
				}
				got <- entries
			}()
			<-began
			for {
				// BRead from the end sees only what comes after it began, which is not to be seen from here.
				id := must[stream.ID](t)(s.Add(ctx, key("b"), "new"))
				select {
				case entries := <-got:
					e := entries[0]
					if e.Key != key("b") || e.Value != "new" || e.ID.Compare(id) > 0 {
						t.Error(entries)
					}
					return
				default:
				}
			}
		}, everywhere...)
	})
}

func TestACallThatWaitsEndsWithItsContextAndWithTheClient(t *testing.T) {
	eachReading(t, func(t *testing.T, read reading) {
		rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
			key := rediskittest.Keys(t)("stream")
			s := open[string](t, c, time.Hour)
			must[bool](t)(s.CreateGroup(t.Context(), key, group, stream.End))
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			entries, err := read(s, ctx, 0, key)
			if entries != nil || !errors.Is(err, context.DeadlineExceeded) || rediskit.MayHaveApplied(err) {
				t.Errorf("the deadline passed: %v, %v", entries, err)
			}
			ended := make(chan error)
			go func() {
				_, err := read(s, t.Context(), 0, key)
				ended <- err
			}()
			c.Close()
			if err := <-ended; !errors.Is(err, rediskit.ErrClosed) || rediskit.MayHaveApplied(err) {
				t.Errorf("the client was closed: %v", err)
			}
		}, everywhere...)
	})
}

func TestAWaitLongerThanOneRoundMissesNothing(t *testing.T) {
	// The embedded server is asked every 50 ms.
	c := rediskittest.Embedded(t)
	ctx := t.Context()
	s := open[string](t, c, time.Hour)
	must[stream.ID](t)(s.Add(ctx, "k", "old"))
	got := make(chan []string)
	read := make(chan struct{})
	go func() {
		close(read)
		entries, err := s.BRead(ctx, 0, 0, stream.From{Key: "k", After: stream.End})
		if err != nil {
			t.Error(err)
		}
		got <- values(entries)
	}()
	<-read
	begin := time.Now()
	for n := 0; ; n++ {
		if time.Since(begin) > 200*time.Millisecond { // several rounds
			must[stream.ID](t)(s.Add(ctx, "k", "new"))
			break
		}
		must[int64](t)(s.Len(ctx, "k"))
	}
	if v := <-got; !slices.Equal(v, []string{"new"}) {
		t.Error(v)
	}
}

func TestACallThatWaitsDelaysNoOther(t *testing.T) {
	eachReading(t, func(t *testing.T, read reading) {
		rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			s := open[string](t, c, time.Hour)
			must[bool](t)(s.CreateGroup(ctx, key("k"), group, stream.End))
			waiting, cancel := context.WithCancel(ctx)
			ended := make(chan error)
			go func() {
				_, err := read(s, waiting, 0, key("k"))
				ended <- err
			}()
			for range 100 {
				// Behind a call that waits, these would wait for ever.
				err := c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Get().Key(key("other")).Build() }).Error()
				if !rueidis.IsRedisNil(err) {
					t.Fatal(err)
				}
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	})
}

func TestAReaderOutlivesAKilledServer(t *testing.T) {
	server := startServer(t)
	c := connect(t, rediskit.Config{Addrs: []string{server.Addr()}, CommandTimeout: time.Minute})
	s := open[string](t, c, time.Hour)
	got := make(chan []string)
	go func() {
		entries, err := s.BRead(t.Context(), 0, 0, stream.From{Key: "k"})
		if err != nil {
			t.Error(err)
		}
		got <- values(entries)
	}()
	eventually(t, func() error { return wantWaiting(server, 1) })
	server.Kill()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	must[any](t)(server.Do("XADD", "k", "*", "v", "new"))
	if v := <-got; !slices.Equal(v, []string{"new"}) {
		t.Error(v)
	}
}

func TestAReplyThatIsLostLeavesItsEntriesPending(t *testing.T) {
	server := startServer(t)
	proxy := must[*redistest.FaultProxy](t)(redistest.StartProxy(server.Addr()))
	t.Cleanup(func() { proxy.Close() })
	c := connect(t, rediskit.Config{Addrs: []string{proxy.Addr()}})
	ctx := t.Context()
	s := open[string](t, c, rediskit.NoTTL)
	must[bool](t)(s.CreateGroup(ctx, "k", group, stream.ID{}))
	ended := make(chan error)
	go func() {
		_, err := s.BReadGroup(ctx, consumer(0), 0, 0, "k")
		ended <- err
	}()
	eventually(t, func() error { return wantWaiting(server, 1) })
	proxy.CutAfterReplyBytes(0)
	must[any](t)(server.Do("XADD", "k", "*", "v", "a"))
	err := <-ended
	if !rediskit.MayHaveApplied(err) || !rediskit.IsUnavailable(err) {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return c.Do(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Ping().Build() }).Error()
	})
	if again := must[[]stream.Entry[string]](t)(s.ReadGroup(ctx, consumer(0), 0, "k")); again != nil {
		t.Error("given again:", again)
	}
	pending := must[stream.Batch[string]](t)(s.ReadPending(ctx, consumer(0), "k", stream.ID{}, 0))
	if !slices.Equal(values(pending.Entries), []string{"a"}) {
		t.Error(pending)
	}
}

func TestAGroupThatGoesAwayEndsTheWait(t *testing.T) {
	server := startServer(t)
	c := connect(t, rediskit.Config{Addrs: []string{server.Addr()}})
	ctx := t.Context()
	s := open[string](t, c, rediskit.NoTTL)
	for _, how := range [][]string{{"XGROUP", "DESTROY", "k", group}, {"DEL", "k"}} {
		must[bool](t)(s.CreateGroup(ctx, "k", group, stream.ID{}))
		ended := make(chan error)
		go func() {
			_, err := s.BReadGroup(ctx, consumer(0), 0, 0, "k")
			ended <- err
		}()
		eventually(t, func() error { return wantWaiting(server, 1) })
		must[any](t)(server.Do(how...))
		if err := <-ended; !errors.Is(err, stream.ErrNoGroup) || rediskit.MayHaveApplied(err) {
			t.Errorf("%s: %v", how, err)
		}
	}
}
