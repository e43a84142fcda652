package demo

import (
	"context"

	"github.com/tickettoken/rediskit/zset"
)

func stepZset(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("zset")

	t.show("Who sold most?")
	sold, err := zset.New(client, zset.Config[string]{TTL: ttl})
	if err != nil {
		return err
	}
	_, err = sold.Add(ctx, key("sold"),
		zset.Entry[string]{Member: "ann", Score: 31},
		zset.Entry[string]{Member: "bob", Score: 40},
		zset.Entry[string]{Member: "eve", Score: 17})
	if err != nil {
		return err
	}
	score, err := sold.Incr(ctx, key("sold"), "ann", 11)
	if err != nil {
		return err
	}
	top, err := sold.Top(ctx, key("sold"), 2)
	if err != nil {
		return err
	}
	rank, ok, err := sold.RevRank(ctx, key("sold"), "eve")
	if err != nil {
		return err
	}
	t.result("ann has %v now\ntop %v\neve is number %d (%v)", score, top, rank+1, ok)

	t.show("A range of scores, from both ends, a page at a time.")
	atLeast30 := zset.ScoreRange{Min: zset.Incl(30)}
	page := zset.Page{Count: 10, Reverse: true}
	some, err := sold.RangeByScore(ctx, key("sold"), atLeast30, page)
	if err != nil {
		return err
	}
	t.result("at least 30: %v", some)
	return nil
}
