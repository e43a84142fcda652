package scan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/internal/soak"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/scan"
)

// schedule runs each step once, when that share of the keys has been scanned for the first time.
func schedule(steps map[float64]func()) func(scan.Progress) {
	shares := make([]float64, 0, len(steps))
	for share := range steps {
		shares = append(shares, share)
	}
	slices.Sort(shares)
	return func(p scan.Progress) {
		for len(shares) > 0 && float64(p.Scanned) >= shares[0]*float64(p.Total) {
			do := steps[shares[0]]
			shares = shares[1:]
			do()
		}
	}
}

// inOrder returns the masters in the order in which a walk visits them.
func inOrder(t testing.TB, cl *redistest.Cluster) []*redistest.Server {
	t.Helper()
	masters, err := cl.Masters()
	check(t, err)
	id := func(s *redistest.Server) string {
		reply, err := s.Do("CLUSTER", "MYID")
		check(t, err)
		return reply.(string)
	}
	slices.SortFunc(masters, func(a, b *redistest.Server) int { return strings.Compare(id(a), id(b)) })
	return masters
}

// slotsWithKeys returns slots of a master in which some of the keys are.
func slotsWithKeys(t testing.TB, cl *redistest.Cluster, master *redistest.Server, names []string, n int) []int {
	t.Helper()
	var slots []int
	for _, name := range names {
		slot := int(keys.Slot(name))
		if slices.Contains(slots, slot) {
			continue
		}
		owner, err := cl.NodeForSlot(slot)
		check(t, err)
		if owner == master {
			slots = append(slots, slot)
		}
		if len(slots) == n {
			return slots
		}
	}
	t.Fatalf("only %d slots with keys", len(slots))
	return nil
}

// move moves slots that have keys from one master to another and returns them.
func move(t testing.TB, cl *redistest.Cluster, from, to *redistest.Server, names []string, n int) []int {
	t.Helper()
	slots := slotsWithKeys(t, cl, from, names, n)
	for _, slot := range slots {
		check(t, cl.MigrateSlot(slot, to))
	}
	return slots
}

// settle makes a master the owner of a key's slot.
func settle(t testing.TB, cl *redistest.Cluster, key string, master *redistest.Server) {
	t.Helper()
	slot := int(keys.Slot(key))
	owner, err := cl.NodeForSlot(slot)
	check(t, err)
	if owner != master {
		check(t, cl.MigrateSlot(slot, master))
	}
}

