package script_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/script"
)

// take takes seats off a counter if there are so many.
//
// KEYS[1] the counter. ARGV[1] how many. Reply: how many are left. Error: SOLDOUT.
var take = script.New(`
	local left = tonumber(redis.call('GET', KEYS[1]) or '0')
	if left < tonumber(ARGV[1]) then
		return redis.error_reply('SOLDOUT only ' .. left .. ' left')
	end
	return redis.call('DECRBY', KEYS[1], ARGV[1])
`, script.Once)

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx, client := context.Background(), server.Client()

	// At start-up: a mistake in the script shows now.
	if err := take.Load(ctx, client); err != nil {
		panic(err)
	}
	seats := []string{"seats:{gala}"}
	fill(ctx, client, seats[0], 3)

	for range 2 {
		left, err := script.Run[int](ctx, client, take, seats, 2)
		switch {
		case script.Code(err) == "SOLDOUT":
			fmt.Println("sold out")
		case err != nil:
			panic(err)
		default:
			fmt.Println(left, "left")
		}
	}
	// Output:
	// 1 left
	// sold out
}

func fill(ctx context.Context, client *rediskit.Client, key string, n int) {
	var b script.Batch
	b.Set(key, n, time.Hour)
	if err := b.Run(ctx, client); err != nil {
		panic(err)
	}
}

func ExampleRun_struct() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()

	type window struct {
		Name  string
		Ends  time.Time
		Left  time.Duration
		Ratio float64
		Note  *string // may be nil
	}
	// In Lua a table ends before its first nil, so false stands for nil.
	s := script.New(`return {ARGV[1], ARGV[2], 1500, '0.25', false}`, script.Idempotent)
	w, err := script.Run[window](context.Background(), server.Client(), s, nil, "sale", time.Unix(1_700_000_000, 0))
	if err != nil {
		panic(err)
	}
	fmt.Println(w.Name, w.Ends.UTC().Format(time.DateTime), w.Left, w.Ratio, w.Note)
	// Output: sale 2023-11-14 22:13:20 1.5s 0.25 <nil>
}

func ExampleScript_ExecMulti() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()

	square := script.New(`return ARGV[1] * ARGV[1]`, script.Idempotent)
	calls := []script.Call{{Args: []string{"3"}}, {Args: []string{"4"}}}
	for _, res := range square.ExecMulti(context.Background(), server.Client(), calls) {
		fmt.Println(script.Decode[int](res))
	}
	// Output:
	// 9 <nil>
	// 16 <nil>
}

func ExampleBatch() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx, client := context.Background(), server.Client()
	fill(ctx, client, "seats:{gala}", 3)

	// All keys have the hash tag {gala}, so that they share a slot on a cluster.
	var b script.Batch
	b.IfAbsent("order:{gala}:42")
	b.Set("order:{gala}:42", "two seats for Ann", time.Hour)
	left := b.IncrBy("seats:{gala}", -2, time.Hour)
	orders := b.RPush("orders:{gala}", 42, time.Hour)
	if err := b.Run(ctx, client); err != nil {
		panic(err)
	}
	fmt.Println(left.Value, "left,", orders.Value, "order")

	// The order is there now, so nothing is applied.
	err = b.Run(ctx, client)
	fmt.Println(errors.Is(err, script.ErrCondition), err)
	// Output:
	// 1 left, 1 order
	// true script.Batch.Run: IfAbsent "order:{gala}:42": the condition does not hold (operations applied: 0)
}

func ExampleBatch_Token() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()

	// However often the message about payment 7 comes, it counts once.
	for range 3 {
		var b script.Batch
		b.Token("seen:{ann}:payment-7", 24*time.Hour)
		balance := b.IncrBy("balance:{ann}", 50, rediskit.NoTTL)
		if err := b.Run(context.Background(), server.Client()); err != nil {
			panic(err)
		}
		fmt.Println(balance.Value)
	}
	// Output:
	// 50
	// 50
	// 50
}

func ExampleOp() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()

	var b script.Batch
	b.ZAdd("board", "ann", 30, time.Hour)
	b.ZAdd("board", "bob", 20, time.Hour)
	rank := script.Op[int](&b, "ZREVRANK", "board", "bob")
	nobody := script.Op[int](&b, "ZREVRANK", "board", "eve")
	top := script.Op[[]string](&b, "ZREVRANGE", "board", 0, 9)
	if err := b.Run(context.Background(), server.Client()); err != nil {
		panic(err)
	}
	fmt.Println(rank.Value, nobody.Found, top.Value)
	// Output: 1 false [ann bob]
}
