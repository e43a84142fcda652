// Package scsstore keeps the sessions of github.com/alexedwards/scs in package session, so that an application which uses scs
// gains the index of each user's sessions: a limit that holds, a list, and revocation that nothing undoes. It is a module
// of its own.
//
//	sessions, err := session.New[scsstore.Data](client, session.Config{TagKey: key, MaxPerUser: 3, OnLimit: session.EvictOldest})
//	store, err := scsstore.New(client, sessions, scsstore.Config{User: func(values map[string]any) string {
//		user, _ := values["userID"].(string)
//		return user
//	}})
//	manager := scs.New()
//	manager.Store = store
//	...
//	list, err := sessions.List(ctx, userID)
//	_, err = sessions.Revoke(ctx, userID, ref)
//
// # Map
//
//	Store       what scs calls: Find, Commit, Delete, and the same with a context
//	Store.ID    the session of a request, for RevokeOthers and to find it in a list
//	WithDevice  whose device a login is made on, for lists
//
// # How it is kept
//
// scs gives its store a token, bytes and when they expire. The bytes are a session's data, and [Config.User] finds in them whose
// it is. Where the session is, an alias of the token says:
//
//	scs:<hash of the token>   "v" for a visitor's session or "u" for a user's, in capitals once the token has ended, and the
//	                          session's "<tag>.<ref>"
//
// Another hash of the token is the session's secret, so that the token is what proves it. The alias outlives the session by a
// day: a commit that finds an alias without its session comes too late, and one that finds no alias brings a new token.
// A token's alias changes from none to a visitor's session, to a user's, to the end, and never back.
//
// # Guarantees
//
//   - All that package session guarantees of the limit, of revocation and of slots that move.
//   - scs commits at the end of a request. If its session was revoked, evicted, deleted or renewed meanwhile, or has expired, the
//     commit stores nothing, and its error is [session.ErrNotFound]. It is an error because scs would otherwise set the
//     cookie again, and put that of a login in another request out of place. A manager's ErrorFunc that returns upon it lets the
//     page go out without a cookie.
//   - For the same reason RenewToken, and Destroy, fail with [session.ErrNotFound] if the session was a user's and has ended: a
//     request that is held up until after a logout gets no new token.
//   - All commits of a token, at once or not, are of one session. The last one wins, as with every store of scs.
//   - A login counts before the token is known to its client. If it is refused, the error is [session.ErrLimit], and the session
//     is what it was.
//   - A session ends when scs has said with its last commit, within the time that the commit took. Reading does not extend
//     it, and of session.Config neither TTL nor AbsoluteTTL nor TouchFraction applies.
//   - Redis, logs, events and errors never have a token or a secret. With HashTokenInStore the same holds of what scs
//     has made of a token.
//   - A process that dies between two steps leaves what nobody can use until it expires: a session of the user that counts, or a
//     visitor's. What failed and was not taken back is the same.
//   - Calls may be repeated after any error. A token whose login failed while Redis did not answer can be found to have ended,
//     and has to be renewed then.
//
// # Limits
//
//   - Without RenewToken, a visitor's token becomes a user's at the login, and ends when its values have no user any more: what
//     else was in it is gone then, and so it is if a request that began before the login commits after it. Another user
//     can log in with it only after RenewToken: see [ErrOtherUser]. As scs says, call RenewToken at each login and logout.
//   - Last seen is the last commit. Without an IdleTimeout scs commits only what changed; then eviction takes the session that was
//     changed the longest ago.
//   - A request that is under way for longer than a day after its session has expired, if Lifetime is longer than that, is
//     taken for one with a new token.
//   - Between RenewToken and the commit a request is a login under way, which a revoke does not see. So renew tokens at a login, after
//     the password was checked, and do not revoke one's own session and go on: see RevokeOthers.
//   - Two simultaneous logins with one token, which there are without RenewToken only, count twice for a moment: they can evict one
//     session too many, or each other, or be refused.
//   - scs cannot iterate: there are no tokens to hand out. See sessions.List.
//   - A failover can lose an alias, as it can lose any write: then the token is worth nothing, or, to a request that is under
//     way, new.
//   - A commit takes up to nine round trips: see [Store.CommitCtx]. Package httpkit, with the same sessions, takes fewer.
package scsstore
