package scan

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/keys"
)

const (
	clusterSlots = 16384

	// maxRounds is how often a walk begins with what it could not finish, or what moved meanwhile.
	maxRounds = 6

	// maxLooks is how often the nodes are asked until all that is left to walk has exactly one owner: with
	// the pauses in between, ten seconds.
	maxLooks = 13
)

// walk is one visit to all keys that match. SCAN promises that a key that is on a node from the beginning of an
// iteration to its end is returned, as long as it is the same process that answers. Three things break that: the
// process is replaced, the node is, or the key moves to a node that has been visited already. So a walk goes in
// rounds. It notes who holds each slot, visits, and looks again; whatever was not visited from beginning to end by
// one process, or is not where it was, is left for the next round. Elsewhere than on a cluster all keys are in
// slot 0.
type walk struct {
	client  *rediskit.Client
	pattern string
	typ     string
	batch   int
	pace    pacer
	visit   func(*conn, []string) error // nil: only count
	report  func(Progress)
	cluster bool

	left     []bool  // the slots that are not done
	matched  []int64 // keys by slot
	lost     error   // why a node of this round was given up
	progress Progress
}

// part is what a round does at one node.
type part struct {
	member
	slots []bool
}

func (w *walk) run(ctx context.Context) error {
	if w.pattern == "" {
		return errors.New("empty pattern")
	}
	w.left = w.slotsOfPattern()
	w.matched = make([]int64, len(w.left))
	for round := range maxRounds {
		if round > 0 {
			if err := sleep(ctx, pause(round)); err != nil {
				return w.ended(ctx)
			}
		}
		before, err := w.settled(ctx)
		if err != nil {
			return err
		}
		parts := w.plan(before)
		w.lost = nil
		w.begin(parts, round)
		broken := make([]bool, len(w.left))
		for _, p := range parts {
			whole, err := w.walkNode(ctx, p)
			if err != nil {
				return err
			}
			if !whole {
				for slot, in := range p.slots {
					broken[slot] = broken[slot] || in
				}
			}
		}
		after, err := w.look(ctx)
		if err != nil {
			return err
		}
		done := true
		for slot, left := range w.left {
			w.left[slot] = left && (broken[slot] || !same(before, after, slot))
			done = done && !w.left[slot]
		}
		if done {
			w.scanned(int(w.progress.Total))
			return nil
		}
	}
	if w.lost != nil {
		return w.lost
	}
	return rediskit.ErrTopologyChanged
}

// settled looks until everything that is left to walk has one owner.
func (w *walk) settled(ctx context.Context) (*view, error) {
	for n := 1; n <= maxLooks; n++ {
		v, err := w.look(ctx)
		if err != nil {
			return nil, err
		}
		slot := v.unowned(w.left)
		if slot < 0 {
			return v, nil
		}
		if err := w.await(ctx, slot); err != nil {
			return nil, err
		}
		if err := sleep(ctx, pause(n)); err != nil {
			return nil, w.ended(ctx)
		}
	}
	return nil, rediskit.ErrTopologyChanged
}

// plan orders the round. Keys of a slot under migration are on two nodes and move from the owner to the importing
// one. Owners are walked first: what such a key's move hides from the walk of the owner, the later walk of the
// other then finds.
func (w *walk) plan(v *view) []part {
	parts := make([]part, len(v.members))
	for slot, left := range w.left {
		if !left {
			continue
		}
		p := &parts[v.owner[slot]]
		if p.slots == nil {
			p.slots = make([]bool, len(w.left))
		}
		p.slots[slot] = true
	}
	var plan []part
	for i, p := range parts {
		if p.slots != nil {
			p.member = v.members[i]
			plan = append(plan, p)
		}
	}
	for _, m := range v.members {
		p := part{member: m}
		for _, slot := range m.imports {
			if w.left[slot] {
				if p.slots == nil {
					p.slots = make([]bool, len(w.left))
				}
				p.slots[slot] = true
			}
		}
		if p.slots != nil {
			plan = append(plan, p)
		}
	}
	return plan
}

// begin forgets what was counted in the slots that are walked again.
func (w *walk) begin(parts []part, round int) {
	for slot, left := range w.left {
		if left {
			w.progress.Matched -= w.matched[slot]
			w.matched[slot] = 0
		}
	}
	var size int64
	for _, p := range parts {
		size += p.size
	}
	if round == 0 {
		w.progress.Total = size
	}
	w.progress.Scanned = max(w.progress.Total-size, 0)
}

// scanned reports that n more keys were looked at.
func (w *walk) scanned(n int) {
	if w.report != nil {
		w.progress.Scanned = min(w.progress.Scanned+int64(n), w.progress.Total)
		w.report(w.progress)
	}
}

// slot returns the slot that a key is counted in.
func (w *walk) slot(key string) uint16 {
	if !w.cluster {
		return 0
	}
	return keys.Slot(key)
}

// slotsOfPattern returns the slots in which keys that match can be: one, if the pattern tells the hash tag.
func (w *walk) slotsOfPattern() []bool {
	if !w.cluster {
		return []bool{true}
	}
	slots := make([]bool, clusterSlots)
	if slot, ok := patternSlot(w.pattern); ok {
		slots[slot] = true
		return slots
	}
	for i := range slots {
		slots[i] = true
	}
	return slots
}

// patternSlot returns the slot of all keys that match, if they share one that can be told from the pattern.
func patternSlot(pattern string) (slot uint16, ok bool) {
	glob := strings.IndexAny(pattern, `*?[\`)
	if glob < 0 {
		return keys.Slot(pattern), true
	}
	literal := pattern[:glob]
	open := strings.IndexByte(literal, '{')
	if open < 0 || strings.IndexByte(literal[open+1:], '}') <= 0 {
		return 0, false
	}
	return keys.Slot(literal), true
}

// await waits until the owner of a slot answers, under the client's rules for repeating: so it waits for a
// restart or a failover, but not for longer than the client's CommandTimeout after the first failure.
func (w *walk) await(ctx context.Context, slot int) error {
	err := w.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Exists().Key(w.keyIn(slot)).Build()
	}).Error()
	if refused(err) {
		return nil // a user may be forbidden the key; the server is there
	}
	return err
}

// refused reports whether err is a server's answer that will be the same when asked again.
func refused(err error) bool {
	_, ok := rueidis.IsRedisErr(err)
	return ok && !rediskit.IsUnavailable(err)
}

// keyIn returns a key of a slot.
func (w *walk) keyIn(slot int) string {
	for n := 0; ; n++ {
		if key := probeKey(n); int(w.slot(key)) == slot {
			return key
		}
	}
}

// ended returns the error of a walk whose ctx has ended.
func (w *walk) ended(ctx context.Context) error {
	_, err := w.client.Masters(ctx) // asks nobody then, and names the client's address
	return err
}

// pause is the pause before the attempt after the nth.
func pause(n int) time.Duration {
	return min(50*time.Millisecond<<(n-1), time.Second)
}
