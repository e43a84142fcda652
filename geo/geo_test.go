package geo_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/codec"
	"github.com/tickettoken/rediskit/geo"
	"github.com/tickettoken/rediskit/internal/redistest"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestNewNamesWhatIsWrong(t *testing.T) {
	c := rediskittest.Embedded(t)
	for want, make := range map[string]func() error{
		"client is nil": func() error {
			_, err := geo.New(nil, geo.Config[string]{TTL: time.Hour})
			return err
		},
		"Config.TTL is not set": func() error {
			_, err := geo.New(c, geo.Config[string]{})
			return err
		},
	} {
		if err := make(); err == nil || !strings.HasPrefix(err.Error(), "geo: "+want) {
			t.Errorf("%v, want geo: %s", err, want)
		}
	}
}

// What cannot be meant is refused without a server: this one is gone.
func TestBadArgumentsAreRefusedBeforeTheNetwork(t *testing.T) {
	c := rediskittest.Embedded(t)
	s := open[string](t, c, time.Hour)
	c.Close()
	ctx := t.Context()
	circle := geo.Query{Radius: geo.Kilometer}
	add := func(lon, lat float64) func() error {
		return func() error { _, err := s.Add(ctx, "k", at("ok", 0, 0), at("bad", lon, lat)); return err }
	}
	search := func(q geo.Query) func() error {
		return func() error { _, err := s.Search(ctx, "k", geo.Point{}, q); return err }
	}
	nan, inf := math.NaN(), geo.Distance(math.Inf(1))
	for _, test := range []struct {
		op, want string
		call     func() error
	}{
		{"Add", "empty key", func() error { _, err := s.Add(ctx, "", at("m", 0, 0)); return err }},
		{"Add", "location 1: latitude 85.0512", add(0, 85.0512)},
		{"Add", "location 1: latitude -90", add(0, -90)},
		{"Add", "location 1: longitude 180.1", add(180.1, 0)},
		{"Add", "location 1: longitude -200", add(-200, 0)},
		{"Add", "location 1: longitude NaN", add(nan, 0)},
		{"Add", "location 1: latitude NaN", add(0, nan)},
		{"Add", "location 1: latitude +Inf", add(0, math.Inf(1))},
		{"AddIf", `condition is "GT"`, func() error { _, err := s.AddIf(ctx, "k", "GT", at("m", 0, 0)); return err }},
		{"AddIf", "empty key", func() error { _, err := s.AddIf(ctx, "", geo.NX, at("m", 0, 0)); return err }},
		{"Pos", "empty key", func() error { _, _, err := s.Pos(ctx, "", "m"); return err }},
		{"Positions", "empty key", func() error { _, err := s.Positions(ctx, ""); return err }},
		{"Dist", "empty key", func() error { _, _, err := s.Dist(ctx, "", "a", "b"); return err }},
		{"Hash", "empty key", func() error { _, _, err := s.Hash(ctx, "", "m"); return err }},
		{"Search", "empty key", func() error { _, err := s.Search(ctx, "", geo.Point{}, circle); return err }},
		{"Search", "center: latitude 86", func() error { _, err := s.Search(ctx, "k", geo.Point{Lat: 86}, circle); return err }},
		{"Search", "neither a Radius nor a box", search(geo.Query{})},
		{"Search", "both a Radius and a box", search(geo.Query{Radius: 1, Height: 1})},
		{"Search", "Radius is -1", search(geo.Query{Radius: -1})},
		{"Search", "Radius is NaN", search(geo.Query{Radius: geo.Distance(nan)})},
		{"Search", "Radius is +Inf", search(geo.Query{Radius: inf})},
		{"Search", "Height is 0", search(geo.Query{Width: 1})},
		{"Search", "Width is -2", search(geo.Query{Width: -2, Height: 1})},
		{"Search", "negative Count", search(geo.Query{Radius: 1, Count: -1})},
		{"Search", "Any without Query.Count", search(geo.Query{Radius: 1, Any: true})},
		{"Search", "unknown Order", search(geo.Query{Radius: 1, Order: 3})},
		{"SearchAround", "empty key", func() error { _, _, err := s.SearchAround(ctx, "", "m", circle); return err }},
		{"SearchAround", "neither", func() error { _, _, err := s.SearchAround(ctx, "k", "m", geo.Query{}); return err }},
		{"SearchStore", "empty destination", func() error {
			_, err := s.SearchStore(ctx, "", "k", geo.Point{}, circle, geo.Places)
			return err
		}},
		{"SearchStore", "unknown StoreAs", func() error {
			_, err := s.SearchStore(ctx, "d", "k", geo.Point{}, circle, 7)
			return err
		}},
		{"SearchStore", "longitude 181", func() error {
			_, err := s.SearchStore(ctx, "d", "k", geo.Point{Lon: 181}, circle, geo.Places)
			return err
		}},
		{"SearchAroundStore", "empty key", func() error {
			_, _, err := s.SearchAroundStore(ctx, "d", "", "m", circle, geo.Places)
			return err
		}},
		{"Remove", "empty key", func() error { _, err := s.Remove(ctx, "", "m"); return err }},
		{"Delete", "empty key", func() error { _, err := s.Delete(ctx, ""); return err }},
		{"Card", "empty key", func() error { _, err := s.Card(ctx, ""); return err }},
	} {
		err := test.call()
		var op *rediskit.OpError
		if !errors.As(err, &op) || op.Op != "geo."+test.op || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an OpError with %q", test.op, err, test.want)
		}
		if rediskit.IsUnavailable(err) {
			t.Errorf("%s: %v came from the network", test.op, err)
		}
	}
	for name, call := range map[string]func() error{
		"Add":       func() error { _, err := s.Add(ctx, "k"); return err },
		"Positions": func() error { _, err := s.Positions(ctx, "k"); return err },
		"Remove":    func() error { _, err := s.Remove(ctx, "k"); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
}

func TestWhatIsNotThereIsNoError(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("nothing")
			circle := geo.Query{Radius: geo.Kilometer}
			for round, what := range []string{"no key", "no member"} {
				if round == 1 {
					must[int64](t)(s.Add(ctx, key, at("other", 90, 0)))
				}
				if p, ok, err := s.Pos(ctx, key, "m"); ok || err != nil || p != (geo.Point{}) {
					t.Errorf("%s: Pos: %v, %v, %v", what, p, ok, err)
				}
				if d, ok, err := s.Dist(ctx, key, "other", "m"); ok || err != nil || d != 0 {
					t.Errorf("%s: Dist: %v, %v, %v", what, d, ok, err)
				}
				if found, ok, err := s.SearchAround(ctx, key, "m", circle); ok || err != nil || found != nil {
					t.Errorf("%s: SearchAround: %v, %v, %v", what, found, ok, err)
				}
				if found := must[[]geo.Match[string]](t)(s.Search(ctx, key, geo.Point{}, circle)); found != nil {
					t.Errorf("%s: Search: %v", what, found)
				}
				if n := must[int64](t)(s.Remove(ctx, key, "m")); n != 0 {
					t.Errorf("%s: Remove: %d", what, n)
				}
				if n := must[int64](t)(s.Card(ctx, key)); n != int64(round) {
					t.Errorf("%s: Card: %d", what, n)
				}
			}
		})
	}, everywhere...)
}

