package zset

import (
	"context"
	_ "embed"
	"iter"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
	"github.com/tickettoken/rediskit/script"
)

const (
	scanPage     = 500 // members a step; a large step makes the server's other callers wait
	scanRestarts = 10
)

var (
	//go:embed scan.lua
	scanSource string
	scanScript = script.New(scanSource, script.Idempotent)
)

// All walks over the whole set (ZSCAN), in no order, a few hundred members in memory at a time. It blocks nobody
// for long and may be used on a set of any size.
//
//	for entry, err := range scores.All(ctx, key) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// A member that is in the set from the beginning of the walk to its end comes at least once, and may come more
// often. One that is put in, taken out or given another score meanwhile may come or not, with the old score or
// the new.
//
// Members that cannot be decoded come as an error that is a [*DecodeError], after which the loop may go on; any other
// error ends it. When the server restarts, fails over or hands the key to another, the walk begins
// anew by itself; if that goes on, it ends with rediskit.ErrTopologyChanged. It cannot notice a change if the ACL
// of the user does not allow INFO.
func (s *Set[M]) All(ctx context.Context, key string) iter.Seq2[Entry[M], error] {
	const op = "zset.All"
	return func(yield func(Entry[M], error) bool) {
		fail := func(err error) bool { return yield(Entry[M]{}, data.Err(op, key, err)) }
		if err := data.CheckKey(op, key); err != nil {
			yield(Entry[M]{}, err)
			return
		}
		cursor, run, restarts := "0", "", 0
		for {
			page, err := readScan(scanScript.Exec(ctx, s.client, []string{key}, []string{cursor, strconv.Itoa(scanPage)}))
			if err != nil {
				fail(err)
				return
			}
			if cursor != "0" && page.run != run {
				if restarts++; restarts > scanRestarts {
					fail(rediskit.ErrTopologyChanged)
					return
				}
				cursor = "0"
				continue
			}
			entries, undecodable, err := s.entries(page.items)
			if err != nil {
				fail(err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
			}
			if undecodable != nil && !fail(undecodable) {
				return
			}
			if page.cursor == "0" {
				return
			}
			cursor, run = page.cursor, page.run
		}
	}
}

type scanned struct {
	cursor string
	items  []rueidis.RedisMessage
	run    string
}

func readScan(res rueidis.RedisResult) (p scanned, err error) {
	msgs, err := res.ToArray()
	if err != nil {
		return p, err
	}
	if len(msgs) != 3 {
		return p, sorted.ErrReply
	}
	if p.cursor, err = msgs[0].ToString(); err != nil {
		return p, err
	}
	if p.items, err = msgs[1].ToArray(); err != nil {
		return p, err
	}
	p.run, err = msgs[2].ToString()
	return p, err
}
