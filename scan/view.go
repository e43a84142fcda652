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
	exports []export
	size    int64 // keys of any name, if somebody wants to know
}

// export is a slot on its way to the node of that id.
type export struct {
	slot uint16
	to   string
}

// look asks every master about itself. Those that cannot be reached own nothing in the view.
func (w *walk) look(ctx context.Context) (*view, error) {
	masters, err := w.client.Masters(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{owner: make([]int16, len(w.left)), moving: make(map[uint16]string)}
	if v.members, err = w.askAll(ctx, masters); err != nil {
		return nil, err
	}
	if err := w.meet(ctx, v, masters); err != nil {
		return nil, err
	}
	slices.SortFunc(v.members, func(a, b member) int { return strings.Compare(a.id, b.id) })
	v.index()
	return v, nil
}

// meet adds to a view the masters that keys move to but that serve no slot yet: the first ones of a new node. The
// client library has not heard of those until it is redirected to one.
func (w *walk) meet(ctx context.Context, v *view, masters []rediskit.Node) error {
	strangers := make(map[string]uint16) // with a slot that is on its way to them
	for _, m := range v.members {
		for _, e := range m.exports {
			if w.left[e.slot] && v.find(e.to) < 0 {
				strangers[e.to] = e.slot
			}
		}
	}
	if len(strangers) == 0 {
		return nil
	}
	for _, slot := range strangers {
		if err := w.await(ctx, int(slot)); err != nil {
			return err
		}
	}
	var others []rediskit.Node
	for addr, rc := range w.client.Redis().Nodes() {
		if !slices.ContainsFunc(masters, func(n rediskit.Node) bool { return n.Addr == addr }) {
			others = append(others, rediskit.Node{Addr: addr, Redis: rc})
		}
	}
	members, err := w.askAll(ctx, others)
	if err != nil {
		return err
	}
	for _, m := range members {
		if _, ok := strangers[m.id]; ok {
			v.members = append(v.members, m)
		}
	}
	return nil
}

// askAll asks nodes about themselves and returns those that answer.
func (w *walk) askAll(ctx context.Context, nodes []rediskit.Node) ([]member, error) {
	type answer struct {
		member
		err error
	}
	answers := make(chan answer, len(nodes))
	for _, node := range nodes {
		go func() {
			m, err := w.ask(ctx, node, len(nodes) > 1)
			answers <- answer{m, err}
		}()
	}
	var members []member
	for range nodes {
		select {
		case a := <-answers:
			if refused(a.err) {
				return nil, a.err
			}
			if a.err == nil {
				members = append(members, a.member)
			}
		case <-ctx.Done():
			return nil, w.ended(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil, w.ended(ctx)
	}
	return members, nil
}

// find returns the member with an id, or -1.
func (v *view) find(id string) int {
	return slices.IndexFunc(v.members, func(m member) bool { return m.id == id })
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
		for _, e := range m.exports {
			v.moving[e.slot] += "from " + m.id + " "
			switch to := v.find(e.to); {
			case to < 0:
				v.owner[e.slot] = several // and one of them is out of reach
			case !slices.Contains(v.members[to].imports, e.slot):
				v.members[to].imports = append(v.members[to].imports, e.slot)
			}
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
	text = strings.TrimPrefix(text, "txt:") // the client library leaves RESP3's mark of plain text in place
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
		text = strings.TrimSuffix(text, "]")
		from, _, importing := strings.Cut(text, "-<-")
		out, to, exporting := strings.Cut(text, "->-")
		if exporting {
			from = out
		}
		slot, err := parseSlot(from)
		switch {
		case err != nil || importing == exporting:
			return fmt.Errorf("unreadable slot %q in the reply to CLUSTER NODES", word)
		case importing:
			m.imports = append(m.imports, slot)
		default:
			m.exports = append(m.exports, export{slot, to})
		}
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