func TestWhatIsNotThereIsNoErrorOnARealServerEither(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			circle := geo.Query{Radius: geo.Kilometer}
			must[int64](t)(s.Add(ctx, key("some"), at("other", 90, 0)))
			must[int64](t)(s.Add(ctx, key("dest"), at("old", 90, 0)))
			if h, ok, err := s.Hash(ctx, key("some"), "m"); ok || err != nil || h != "" {
				t.Errorf("Hash: %v, %v, %v", h, ok, err)
			}
			if n, ok, err := s.SearchAroundStore(ctx, key("dest"), key("some"), "m", circle, geo.Places); ok || err != nil || n != 0 {
				t.Errorf("SearchAroundStore: %v, %v, %v", n, ok, err)
			}
			if n := must[int64](t)(s.Card(ctx, key("dest"))); n != 1 {
				t.Errorf("without the member the destination has %d members", n)
			}
			if n, ok, err := s.SearchAroundStore(ctx, key("dest"), key("none"), "m", circle, geo.Places); ok || err != nil || n != 0 {
				t.Errorf("SearchAroundStore: %v, %v, %v", n, ok, err)
			}
			if n := must[int64](t)(s.Card(ctx, key("dest"))); n != 0 {
				t.Errorf("without the set the destination has %d members", n)
			}
		})
	})
}

