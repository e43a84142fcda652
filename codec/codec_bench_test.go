package codec_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/codec"
)

type user struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	Email   string    `json:"email"`
	Active  bool      `json:"active"`
	Score   float64   `json:"score"`
	Created time.Time `json:"created"`
}

var ada = user{12345678, "Ada Lovelace", "ada@example.com", true, 99.25, time.Unix(1700000000, 123000000).UTC()}

// users returns n users with little in common but their shape.
func users(n int) []user {
	us := make([]user, n)
	for i := range us {
		h := uint32(i+1) * 2654435761
		us[i] = user{
			ID: int64(h), Name: fmt.Sprintf("user %x", h), Email: fmt.Sprintf("%d.%d@example.com", h>>16, h&0xffff),
			Active: h&64 == 0, Score: float64(h%10000) / 100, Created: time.Unix(int64(h), 0).UTC(),
		}
	}
	return us
}

func benchmark[T any](b *testing.B, c codec.Codec[T], v T) {
	s, err := c.Encode(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(v); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(s)), "B/value")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got T
			if err := c.Decode(s, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkStruct(b *testing.B) {
	b.Run("JSON", func(b *testing.B) { benchmark(b, codec.JSON[user](), ada) })
	b.Run("encoding/json", func(b *testing.B) { benchmark(b, codec.From[user](json.Marshal, json.Unmarshal), ada) })
	b.Run("MessagePack", func(b *testing.B) { benchmark(b, codec.MessagePack[user](), ada) })
}

func BenchmarkRaw(b *testing.B) {
	b.Run("string", func(b *testing.B) { benchmark(b, codec.Raw[string](), ada.Email) })
	b.Run("bytes", func(b *testing.B) { benchmark(b, codec.Raw[[]byte](), []byte(ada.Email)) })
}

func BenchmarkCompress(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		s, err := codec.JSON[[]user]().Encode(users(n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("S2/%d", len(s)), func(b *testing.B) {
			benchmark(b, codec.Compress(codec.Raw[string](), codec.Compression{}), s)
		})
		b.Run(fmt.Sprintf("Zstd/%d", len(s)), func(b *testing.B) {
			benchmark(b, codec.Compress(codec.Raw[string](), codec.Compression{Algorithm: codec.Zstd}), s)
		})
	}
}
