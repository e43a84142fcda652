package list_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/list"
)

type Mail struct {
	To, Subject string
}

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	mails, err := list.New(server.Client(), list.Config[Mail]{TTL: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	length, err := mails.RPush(ctx, "mails", Mail{"ann@example.com", "Welcome"}, Mail{"bob@example.com", "Welcome back"})
	fmt.Println(length, err)

	next, ok, err := mails.BLPop(ctx, []string{"urgent", "mails"}, time.Minute)
	fmt.Println(next.Key, next.Value.To, ok, err)
	// Output:
	// 2 <nil>
	// mails ann@example.com true <nil>
}

// A worker that dies between taking an element and dealing with it loses it, unless it moves the element to a
// list of its own first.
func ExampleList_BMove() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	mails, err := list.New(server.Client(), list.Config[string]{TTL: 24 * time.Hour})
	if err != nil {
		panic(err)
	}
	if _, err := mails.RPush(ctx, "mails", "to ann", "to bob"); err != nil {
		panic(err)
	}

	mail, ok, err := mails.BMove(ctx, "mails", "mails:worker-1", list.Left, list.Right, time.Minute)
	fmt.Println(mail, ok, err)
	// Here the mail is sent. After a crash, what is in mails:worker-1 may or may not have been.
	removed, err := mails.Remove(ctx, "mails:worker-1", 1, mail)
	fmt.Println(removed, err)
	// Output:
	// to ann true <nil>
	// 1 <nil>
}

func ExampleList_Trim() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	seen, err := list.New(server.Client(), list.Config[int]{TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	for product := range 10 {
		if _, err := seen.LPush(ctx, "seen", product); err != nil {
			panic(err)
		}
		if err := seen.Trim(ctx, "seen", 0, 2); err != nil { // the last three
			panic(err)
		}
	}
	fmt.Println(seen.Range(ctx, "seen", 0, -1))
	// Output: [9 8 7] <nil>
}