// Redis files a point on the meridian of 180° or on the northern edge of the map in the wrong cell.
func TestTheEdgesOfTheMapAreOnTheMap(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("edges")
			must[int64](t)(s.Add(ctx, key,
				at("west", -180, 10), at("east", 180, 10), at("almost", math.Nextafter(180, 0), 10), at("before", 179.999, 10), at("after", -179.999, 10),
				at("north", 0, geo.MaxLat), at("south", 0, -geo.MaxLat)))
			around := geo.Query{Radius: 150 * geo.Meter}
			for _, lon := range []float64{180, -180, 179.9995, -179.9995} {
				got := names(must[[]geo.Match[string]](t)(s.Search(ctx, key, geo.Point{Lon: lon, Lat: 10}, geo.Query{Radius: 200})))
				slices.Sort(got)
				if want := []string{"after", "almost", "before", "east", "west"}; !slices.Equal(got, want) {
					t.Errorf("around longitude %v there are %v, want %v", lon, got, want)
				}
			}
			for lat, want := range map[float64]string{geo.MaxLat: "north", -geo.MaxLat: "south"} {
				got := names(must[[]geo.Match[string]](t)(s.Search(ctx, key, geo.Point{Lat: lat}, around)))
				if !slices.Equal(got, []string{want}) {
					t.Errorf("around latitude %v there are %v, want %v", lat, got, want)
				}
			}
			if d, ok, err := s.Dist(ctx, key, "east", "west"); d > 0.7 || !ok || err != nil {
				t.Errorf("from 180° to -180°: %v, %v, %v", d, ok, err)
			}
		})
	}, everywhere...)
}

func TestACountKeepsTheNearestAndAnyTheFirstThatAreFound(t *testing.T) {
	fill := func(t *testing.T, s *geo.Set[string], key string) {
		for i := range 100 {
			must[int64](t)(s.Add(t.Context(), key, at(fmt.Sprint(i), float64(i)/1000, 0)))
		}
	}
	center := geo.Point{Lon: 0.05}
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		s, key := open[string](t, c, time.Hour), rediskittest.Keys(t)("k")
		fill(t, s, key)
		got := names(must[[]geo.Match[string]](t)(s.Search(t.Context(), key, center, geo.Query{Radius: 20 * geo.Kilometer, Count: 1})))
		if !slices.Equal(got, []string{"50"}) {
			t.Errorf("the nearest is %v", got)
		}
	}, everywhere...)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		s, key := open[string](t, c, time.Hour), rediskittest.Keys(t)("k")
		fill(t, s, key)
		got := names(must[[]geo.Match[string]](t)(s.Search(t.Context(), key, center, geo.Query{Radius: 20 * geo.Kilometer, Count: 1, Any: true})))
		if len(got) != 1 || got[0] == "50" {
			t.Errorf("any one of a hundred is %v, as if all had been sorted", got)
		}
	})
}

