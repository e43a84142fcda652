package demo

import (
	"context"

	"github.com/tickettoken/rediskit/script"
)

func stepScript(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("script")

	t.show("Your own Lua, loaded once, with typed arguments and a typed reply.")
	sell := script.New(`
		-- KEYS[1]: seats; ARGV: how many to sell, how many there are at first, TTL in ms
		local left = tonumber(redis.call('GET', KEYS[1]) or ARGV[2])
		if left < tonumber(ARGV[1]) then
			return redis.error_reply('SOLDOUT only ' .. left .. ' left')
		end
		redis.call('SET', KEYS[1], left - ARGV[1], 'PX', ARGV[3])
		return left - ARGV[1]
	`, script.Once)
	seats := []string{key("seats")}
	left, err := script.Run[int](ctx, client, sell, seats, 2, 3, ttl)
	if err != nil {
		return err
	}
	_, refused := script.Run[int](ctx, client, sell, seats, 2, 3, ttl)
	t.result("%d left, then: %v\nscript.Code: %s", left, refused, script.Code(refused))

	t.show("Several operations at one moment without Lua, under a condition, and once only per token.")
	var order script.Batch
	order.Token(key("request:8f3c"), ttl)
	order.IfAbsent(key("cancelled"))
	order.HSet(key("order:1"), "state", "paid", ttl)
	paid := order.IncrBy(key("paid"), 1, ttl)
	err = order.Run(ctx, client)
	if err != nil {
		return err
	}
	err = order.Run(ctx, client)
	if err != nil {
		return err
	}
	t.result("run twice, with one token: paid = %d", paid.Value)
	return nil
}
