package main

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/geo"
)

const geoKey = "geo"

// geoArea searches among 10,000 places of one city, of which about 17 are within a kilometer.
func geoArea() area {
	members := names("place", 10_000)
	places := cityPoints(len(members), 1, 1)
	centers := cityPoints(1_000, 2, 0.9) // not at the edge, where there is less to find
	prepare := func(ctx context.Context, c rueidis.Client) error {
		return fill(ctx, c, len(members), func(b rueidis.Builder, i int) rueidis.Completed {
			return b.Arbitrary("GEOADD").Keys(geoKey).Args(degrees(places[i].Lon), degrees(places[i].Lat), members[i]).Build()
		})
	}
	nearest := geo.Query{Radius: geo.Kilometer, Order: geo.Nearest, Count: 10, WithDistance: true}
	within := geo.Query{Radius: geo.Kilometer / 2}
	return area{
		name: "geo",
		about: "Searching among 10,000 places of a city: the nearest 10 within 1 km (of 17) with their distances, and all " +
			"within 500 m (4). The former takes the server about 21 µs and the latter 8, so that not much is left to the client.",
		operations: []operation{
			{name: "search, nearest 10", prepare: prepare, subjects: geoSubjects(nearest, centers)},
			{name: "search, 500 m", prepare: prepare, subjects: geoSubjects(within, centers)},
		},
	}
}

// geoSubjects do one search: sorted, limited and with distances if the query has a Count.
func geoSubjects(query geo.Query, centers []geo.Point) []subject {
	nearest, radius := query.Count > 0, float64(query.Radius)
	subjects := []subject{
		{baseline, func(ctx context.Context, s *stand) (probe, error) {
			c, err := s.rediskit(ctx, rediskit.Config{})
			if err != nil {
				return nil, err
			}
			set, err := geo.New(c, geo.Config[string]{TTL: dataTTL})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				_, err := set.Search(ctx, geoKey, centers[spread(g, n, len(centers))], query)
				return err
			}), nil
		}},
		{"rueidis, by hand", func(_ context.Context, s *stand) (probe, error) {
			c, err := s.rueidis(rueidis.ClientOption{})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, g, n int) error {
				p := centers[spread(g, n, len(centers))]
				cmd := c.B().Geosearch().Key(geoKey).Fromlonlat(p.Lon, p.Lat).Byradius(radius).M()
				if nearest {
					_, err := c.Do(ctx, cmd.Asc().Count(query.Count).Withdist().Build()).AsGeosearch()
					return err
				}
				_, err := c.Do(ctx, cmd.Build()).AsStrSlice()
				return err
			}), nil
		}},
	}
	return append(subjects, withGoRedis(func(_ context.Context, s *stand, c *redis.Client) (probe, error) {
		return s.loop(func(ctx context.Context, g, n int) error {
			p := centers[spread(g, n, len(centers))]
			q := redis.GeoSearchQuery{Longitude: p.Lon, Latitude: p.Lat, Radius: radius, RadiusUnit: "m"}
			if nearest {
				q.Sort, q.Count = "ASC", int(query.Count)
				return c.GeoSearchLocation(ctx, geoKey, &redis.GeoSearchLocationQuery{GeoSearchQuery: q, WithDist: true}).Err()
			}
			return c.GeoSearch(ctx, geoKey, &q).Err()
		}), nil
	})...)
}

// cityPoints returns n points over 41 by 45 kilometers, or over the middle of that.
func cityPoints(n int, seed uint64, size float64) []geo.Point {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]geo.Point, n)
	for i := range out {
		out[i] = geo.Point{Lon: 13.4 + 0.6*size*(rng.Float64()-0.5), Lat: 52.5 + 0.4*size*(rng.Float64()-0.5)}
	}
	return out
}

func degrees(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
