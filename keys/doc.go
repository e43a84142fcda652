// Package keys names things in Redis so that no two things get one name,
// whatever text the names are made of.
//
// A [Builder] belongs to a namespace and makes every key in it:
//
//	b, err := keys.New("prod")
//	b.Session("8f3c")          // prod/session:8f3c
//	b.RateLimit("login", "42") // prod/rl:login:{42}
//	b.Build("report", "a:b*")  // prod/report:a%3Ab%2A
//
// Each kind of key has a type, so that a session key passed for a cache key
// does not compile. (An untyped string constant still converts by itself: the
// types stop mix-ups, not intent.)
//
// # Layout
//
//	Session(id)            session:<id>
//	UserSession(user, id)  session:{<user>}:<id>
//	UserSessions(user)     user:sessions:{<user>}
//	RateLimit(kind, id)    rl:<kind>:{<id>}
//	Cache(kind, id)        cache:<kind>:<id>
//	Lock(name)             lock:{<name>}
//	Idempotency(key)       idem:{<key>}
//	Queue(name)            queue:{<name>}
//	Topic(name)            topic:{<name>}
//	Channel(parts...)      channel:<part>:<part>...
//	Circuit(service)       cb:{<service>}
//	Leaderboard(name)      board:{<name>}
//	Places(name)           places:{<name>}
//	Build(parts...)        <part>:<part>...
//	Tagged(tag, parts...)  <part>:{<tag>}:<part>...
//	Sub(key, parts...)     <key>:<part>...
//
// A namespace puts its name and "/" in front: with ":" it could be taken for a
// first part, and the session patterns of the empty namespace would match all
// keys of a namespace called session. What stands in braces is a Redis
// Cluster hash tag: keys with equal tags share a slot, and so do the keys that
// [Sub] derives from one of them. The kind stands first, tag or not, because
// scans, ACL rules and client-side caching all select by prefix.
//
// Kinds that no package of rediskit keeps (refresh tokens, API keys, counters)
// are free keys: Build("refresh", hash).
//
// # Escaping
//
// These bytes are written as % and two upper-case hexadecimal digits:
//
//	: / { } * ? [ ] ^ \ % " '   space   0x00 to 0x1F   0x7F
//
// and an empty part is written as %empty. Every other byte stands for itself,
// also one that is not valid UTF-8; every string is a valid part. So ':' always
// separates parts, braces always enclose the tag, and '/' always ends the
// namespace. Space and quotes are harmless to Redis but not to the
// "redis-cli --scan | xargs" of an operator, to whom a key should be one word.
//
// '-' is not escaped, so that UUIDs stay readable: it means something to a
// Redis pattern only inside a class, a class begins with '[', and '[' is always
// escaped.
//
// # Guarantees
//
//   - Different namespaces, parts, or position of the tag make different keys;
//     [Parse] gives all three back. This includes the empty namespace.
//   - No key of one namespace matches a [Pattern] of another, except that the
//     empty namespace's Prefix() is everything there is.
//   - A Pattern is a literal prefix and one final '*'. Text in it is escaped as
//     it is in keys, hence never acts as a glob and matches what was stored.
//   - A key costs one allocation, the string itself.
//
// # Limits
//
// Free keys and kinds share a namespace: Build("session", id) is Session(id)
// under a weaker type. Let the first part of a free key be a constant of yours
// that is no kind, never a user's text.
//
// What callers glue together themselves is ambiguous before it gets here: with
// user + ":" + name, "a:b" and "c" make what "a" and "b:c" make. Give such texts
// to Build or Tagged as parts.
//
// Names of sessions, tokens and users are readable to whoever may list keys or
// watch commands. Do not put a secret in a key; put its hash.
//
// No length is refused. Redis takes keys of up to 512 MB, and an escaped byte
// takes three.
package keys
