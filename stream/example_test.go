package stream_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/stream"
)

type Sale struct {
	Event string
	Seats int
}

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	sales, err := stream.New(server.Client(), stream.Config[Sale]{
		TTL:  7 * 24 * time.Hour,
		Trim: stream.MaxLen(100_000),
	})
	if err != nil {
		panic(err)
	}
	ids, err := sales.AddMany(ctx, "sales", Sale{"Fidelio", 2}, Sale{"Aida", 4})
	if err != nil {
		panic(err)
	}

	// A reader goes on from the last entry it got.
	entries, err := sales.BRead(ctx, time.Minute, 100, stream.From{Key: "sales", After: ids[0]})
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		fmt.Println(e.Key, e.Value)
	}
	// Output: sales {Aida 4}
}

// Consumers of a group share the entries. Each entry is pending until it is acknowledged, so a consumer that died
// finds what it was at work on when it starts again.
func ExampleStream_ReadGroup() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	sales, err := stream.New(server.Client(), stream.Config[Sale]{TTL: 7 * 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	if _, err := sales.CreateGroup(ctx, "sales", "mailers", stream.ID{}); err != nil {
		panic(err)
	}
	if _, err := sales.AddMany(ctx, "sales", Sale{"Fidelio", 2}, Sale{"Aida", 4}); err != nil {
		panic(err)
	}

	me := stream.Consumer{Group: "mailers", Name: "mailer-1"}
	entries, err := sales.ReadGroup(ctx, me, 10, "sales")
	if err != nil {
		panic(err)
	}
	acked, err := sales.Ack(ctx, "sales", "mailers", entries[0].ID) // and here it dies
	fmt.Println(len(entries), acked, err)

	left, err := sales.ReadPending(ctx, me, "sales", stream.ID{}, 10)
	if err != nil {
		panic(err)
	}
	for _, e := range left.Entries {
		fmt.Println(e.Value)
	}
	// Output:
	// 2 1 <nil>
	// {Aida 4}
}

// An ID of one's own makes adding safe to repeat, when the reply may have been lost.
func ExampleStream_AddWith() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	// Fields are what other programs read and write, without a codec.
	log, err := stream.New(server.Client(), stream.Config[stream.Fields]{TTL: 7 * 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	entry := stream.Fields{{Name: "level", Value: "warn"}, {Name: "text", Value: "almost full"}}
	for range 2 {
		id, _, err := log.AddWith(ctx, "log", entry, stream.AddOptions{ID: stream.ID{Ms: 1_700_000_000_000, Seq: 42}})
		fmt.Println(id, errors.Is(err, stream.ErrNotNewer))
	}
	// Output:
	// 1700000000000-42 false
	// 0-0 true
}

func ExampleStream_All() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	temperatures, err := stream.New(server.Client(), stream.Config[float64]{TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	begin := time.Now()
	if _, err := temperatures.AddMany(ctx, "temperatures", 20.5, 21, 21.5); err != nil {
		panic(err)
	}
	sum := 0.0
	for e, err := range temperatures.All(ctx, "temperatures", stream.Span{From: stream.IDAt(begin)}) {
		if err != nil {
			panic(err)
		}
		sum += e.Value
	}
	fmt.Println(sum)
	// Output: 63
}
