package geo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
)

// Config says how sets of places are kept.
type Config[M any] struct {
	// TTL is what every write sets the TTL of its key to: at least 1 ms, or rediskit.NoTTL. It is required.
	TTL time.Duration
	// Codec encodes members. It must be deterministic. The default is codec.Default.
	Codec codec.Codec[M]
}

// Set works on sets of places whose members are of type M; which set, each call says. It is safe for concurrent
// use.
type Set[M any] struct {
	client *rediskit.Client
	codec  codec.Codec[M]
	write  sorted.Writer
}

// MaxLat is the greatest latitude, north and south, that Redis keeps: that of the square map of the world in
// EPSG:3857.
const MaxLat = 85.05112878

// Point is a place on the earth, in degrees: Lon from -180 to 180, positive to the east, and Lat from -MaxLat to
// MaxLat, positive to the north.
type Point struct {
	Lon, Lat float64
}

func (p Point) check() error {
	// Not the other way round, because NaN is in no range.
	if !(p.Lon >= -180 && p.Lon <= 180) {
		return fmt.Errorf("longitude %v: want -180 to 180", p.Lon)
	}
	if !(p.Lat >= -MaxLat && p.Lat <= MaxLat) {
		return fmt.Errorf("latitude %v: want -%v to %v", p.Lat, MaxLat, MaxLat)
	}
	return nil
}

// Distance is a length in meters. Write 5*geo.Kilometer to make one, and d.In(geo.Mile) to read one.
type Distance float64

// Units of length.
const (
	Meter     Distance = 1
	Kilometer Distance = 1000
	Mile      Distance = 1609.344
	Foot      Distance = 0.3048
)

// In returns the distance in a unit.
func (d Distance) In(unit Distance) float64 { return float64(d / unit) }

// String writes the distance in meters, or in kilometers if it is a thousand meters or more.
func (d Distance) String() string {
	if math.Abs(float64(d)) >= 1000 {
		return fmt.Sprintf("%.3fkm", d.In(Kilometer))
	}
	return fmt.Sprintf("%.1fm", float64(d))
}

// Location is a member with its place.
type Location[M any] struct {
	Member M
	Point  Point
}

// Position is what [Set.Positions] knows of a member.
type Position struct {
	Point Point
	// OK is false if the member is not in the set. Point is the zero Point then.
	OK bool
}

// New returns access to sets of places. It returns an error if client is nil or cfg is bad, and sends nothing.
func New[M any](client *rediskit.Client, cfg Config[M]) (*Set[M], error) {
	if client == nil {
		return nil, errors.New("geo: client is nil")
	}
	if err := data.CheckTTL("geo", cfg.TTL); err != nil {
		return nil, err
	}
	if cfg.Codec == nil {
		cfg.Codec = codec.Default[M]()
	}
	return &Set[M]{client: client, codec: cfg.Codec, write: sorted.NewWriter(client, cfg.TTL)}, nil
}

// Condition says which members an [Set.AddIf] writes.
type Condition string

// The conditions.
const (
	NX Condition = "NX" // only members that are not in the set yet
	XX Condition = "XX" // only members that are in the set
)

// Add puts members into the set, or moves them if they are in it, and returns how many were not. All of it happens
// at one moment. If a member is given twice, its last place counts. Without locations it does nothing.
//
// A place that is not on the map is an error. Add may be repeated, and is by the client after a lost reply: then
// added may be too low.
func (s *Set[M]) Add(ctx context.Context, key string, locations ...Location[M]) (added int64, err error) {
	return s.add(ctx, "geo.Add", key, sorted.Write{Name: "GEOADD", Touch: true, Idempotent: true}, locations)
}

// AddIf is Add for those members that meet a condition. It returns how many it changed: those it put in and those
// it moved. If it returns 0, nothing has changed.
//
// Repeating AddIf has the effect of calling it once, but the number is that of the last call; so the client does
// not repeat it after a lost reply, and MayHaveApplied tells. The embedded server does not have it.
func (s *Set[M]) AddIf(ctx context.Context, key string, cond Condition, locations ...Location[M]) (changed int64, err error) {
	const op = "geo.AddIf"
	if cond != NX && cond != XX {
		return 0, data.Errorf(op, key, "condition is %q: want geo.NX or geo.XX", string(cond))
	}
	return s.add(ctx, op, key, sorted.Write{Name: "GEOADD", Options: []string{string(cond), "CH"}}, locations)
}

func (s *Set[M]) add(ctx context.Context, op, key string, cmd sorted.Write, locations []Location[M]) (int64, error) {
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	if len(locations) == 0 {
		return 0, nil
	}
	var numbers sorted.Numbers
	numbers.Grow(2 * len(locations))
	cmd.Items = make([]string, 0, 3*len(locations))
	for i := range locations {
		p := locations[i].Point
		if err := p.check(); err != nil {
			return 0, data.Errorf(op, key, "location %d: %w", i, err)
		}
		m, err := s.codec.Encode(locations[i].Member)
		if err != nil {
			return 0, data.Errorf(op, key, "member of location %d: %w", i, err)
		}
		p = p.kept()
		cmd.Items = append(cmd.Items, numbers.Format(p.Lon), numbers.Format(p.Lat), m)
	}
	n, err := s.write.Do(ctx, key, cmd).AsInt64()
	if re, ok := rueidis.IsRedisErr(err); ok && strings.Contains(re.Error(), "wrong number of arguments") {
		err = fmt.Errorf("the server's GEOADD has no NX, XX and CH: %w", err)
	}
	return n, data.Err(op, key, err)
}

