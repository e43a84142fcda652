package demo

import (
	"context"
	"time"

	"github.com/tickettoken/rediskit/hash"
)

func stepHash(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("hash")

	t.show("A struct, a field in a field. One can change without reading or writing the others.")
	type Event struct {
		Name  string    `redis:"name"`
		Doors time.Time `redis:"doors"`
		Seats int64     `redis:"seats"`
		Tags  []string  `redis:"tags,omitempty"`
	}
	events, err := hash.New[Event](client, hash.Config{TTL: ttl})
	if err != nil {
		return err
	}
	doors := time.Date(2026, 5, 17, 19, 30, 0, 0, time.UTC)
	fidelio := Event{Name: "Fidelio", Doors: doors, Seats: 1200}
	err = events.Set(ctx, key("event:7"), fidelio)
	if err != nil {
		return err
	}
	seats, err := events.Incr(ctx, key("event:7"), "seats", -4)
	if err != nil {
		return err
	}
	event, found, err := events.Get(ctx, key("event:7"))
	if err != nil {
		return err
	}
	t.result("%d seats left\nfound %v: %+v", seats, found, event)

	t.show("Update does not bring back what is gone, and a miss is no error.")
	updated, err := events.UpdateFields(ctx, key("event:8"), Event{Name: "Aida"}, "name")
	if err != nil {
		return err
	}
	_, found, err = events.Get(ctx, key("event:8"))
	t.result("updated %v, found %v, err %v", updated, found, err)

	t.show("A Map has fields that are data.")
	votes, err := hash.NewMap(client, hash.MapConfig[int64]{TTL: ttl})
	if err != nil {
		return err
	}
	for _, artist := range []string{"Björk", "Sade", "Björk"} {
		_, err := votes.Incr(ctx, key("votes"), artist, 1)
		if err != nil {
			return err
		}
	}
	all, err := votes.GetAll(ctx, key("votes"))
	if err != nil {
		return err
	}
	t.result("%v", all)
	return nil
}
