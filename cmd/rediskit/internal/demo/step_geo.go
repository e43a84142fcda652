package demo

import (
	"context"
	"fmt"

	"github.com/tickettoken/rediskit/geo"
)

func stepGeo(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("geo")

	t.show("Venues in Berlin, and the nearest ones to a visitor at Alexanderplatz.")
	venues, err := geo.New(client, geo.Config[string]{TTL: ttl})
	if err != nil {
		return err
	}
	type Venue = geo.Location[string]
	_, err = venues.Add(ctx, key("venues"),
		Venue{Member: "Philharmonie", Point: geo.Point{Lon: 13.3699, Lat: 52.5101}},
		Venue{Member: "Tempodrom", Point: geo.Point{Lon: 13.3812, Lat: 52.5017}},
		Venue{Member: "Waldbühne", Point: geo.Point{Lon: 13.2290, Lat: 52.5156}},
		Venue{Member: "SO36", Point: geo.Point{Lon: 13.4222, Lat: 52.5004}})
	if err != nil {
		return err
	}
	visitor := geo.Point{Lon: 13.4132, Lat: 52.5219}
	nearest, err := venues.Search(ctx, key("venues"), visitor, geo.Query{
		Radius: 5 * geo.Kilometer, Order: geo.Nearest, WithDistance: true,
	})
	if err != nil {
		return err
	}
	text := ""
	for _, venue := range nearest {
		text += fmt.Sprintf("%-12s  %v away\n", venue.Member, venue.Distance)
	}
	t.result("%s", text)

	t.show("Between two venues, and a place that is not on the map.")
	between, ok, err := venues.Dist(ctx, key("venues"), "Tempodrom", "Waldbühne")
	if err != nil {
		return err
	}
	pole := geo.Point{Lat: 90}
	_, refused := venues.Search(ctx, key("venues"), pole, geo.Query{Radius: geo.Mile})
	t.result("%.2f miles (%v)\n%v", between.In(geo.Mile), ok, refused)
	return nil
}