func TestAWalkThatMeetsMovingSlotsMissesNothing(t *testing.T) {
	const n, moved = 3000, 8
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	m := inOrder(t, cl)
	steps := func() map[float64]func() {
		return map[float64]func(){
			0.2: func() { move(t, cl, m[0], m[2], names, moved) },
			// From a node that is yet to be visited to one that has been: these keys a simple walk misses.
			0.5: func() { move(t, cl, m[2], m[0], names, moved) },
			0.6: func() { move(t, cl, m[1], m[0], names, moved) },
			0.9: func() { move(t, cl, m[0], m[1], names, moved) },
		}
	}
	got, err := list(newScanner(t, c, scan.Config{Batch: 50, Progress: schedule(steps())}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)

	// What is walked again because it moved is not counted again; what SCAN itself repeats is. A few keys.
	count, err := newScanner(t, c, scan.Config{Batch: 50, Progress: schedule(steps())}).Count(t.Context(), "*")
	check(t, err)
	if count < n || count > n+n/20 {
		t.Errorf("Count: got %d, want %d", count, n)
	}

	_, err = newScanner(t, c, scan.Config{Batch: 50, Rate: -1, Progress: schedule(steps())}).Delete(t.Context(), "*")
	check(t, err)
	if left, err := newScanner(t, c, scan.Config{}).Count(t.Context(), "*"); err != nil || left != 0 {
		t.Errorf("Delete left %d keys, %v", left, err)
	}
}

func TestSlotsThatLeaveANodeAndComeBackMeanwhileAreNotMissed(t *testing.T) {
	const n = 3000
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	m := inOrder(t, cl)
	var away []int
	got, err := list(newScanner(t, c, scan.Config{Batch: 20, Progress: schedule(map[float64]func(){
		// While the second node is visited, keys it has hide on the first.
		0.36: func() { away = move(t, cl, m[1], m[0], names, 10) },
		0.63: func() {
			for _, slot := range away {
				check(t, cl.MigrateSlot(slot, m[1]))
			}
		},
	})}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)
}

func TestSlotsThatAreHalfMovedAreWalkedOnBothNodes(t *testing.T) {
	const n, slotCount = 3000, 5
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	tagged := fill(t, c, "{half}", 200)
	names = append(names, tagged...)
	m := inOrder(t, cl)

	var open []*redistest.Migration
	begin := func(from, to *redistest.Server, slots []int) {
		for _, slot := range slots {
			mig, err := cl.BeginMigrate(slot, to)
			check(t, err)
			var half []string
			for _, name := range names {
				if int(keys.Slot(name)) == slot {
					half = append(half, name)
				}
			}
			check(t, mig.MoveKeys(half[:(len(half)+1)/2]...))
			open = append(open, mig)
		}
	}
	tag := int(keys.Slot("{half}"))
	owner, err := cl.NodeForSlot(tag)
	check(t, err)
	other := m[0]
	if owner == other {
		other = m[1]
	}
	got, err := list(newScanner(t, c, scan.Config{Batch: 50, Progress: schedule(map[float64]func(){
		0.5: func() {
			begin(m[2], m[0], slotsWithKeys(t, cl, m[2], names[:n], slotCount))
			begin(m[0], m[2], slotsWithKeys(t, cl, m[0], names[:n], slotCount))
			begin(owner, other, []int{tag})
		},
	})}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)

	// They may stay so for as long as somebody likes.
	s := newScanner(t, c, scan.Config{Rate: -1})
	got, err = list(s, t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)
	got, err = list(s, t.Context(), "{half}*")
	check(t, err)
	wantOnce(t, got, tagged)
	count, err := s.Count(t.Context(), "*")
	check(t, err)
	if count != int64(len(names)) {
		t.Errorf("Count: got %d, want %d", count, len(names))
	}
	deleted, err := s.Delete(t.Context(), "*")
	check(t, err)
	if deleted != int64(len(names)) {
		t.Errorf("Delete: got %d, want %d", deleted, len(names))
	}
	for _, mig := range open {
		check(t, mig.Finish())
	}
	if left, err := s.Count(t.Context(), "*"); err != nil || left != 0 {
		t.Errorf("Delete left %d keys, %v", left, err)
	}
}

// The slots are half moved at the beginning and at the end, so nothing tells that keys moved meanwhile: the order of
// the visits alone finds them.
func TestKeysThatMoveWhileTheirSlotStaysHalfMovedAreNotMissed(t *testing.T) {
	const n = 3000
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	a, b := fill(t, c, "{there}", 300), fill(t, c, "{back}", 300)
	names = append(append(names, a...), b...)
	m := inOrder(t, cl)
	settle(t, cl, "{there}", m[0])
	settle(t, cl, "{back}", m[2])
	there, err := cl.BeginMigrate(int(keys.Slot("{there}")), m[2])
	check(t, err)
	back, err := cl.BeginMigrate(int(keys.Slot("{back}")), m[0])
	check(t, err)
	steps := make(map[float64]func())
	for i := range 10 {
		steps[0.05+0.1*float64(i)] = func() {
			check(t, there.MoveKeys(a[20*i:20*(i+1)]...))
			check(t, back.MoveKeys(b[20*i:20*(i+1)]...))
		}
	}
	got, err := list(newScanner(t, c, scan.Config{Batch: 20, Progress: schedule(steps)}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)
	check(t, there.Finish())
	check(t, back.Finish())
}

// emptyMaster makes a replica a new master without slots, which no node names to clients.
func emptyMaster(t testing.TB, cl *redistest.Cluster) *redistest.Server {
	t.Helper()
	masters, err := cl.Masters()
	check(t, err)
	replicas, err := cl.Replicas(masters[0])
	check(t, err)
	fresh := replicas[0]
	_, err = fresh.Do("CLUSTER", "RESET", "SOFT")
	check(t, err)
	id, err := fresh.Do("CLUSTER", "MYID")
	check(t, err)
	for _, master := range masters {
		_, err := fresh.Do("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(master.Port()))
		check(t, err)
	}
	eventually(t, "the new master to be known", func() bool {
		known, err := fresh.Do("CLUSTER", "NODES")
		check(t, err)
		info, err := fresh.Do("CLUSTER", "INFO")
		check(t, err)
		if !strings.Contains(info.(string), "cluster_state:ok") {
			return false
		}
		if strings.Count(known.(string), "master") < 4 || strings.Contains(known.(string), "handshake") {
			return false
		}
		for _, master := range masters {
			nodes, err := master.Do("CLUSTER", "NODES")
			check(t, err)
			_, line, _ := strings.Cut(nodes.(string), id.(string))
			line, _, _ = strings.Cut(line, "\n")
			if !strings.Contains(line, " master ") {
				return false
			}
		}
		return true
	})
	return fresh
}

func TestSlotsThatAreHalfMovedToANewNodeAreWalkedThereToo(t *testing.T) {
	const n = 1000
	cl, cfg := startCluster(t)
	fresh := emptyMaster(t, cl)
	cfg.Addrs = slices.DeleteFunc(cfg.Addrs, func(addr string) bool { return addr == fresh.Addr() })
	c := connect(t, cfg)
	names := append(fill(t, c, "k", n), fill(t, c, "{tag}", 100)...)
	slot := int(keys.Slot("{tag}"))
	var open *redistest.Migration
	step := func() {
		var err error
		open, err = cl.BeginMigrate(slot, fresh)
		check(t, err)
		check(t, open.MoveKeys(names[n:n+50]...))
	}
	got, err := list(newScanner(t, c, scan.Config{Batch: 20, Progress: schedule(map[float64]func(){0.5: step})}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)

	// A client that has never been redirected to the new node.
	other := newScanner(t, connect(t, cfg), scan.Config{Rate: -1})
	got, err = list(other, t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)
	if count, err := other.Count(t.Context(), "{tag}*"); err != nil || count != 100 {
		t.Errorf("Count: got %d, %v, want 100", count, err)
	}
	// Nobody answers there: half of the keys are out of reach, and that is no count.
	check(t, fresh.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = other.Count(ctx, "{tag}*")
	wantScanError(t, err, "{tag}*")
	check(t, fresh.Resume())

	if deleted, err := other.Delete(t.Context(), "*"); err != nil || deleted != n+100 {
		t.Errorf("Delete: got %d, %v, want %d", deleted, err, n+100)
	}
	check(t, open.Finish())
	if left, err := other.Count(t.Context(), "*"); err != nil || left != 0 {
		t.Errorf("%d keys are left, %v", left, err)
	}
}

func TestAClusterThatNeverRestsIsReported(t *testing.T) {
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "{tag}", 10)
	slot := int(keys.Slot("{tag}"))
	masters, err := cl.Masters()
	check(t, err)
	restless := func(scan.Progress) {
		at, err := cl.NodeForSlot(slot)
		check(t, err)
		to := masters[0]
		if at == to {
			to = masters[1]
		}
		check(t, cl.MigrateSlot(slot, to))
	}
	_, err = newScanner(t, c, scan.Config{Progress: restless}).Count(t.Context(), "{tag}*")
	wantScanError(t, err, "{tag}*")
	if !errors.Is(err, rediskit.ErrTopologyChanged) {
		t.Errorf("got %v", err)
	}
	got, err := list(newScanner(t, c, scan.Config{}), t.Context(), "{tag}*")
	check(t, err)
	wantOnce(t, got, names)
}

func TestAPatternWithAHashTagVisitsOneNode(t *testing.T) {
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "{tag}", 10)
	before := make(map[*redistest.Server]int)
	for _, s := range cl.Nodes() {
		before[s] = countCommand(t, s, "scan")
	}
	got, err := list(newScanner(t, c, scan.Config{}), t.Context(), "{tag}*")
	check(t, err)
	wantOnce(t, got, names)
	visited := 0
	for _, s := range cl.Nodes() {
		if countCommand(t, s, "scan") > before[s] {
			visited++
		}
	}
	if visited != 1 {
		t.Errorf("%d nodes were visited", visited)
	}
}

func TestAWalkFollowsAClusterFailover(t *testing.T) {
	const n = 3000
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	for _, master := range inOrder(t, cl) {
		replicas, err := cl.Replicas(master)
		check(t, err)
		replicated(t, master, replicas[0])
	}
	for name, failover := range map[string]func(i int){
		"asked for": func(i int) {
			masters, err := cl.Masters()
			check(t, err)
			replicas, err := cl.Replicas(masters[i])
			check(t, err)
			check(t, cl.FailoverTo(replicas[0]))
		},
		"killed": func(i int) {
			old, err := cl.KillMaster(i)
			check(t, err)
			check(t, cl.WaitOK())
			check(t, old.Restart())
		},
	} {
		for i := range 3 {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				got, err := list(newScanner(t, c, scan.Config{Batch: 50, Progress: schedule(map[float64]func(){
					0.5: func() { failover(i) },
				})}), t.Context(), "*")
				check(t, err)
				wantOnce(t, got, names)
				check(t, cl.WaitOK())
			})
		}
	}
}

func TestAClusterNodeThatIsRestartedIsWalkedAnew(t *testing.T) {
	const n = 6000
	cl, cfg := startCluster(t, "--appendonly", "yes", "--appendfsync", "always")
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	m := inOrder(t, cl)
	restart := func() {
		m[1].Kill()
		check(t, m[1].Restart())
	}
	got, err := list(newScanner(t, c, scan.Config{Batch: 50, Progress: schedule(map[float64]func(){0.5: restart})}), t.Context(), "*")
	check(t, err)
	wantOnce(t, got, names)
	check(t, cl.WaitOK())
	count, err := newScanner(t, c, scan.Config{Batch: 50, Progress: schedule(map[float64]func(){0.5: restart})}).Count(t.Context(), "*")
	check(t, err)
	if count != n {
		t.Errorf("Count: got %d, want %d", count, n)
	}
}

func TestAClusterNodeThatStaysDownEndsTheWalkWithAConnectionError(t *testing.T) {
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	fill(t, c, "k", 1000)
	cfg.CommandTimeout = 300 * time.Millisecond
	impatient := connect(t, cfg)
	m := inOrder(t, cl)
	replicas, err := cl.Replicas(m[1])
	check(t, err)
	for _, replica := range replicas {
		replica.Kill() // nobody can take over
	}
	_, err = newScanner(t, impatient, scan.Config{Batch: 50, Progress: schedule(map[float64]func(){
		0.5: m[1].Kill,
	})}).Count(t.Context(), "*")
	wantConnectionError(t, err, "*")
	if !rediskit.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
}

func TestSoakAWalkMissesNothingWhileSlotsMoveAllTheTime(t *testing.T) {
	const n = 3000
	rounds := 3 * soak.Scale()
	cl, cfg := startCluster(t)
	c := connect(t, cfg)
	names := fill(t, c, "k", n)
	masters, err := cl.Masters()
	check(t, err)

	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		slots := make([]int, 0, 50)
		for _, name := range names[:50] {
			slots = append(slots, int(keys.Slot(name)))
		}
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			slot, to := slots[i%len(slots)], masters[i%len(masters)]
			at, err := cl.NodeForSlot(slot)
			if err == nil && at != to {
				err = cl.MigrateSlot(slot, to)
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	s := newScanner(t, c, scan.Config{Batch: 30})
	reported := 0
	for range rounds {
		got, err := list(s, t.Context(), "*")
		if errors.Is(err, rediskit.ErrTopologyChanged) {
			reported++ // the walk may give up; it may not be silent
			continue
		}
		check(t, err)
		wantOnce(t, got, names)
	}
	close(stop)
	check(t, <-stopped)
	t.Logf("%d walks, %d gave up", rounds, reported)
}
