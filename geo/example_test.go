package geo_test

import (
	"context"
	"fmt"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/geo"
)

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	venues, err := geo.New(server.Client(), geo.Config[string]{TTL: rediskit.NoTTL})
	if err != nil {
		panic(err)
	}
	added, err := venues.Add(ctx, "venues",
		geo.Location[string]{Member: "opera", Point: geo.Point{Lon: -73.9845, Lat: 40.7726}},
		geo.Location[string]{Member: "arena", Point: geo.Point{Lon: -73.9934, Lat: 40.7505}},
		geo.Location[string]{Member: "stadium", Point: geo.Point{Lon: -74.0745, Lat: 40.8128}})
	fmt.Println(added, err)

	here := geo.Point{Lon: -73.9857, Lat: 40.7484}
	near, err := venues.Search(ctx, "venues", here, geo.Query{
		Radius: 5 * geo.Kilometer, Order: geo.Nearest, Count: 10, WithDistance: true,
	})
	for _, venue := range near {
		fmt.Printf("%s: %v, %.1f miles\n", venue.Member, venue.Distance, venue.Distance.In(geo.Mile))
	}
	fmt.Println(err)

	between, ok, err := venues.Dist(ctx, "venues", "opera", "stadium")
	fmt.Println(between, ok, err)
	// Output:
	// 3 <nil>
	// arena: 689.6m, 0.4 miles
	// opera: 2.694km, 1.7 miles
	// <nil>
	// 8.799km true <nil>
}

func ExampleSet_SearchAround() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	stops, err := geo.New(server.Client(), geo.Config[string]{TTL: rediskit.NoTTL})
	if err != nil {
		panic(err)
	}
	stops.Add(ctx, "stops",
		geo.Location[string]{Member: "harbor", Point: geo.Point{Lon: 9.9937, Lat: 53.5461}},
		geo.Location[string]{Member: "market", Point: geo.Point{Lon: 9.9995, Lat: 53.5466}},
		geo.Location[string]{Member: "airport", Point: geo.Point{Lon: 9.9882, Lat: 53.6304}})

	found, ok, err := stops.SearchAround(ctx, "stops", "harbor", geo.Query{
		Width: 2 * geo.Kilometer, Height: geo.Kilometer, Order: geo.Farthest,
	})
	for _, stop := range found {
		fmt.Println(stop.Member)
	}
	fmt.Println(ok, err)
	// Output:
	// market
	// harbor
	// true <nil>
}
