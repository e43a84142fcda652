package limits

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tickettoken/rediskit/rediskittest"
)

// hit is a request as an access log has it: in whole seconds.
type hit struct {
	at  int64 // microseconds
	key string
}

// logged makes the hits of a few keys: steady ones, bursts, pauses, and lines that come late. The clock of a key does
// not run backwards, that of the log does.
func logged(seed uint64, count int) []hit {
	random := rand.New(rand.NewPCG(seed, 3))
	second := int64(start / 1_000_000)
	clocks := map[string]int64{}
	var hits []hit
	for len(hits) < count {
		second += random.Int64N(3)
		if random.IntN(50) == 0 {
			second += random.Int64N(400)
		}
		burst := 1
		if random.IntN(10) == 0 {
			burst += random.IntN(40)
		}
		key, late := fmt.Sprint(random.IntN(8)), int64(0)
		if random.IntN(8) == 0 {
			late = random.Int64N(30)
		}
		clocks[key] = max(clocks[key], (second-late)*1_000_000)
		for range burst {
			hits = append(hits, hit{clocks[key], key})
		}
	}
	return hits
}

// What a replay of a log in memory says is what a server would have said.
func TestAReplayedLogIsDecidedAsOnAServer(t *testing.T) {
	limits := []string{
		"sliding-window:20/1m", "sliding-window:3/1s", "sliding-counter:20/1m", "sliding-counter:60/5m", "fixed-window:20/1m",
		"fixed-window:5/10s,penalty=1m", "token-bucket:1/3s,burst=10", "gcra:7/20s,burst=20", "sliding-window:10/1m,penalty=90s",
	}
	c, hits := rediskittest.Connect(t, rediskittest.OnSingle), logged(1, 4000)
	for _, text := range limits {
		t.Run(text, func(t *testing.T) {
			spec, store, server := limit(t, text), NewStore(1000), freeze(t, c, true)
			refused := 0
			for i, h := range hits {
				call := Call{Limit: spec, Key: server.key(h.key), Cost: 1}
				want, got := server.allow(t, h.at, call), store.Allow(h.at, call)
				if got != want {
					t.Fatalf("hit %d, of %s at %d: the store says %+v, the server %+v", i, h.key, h.at, got, want)
				}
				if got.Verdict != 1 {
					refused++
				}
			}
			if refused < len(hits)/20 || refused > len(hits)*19/20 {
				t.Errorf("%d of %d hits refused: that shows little", refused, len(hits))
			}
		})
	}
}
