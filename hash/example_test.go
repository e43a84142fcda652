package hash_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/hash"
)

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	type User struct {
		Name   string    `redis:"name"`
		Email  string    `redis:"email,omitempty"`
		Visits int64     `redis:"visits"`
		Joined time.Time `redis:"joined"`
	}
	users, err := hash.New[User](server.Client(), hash.Config{TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	joined := time.Date(2024, 5, 17, 9, 30, 0, 0, time.UTC)
	if err := users.Set(ctx, "user:7", User{Name: "Ada", Visits: 1, Joined: joined}); err != nil {
		panic(err)
	}
	visits, err := users.Incr(ctx, "user:7", "visits", 1)
	fmt.Println(visits, err)

	updated, err := users.UpdateFields(ctx, "user:7", User{Email: "ada@example.com"}, "email")
	fmt.Println(updated, err)

	user, found, err := users.Get(ctx, "user:7")
	fmt.Println(user.Name, user.Email, user.Visits, user.Joined.Year(), found, err)

	_, found, err = users.Get(ctx, "user:8")
	fmt.Println(found, err)
	// Output:
	// 2 <nil>
	// true <nil>
	// Ada ada@example.com 2 2024 true <nil>
	// false <nil>
}

func ExampleMap() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	votes, err := hash.NewMap(server.Client(), hash.MapConfig[int64]{TTL: time.Hour})
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"red", "blue", "red"} {
		if _, err := votes.Incr(ctx, "votes", name, 1); err != nil {
			panic(err)
		}
	}
	all, err := votes.GetAll(ctx, "votes")
	fmt.Println(all, err)

	for e, err := range votes.All(ctx, "votes") {
		if err != nil {
			panic(err)
		}
		if e.Value > 1 {
			fmt.Println("leading:", e.Field)
		}
	}
	// Output:
	// map[blue:1 red:2] <nil>
	// leading: red
}
