package keys

// SessionKey holds the data of one session.
type SessionKey string

func (k SessionKey) String() string { return string(k) }

// Session makes the key of a session that is known by its ID alone.
func (b Builder) Session(id string) SessionKey {
	return SessionKey(spelling{prefix: b.prefix, kind: "session", parts: []string{id}}.String())
}

// UserSession makes the key of a session of a user. It shares its slot with
// UserSessions(user) and with the other sessions of that user.
func (b Builder) UserSession(user, id string) SessionKey {
	return SessionKey(spelling{prefix: b.prefix, kind: "session", tagged: true, tag: user, parts: []string{id}}.String())
}

// UserSessionsKey holds the index of a user's sessions.
type UserSessionsKey string

func (k UserSessionsKey) String() string { return string(k) }

// UserSessions makes the key of the index of a user's sessions.
func (b Builder) UserSessions(user string) UserSessionsKey {
	return UserSessionsKey(b.named("user:sessions", user))
}

// RateLimitKey holds the state of a rate limit.
type RateLimitKey string

func (k RateLimitKey) String() string { return string(k) }

// RateLimit makes the key of what is limited: kind says in what respect, such
// as "login" or "ip", and id says who. All kinds for one id share a slot, so
// that several limits on one caller can be decided at once.
func (b Builder) RateLimit(kind, id string) RateLimitKey {
	return RateLimitKey(spelling{prefix: b.prefix, kind: "rl", parts: []string{kind}, tagged: true, tag: id, at: 1}.String())
}

// CacheKey holds a cached value.
type CacheKey string

func (k CacheKey) String() string { return string(k) }

// Cache makes the key of a cached value: kind says of what, such as "event",
// and id says which. It has no hash tag.
func (b Builder) Cache(kind, id string) CacheKey {
	return CacheKey(spelling{prefix: b.prefix, kind: "cache", parts: []string{kind, id}}.String())
}

// LockKey holds a lock.
type LockKey string

func (k LockKey) String() string { return string(k) }

// Lock makes the key of the lock on a resource.
func (b Builder) Lock(name string) LockKey { return LockKey(b.named("lock", name)) }

// IdempotencyKey holds what a request did, for when it comes again.
type IdempotencyKey string

func (k IdempotencyKey) String() string { return string(k) }

// Idempotency makes the key of what the request with an idempotency key did.
func (b Builder) Idempotency(key string) IdempotencyKey {
	return IdempotencyKey(b.named("idem", key))
}

// QueueKey is the root of the keys of a queue.
type QueueKey string

func (k QueueKey) String() string { return string(k) }

// Queue makes the root of the keys of a queue.
func (b Builder) Queue(name string) QueueKey { return QueueKey(b.named("queue", name)) }

// TopicKey holds the messages of a durable topic.
type TopicKey string

func (k TopicKey) String() string { return string(k) }

// Topic makes the key of a durable topic.
func (b Builder) Topic(name string) TopicKey { return TopicKey(b.named("topic", name)) }

// ChannelKey names a pub/sub channel. To Redis that is no key, but a sharded
// channel has a slot like one.
type ChannelKey string

func (k ChannelKey) String() string { return string(k) }

// Channel makes the name of a pub/sub channel. Prefix("channel", parts...) is
// the pattern of the channels below it.
func (b Builder) Channel(parts ...string) ChannelKey {
	return ChannelKey(spelling{prefix: b.prefix, kind: "channel", parts: parts}.String())
}

// CircuitKey holds the state of a circuit breaker.
type CircuitKey string

func (k CircuitKey) String() string { return string(k) }

// Circuit makes the key of the circuit breaker before a service.
func (b Builder) Circuit(service string) CircuitKey { return CircuitKey(b.named("cb", service)) }

// LeaderboardKey holds a leaderboard.
type LeaderboardKey string

func (k LeaderboardKey) String() string { return string(k) }

// Leaderboard makes the key of a leaderboard.
func (b Builder) Leaderboard(name string) LeaderboardKey {
	return LeaderboardKey(b.named("board", name))
}

// PlacesKey holds places that are searched by distance.
type PlacesKey string

func (k PlacesKey) String() string { return string(k) }

// Places makes the key of a set of places.
func (b Builder) Places(name string) PlacesKey { return PlacesKey(b.named("places", name)) }

// named makes the key of a kind whose name is its hash tag, so that all that
// Sub derives from the key stays on its slot.
func (b Builder) named(kind, name string) string {
	return spelling{prefix: b.prefix, kind: kind, tagged: true, tag: name}.String()
}
