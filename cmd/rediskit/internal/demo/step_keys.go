package demo

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/keys"
)

func stepKeys(ctx context.Context, t *tour) error {
	t.show("Text from users stays in its part, whatever it contains.")
	shop, err := keys.New("shop")
	if err != nil {
		return err
	}
	plain := shop.Cache("user", "42")
	hostile := shop.Cache("user", "42:admin}*\r\nFLUSHALL")
	pattern := shop.Prefix("cache", "*")
	t.result("%s\n%s\n%s (matches the keys of the kind named \"*\", and no others)", plain, hostile, pattern)

	t.show("And it can be read back from the key.")
	name, err := keys.Parse(hostile.String())
	if err != nil {
		return err
	}
	t.result("namespace %q, parts %q", name.Namespace, name.Parts)

	client, key := t.client, t.keys("keys")
	t.show("What has to change together gets a common tag, and so one slot of a cluster.")
	cart, total := key("cart"), key("total")
	err = client.CheckSlot(cart, total)
	if err != nil {
		return err
	}
	for _, name := range []string{cart, total} {
		err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Set().Key(name).Value("7").Ex(ttl).Build()
		}).Error()
		if err != nil {
			return err
		}
	}
	found, err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Exists().Key(cart, total).Build()
	}).AsInt64()
	if err != nil {
		return err
	}
	t.result("%s is in slot %d\n%s is in slot %d\none EXISTS for both: %d", cart, keys.Slot(cart), total, keys.Slot(total), found)
	return nil
}
