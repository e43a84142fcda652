package session_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/session"
)

// account is a session of six fields.
type account struct {
	ID     int64   `redis:"id"`
	Name   string  `redis:"name"`
	Email  string  `redis:"email"`
	Active bool    `redis:"active"`
	Score  float64 `redis:"score"`
	Theme  string  `redis:"theme"`
}

var someone = account{3454345345, "user 8ae34f", "user@example.com", true, 45.34, "dark"}

func BenchmarkGet(b *testing.B) {
	m := managerOf[account](b, rediskittest.Connect(b, rediskittest.OnSingle), session.Config{})
	text := must(m.Create(context.Background(), "ada", someone, session.Device{}))(b).ID.Reveal()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id, err := session.ParseID(text)
			if err == nil {
				_, err = m.Get(context.Background(), id)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	m := managerOf[account](b, rediskittest.Connect(b, rediskittest.OnSingle), session.Config{OnLimit: session.EvictOldest})
	for name, perUser := range map[string]int64{"the first sessions of a user": 4, "one is evicted": 1 << 60} {
		b.Run(name, func(b *testing.B) {
			var n atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					user := name + strconv.FormatInt(n.Add(1)/perUser, 10)
					if _, err := m.Create(context.Background(), user, someone, session.Device{}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
