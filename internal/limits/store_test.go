package limits

import (
	"fmt"
	"testing"
)

func BenchmarkStoreAllow(b *testing.B) {
	const start = 1_700_000_000_000_000
	keys := make([]string, 50_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("rl:{client-%d}:x", i)
	}
	for _, text := range []string{"sliding-window:100/1m", "sliding-counter:100/1m", "fixed-window:100/1m", "token-bucket:100/1m", "gcra:100/1m,burst=10"} {
		b.Run(text, func(b *testing.B) {
			limit, err := Parse(text)
			if err != nil {
				b.Fatal(err)
			}
			s := NewStore(1_000_000)
			b.ReportAllocs()
			for i := range b.N {
				s.Allow(start+int64(i)*60, Call{limit, keys[uint32(i*2654435761)%50_000], 1})
			}
		})
	}
}
