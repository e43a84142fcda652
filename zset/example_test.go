package zset_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/zset"
)

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	scores, err := zset.New(server.Client(), zset.Config[string]{TTL: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	scores.Add(ctx, "quiz", zset.Entry[string]{Member: "ann", Score: 31}, zset.Entry[string]{Member: "bob", Score: 27})
	total, err := scores.Incr(ctx, "quiz", "bob", 10)
	fmt.Println("bob has", total, err)

	// Only a better result counts.
	changed, err := scores.AddIf(ctx, "quiz", zset.GT, zset.Entry[string]{Member: "ann", Score: 12})
	fmt.Println("changed:", changed, err)

	top, err := scores.Top(ctx, "quiz", 10)
	fmt.Println(top, err)
	rank, ok, err := scores.RevRank(ctx, "quiz", "ann")
	fmt.Println("ann is number", rank+1, ok, err)
	// Output:
	// bob has 37 <nil>
	// changed: 0 <nil>
	// [{bob 37} {ann 31}] <nil>
	// ann is number 2 true <nil>
}

func ExampleSet_RangeByScore() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	prices, err := zset.New(server.Client(), zset.Config[string]{TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	prices.Add(ctx, "prices",
		zset.Entry[string]{Member: "gallery", Score: 20},
		zset.Entry[string]{Member: "stalls", Score: 45.5},
		zset.Entry[string]{Member: "box", Score: 90})

	under90 := zset.ScoreRange{Max: zset.Excl(90)}
	dearest, err := prices.RangeByScore(ctx, "prices", under90, zset.Page{Count: 1, Reverse: true})
	fmt.Println(dearest, err)
	// Output: [{stalls 45.5}] <nil>
}

func ExampleSet_BPopMin() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	due, err := zset.New(server.Client(), zset.Config[string]{TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	go due.Add(ctx, "urgent", zset.Entry[string]{Member: "send tickets", Score: 1})

	first, ok, err := due.BPopMin(ctx, []string{"urgent", "later"}, time.Minute)
	fmt.Println(first.Key, first.Member, ok, err)
	// Output: urgent send tickets true <nil>
}
