package geo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/data"
	"github.com/tickettoken/rediskit/internal/sorted"
)

// Query says what to look for around a center: a circle of a Radius, or a box of a Width and a Height with the
// center in its middle. One of both is wanted.
type Query struct {
	// Radius is that of the circle.
	Radius Distance
	// Width and Height are those of the box. A place is in it if it is at most Height/2 to the north or the south
	// of the center, and at most Width/2, as measured at the place's own latitude, to the east or the west.
	Width, Height Distance

	// Order is that of the result. Of more places than Count, those that come first in it are kept; the nearest
	// ones, if it is Unordered.
	Order Order
	// Count is how many places to return at most; 0 is all.
	Count int64
	// Any returns as soon as Count places were found, whichever they are, and orders those. It is faster where
	// there are many.
	Any bool

	// WithDistance and WithPoint ask for the Distance and the Point of each match.
	WithDistance, WithPoint bool
}

// Order is the order of a result.
type Order int

// The orders.
const (
	Unordered Order = iota
	Nearest
	Farthest
)

// Match is a member that was found.
type Match[M any] struct {
	Location[M]
	// Distance is how far it is from the center, to a tenth of a millimeter.
	Distance Distance
}

// options checks a query and appends it as the server wants it.
func (q Query) options(out []string) ([]string, error) {
	var numbers sorted.Numbers
	switch {
	case q.Radius != 0 && (q.Width != 0 || q.Height != 0):
		return nil, errors.New("both a Radius and a box")
	case q.Radius != 0:
		if err := checkLength("Radius", q.Radius); err != nil {
			return nil, err
		}
		out = append(out, "BYRADIUS", numbers.Format(float64(q.Radius)), "m")
	case q.Width == 0 && q.Height == 0:
		return nil, errors.New("neither a Radius nor a box")
	default:
		if err := checkLength("Width", q.Width); err != nil {
			return nil, err
		}
		if err := checkLength("Height", q.Height); err != nil {
			return nil, err
		}
		out = append(out, "BYBOX", numbers.Format(float64(q.Width)), numbers.Format(float64(q.Height)), "m")
	}
	switch {
	case q.Order == Nearest, q.Order == Unordered && q.Count > 0 && !q.Any:
		out = append(out, "ASC") // Redis would sort in the latter case, too; the embedded server would not
	case q.Order == Farthest:
		out = append(out, "DESC")
	case q.Order != Unordered:
		return nil, errors.New("unknown Order")
	}
	switch {
	case q.Count < 0:
		return nil, errors.New("negative Count")
	case q.Count > 0:
		out = append(out, "COUNT", strconv.FormatInt(q.Count, 10))
		if q.Any {
			out = append(out, "ANY")
		}
	case q.Any:
		return nil, errors.New("Query.Any without Query.Count")
	}
	return out, nil
}

func checkLength(name string, d Distance) error {
	if !(d > 0) || math.IsInf(float64(d), 0) {
		return fmt.Errorf("%s is %v: want more than 0, and finite", name, float64(d))
	}
	return nil
}

// Search returns the members in an area around a center. If there is no set, nothing is found.
//
// A center that is not on the map is an error, and so is a Query with neither or both of circle and box, with a
// length that is not positive and finite, with a negative Count, or with Any but no Count.
func (s *Set[M]) Search(ctx context.Context, key string, center Point, q Query) ([]Match[M], error) {
	const op = "geo.Search"
	from, err := fromPoint(op, key, center)
	if err != nil {
		return nil, err
	}
	return s.search(ctx, op, key, from, q)
}

// SearchAround is [Set.Search] around the place of a member, which is among what is found. It returns ok false and
// no error if the member is not in the set.
func (s *Set[M]) SearchAround(ctx context.Context, key string, member M, q Query) (found []Match[M], ok bool, err error) {
	const op = "geo.SearchAround"
	from, err := s.fromMember(op, key, member)
	if err != nil {
		return nil, false, err
	}
	found, err = s.search(ctx, op, key, from, q)
	if isNoMember(err) {
		return nil, false, nil
	}
	// The member itself is always found; it may be one that cannot be decoded.
	return found, len(found) > 0, err
}

// StoreAs says what [Set.SearchStore] makes of the members that it finds.
type StoreAs int

const (
	// Places makes a set of places, for this package.
	Places StoreAs = iota
	// Distances makes a sorted set whose scores are the distances in meters, for package zset.
	Distances
)

// SearchStore puts the members that [Set.Search] finds at dest, in place of what is there, and returns how many
// they are. If there are none, dest is deleted. On a cluster dest must share the key's slot, else the error wraps
// [rediskit.ErrCrossSlot]; it may be the key itself. WithDistance and WithPoint do not matter.
//
// The client repeats it after a lost reply unless dest is the key. The embedded server does not have it.
func (s *Set[M]) SearchStore(ctx context.Context, dest, key string, center Point, q Query, as StoreAs) (int64, error) {
	const op = "geo.SearchStore"
	from, err := fromPoint(op, key, center)
	if err != nil {
		return 0, err
	}
	return s.store(ctx, op, dest, key, from, q, as)
}

