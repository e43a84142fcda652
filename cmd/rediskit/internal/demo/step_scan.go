package demo

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/scan"
)

func stepScan(ctx context.Context, t *tour) error {
	client, b := t.client, t.namespace

	size, err := t.databaseSize(ctx)
	if err != nil {
		return err
	}
	if size > t.largest && !t.asked {
		t.printf("\n  This database has %s, and a walk looks at each of them. So the tour leaves this step out;\n"+
			"  rediskit demo --step scan makes it.\n", terminal.Keys(size))
		return nil
	}

	for i := range 1000 {
		t.deleteLater(b.Cache("page", fmt.Sprint(i)).String())
	}
	t.show("A thousand cached pages, in all slots of a cluster.")
	written := client.DoMulti(ctx, 1000, func(cmd rueidis.Builder, i int) rueidis.Completed {
		key := b.Cache("page", fmt.Sprint(i)).String()
		return cmd.Set().Key(key).Value("…").Ex(ttl).Build().ToRetryable()
	})
	t.result("%d replies", len(written))
	for _, res := range written {
		if err := res.Error(); err != nil {
			return err
		}
	}

	t.show("SCAN on every master, never KEYS. Restarts and moving slots are noticed.")
	scanner, err := scan.New(client, scan.Config{})
	if err != nil {
		return err
	}
	pages := b.CacheKind("page").String()
	count, err := scanner.Count(ctx, pages)
	if err != nil {
		return err
	}
	info, found, err := scanner.Info(ctx, b.Cache("page", "7").String())
	if err != nil {
		return err
	}
	t.result("%d keys match %s\none of them (%v): type %s, expires in %s, %s", count, pages, found,
		info.Type, terminal.Span(info.TTL), terminal.Bytes(info.Size))

	t.show("First without consequences, then in earnest. Others go on undisturbed: there is a rate.")
	dry, err := scan.New(client, scan.Config{DryRun: true})
	if err != nil {
		return err
	}
	would, err := dry.Delete(ctx, pages)
	if err != nil {
		return err
	}
	deleted, err := scanner.Delete(ctx, pages)
	if err != nil {
		return err
	}
	left, err := scanner.Count(ctx, pages)
	if err != nil {
		return err
	}
	t.result("would delete %d, deleted %d, left %d", would, deleted, left)
	return nil
}

// databaseSize counts the keys of all masters.
func (t *tour) databaseSize(ctx context.Context) (int64, error) {
	masters, err := t.client.Masters(ctx)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, node := range masters {
		n, err := node.Redis.Do(ctx, node.Redis.B().Dbsize().Build()).AsInt64()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
