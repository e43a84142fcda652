package demo

import (
	"context"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

func stepRediskit(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("rediskit")

	t.show("Any command, with rediskit's rules for failures. A hundred callers share one connection.")
	err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key(key("visits")).Value("0").Ex(ttl).Build()
	}).Error()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
				return b.Incr().Key(key("visits")).Build()
			})
		})
	}
	wg.Wait()
	visits, err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Get().Key(key("visits")).Build()
	}).AsInt64()
	if err != nil {
		return err
	}
	t.result("visits = %d", visits)

	t.show("Nobody listens there: an outage, and for certain nothing was done.")
	_, outage := rediskit.Connect(ctx, rediskit.Config{
		Addrs: []string{"127.0.0.1:1"}, DialTimeout: time.Second, Password: "secret",
	})
	t.result("%v\nIsUnavailable %v, MayHaveApplied %v (and the password is not in the text)", outage,
		rediskit.IsUnavailable(outage), rediskit.MayHaveApplied(outage))

	t.show("The server's own answer is no outage.")
	answer := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Lpush().Key(key("visits")).Element("not a list").Build()
	}).Error()
	t.result("%v\nIsUnavailable %v, MayHaveApplied %v", answer,
		rediskit.IsUnavailable(answer), rediskit.MayHaveApplied(answer))

	lossy, err := startLossy()
	if err != nil {
		return err
	}
	defer lossy.close()
	t.show("A connection that breaks under the reply, on a server of its own. INCR is not sent twice.")
	lossy.breakNextReply()
	lost := lossy.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Incr().Key("balance").Build()
	}).Error()
	balance, err := lossy.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Get().Key("balance").Build()
	}).AsInt64()
	if err != nil {
		return err
	}
	t.result("%v\nIsUnavailable %v, MayHaveApplied %v, and so it was: balance = %d", lost,
		rediskit.IsUnavailable(lost), rediskit.MayHaveApplied(lost), balance)
	return nil
}
