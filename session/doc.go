// Package session keeps who is logged in, and where: several sessions a user, a strict limit on how many, a list of them,
// and revocation that nothing undoes.
//
//	sessions, err := session.New[Visit](client, session.Config{TagKey: key, MaxPerUser: 3, OnLimit: session.EvictOldest})
//	s, err := sessions.Create(ctx, user.ID, Visit{Name: user.Name}, session.Device{IP: ip, UserAgent: r.UserAgent()})
//	... s.ID.Reveal() goes to the client
//
//	id, err := session.ParseID(cookie.Value)
//	s, err := sessions.Get(ctx, id)
//	if errors.Is(err, session.ErrNotFound) { ... } // not logged in
//
// The data, of a type of the application's, are a struct whose fields are those of a Redis hash: see package hash for the
// types that can be kept and their tags.
//
// # Map
//
//	log in        Create, Login, Anonymous    a user; a user who was a visitor before; a visitor
//	each request  Get, Touch, Peek            the session, marked as seen when that is due; in any case; or never
//	change        Update, Save, Incr          what differs, optimistically; over a version; a counter
//	              Draft                       what a request has changed in place, field by field
//	              AddFlash, PopFlashes        messages for the next page
//	              Rotate, SetTimeouts         another secret, or other time-outs, in the same session
//	log out       Delete                      this session
//	              RevokeOthers, RevokeUser    the user's others; all of the user's
//	              Revoke                      one, by the ref that List shows
//	look          List, Count, Inspect        from the index alone; and the data of one, for operators
//	hear          Config.OnEvent,             in this process, exact; in others, best effort
//	              Manager.EventStream
//
// # How it is kept
//
// An [ID] is "<tag>.<ref>.<secret>". The tag is a keyed hash of the user's ID and the hash tag of all keys of the user; the
// ref is the session's public name; the secret is known to the client alone.
//
//	session:{<tag>}:<ref>   a hash: the data's fields, and of rediskit's own :s, the SHA-256 of the secret, :u, the
//	                        user, :v, the version, :x, when the data end, or "+" and how long after the login, and, if
//	                        there are any, :o, the secret before the last rotation, and :f, messages
//	user:sessions:{<tag>}   a hash: of each session, when it was created and seen, its time-outs and its device
//	session-events          the stream of Config.EventStream
//
// Each step is a script or a command on one of these keys alone. The user's index is the authority: a session is valid if it
// is in there, has not expired and its data are there. Data without an entry are nobody's session and expire; an
// entry without data is removed when it is met. There is no sweeper, and keyspace notifications are not used. Reading takes
// no script and no clock: by when the data end and how long they still live it is known what time it is on the server.
//
// # Guarantees
//
//   - No user ever has more sessions than Config.MaxPerUser: what counts, who is evicted and whether one more is admitted
//     is decided in one script. Expired sessions do not count.
//   - When a revoke has returned without an error, nothing makes the session valid again, whatever is under way: what is
//     saved, touched or rotated meanwhile is data without an entry. (On one primary; see the limits.)
//   - Redis never sees a secret, and no log, event, error or printed value contains one.
//   - A malformed ID costs no round trip, and bad arguments are refused before anything is sent.
//   - Time is the server's. No client's clock decides about anything.
//   - Everything in Redis expires: a session at the latest when its time is up, an index with the session that was to live
//     longest, the stream 24 hours after the last event.
//   - Whatever step a process dies at, what it leaves behind is one session more that nobody uses, or data that nobody can
//     use, until they expire.
//   - On a cluster no request fails because slots move.
//
// # Round trips
//
// Create, Revoke, Incr, Rotate, List, Count: 1. Get: 1, and 2 more when the session is marked as seen, which is after
// Config.TouchFraction of its idle time; with an ID in the grace of a rotation 1 more. Touch, SetTimeouts: 3. Peek,
// AddFlash, PopFlashes: 1. Draft.Save: 1 if something changed. Update, Save: 1 more than Get for each attempt, if something
// changed. Delete, RevokeUser, Inspect: 2. RevokeOthers: 3. Login: Get and Create, and 1 or 2 to end the session before. A
// login that evicts, or is refused, takes 1 more.
//
// # Errors, and calls repeated
//
// Errors of methods are [*rediskit.OpError] with the method's name, except what the application's own function returns.
// Without a deadline in ctx each round trip ends after about twice the client's CommandTimeout.
//
// After a lost reply calls are repeated, with these exceptions. Create, Anonymous and Login are taken back: the session is
// removed again. Sessions that it evicted, and the user's session that it came in place of, stay ended; there is no event
// of that. Update, Save, Draft.Save, Incr, AddFlash and PopFlashes are left as they are. [rediskit.MayHaveApplied] is
// true of the errors of all of them.
//
// # Telemetry
//
// Config.MeterProvider counts rediskit.session.logins by outcome (admitted, refused, failed), .loads by outcome (found, invalid,
// failed), .events by event and reason, .conflicts, and .stream_events by outcome (written, dropped).
//
// # Limits
//
//   - Redis replicates after it has answered. A failover can lose the latest logins, changes and revokes. A revoke may be
//     repeated, and who must be sure repeats it after a failover.
//   - A login under way while RevokeUser runs may come after it, and is a login then.
//   - Under Reject, a session whose client lost it counts until it is idle for long enough, as does one whose creator died
//     before it could answer. Offer RevokeOthers or List and Revoke, or use EvictOldest.
//   - While a slot moves to a node of a cluster whose clock is ahead, its sessions may stay valid for that much longer
//     than they are counted.
//   - A client for [rediskit.Wrap] that reads from replicas finds a session valid until they know of its revoke. Do not use
//     one.
//   - Redis must not evict keys (maxmemory-policy noeviction): an index that is evicted logs its user out.
//   - Config.TagKey cannot be changed without losing track of all sessions: they stay valid until they expire, but lists,
//     limits and revokes do not know them.
//   - A user has 1,000 sessions at most, and each login reads the index of its user: hundreds of them make it slow.
//   - A session of a T that changed is read as far as it can be: fields it lacks are zero, others stay as they are; one
//     of another type is an error that is codec.ErrCorrupt.
package session
