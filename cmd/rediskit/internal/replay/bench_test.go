package replay

import (
	"bytes"
	"context"
	"testing"
	"time"
)

// What a line costs of a log that is read, parsed and decided by three policies.
func BenchmarkReplay(b *testing.B) {
	const lines = 200_000
	text := combined(1, lines, 20_000, 24*time.Hour)
	for _, input := range []struct {
		name string
		log  []byte
	}{{"plain", text}, {"gzip", packed(text)}} {
		b.Run(input.name, func(b *testing.B) {
			cfg := Config{Key: parsedKey(b, "ip"),
				Limits: parsedLimits(b, "sliding-window:60/1m", "token-bucket:1/1s,burst=20", "sliding-counter:1000/1h")}
			b.ReportAllocs()
			for b.Loop() {
				r, err := Run(context.Background(), cfg, []Input{{Name: "log", Reader: bytes.NewReader(input.log)}})
				if err != nil || r.Requests != lines {
					b.Fatal(r, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	lines := bytes.Split(bytes.TrimSpace(combined(1, 10_000, 20_000, time.Hour)), []byte("\n"))
	var p parser
	var e entry
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if why := p.parse(lines[i], &e); why != "" {
			b.Fatal(why)
		}
		if i++; i == len(lines) {
			i = 0
		}
	}
}
