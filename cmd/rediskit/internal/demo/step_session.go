package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/tickettoken/rediskit/session"
)

func stepSession(ctx context.Context, t *tour) error {
	client, namespace := t.client, t.namespace
	key := make([]byte, session.MinTagKey)
	rand.Read(key) // one of this tour only

	t.show("The data of a session are a struct of yours. By the key, names in Redis do not tell whose they are.")
	type visit struct {
		Name string         `redis:"name"`
		Cart map[string]int `redis:"cart,omitempty"`
	}
	sessions, err := session.New[visit](client, session.Config{
		Keys: namespace, TagKey: key, TTL: 5 * time.Minute, OnLimit: session.EvictOldest,
	})
	if err != nil {
		return err
	}
	t.result("%d sessions a user, unless you say otherwise", session.DefaultMaxPerUser)
	defer sessions.RevokeUser(context.WithoutCancel(ctx), "ann")

	t.show("Ann logs in on a sixth device. The one not seen for longest goes, in the script that lets the new one in.")
	var phone, fridge session.ID
	text := ""
	for _, device := range []string{"phone", "laptop", "tablet", "tv", "watch", "fridge"} {
		s, err := sessions.Create(ctx, "ann", visit{Name: "Ann"}, session.Device{Name: device})
		if err != nil {
			return err
		}
		for _, gone := range s.Evicted {
			text += fmt.Sprintf("%s in, %s out: %s\n", device, gone.Device.Name, gone.Reason)
		}
		if phone.IsZero() {
			phone = s.ID
		}
		fridge = s.ID
	}
	_, err = sessions.Get(ctx, phone)
	t.result("%sthe phone is logged out: %v", text, errors.Is(err, session.ErrNotFound))

	t.show("Where am I logged in? A ref names a session in public; the secret is in the ID alone, and never printed.")
	list, err := sessions.List(ctx, "ann")
	if err != nil {
		return err
	}
	text = ""
	for _, info := range list {
		text += fmt.Sprintf("%s  %s\n", info.Ref, info.Device.Name)
	}
	t.result("%sthe ID of the fridge: %v", text, fridge)

	t.show("A new secret for the same session, when its user gains rights.")
	before := fridge
	fridge, err = sessions.Rotate(ctx, before, 0)
	if err != nil {
		return err
	}
	_, err = sessions.Get(ctx, before)
	t.result("the same ref: %v\nthe old secret is worth nothing: %v", fridge.Ref() == before.Ref(), errors.Is(err, session.ErrNotFound))

	t.show("A request of the fridge is under way when Ann ends its session. What it saves afterwards revives nothing.")
	ended := false
	_, late := sessions.Update(ctx, fridge, func(v *visit) error {
		ended, err = sessions.Revoke(ctx, "ann", fridge.Ref()) // elsewhere, meanwhile
		v.Cart = map[string]int{"milk": 12}
		return nil
	})
	_, err = sessions.Get(ctx, fridge)
	left, _ := sessions.Count(ctx, "ann")
	t.result("revoked: %v\nthe save found no session: %v\nnor does a request after it: %v\n%d sessions left",
		ended, errors.Is(late, session.ErrNotFound), errors.Is(err, session.ErrNotFound), left)
	return nil
}
