package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/session"
)

// weighed is how many sessions are weighed together, so that what they share is divided among them.
const weighed = 500

// phone is where a session is used, in the rows that keep it.
var phone = session.Device{
	IP:        "203.0.113.194",
	UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
}

// sessionSizes is what a session takes in memory, and what a change of it takes on the wire.
func sessionSizes() []operation {
	cell := func(name string, subjects ...[]subject) operation {
		return operation{
			name: name, goroutines: []int{1}, loopbackOnly: true, cold: true,
			subjects: slices.Concat(subjects...),
		}
	}
	data := profiles(weighed)
	var operations []operation
	for _, of := range []struct {
		what    string
		perUser int
	}{{"memory, 1 session a user", 1}, {"memory, 5 sessions a user", 5}} {
		user := func(i int) string { return fmt.Sprintf("8f3c-user%04d", i/of.perUser) }
		operations = append(operations, cell(of.what,
			weighKit(baseline, session.Device{}, user, data),
			weighKit("rediskit, with IP and user agent", phone, user, data),
			weighJSON("JSON in a string", false, user, data),
			weighJSON("JSON in a string, and a set of the user's", true, user, data),
			weighSpring(user, data),
			weighScs(user, data),
		))
	}
	return append(operations,
		cell("wire, write 1 field of 20",
			wireKit(baseline, func(ctx context.Context, _ *session.Manager[wide], d *session.Draft[wide], value string) error {
				d.Session.Data.F07 = value
				_, err := d.Save(ctx)
				return err
			}),
			wireJSON("JSON in a string, SET of all", false),
		),
		cell("wire, read, write 1 field of 20",
			wireKit(baseline, func(ctx context.Context, m *session.Manager[wide], d *session.Draft[wide], value string) error {
				_, err := m.Update(ctx, d.Session.ID, func(w *wide) error {
					w.F07 = value
					return nil
				})
				return err
			}),
			wireJSON("JSON in a string, GET and SET of all", true),
			wireScs(),
		),
	)
}

// weigh makes sessions on a server that is empty, and divides what MEMORY USAGE says of all its keys by their number.
func weigh(name string, setup func(ctx context.Context, s *stand) (func(ctx context.Context, i int) error, error)) []subject {
	return []subject{{name, func(ctx context.Context, s *stand) (probe, error) {
		create, err := setup(ctx, s)
		if err != nil {
			return nil, err
		}
		server, err := s.rueidis(rueidis.ClientOption{})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, _ time.Duration) (sample, error) {
			total, err := memoryOf(ctx, server, weighed, func(i int) error { return create(ctx, i) })
			return sample{value: total / weighed, unit: "bytes"}, err
		}, nil
	}}}
}

// memoryOf empties the server, does something n times, and adds up what the server keeps for all its keys then.
func memoryOf(ctx context.Context, server rueidis.Client, n int, do func(i int) error) (total float64, err error) {
	if err := server.Do(ctx, server.B().Flushall().Sync().Build()).Error(); err != nil {
		return 0, err
	}
	for i := range n {
		if err := do(i); err != nil {
			return 0, err
		}
	}
	keys, err := server.Do(ctx, server.B().Keys().Pattern("*").Build()).AsStrSlice()
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		n, err := server.Do(ctx, server.B().MemoryUsage().Key(key).Samples(0).Build()).AsInt64()
		if err != nil {
			return 0, err
		}
		total += float64(n)
	}
	return total, nil
}

func weighKit(name string, device session.Device, user func(int) string, data []profile) []subject {
	return weigh(name, func(ctx context.Context, s *stand) (func(context.Context, int) error, error) {
		m, err := newSessions[profile](ctx, s, 0, session.Config{})
		return func(ctx context.Context, i int) error {
			_, err := m.Create(ctx, user(i), data[i], device)
			return err
		}, err
	})
}

