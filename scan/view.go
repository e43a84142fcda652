package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
)

// view is who holds which slot, in the words of each master about itself: what nodes say of one another comes
// late.
type view struct {
	members []member
	owner   []int16           // of each slot, an index of members
	moving  map[uint16]string // the slots under migration, and who says so
}

const (
	nobody  = -1
	several = -2
)

// member is a master at the time of a view.
type member struct {
	node    rediskit.Node
	id      string
	term    string // what would be different if a slot had left the node and come back
	slots   [][2]uint16
	imports []uint16
	exports []uint16
	size    int64 // keys of any name, if somebody wants to know
}

// look asks every master about itself. Those that cannot be reached own nothing in the view.
func (w *walk) look(ctx context.Context) (*view, error) {
	masters, err := w.client.Masters(ctx)
	if err != nil {
		return nil, err
	}
	type answer struct {
		member
		err error
	}
	answers := make(chan answer, len(masters))
	for _, node := range masters {
		go func() {
			m, err := w.ask(ctx, node, len(masters) > 1)
			answers <- answer{m, err}
		}()
	}
	v := &view{owner: make([]int16, len(w.left)), moving: make(map[uint16]string)}
	for range masters {
		select {
		case a := <-answers:
			if refused(a.err) {
				return nil, a.err
			}
			if a.err == nil {
				v.members = append(v.members, a.member)
			}
		case <-ctx.Done():
			return nil, w.ended(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil, w.ended(ctx)
	}
	slices.SortFunc(v.members, func(a, b member) int { return strings.Compare(a.id, b.id) })
	v.index()
	return v, nil
}

// index fills in who owns and who moves what.
func (v *view) index() {
	for slot := range v.owner {
		v.owner[slot] = nobody
	}
	for i, m := range v.members {
		for _, span := range m.slots {
			for slot := int(span[0]); slot <= int(span[1]); slot++ {
				if v.owner[slot] == nobody {
					v.owner[slot] = int16(i)
				} else {
					v.owner[slot] = several
				}
			}
		}
		for _, slot := range m.imports {
			v.moving[slot] += "to " + m.id + " "
		}
		for _, slot := range m.exports {
			v.moving[slot] += "from " + m.id + " "
		}
	}
}

// unowned returns a slot of the set that has not exactly one owner, or -1.
func (v *view) unowned(set []bool) int {
	for slot, in := range set {
		if in && v.owner[slot] < 0 {
			return slot
		}
	}
	return -1
}

// same reports whether a slot stayed where it was between two views.
func same(a, b *view, slot int) bool {
	i, j := a.owner[slot], b.owner[slot]
	return i >= 0 && j >= 0 &&
		a.members[i].id == b.members[j].id && a.members[i].term == b.members[j].term &&
		a.moving[uint16(slot)] == b.moving[uint16(slot)]
}

// ask asks a master about itself. Where there are other nodes it must be one.
func (w *walk) ask(ctx context.Context, node rediskit.Node, others bool) (member, error) {
	var cmds rueidis.Commands
	if w.cluster {
		cmds = append(cmds, node.Redis.B().ClusterNodes().Build())
	} else {
		cmds = append(cmds, infoServer(node.Redis.B()), infoReplication(node.Redis.B()))
	}
	if w.report != nil {
		cmds = append(cmds, node.Redis.B().Dbsize().Build())
	}
	results := node.Redis.DoMulti(ctx, cmds...)
	m := member{node: node}
	if w.cluster {
		text, err := results[0].ToString()
		if err != nil {
			return member{}, err
		}
		if err := m.parse(text); err != nil {
			return member{}, err
		}
	} else {
		run, err := infoField(results[0], "run_id")
		if err != nil {
			return member{}, err
		}
		role, err := infoField(results[1], "role")
		if err != nil {
			return member{}, err
		}
		if role == "slave" && (others || w.client.Redis().Mode() == rueidis.ClientModeSentinel) {
			return member{}, errors.New("the node is a replica")
		}
		m.id, m.term, m.slots = node.Addr, run+" "+role, [][2]uint16{{0, 0}}
	}
	if w.report != nil {
		size, err := results[len(results)-1].AsInt64()
		if err != nil {
			return member{}, err
		}
		m.size = size
	}
	return m, nil
}

func infoServer(b rueidis.Builder) rueidis.Completed {
	return b.Info().Section("server").Build()
}

func infoReplication(b rueidis.Builder) rueidis.Completed {
	return b.Info().Section("replication").Build()
}

// infoField returns a field of a reply to INFO. It is empty if the server does not know it or does not tell: the
// embedded server has no such section, and a user may be forbidden INFO.
func infoField(res rueidis.RedisResult, name string) (string, error) {
	text, err := res.ToString()
	if _, ok := rueidis.IsRedisErr(err); ok {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimRight(value, "\r\n"), nil
		}
	}
	return "", nil
}

// parse reads what a node says of itself in its reply to CLUSTER NODES, the line
//
//	id addr flags master ping pong epoch link slot first-last [slot->-id] [slot-<-id]
//
// with "myself" among its flags. The epoch serves as the term: a node that takes a slot over raises its epoch
// above all others, so a slot that left and came back has a master with another epoch.
func (m *member) parse(text string) error {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || !slices.Contains(strings.Split(f[2], ","), "myself") {
			continue
		}
		m.id, m.term = f[0], f[6]
		for _, word := range f[8:] {
			if err := m.parseSlots(word); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("the node does not say who it is")
}

func (m *member) parseSlots(word string) error {
	text, open := strings.CutPrefix(word, "[")
	if open {
		var list *[]uint16
		if slot, _, ok := strings.Cut(text, "->-"); ok {
			text, list = slot, &m.exports
		} else if slot, _, ok := strings.Cut(text, "-<-"); ok {
			text, list = slot, &m.imports
		}
		slot, err := parseSlot(text)
		if err != nil || list == nil {
			return fmt.Errorf("unreadable slot %q in the reply to CLUSTER NODES", word)
		}
		*list = append(*list, slot)
		return nil
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		to = from
	}
	first, err1 := parseSlot(from)
	last, err2 := parseSlot(to)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("unreadable slots %q in the reply to CLUSTER NODES", word)
	}
	m.slots = append(m.slots, [2]uint16{first, last})
	return nil
}

func parseSlot(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err == nil && n >= clusterSlots {
		err = errors.New("no such slot")
	}
	return uint16(n), err
}

// probeKey makes names of keys that nobody is likely to have.
func probeKey(n int) string { return "rediskit:probe:" + strconv.Itoa(n) }