// SearchAroundStore is [Set.SearchStore] around the place of a member. It returns ok false and no error if the
// member is not in the set; dest is left alone then, or deleted if there is no set at all.
func (s *Set[M]) SearchAroundStore(ctx context.Context, dest, key string, member M, q Query, as StoreAs) (stored int64, ok bool, err error) {
	const op = "geo.SearchAroundStore"
	from, err := s.fromMember(op, key, member)
	if err != nil {
		return 0, false, err
	}
	stored, err = s.store(ctx, op, dest, key, from, q, as)
	if isNoMember(err) {
		return 0, false, nil
	}
	return stored, stored > 0, err
}

// origin is the center of a search, as the server wants it.
type origin struct{ kind, a, b string }

func (f origin) options(dst []string) []string {
	if f.kind == "FROMMEMBER" {
		return append(dst, f.kind, f.a)
	}
	return append(dst, f.kind, f.a, f.b)
}

func fromPoint(op, key string, p Point) (origin, error) {
	if err := data.CheckKey(op, key); err != nil {
		return origin{}, err
	}
	if err := p.check(); err != nil {
		return origin{}, data.Errorf(op, key, "center: %w", err)
	}
	p = p.kept()
	var numbers sorted.Numbers
	return origin{"FROMLONLAT", numbers.Format(p.Lon), numbers.Format(p.Lat)}, nil
}

func (s *Set[M]) fromMember(op, key string, member M) (origin, error) {
	if err := data.CheckKey(op, key); err != nil {
		return origin{}, err
	}
	m, err := s.codec.Encode(member)
	if err != nil {
		return origin{}, data.Errorf(op, key, "member: %w", err)
	}
	return origin{kind: "FROMMEMBER", a: m}, nil
}

func isNoMember(err error) bool {
	var re *rueidis.RedisError
	return errors.As(err, &re) && strings.Contains(re.Error(), "could not decode requested zset member")
}

func (s *Set[M]) search(ctx context.Context, op, key string, center origin, q Query) ([]Match[M], error) {
	options, err := q.options(make([]string, 0, 14))
	if err != nil {
		return nil, data.Err(op, key, err)
	}
	options = center.options(options)
	if q.WithDistance {
		options = append(options, "WITHDIST")
	}
	if q.WithPoint {
		options = append(options, "WITHCOORD")
	}
	msgs, err := s.client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Arbitrary("GEOSEARCH").Keys(key).Args(options...).ReadOnly()
	}).ToArray()
	if err != nil || len(msgs) == 0 {
		return nil, data.Err(op, key, err)
	}
	out, err := s.matches(msgs, q)
	return out, data.Err(op, key, err)
}

// matches reads members, each alone or with its distance and point.
func (s *Set[M]) matches(msgs []rueidis.RedisMessage, q Query) ([]Match[M], error) {
	parts := 1
	if q.WithDistance {
		parts++
	}
	if q.WithPoint {
		parts++
	}
	var undecodable *DecodeError
	out := make([]Match[M], 0, len(msgs))
	for i := range msgs {
		match := msgs[i : i+1]
		if parts > 1 {
			var err error
			if match, err = msgs[i].ToArray(); err != nil {
				return nil, err
			}
			if len(match) != parts {
				return nil, sorted.ErrReply
			}
		}
		raw, err := match[0].ToString()
		if err != nil {
			return nil, err
		}
		out = append(out, Match[M]{})
		m := &out[len(out)-1]
		if q.WithDistance {
			f, err := match[1].AsFloat64()
			if err != nil {
				return nil, err
			}
			m.Distance = Distance(f)
		}
		if q.WithPoint {
			if m.Point, err = point(&match[parts-1]); err != nil {
				return nil, err
			}
		}
		if err := s.codec.Decode(raw, &m.Member); err != nil {
			out = out[:len(out)-1]
			if undecodable == nil {
				undecodable = &DecodeError{Err: err}
			}
			undecodable.Raw = append(undecodable.Raw, raw)
		}
	}
	if undecodable != nil {
		return out, undecodable
	}
	return out, nil
}

func (s *Set[M]) store(ctx context.Context, op, dest, key string, center origin, q Query, as StoreAs) (int64, error) {
	if dest == "" {
		return 0, data.Errorf(op, key, "empty destination")
	}
	options, err := q.options(make([]string, 0, 14))
	if err != nil {
		return 0, data.Err(op, key, err)
	}
	options = center.options(options)
	switch as {
	case Places:
	case Distances:
		options = append(options, "STOREDIST")
	default:
		return 0, data.Errorf(op, key, "unknown StoreAs")
	}
	n, err := s.write.Store(ctx, dest, []string{key}, sorted.Store{Name: "GEOSEARCHSTORE", Options: options}).AsInt64()
	return n, data.Err(op, key, err)
}

// DecodeError reports members that the codec could not read, because they are damaged or somebody else's. The call
// that returns it returns the others, too.
type DecodeError struct {
	// Raw are the members as they are in Redis, in the order of the reply.
	Raw []string
	// Err is the codec's error about the first of them.
	Err error
}

// Error tells how many members there are, and the codec's error.
func (e *DecodeError) Error() string {
	if len(e.Raw) == 1 {
		return fmt.Sprintf("a member of %d bytes: %v", len(e.Raw[0]), e.Err)
	}
	return fmt.Sprintf("%d members: %v", len(e.Raw), e.Err)
}

// Unwrap returns the codec's error.
func (e *DecodeError) Unwrap() error { return e.Err }
