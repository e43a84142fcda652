package demo

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tickettoken/rediskit/list"
)

func stepList(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("list")

	t.show("Values go in at one end and come out at the other.")
	type Mail struct{ To, Subject string }
	mails, err := list.New(client, list.Config[Mail]{TTL: ttl})
	if err != nil {
		return err
	}
	waiting, err := mails.RPush(ctx, key("mail"),
		Mail{"ann@example.com", "Your ticket"}, Mail{"bob@example.com", "Refund"})
	if err != nil {
		return err
	}
	first, ok, err := mails.LPop(ctx, key("mail"))
	if err != nil {
		return err
	}
	t.result("%d waiting; the first (%v): %+v", waiting, ok, first)

	t.show("Consumers give up just as elements come. Each element was received, or is still there.")
	orders, err := list.New(client, list.Config[int]{TTL: ttl})
	if err != nil {
		return err
	}
	received := 0
	for i := range 20 {
		waitCtx, cancel := context.WithTimeout(ctx, rand.N(2*time.Millisecond))
		var push sync.WaitGroup
		push.Go(func() { orders.RPush(ctx, key("orders"), i) })
		_, ok, _ := orders.BLPop(waitCtx, []string{key("orders")}, 0)
		if ok {
			received++
		}
		push.Wait()
		cancel()
	}
	left, err := orders.Len(ctx, key("orders"))
	if err != nil {
		return err
	}
	t.result("20 pushed: %d received, %d still in the list, %d lost", received, left, 20-received-int(left))
	return nil
}
