package scan

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tickettoken/rediskit/keys"
)

func TestAPacerKeepsToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer{rate: 1000}
		begin := time.Now()
		for range 50 {
			if err := p.wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			p.spend(10)
		}
		if got := time.Since(begin); got != 490*time.Millisecond {
			t.Errorf("the 50th step of 10 keys was after %v", got)
		}
	})
}

func TestAPacerCatchesUpALittleAndNeverBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer{rate: 1000}
		step := func() time.Duration {
			begin := time.Now()
			if err := p.wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			p.spend(10)
			return time.Since(begin)
		}
		step()
		time.Sleep(25 * time.Millisecond) // 15 ms late: the next two steps are due
		if a, b, c := step(), step(), step(); a != 0 || b != 0 || c != 5*time.Millisecond {
			t.Errorf("after a delay the steps took %v, %v, %v", a, b, c)
		}
		time.Sleep(time.Hour)
		if a, b := step(), step(); a != 0 || b != 10*time.Millisecond {
			t.Errorf("after an hour the steps took %v, %v", a, b)
		}
	})
}

func TestAPacerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pacer{rate: 1}
		p.spend(1)
		p.next = time.Now().Add(time.Hour)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.wait(ctx); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
	})
}

func TestALowRateMakesSmallBatches(t *testing.T) {
	for _, row := range []struct {
		cfg        Config
		rate, want int
	}{
		{Config{}, 0, DefaultBatch},
		{Config{Batch: 7}, 0, 7},
		{Config{Rate: 1000}, 0, 50},
		{Config{Rate: 1}, 0, 1},
		{Config{Rate: 1_000_000}, 0, DefaultBatch},
		{Config{}, 100, 5},
		{Config{Rate: -1}, 100, DefaultBatch},
	} {
		s := &Scanner{cfg: row.cfg}
		if got := s.batchFor(s.rateFor(row.rate), DefaultBatch); got != row.want {
			t.Errorf("%+v: a batch is %d, want %d", row.cfg, got, row.want)
		}
	}
}

func TestThePatternTellsTheSlotOnlyIfAllItsKeysHaveIt(t *testing.T) {
	for pattern, tag := range map[string]string{
		"{a}*": "a", "x:{a}:*": "a", "{a}{b}*": "a", "{a}[xy]": "a", "{a}": "a", "plain": "plain", "{}": "{}", "{a": "{a",
		"}{a}?": "a",
	} {
		if slot, ok := patternSlot(pattern); !ok || slot != keys.Slot("{"+tag+"}") && slot != keys.Slot(tag) {
			t.Errorf("%q: got %d, %v, want the slot of %q", pattern, slot, ok, tag)
		}
	}
	for _, pattern := range []string{"*", "*{a}", "?{a}*", "{a*", "{*}", "{a?}*", "{}*", "{}{a}*", `\{a}*`, `{a\}*`, "[{]a}*", "a*{a}"} {
		if _, ok := patternSlot(pattern); ok {
			t.Errorf("%q: a slot was told", pattern)
		}
	}
}

func TestAMemoryWithoutALimitKeepsTheLatestKeys(t *testing.T) {
	m := newMemory(-1)
	name := func(i int) string { return fmt.Sprint(i) }
	for i := range 3*recentKeys + 10 {
		if !m.add(name(i)) {
			t.Fatalf("%d is not new", i)
		}
		if i > recentKeys && m.add(name(i-recentKeys)) {
			t.Fatalf("%d is forgotten after %d others", i-recentKeys, recentKeys)
		}
	}
	if n := len(m.now) + len(m.old); n > 2*recentKeys {
		t.Errorf("%d keys are remembered", n)
	}
}

const nodesReply = `07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,host slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 17 connected 0-5460 7000 [93-<-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f] [77->-292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f]
292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f 127.0.0.1:30003@31003 master - 0 1426238318243 3 connected 10923-16383
`

func TestANodesOwnLineIsRead(t *testing.T) {
	var m member
	if err := m.parse(nodesReply); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%.4s %s %v %v %v", m.id, m.term, m.slots, m.imports, m.exports); got != "e7d1 17 [[0 5460] [7000 7000]] [93] [{77 292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f}]" {
		t.Error(got)
	}
	var first member
	line := strings.SplitAfter(nodesReply, "\n")[1]
	if err := first.parse("txt:" + line); err != nil || first.id != m.id {
		t.Errorf("in RESP3, and first: got %q, %v", first.id, err)
	}
	for _, bad := range []string{"", "\n", strings.ReplaceAll(nodesReply, "myself,", ""), strings.Replace(nodesReply, "7000", "16384", 1),
		strings.Replace(nodesReply, "-<-", "-?-", 1), strings.Replace(nodesReply, "7000", "x", 1), strings.Replace(nodesReply, "7000", "-", 1)} {
		if err := new(member).parse(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzWhatANodeSaysOfItselfIsReadOrRefused(f *testing.F) {
	f.Add(nodesReply)
	f.Fuzz(func(t *testing.T, text string) {
		var m member
		if m.parse(text) != nil {
			return
		}
		v := &view{members: []member{m}, owner: make([]int16, clusterSlots), moving: make(map[uint16]string)}
		v.index()
		for slot, owner := range v.owner {
			if owner < several || owner > 0 {
				t.Fatalf("slot %d belongs to %d", slot, owner)
			}
		}
	})
}