// edge is 0.1 mm at the equator, in degrees.
const edge = 1e-9

// kept moves a point off the two edges of the map that Redis accepts and then files in the wrong cell: on to the
// meridian of -180°, which is that of 180° too, and off the northern edge to the south.
func (p Point) kept() Point {
	if p.Lon > 180-edge {
		p.Lon = -180
	}
	p.Lat = min(p.Lat, MaxLat-edge)
	return p
}

// Pos returns the place of a member, or (Point{}, false, nil) if it is not in the set. It is up to 0.6 m from where
// the member was put: see the package's guarantees.
func (s *Set[M]) Pos(ctx context.Context, key string, member M) (p Point, ok bool, err error) {
	all, err := s.positions(ctx, "geo.Pos", key, []M{member})
	if err != nil {
		return Point{}, false, err
	}
	return all[0].Point, all[0].OK, nil
}

// Positions returns what is known of each member, in their order and read at one moment. Without members it sends
// nothing.
func (s *Set[M]) Positions(ctx context.Context, key string, members ...M) ([]Position, error) {
	const op = "geo.Positions"
	if len(members) == 0 {
		return nil, data.CheckKey(op, key)
	}
	return s.positions(ctx, op, key, members)
}

func (s *Set[M]) positions(ctx context.Context, op, key string, members []M) ([]Position, error) {
	if err := data.CheckKey(op, key); err != nil {
		return nil, err
	}
	names, err := sorted.Encode(nil, s.codec, members)
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Geopos().Key(key).Member(names...).Build()
	}).ToArray()
	if err == nil && len(msgs) != len(members) {
		err = sorted.ErrReply
	}
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	out := make([]Position, len(msgs))
	for i := range msgs {
		if msgs[i].IsNil() {
			continue
		}
		if out[i].Point, err = point(&msgs[i]); err != nil {
			return nil, data.Err(op, key, err)
		}
		out[i].OK = true
	}
	return out, nil
}

// point reads a pair of coordinates.
func point(msg *rueidis.RedisMessage) (p Point, err error) {
	pair, err := msg.ToArray()
	if err != nil {
		return p, err
	}
	if len(pair) != 2 {
		return p, sorted.ErrReply
	}
	if p.Lon, err = pair[0].AsFloat64(); err != nil {
		return Point{}, err
	}
	if p.Lat, err = pair[1].AsFloat64(); err != nil {
		return Point{}, err
	}
	return p, nil
}

// Dist returns how far two members are from each other, to a tenth of a millimeter between the places that Redis
// keeps, or (0, false, nil) if one of them is not in the set.
func (s *Set[M]) Dist(ctx context.Context, key string, a, b M) (d Distance, ok bool, err error) {
	const op = "geo.Dist"
	if err := data.CheckKey(op, key); err != nil {
		return 0, false, err
	}
	names, err := sorted.Encode(make([]string, 0, 2), s.codec, []M{a, b})
	if err != nil {
		return 0, false, data.Err(op, key, err)
	}
	f, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Geodist().Key(key).Member1(names[0]).Member2(names[1]).M().Build()
	}).AsFloat64()
	ok, err = data.Found(err)
	return Distance(f), ok, data.Err(op, key, err)
}

// Hash returns the standard geohash of a member's place, 11 characters, or ("", false, nil) if it is not in the
// set. The embedded server does not have it.
func (s *Set[M]) Hash(ctx context.Context, key string, member M) (hash string, ok bool, err error) {
	const op = "geo.Hash"
	if err := data.CheckKey(op, key); err != nil {
		return "", false, err
	}
	m, err := s.codec.Encode(member)
	if err != nil {
		return "", false, data.Errorf(op, key, "member: %w", err)
	}
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Geohash().Key(key).Member(m).Build()
	}).ToArray()
	if err == nil && len(msgs) != 1 {
		err = sorted.ErrReply
	}
	if err != nil {
		return "", false, data.Err(op, key, err)
	}
	hash, err = msgs[0].ToString()
	ok, err = data.Found(err)
	return hash, ok, data.Err(op, key, err)
}

// Remove takes members off the set and returns how many were in it. Without members it sends nothing. The set
// itself goes with its last member.
//
// Repeating Remove is safe, but then it does not count what an earlier one removed; so the client does not repeat
// it after a lost reply.
func (s *Set[M]) Remove(ctx context.Context, key string, members ...M) (removed int64, err error) {
	const op = "geo.Remove"
	if err := data.CheckKey(op, key); err != nil || len(members) == 0 {
		return 0, err
	}
	names, err := sorted.Encode(nil, s.codec, members)
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	n, err := s.write.Do(ctx, key, sorted.Write{Name: "ZREM", Items: names}).AsInt64()
	return n, data.Err(op, key, err)
}

// Delete deletes the whole set, however large, without making the server wait, and reports whether there was one.
// Repeating it is safe, but then it reports what the last call found; so the client does not repeat it after a lost
// reply.
func (s *Set[M]) Delete(ctx context.Context, key string) (bool, error) {
	const op = "geo.Delete"
	if err := data.CheckKey(op, key); err != nil {
		return false, err
	}
	ok, err := s.write.Delete(ctx, key)
	return ok, data.Err(op, key, err)
}

// Card returns how many members the set has; 0 if there is none.
func (s *Set[M]) Card(ctx context.Context, key string) (int64, error) {
	const op = "geo.Card"
	if err := data.CheckKey(op, key); err != nil {
		return 0, err
	}
	n, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Zcard().Key(key).Build()
	}).AsInt64()
	return n, data.Err(op, key, err)
}
