package scan_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/scan"
)

// withSessions starts a server in the process, with three sessions in it.
func withSessions() (*rediskit.Client, func()) {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	for _, key := range []string{"session:1", "session:2", "session:3", "other"} {
		server.Client().Do(context.Background(), func(b rueidis.Builder) rueidis.Completed {
			return b.Set().Key(key).Value("…").Px(time.Hour).Build()
		})
	}
	return server.Client(), server.Close
}

func ExampleScanner_Keys() {
	client, stop := withSessions()
	defer stop()
	scanner, err := scan.New(client, scan.Config{})
	if err != nil {
		panic(err)
	}
	var found []string
	for key, err := range scanner.Keys(context.Background(), "session:*") {
		if err != nil {
			panic(err)
		}
		found = append(found, key)
	}
	slices.Sort(found)
	fmt.Println(found)
	// Output: [session:1 session:2 session:3]
}

func ExampleScanner_Delete() {
	client, stop := withSessions()
	defer stop()
	ctx := context.Background()

	dry, err := scan.New(client, scan.Config{DryRun: true})
	if err != nil {
		panic(err)
	}
	n, err := dry.Delete(ctx, "session:*")
	fmt.Println("would delete", n, err)

	scanner, err := scan.New(client, scan.Config{})
	if err != nil {
		panic(err)
	}
	n, err = scanner.Delete(ctx, "session:*")
	fmt.Println("deleted", n, err)
	n, err = scanner.Count(ctx, "*")
	fmt.Println("left", n, err)
	// Output:
	// would delete 3 <nil>
	// deleted 3 <nil>
	// left 1 <nil>
}

// Each with a write gives keys that were set without one a time to live.
func ExampleScanner_Each() {
	client, stop := withSessions()
	defer stop()
	ctx := context.Background()
	scanner, err := scan.New(client, scan.Config{Type: "string"})
	if err != nil {
		panic(err)
	}
	err = scanner.Each(ctx, "session:*", 8, func(ctx context.Context, key string) error {
		return client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Pexpire().Key(key).Milliseconds(60_000).Build().ToRetryable()
		}).Error()
	})
	if err != nil {
		panic(err)
	}
	info, found, err := scanner.Info(ctx, "session:1")
	fmt.Println(info.Type, info.TTL <= time.Minute, found, err)
	// Output: string true true <nil>
}
