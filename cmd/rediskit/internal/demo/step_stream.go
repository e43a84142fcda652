package demo

import (
	"context"

	"github.com/tickettoken/rediskit/stream"
)

func stepStream(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("stream")

	t.show("A log of sales: everybody may read all of it, from any place in it.")
	type Sale struct {
		Event string
		Seats int
	}
	sales, err := stream.New(client, stream.Config[Sale]{TTL: ttl})
	if err != nil {
		return err
	}
	ids, err := sales.AddMany(ctx, key("sales"),
		Sale{"Fidelio", 2}, Sale{"Aida", 4}, Sale{"Fidelio", 1})
	if err != nil {
		return err
	}
	since, err := sales.Read(ctx, 10, stream.From{Key: key("sales"), After: ids[0]})
	if err != nil {
		return err
	}
	text := ""
	for _, entry := range since {
		text += entry.ID.String() + "  " + entry.Value.Event + "\n"
	}
	t.result("since %v:\n%s", ids[0], text)

	t.show("A group shares the work: each entry goes to one consumer, and is pending until it says so.")
	_, err = sales.CreateGroup(ctx, key("sales"), "mailers", stream.ID{})
	if err != nil {
		return err
	}
	ann := stream.Consumer{Group: "mailers", Name: "ann"}
	bob := stream.Consumer{Group: "mailers", Name: "bob"}
	toAnn, err := sales.ReadGroup(ctx, ann, 2, key("sales"))
	if err != nil {
		return err
	}
	toBob, err := sales.ReadGroup(ctx, bob, 2, key("sales"))
	if err != nil {
		return err
	}
	acked, err := sales.Ack(ctx, key("sales"), "mailers", ids[2])
	if err != nil {
		return err
	}
	t.result("ann got %d, bob got %d and acknowledged %d", len(toAnn), len(toBob), acked)

	t.show("Ann is gone, with her work half done: bob takes it over.")
	taken, err := sales.AutoClaim(ctx, bob, key("sales"), 0, stream.ID{}, 10)
	if err != nil {
		return err
	}
	pending, err := sales.Pending(ctx, key("sales"), "mailers")
	if err != nil {
		return err
	}
	t.result("bob took over %d; pending now: %v", len(taken.Entries), pending.Consumers)
	return nil
}
