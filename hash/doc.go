// Package hash is typed access to Redis's hashes, in two views. [Hash] keeps a struct in a hash, a field in a
// field. [Map] keeps values of one type under field names that are data.
//
//	users, err := hash.New[User](client, hash.Config{TTL: time.Hour})
//	err = users.Set(ctx, key, User{Name: "Ada", Visits: 1})
//	user, found, err := users.Get(ctx, key)
//	visits, err := users.Incr(ctx, key, "visits", 1)
//
//	stock, err := hash.NewMap(client, hash.MapConfig[int64]{TTL: rediskit.NoTTL})
//	left, err := stock.Incr(ctx, key, "row-7", -1)
//
// What there is, by the question it answers:
//
//	                       Hash[T]                       Map[V]
//	write                  Set, SetFields, SetNX         Set, SetMany, SetNX
//	  only if not there    Create
//	  only if there        Update, UpdateFields
//	  in place of all      Replace                       Replace
//	read                   Get, GetFields, GetMany keys  Get, GetMany fields, GetAll, Values, All
//	count                  Incr, IncrFloat               Incr, IncrFloat
//	fields                 Exists, Len, Fields,          Exists, Len, Fields,
//	                       DelFields                     DelFields
//	keys                   TTL, Expire, Persist, Delete  TTL, Expire, Persist, Delete
//
// # How a struct is kept
//
//	type User struct {
//		Name    string        `redis:"name"`
//		Email   string        `redis:"email,omitempty"`
//		Visits  int64         `redis:"visits"`
//		Joined  time.Time     `redis:"joined"`
//		Session time.Duration // its name is "Session"
//		Age     *int          `redis:"age"`
//		Tags    []string      `redis:"tags"`
//		secret  string        // not kept, like everything that is not exported
//		Cached  bool          `redis:"-"` // nor is this
//	}
//
// The name of a field in Redis is that in the tag, or else that in Go; methods that take names want those in
// Redis. The fields of an embedded struct are kept as if they were the outer one's, unless the tag gives it a
// name. Two fields of one name are an error, at any depth.
//
//	string            as it is                  any bytes
//	[]byte            as it is                  nil reads back as empty
//	bool              true, false               reads 1, 0, t, f and T, F, True, False, TRUE, FALSE too
//	intN, uintN       decimal                   also of types defined as such, and time.Duration: nanoseconds
//	float32, float64  the shortest decimal      exact; NaN, +Inf, -Inf
//	time.Time         RFC 3339, in UTC          to the nanosecond; zone and monotonic reading are dropped
//	*T                as T; nil: no field
//	text              as MarshalText says       types that have MarshalText and UnmarshalText
//	others            as Config.Codec says      structs, slices, arrays, maps; JSON by default
//
// With omitempty no field is kept for a zero value, for one whose IsZero method says so, and for an empty slice
// or map. Where no field is kept, an older one is removed, so that after a Set the hash equals the struct; and
// where there is no field, Get leaves the zero value.
//
// Fields that the struct does not know stay as they are, except under Replace and Delete, and are never read:
// Get is an HMGET of the fields it knows, so what others add to the hash costs it nothing.
//
// # TTL
//
// Every call that writes sets the key's TTL to Config.TTL anew, at the same moment as it writes, in one round
// trip. A call that finds nothing to do (a condition not met, no field to remove) leaves the TTL alone. With
// rediskit.NoTTL no call touches the TTL, except those that are for it.
//
// # Errors, and calls repeated
//
// Errors are [*rediskit.OpError] with the method's name and the key. A hash or field that is not there is no
// error. Arguments are checked before anything is sent. A stored value that cannot be read is an error that
// names the field and is codec.ErrCorrupt. Without a deadline in ctx a call ends after about twice the client's
// CommandTimeout.
//
// The client repeats a call whose reply was lost if it only reads, and Set, SetFields, SetMany, Replace and
// Expire, which do the same when done twice; so a write may take effect a second time while the call lasts, over
// what others wrote in between. No other call is repeated: when its reply is lost, the error is one for which
// [rediskit.MayHaveApplied] is true. Incr and IncrFloat are never applied twice.
//
// # Limits
//
// A TTL is that of the whole hash. At most 1,000,000 arguments go into one call (499,998 fields with values), and
// other calls wait at the server while it works on one so large. Reading calls other than All hold their whole
// result in memory. Get allocates what the reply is made of, a string for each field and an array, and nothing
// beside that for fields without a codec or text form.
//
// The embedded server wraps a counter around where Redis refuses an overflow.
package hash
