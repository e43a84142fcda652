package geo_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/geo"
	"github.com/tickettoken/rediskit/rediskittest"
)

// haversine is the distance on Redis's sphere.
func haversine(a, b geo.Point) float64 {
	const radius, rad = 6372797.560856, math.Pi / 180
	u := math.Sin((b.Lat - a.Lat) * rad / 2)
	v := math.Sin((b.Lon - a.Lon) * rad / 2)
	return 2 * radius * math.Asin(math.Min(1, math.Sqrt(u*u+math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*v*v)))
}

// points are anywhere, and more often where it may go wrong: at the antimeridian, at the edges of the map in the
// north and the south, and close together.
var points = rapid.Custom(func(t *rapid.T) geo.Point {
	p := geo.Point{
		Lon: rapid.Float64Range(-180, 180).Draw(t, "lon"),
		Lat: rapid.Float64Range(-geo.MaxLat, geo.MaxLat).Draw(t, "lat"),
	}
	near := math.Pow(10, -float64(rapid.IntRange(0, 6).Draw(t, "near")))
	switch rapid.IntRange(0, 4).Draw(t, "where") {
	case 0:
		p.Lon = math.Copysign(180-near*math.Abs(p.Lon)/180, p.Lon)
	case 1:
		p.Lat = math.Copysign(geo.MaxLat-near*math.Abs(p.Lat)/geo.MaxLat, p.Lat)
	case 2:
		p = geo.Point{Lon: near * p.Lon / 180, Lat: near * p.Lat / geo.MaxLat}
	case 3:
		p = geo.Point{
			Lon: rapid.SampledFrom([]float64{-180, 0, 180, p.Lon}).Draw(t, "edge"),
			Lat: rapid.SampledFrom([]float64{-geo.MaxLat, 0, geo.MaxLat, p.Lat}).Draw(t, "edge"),
		}
	}
	return p
})

// lengths are of all sizes, from 0.1 m to the whole earth.
var lengths = rapid.Custom(func(t *rapid.T) geo.Distance {
	return geo.Distance(math.Pow(10, rapid.Float64Range(-1, 7.4).Draw(t, "magnitude")))
})

// inside tells whether a place is in the area, and whether that is too close to call.
func inside(center, p geo.Point, q geo.Query) (in, close bool) {
	const tolerance = 0.001 // of a meter
	var over float64        // how far outside; negative inside
	if q.Radius > 0 {
		over = haversine(center, p) - float64(q.Radius)
	} else {
		north := haversine(geo.Point{Lat: center.Lat}, geo.Point{Lat: p.Lat}) - float64(q.Height)/2
		east := haversine(geo.Point{Lon: center.Lon, Lat: p.Lat}, p) - float64(q.Width)/2
		over = max(north, east)
	}
	return over <= 0, math.Abs(over) < tolerance+1e-8*haversine(center, p)
}

// complete tells whether the server promises to find every place in an area; the package's doc says where it does
// not.
func complete(center geo.Point, q geo.Query) bool {
	reach := float64(q.Radius)
	if q.Radius == 0 {
		reach = math.Hypot(float64(q.Width), float64(q.Height)) / 2
	}
	return reach <= 500_000 || math.Abs(center.Lat)+reach/6372797*180/math.Pi <= 80
}

func TestASearchFindsWhatTheHaversineSays(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		sets := []*geo.Set[string]{open[string](t, c, time.Hour), open[string](t, c, rediskit.NoTTL)}
		rapid.Check(t, func(rt *rapid.T) {
			s := rapid.SampledFrom(sets).Draw(rt, "with a TTL or without")
			key := rediskittest.Keys(t)("places")
			places := rapid.SliceOfN(points, 1, 30).Draw(rt, "places")
			var locations []geo.Location[string]
			var members []string
			for i, p := range places {
				members = append(members, fmt.Sprint(i))
				locations = append(locations, geo.Location[string]{Member: members[i], Point: p})
			}
			if n := must[int64](t)(s.Add(ctx, key, locations...)); n != int64(len(places)) {
				rt.Fatalf("added %d of %d", n, len(places))
			}
			kept := map[string]geo.Point{}
			for i, p := range must[[]geo.Position](t)(s.Positions(ctx, key, members...)) {
				if off := haversine(p.Point, places[i]); !p.OK || off > 0.34 {
					rt.Fatalf("%v is kept at %v, %v m away", places[i], p, off)
				}
				kept[members[i]] = p.Point
			}
			for range 5 {
				q := geo.Query{
					Order:        rapid.SampledFrom([]geo.Order{geo.Unordered, geo.Nearest, geo.Farthest}).Draw(rt, "order"),
					Count:        rapid.SampledFrom([]int64{0, 0, 1, 3, 50}).Draw(rt, "count"),
					WithDistance: rapid.Bool().Draw(rt, "with distance"),
					WithPoint:    rapid.Bool().Draw(rt, "with point"),
				}
				q.Any = q.Count > 0 && rapid.Bool().Draw(rt, "any")
				if rapid.Bool().Draw(rt, "circle") {
					q.Radius = lengths.Draw(rt, "radius")
				} else {
					q.Width, q.Height = lengths.Draw(rt, "width"), lengths.Draw(rt, "height")
				}
				if rapid.Bool().Draw(rt, "around a member") {
					member := rapid.SampledFrom(members).Draw(rt, "member")
					found, ok, err := s.SearchAround(ctx, key, member, q)
					if err != nil || !ok {
						rt.Fatal(ok, err)
					}
					checkFound(rt, found, kept, kept[member], q)
				} else {
					center := points.Draw(rt, "center")
					found, err := s.Search(ctx, key, center, q)
					if err != nil {
						rt.Fatal(err)
					}
					checkFound(rt, found, kept, center, q)
				}
			}
		})
	})
}