func TestMembersMoveAndConditionsHold(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			want := func(what string, n, wanted int64, err error) {
				t.Helper()
				if err != nil || n != wanted {
					t.Errorf("%s: %d, %v, want %d", what, n, err, wanted)
				}
			}
			n, err := s.Add(ctx, key, at("a", 1, 1), at("b", 2, 2), at("a", 3, 3))
			want("Add", n, 2, err)
			n, err = s.Add(ctx, key, at("a", 4, 4), at("c", 5, 5))
			want("Add of one old and one new", n, 1, err)
			n, err = s.AddIf(ctx, key, geo.NX, at("a", 9, 9), at("d", 6, 6))
			want("AddIf NX", n, 1, err)
			n, err = s.AddIf(ctx, key, geo.XX, at("a", 7, 7), at("b", 2, 2), at("x", 8, 8))
			want("AddIf XX", n, 1, err)
			for member, lon := range map[string]float64{"a": 7, "b": 2, "c": 5, "d": 6} {
				p, ok, err := s.Pos(ctx, key, member)
				if !ok || err != nil || math.Abs(p.Lon-lon) > 1e-5 || math.Abs(p.Lat-lon) > 1e-5 {
					t.Errorf("%s is at %v, %v, %v, want %v", member, p, ok, err, lon)
				}
			}
			n, err = s.Remove(ctx, key, "a", "x", "d", "d")
			want("Remove", n, 2, err)
			n, err = s.Card(ctx, key)
			want("Card", n, 2, err)
			for _, there := range []bool{true, false} {
				if deleted, err := s.Delete(ctx, key); deleted != there || err != nil {
					t.Errorf("Delete: %v, %v, want %v", deleted, err, there)
				}
			}
			n, err = s.Card(ctx, key)
			want("Card", n, 0, err)
		})
	})
}

func TestHashIsTheStandardGeohash(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx, key, s := t.Context(), rediskittest.Keys(t)("k"), open[string](t, c, time.Hour)
		must[int64](t)(s.Add(ctx, key, at("Palermo", 13.361389, 38.115556)))
		if h, ok, err := s.Hash(ctx, key, "Palermo"); h != "sqc8b49rny0" || !ok || err != nil {
			t.Errorf("%v, %v, %v", h, ok, err)
		}
	})
}

func TestASearchCanBeStoredAsPlacesOrAsDistances(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)
			must[int64](t)(s.Add(ctx, key("all"), at("a", 0, 0), at("b", 0.01, 0), at("c", 1, 0)))
			q := geo.Query{Width: 5 * geo.Kilometer, Height: 5 * geo.Kilometer, WithDistance: true, WithPoint: true}
			if n := must[int64](t)(s.SearchStore(ctx, key("near"), key("all"), geo.Point{}, q, geo.Places)); n != 2 {
				t.Errorf("stored %d places", n)
			}
			d, ok, err := s.Dist(ctx, key("near"), "a", "b")
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			n, ok, err := s.SearchAroundStore(ctx, key("near"), key("all"), "a", q, geo.Distances)
			if n != 2 || !ok || err != nil {
				t.Errorf("stored %d distances, %v, %v", n, ok, err)
			}
			score := must[float64](t)(c.Redis().Do(ctx, c.Redis().B().Zscore().Key(key("near")).Member("b").Build()).AsFloat64())
			if math.Abs(score-float64(d)) > 0.001 {
				t.Errorf("the distance is %v, and stored was %v", d, score)
			}
			if n := must[int64](t)(s.SearchStore(ctx, key("all"), key("all"), geo.Point{}, q, geo.Places)); n != 2 {
				t.Errorf("stored %d places over the set itself", n)
			}
			if n := must[int64](t)(s.SearchStore(ctx, key("all"), key("all"), geo.Point{Lon: 90}, q, geo.Places)); n != 0 {
				t.Errorf("stored %d places that are far away", n)
			}
			if n := must[int64](t)(s.Card(ctx, key("all"))); n != 0 {
				t.Errorf("the destination of nothing has %d members", n)
			}
		})
	})
}

