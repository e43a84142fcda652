// Package gorillastore keeps the sessions of github.com/gorilla/sessions in package session, so that an application which
// uses gorilla/sessions gains the index of each user's sessions: a limit that holds, a list, and revocation that nothing undoes. It
// is a module of its own.
//
//	manager, err := session.New[gorillastore.Data](client, session.Config{TagKey: key, MaxPerUser: 3, OnLimit: session.EvictOldest})
//	store, err := gorillastore.New(manager, gorillastore.Config{User: func(values map[any]any) string {
//		user, _ := values["userID"].(string)
//		return user
//	}})
//	...
//	s, err := store.Get(r, "__Host-session")
//	s.Values["userID"] = userID
//	err = s.Save(r, w) // a login
//	...
//	list, err := manager.List(ctx, userID)
//	_, err = manager.Revoke(ctx, userID, ref)
//
// # Map
//
//	Get, New      the session of a request, or a new one
//	Save          stores it, logs in, changes the ID, or logs out
//	the Manager   lists, counts and revokes
//
// The cookie has the session's ID, of which Redis knows only a hash, and needs neither a signature nor keys. Session.ID is
// the same: whoever has it is the user, so do not log it. session.ParseID makes an ID of it that shows no secret when it is printed, for
// RevokeOthers and to find the session in a list.
//
// # Guarantees
//
//   - All that package session guarantees of the limit, of revocation and of slots that move.
//   - An ID that was not issued is not accepted, and so is none of another cookie's session. A cookie that is no ID costs no round trip.
//   - A login has a new ID, and the one from before it is worth nothing.
//   - A Save stores nothing in a session that was revoked, evicted, deleted or given another ID since it was read, or has
//     expired: its error is [session.ErrNotFound]. What a request had read before that is gone.
//   - A session that was used, by New or Save, lives for Options.MaxAge of the last Save from then on, and no longer than
//     session.Config's AbsoluteTTL. See session.Config's TouchFraction for how exact that is.
//   - If Redis fails, Get and New return the error, with a new session, as gorilla/sessions asks. Saving that one puts the old one
//     out of use.
//   - Redis, logs, events and errors never have an ID with its secret.
//   - A process that dies in Save leaves what nobody can use until it expires, or has done what it should have.
//
// # Limits
//
//   - Config.User decides for each cookie by its values alone: sessions of several names are sessions of a user each, if their
//     values say so.
//   - Options are not stored with a session: each request begins with those of Config, so "remember me" is to be set before
//     each Save, as with the other stores.
//   - Save of the package sessions keeps only the text of errors: to tell [session.ErrLimit], use Save of the session.
//   - What is saved for a visitor is stored as well: save only what is worth it.
package gorillastore