// weighJSON keeps a session in a string and, if there is an index, its name in a set of the user's.
func weighJSON(name string, index bool, user func(int) string, data []profile) []subject {
	type stored struct {
		profile
		User    string    `json:"user"`
		Created time.Time `json:"session_created"`
		Seen    time.Time `json:"session_seen"`
	}
	return weigh(name, func(_ context.Context, s *stand) (func(context.Context, int) error, error) {
		c, err := s.rueidis(rueidis.ClientOption{})
		return func(ctx context.Context, i int) error {
			now := time.Now().UTC().Truncate(time.Millisecond)
			key, err := setJSON(ctx, c, stored{data[i], user(i), now, now})
			if err != nil || !index {
				return err
			}
			set := "user:sessions:" + user(i)
			for _, res := range c.DoMulti(ctx, c.B().Sadd().Key(set).Member(strings.TrimPrefix(key, "session:")).Build(),
				c.B().Expire().Key(set).Seconds(int64(session.DefaultTTL.Seconds())).Build()) {
				if err := res.Error(); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}

func weighScs(user func(int) string, data []profile) []subject {
	return weigh("scs", func(_ context.Context, s *stand) (func(context.Context, int) error, error) {
		m := newScs(s.goRedis(redis.Options{}))
		return func(ctx context.Context, i int) error {
			_, err := scsCreate(ctx, m, func(ctx context.Context) {
				scsPut(ctx, m, data[i])
				m.Put(ctx, "user", user(i))
			})
			return err
		}, nil
	})
}

// weighSpring writes what RedisIndexedSessionRepository of Spring Session 3 writes for a new session, its names and its keys, with
// values as JSON. Those of its default, Java's own serialization, are several times as long.
func weighSpring(user func(int) string, data []profile) []subject {
	const (
		namespace = "spring:session:"
		principal = "org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME"
		ttl       = 1800
		longer    = ttl + 300 // what is needed to tell of a session's end outlives it
	)
	return weigh("Spring Session's layout", func(_ context.Context, s *stand) (func(context.Context, int) error, error) {
		c, err := s.rueidis(rueidis.ClientOption{})
		return func(ctx context.Context, i int) error {
			var fields map[string]json.RawMessage
			text, err := json.Marshal(data[i])
			if err == nil {
				err = json.Unmarshal(text, &fields)
			}
			if err != nil {
				return err
			}
			id, now := newUUID(), time.Now()
			hash, expires := namespace+"sessions:"+id, namespace+"sessions:expires:"+id
			expirations := namespace + "expirations:" + strconv.FormatInt(now.Add(ttl*time.Second).Truncate(time.Minute).Add(time.Minute).UnixMilli(), 10)
			index := namespace + "index:" + principal + ":" + user(i)
			set := c.B().Hset().Key(hash).FieldValue().
				FieldValue("creationTime", strconv.FormatInt(now.UnixMilli(), 10)).
				FieldValue("lastAccessedTime", strconv.FormatInt(now.UnixMilli(), 10)).
				FieldValue("maxInactiveInterval", strconv.Itoa(ttl)).
				FieldValue("sessionAttr:"+principal, strconv.Quote(user(i)))
			for name, value := range fields {
				set = set.FieldValue("sessionAttr:"+name, string(value))
			}
			for _, res := range c.DoMulti(ctx,
				set.Build(), c.B().Expire().Key(hash).Seconds(longer).Build(),
				c.B().Append().Key(expires).Value("").Build(), c.B().Expire().Key(expires).Seconds(ttl).Build(),
				c.B().Sadd().Key(expirations).Member(strconv.Quote("expires:"+id)).Build(), c.B().Expire().Key(expirations).Seconds(longer).Build(),
				c.B().Sadd().Key(index).Member(strconv.Quote(id)).Build(),
			) {
				if err := res.Error(); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	text := hex.EncodeToString(b[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// wide is a session of 20 fields.
type wide struct {
	F00, F01, F02, F03, F04, F05, F06, F07, F08, F09 string
	F10, F11, F12, F13, F14, F15, F16, F17, F18, F19 string
}

// wideValue is a value of one of its fields, as long as any other.
func wideValue(i int) string { return fmt.Sprintf("a value, and the %5d", i%100_000) }

func newWide() (w wide) {
	for i, to := range []*string{
		&w.F00, &w.F01, &w.F02, &w.F03, &w.F04, &w.F05, &w.F06, &w.F07, &w.F08, &w.F09,
		&w.F10, &w.F11, &w.F12, &w.F13, &w.F14, &w.F15, &w.F16, &w.F17, &w.F18, &w.F19,
	} {
		*to = wideValue(i)
	}
	return w
}

// wire makes changes, and divides the bytes that the server has read and written by their number.
func wire(name string, setup func(ctx context.Context, s *stand) (func(ctx context.Context, value string) error, error)) []subject {
	const changes = 1_000
	return []subject{{name, func(ctx context.Context, s *stand) (probe, error) {
		change, err := setup(ctx, s)
		if err != nil {
			return nil, err
		}
		server, err := s.rueidis(rueidis.ClientOption{})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, _ time.Duration) (sample, error) {
			// What asking takes itself is measured by asking for nothing in between.
			var seen [3]float64
			var err error
			for i := range seen {
				if i == len(seen)-1 {
					for n := range changes {
						if err := change(ctx, wideValue(n)); err != nil {
							return sample{}, err
						}
					}
				}
				if seen[i], err = bytesOnWire(ctx, server); err != nil {
					return sample{}, err
				}
			}
			return sample{value: (seen[2] - seen[1] - (seen[1] - seen[0])) / changes, unit: "bytes"}, nil
		}, nil
	}}}
}

// bytesOnWire returns how many bytes a server has read and written so far.
func bytesOnWire(ctx context.Context, server rueidis.Client) (total float64, err error) {
	info, err := server.Do(ctx, server.B().Info().Section("stats").Build()).ToString()
	if err != nil {
		return 0, err
	}
	found := 0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "total_net_input_bytes" || name == "total_net_output_bytes" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			total += n
			found++
		}
	}
	if found != 2 {
		return 0, fmt.Errorf("INFO stats has %d counts of bytes", found)
	}
	return total, nil
}

func wireKit(name string, change func(context.Context, *session.Manager[wide], *session.Draft[wide], string) error) []subject {
	return wire(name, func(ctx context.Context, s *stand) (func(context.Context, string) error, error) {
		m, err := newSessions[wide](ctx, s, 0, session.Config{})
		if err != nil {
			return nil, err
		}
		c, err := m.Create(ctx, "8f3c", newWide(), session.Device{}, session.WithSecret(bytes.Repeat([]byte("s"), 32)))
		if err != nil {
			return nil, err
		}
		d, err := m.Draft(c.Session)
		return func(ctx context.Context, value string) error { return change(ctx, m, d, value) }, err
	})
}

func wireJSON(name string, read bool) []subject {
	return wire(name, func(ctx context.Context, s *stand) (func(context.Context, string) error, error) {
		c, err := s.rueidis(rueidis.ClientOption{})
		if err != nil {
			return nil, err
		}
		w := newWide()
		key, err := setJSON(ctx, c, w)
		return func(ctx context.Context, value string) error {
			if read {
				if err := getJSON(ctx, c, key, &w); err != nil {
					return err
				}
			}
			w.F07 = value
			return writeJSON(ctx, c, key, w)
		}, err
	})
}

func wireScs() []subject {
	return wire("scs", func(ctx context.Context, s *stand) (func(context.Context, string) error, error) {
		m := newScs(s.goRedis(redis.Options{}))
		token, err := scsCreate(ctx, m, func(ctx context.Context) {
			for i := range 20 {
				m.Put(ctx, fmt.Sprintf("F%02d", i), wideValue(i))
			}
		})
		return func(ctx context.Context, value string) error {
			ctx, err := m.Load(ctx, token)
			if err != nil {
				return err
			}
			m.Put(ctx, "F07", value)
			_, _, err = m.Commit(ctx)
			return err
		}, err
	})
}