func TestWritesSetTheTTLAndCallsThatDoNothingLeaveIt(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		ctx := t.Context()
		timed, untimed := open[string](t, c, time.Hour), open[string](t, c, rediskit.NoTTL)
		circle := geo.Query{Radius: geo.Kilometer}
		for name, test := range map[string]struct {
			writes bool
			call   func(s *geo.Set[string], key func(string) string) error
		}{
			"Add": {true, func(s *geo.Set[string], key func(string) string) error {
				_, err := s.Add(ctx, key("k"), at("a", 0, 0))
				return err
			}},
			"AddIf": {true, func(s *geo.Set[string], key func(string) string) error {
				_, err := s.AddIf(ctx, key("k"), geo.XX, at("a", 1, 1))
				return err
			}},
			"AddIf of one that is there": {false, func(s *geo.Set[string], key func(string) string) error {
				_, err := s.AddIf(ctx, key("k"), geo.NX, at("a", 1, 1))
				return err
			}},
			"Remove": {true, func(s *geo.Set[string], key func(string) string) error {
				_, err := s.Remove(ctx, key("k"), "a")
				return err
			}},
			"Remove of nobody": {false, func(s *geo.Set[string], key func(string) string) error {
				_, err := s.Remove(ctx, key("k"), "x")
				return err
			}},
			"SearchStore": {true, func(s *geo.Set[string], key func(string) string) error {
				_, err := s.SearchStore(ctx, key("k"), key("src"), geo.Point{}, circle, geo.Places)
				return err
			}},
		} {
			for _, s := range []*geo.Set[string]{timed, untimed} {
				key := rediskittest.Keys(t)
				must[int64](t)(untimed.Add(ctx, key("k"), at("a", 0, 0), at("b", 1, 1)))
				must[int64](t)(untimed.Add(ctx, key("src"), at("a", 0, 0)))
				command(t, c, key("k"), "PEXPIRE", "100000")
				if err := test.call(s, key); err != nil {
					t.Fatal(name, err)
				}
				d := ttl(t, c, key("k"))
				switch {
				case s == timed && test.writes:
					if d <= 100*time.Second || d > time.Hour {
						t.Errorf("%s wrote and the TTL is %v", name, d)
					}
				case s == untimed && name == "SearchStore":
					if d >= 0 {
						t.Errorf("%s replaced the key and the TTL is %v", name, d)
					}
				default:
					if d <= 0 || d > 100*time.Second {
						t.Errorf("%s set the TTL to %v", name, d)
					}
				}
			}
		}
	})
}

func TestMembersMayBeAnyBytesAndAnyType(t *testing.T) {
	type stop struct{ Line, Number int }
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("\x00 \r\n*")
			for i, m := range []string{"", "\x00\r\n", "\xff", "FROMLONLAT", strings.Repeat("long", 1<<18)} {
				must[int64](t)(s.Add(ctx, key, at(m, float64(i), 0)))
				found, ok, err := s.SearchAround(ctx, key, m, geo.Query{Radius: 1, WithDistance: true})
				if !ok || err != nil || len(found) != 1 || found[0].Member != m || found[0].Distance != 0 {
					t.Errorf("around %.20q: %d, %v, %v", m, len(found), ok, err)
				}
			}
		})
		s := open[stop](t, c, time.Hour)
		key := rediskittest.Keys(t)("stops")
		must[int64](t)(s.Add(t.Context(), key, geo.Location[stop]{stop{5, 1}, geo.Point{Lon: 1}}))
		found := must[[]geo.Match[stop]](t)(s.Search(t.Context(), key, geo.Point{Lon: 1}, geo.Query{Radius: 1}))
		if len(found) != 1 || found[0].Member != (stop{5, 1}) {
			t.Errorf("found %v", found)
		}
	}, everywhere...)
}