func checkFound(t *rapid.T, found []geo.Match[string], kept map[string]geo.Point, center geo.Point, q geo.Query) {
	distance := func(m geo.Match[string]) float64 { return haversine(center, kept[m.Member]) }
	seen := map[string]bool{}
	for _, m := range found {
		p, known := kept[m.Member]
		if !known || seen[m.Member] {
			t.Fatalf("found %q, which is unknown or was found before", m.Member)
		}
		seen[m.Member] = true
		if in, close := inside(center, p, q); !in && !close {
			t.Fatalf("found %v, which is not in %+v around %v", p, q, center)
		}
		d := distance(m)
		if want := (m.Point == p); q.WithPoint && !want || !q.WithPoint && m.Point != (geo.Point{}) {
			t.Fatalf("point %v of a place at %v", m.Point, p)
		}
		if off := math.Abs(float64(m.Distance) - d); q.WithDistance && off > 0.001+1e-8*d || !q.WithDistance && m.Distance != 0 {
			t.Fatalf("distance %v of a place at %v", m.Distance, d)
		}
	}
	var missing []string
	must := 0
	for member, p := range kept {
		if in, close := inside(center, p, q); in && !close {
			must++
			if !seen[member] {
				missing = append(missing, member)
			}
		}
	}
	if complete(center, q) {
		limit := len(kept)
		if q.Count > 0 {
			limit = int(q.Count)
		}
		if len(found) < min(must, limit) {
			t.Fatalf("found %d of %d in %+v around %v, and not %v", len(found), must, q, center, missing)
		}
	}
	if q.Count > 0 && int64(len(found)) > q.Count {
		t.Fatalf("found %d, want at most %d", len(found), q.Count)
	}
	byDistance := func(a, b geo.Match[string]) int {
		if d := distance(a) - distance(b); math.Abs(d) > 0.001+1e-8*distance(a) {
			return cmp.Compare(d, 0)
		}
		return 0
	}
	// Of more than Count, the first in the order are kept.
	switch {
	case q.Order == geo.Farthest:
		byNearness := byDistance
		byDistance = func(a, b geo.Match[string]) int { return byNearness(b, a) }
	case q.Order == geo.Unordered && (q.Count == 0 || q.Any):
		return
	}
	if !slices.IsSortedFunc(found, byDistance) {
		t.Fatalf("%v are not in order %v", found, q.Order)
	}
	if len(found) > 0 && !q.Any && complete(center, q) {
		last := found[len(found)-1]
		for _, member := range missing {
			if byDistance(geo.Match[string]{Location: geo.Location[string]{Member: member}}, last) < 0 {
				t.Fatalf("%q comes before %v and is missing", member, last)
			}
		}
	}
}

func TestDistIsTheHaversineOfWhatIsKept(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, s := t.Context(), open[string](t, c, time.Hour)
		rapid.Check(t, func(rt *rapid.T) {
			key := rediskittest.Keys(t)("places")
			a, b := points.Draw(rt, "a"), points.Draw(rt, "b")
			must[int64](t)(s.Add(ctx, key, geo.Location[string]{Member: "a", Point: a}, geo.Location[string]{Member: "b", Point: b}))
			kept := must[[]geo.Position](t)(s.Positions(ctx, key, "a", "b"))
			d, ok, err := s.Dist(ctx, key, "a", "b")
			if err != nil || !ok {
				rt.Fatal(ok, err)
			}
			want := haversine(kept[0].Point, kept[1].Point)
			if math.Abs(float64(d)-want) > 0.001+1e-8*want {
				rt.Fatalf("from %v to %v are %v, want %v", a, b, d, want)
			}
			if off := math.Abs(float64(d) - haversine(a, b)); off > 0.7 {
				rt.Fatalf("%v off", off)
			}
		})
	})
}