// More than unpack() takes at once, so the script has to go in parts.
func TestOneCallTakesAnyNumberOfMembers(t *testing.T) {
	const n = 7000
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("k")
			var locations []geo.Location[string]
			var members []string
			for i := range n {
				members = append(members, fmt.Sprint(i))
				locations = append(locations, at(members[i], float64(i)/100, float64(i)/100))
			}
			if added := must[int64](t)(s.Add(ctx, key, locations...)); added != n {
				t.Errorf("added %d", added)
			}
			for i, p := range must[[]geo.Position](t)(s.Positions(ctx, key, members...)) {
				if haversine(p.Point, locations[i].Point) > 0.34 {
					t.Fatalf("%v is at %v", locations[i], p)
				}
			}
			if removed := must[int64](t)(s.Remove(ctx, key, members...)); removed != n {
				t.Errorf("removed %d", removed)
			}
		})
	})
}

func TestUndecodableMembersComeInTheErrorAndTheOthersWithIt(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		key := rediskittest.Keys(t)("k")
		command(t, c, key, "GEOADD", "0", "0", "1", "0.001", "0", "bad", "0.002", "0", "3")
		found, err := open[int](t, c, time.Hour).Search(t.Context(), key, geo.Point{},
			geo.Query{Radius: geo.Kilometer, Order: geo.Nearest, WithPoint: true})
		var undecodable *geo.DecodeError
		if !errors.As(err, &undecodable) || !errors.Is(err, codec.ErrCorrupt) || !slices.Equal(undecodable.Raw, []string{"bad"}) {
			t.Errorf("%v, want a DecodeError", err)
		}
		if len(found) != 2 || found[0].Member != 1 || found[1].Member != 3 {
			t.Errorf("found %v", found)
		}
	}, everywhere...)
}

func TestTheServersAnswerComesBackWithOperationAndKey(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		both(t, c, func(t *testing.T, s *geo.Set[string]) {
			ctx, key := t.Context(), rediskittest.Keys(t)("text")
			command(t, c, key, "SET", "no set")
			circle := geo.Query{Radius: geo.Kilometer}
			for op, call := range map[string]func() error{
				"Add":       func() error { _, err := s.Add(ctx, key, at("m", 0, 0)); return err },
				"Pos":       func() error { _, _, err := s.Pos(ctx, key, "m"); return err },
				"Positions": func() error { _, err := s.Positions(ctx, key, "m"); return err },
				"Dist":      func() error { _, _, err := s.Dist(ctx, key, "m", "n"); return err },
				"Hash":      func() error { _, _, err := s.Hash(ctx, key, "m"); return err },
				"Search":    func() error { _, err := s.Search(ctx, key, geo.Point{}, circle); return err },
				"SearchAround": func() error {
					_, _, err := s.SearchAround(ctx, key, "m", circle)
					return err
				},
				"SearchStore": func() error {
					_, err := s.SearchStore(ctx, key, key, geo.Point{}, circle, geo.Places)
					return err
				},
				"Remove": func() error { _, err := s.Remove(ctx, key, "m"); return err },
				"Card":   func() error { _, err := s.Card(ctx, key); return err },
			} {
				err := call()
				var oe *rediskit.OpError
				if !errors.As(err, &oe) || oe.Op != "geo."+op || oe.Key != key || !strings.HasPrefix(oe.Err.Error(), "WRONGTYPE") {
					t.Errorf("%s: %v", op, err)
				}
			}
		})
	})
}

func TestKeysOfOneCallMustShareASlotOnACluster(t *testing.T) {
	s := open[string](t, rediskittest.Connect(t, rediskittest.OnCluster), time.Hour)
	_, err := s.SearchStore(t.Context(), "{a}1", "{b}2", geo.Point{}, geo.Query{Radius: 1}, geo.Places)
	if !errors.Is(err, rediskit.ErrCrossSlot) {
		t.Errorf("%v, want ErrCrossSlot", err)
	}
}

func TestTheEmbeddedServerSaysWhatItLacks(t *testing.T) {
	c := rediskittest.Embedded(t)
	both(t, c, func(t *testing.T, s *geo.Set[string]) {
		must[int64](t)(s.Add(t.Context(), "k", at("m", 0, 0)))
		_, err := s.AddIf(t.Context(), "k", geo.NX, at("m", 0, 0))
		if err == nil || !strings.Contains(err.Error(), "no NX, XX and CH") {
			t.Errorf("AddIf: %v", err)
		}
		_, _, err = s.Hash(t.Context(), "k", "m")
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "unknown command") {
			t.Errorf("Hash: %v", err)
		}
		_, err = s.SearchStore(t.Context(), "d", "k", geo.Point{}, geo.Query{Radius: 1}, geo.Places)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "unknown") {
			t.Errorf("SearchStore: %v", err)
		}
	})
}

func TestLostRepliesAreReportedOrNotSeen(t *testing.T) {
	server := must[*redistest.Server](t)(redistest.StartServer(redistest.ServerConfig{}))
	t.Cleanup(func() { server.Close() })
	p := must[*redistest.FaultProxy](t)(redistest.StartProxy(server.Addr()))
	t.Cleanup(func() { p.Close() })
	c := must[*rediskit.Client](t)(rediskit.Connect(t.Context(), rediskit.Config{Addrs: []string{p.Addr()}}))
	t.Cleanup(c.Close)
	both(t, c, func(t *testing.T, s *geo.Set[string]) {
		ctx, circle := t.Context(), geo.Query{Radius: geo.Kilometer}
		must[int64](t)(s.Add(ctx, "k", at("a", 0, 0), at("b", 0, 0)))
		must[int64](t)(s.SearchStore(ctx, "d", "k", geo.Point{}, circle, geo.Places)) // the scripts are known now
		for _, test := range []struct {
			name     string
			repeated bool
			call     func() error
			left     int64
		}{
			{"Add", true, func() error { _, err := s.Add(ctx, "k", at("c", 0, 0)); return err }, 3},
			{"AddIf", false, func() error { _, err := s.AddIf(ctx, "k", geo.NX, at("d", 0, 0)); return err }, 4},
			{"Remove", false, func() error { _, err := s.Remove(ctx, "k", "a"); return err }, 3},
			{"SearchStore", true, func() error {
				_, err := s.SearchStore(ctx, "d", "k", geo.Point{}, circle, geo.Places)
				return err
			}, 3},
			{"SearchStore to itself", false, func() error {
				_, err := s.SearchStore(ctx, "k", "k", geo.Point{}, circle, geo.Places)
				return err
			}, 3},
			{"Search", true, func() error { _, err := s.Search(ctx, "k", geo.Point{}, circle); return err }, 3},
		} {
			p.CutAfterReplyBytes(0)
			err := test.call()
			if test.repeated && err != nil || !test.repeated && !rediskit.MayHaveApplied(err) {
				t.Errorf("%s: a lost reply gave %v", test.name, err)
			}
			if n := must[int64](t)(s.Card(ctx, "k")); n != test.left {
				t.Errorf("%s: %d members, want %d", test.name, n, test.left)
			}
		}
		must[int64](t)(s.Remove(ctx, "k", "b", "c", "d"))
	})
}

func TestADistanceReadsInAnyUnit(t *testing.T) {
	if miles := (10 * geo.Kilometer).In(geo.Mile); math.Abs(miles-6.2137119) > 1e-7 {
		t.Errorf("10 km are %v miles", miles)
	}
	if feet := geo.Meter.In(geo.Foot); math.Abs(feet-3.2808399) > 1e-7 {
		t.Errorf("1 m is %v feet", feet)
	}
	for d, want := range map[geo.Distance]string{0: "0.0m", 999.94: "999.9m", 1000: "1.000km", -2500: "-2.500km"} {
		if d.String() != want {
			t.Errorf("%v, want %v", d, want)
		}
	}
}

func TestAnErrorOfDecodingSaysHowMuchItIsAbout(t *testing.T) {
	err := errors.New("codec")
	for want, e := range map[string]*geo.DecodeError{
		"a member of 4 bytes: codec": {Raw: []string{"four"}, Err: err},
		"2 members: codec":           {Raw: []string{"a", "b"}, Err: err},
	} {
		if e.Error() != want {
			t.Errorf("%v, want %v", e, want)
		}
	}
}
