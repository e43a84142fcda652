// Package geo is typed access to Redis's geographic sets: members, each once, at places on the earth.
//
//	venues, err := geo.New(client, geo.Config[string]{TTL: rediskit.NoTTL})
//	venues.Add(ctx, key, geo.Location[string]{Member: "opera", Point: geo.Point{Lon: -73.9845, Lat: 40.7726}})
//	near, err := venues.Search(ctx, key, geo.Point{Lon: -73.9857, Lat: 40.7484}, geo.Query{
//		Radius: 5 * geo.Kilometer, Order: geo.Nearest, Count: 10, WithDistance: true,
//	})
//	near[0].Distance.In(geo.Mile)
//
// What there is, by the question it answers:
//
//	write      Add, AddIf (NX, XX)
//	members    Pos, Positions, Dist, Hash
//	search     Search (around a point), SearchAround (around a member)
//	  and keep SearchStore, SearchAroundStore
//	remove     Remove, Delete
//	count      Card
//
// A set of places is a sorted set whose scores are places, so package zset works on it, too: iterate with its All.
//
// # How precise it is
//
// Redis keeps a place as 26 bits of longitude and 26 of latitude, and answers with the middle of that cell: at most
// 0.3 m to the east or west and 0.15 m to the north or south of where the member was put, together at most 0.34 m.
// So two members may be up to 0.7 m nearer or farther than they were put. Distances are those on a sphere of
// 6,372,797.56 m, the haversine, which differ from those on the ellipsoid by up to 0.5 %. They are in meters on the
// wire whatever unit you use, so that the server's four decimals are tenths of a millimeter.
//
// Searches cross the antimeridian. A point of longitude 180 is kept at -180, the same meridian. Latitudes beyond
// ±85.05112878 are refused.
//
// # TTL
//
// Every call that writes sets the key's TTL to Config.TTL anew, at the same moment as it writes, in one round
// trip. A call that finds nothing to do (a condition not met, nobody to remove) leaves the TTL alone. With
// rediskit.NoTTL no call touches the TTL, except that a Store call replaces its destination together with its TTL.
//
// # Errors, and calls repeated
//
// Errors are [*rediskit.OpError] with the method's name and the key. A member or key that is not there is no
// error. Arguments are checked before anything is sent. Members that the codec cannot read are in a [*DecodeError],
// and the others come with it. Without a deadline in ctx a call ends after about twice the client's CommandTimeout.
//
// The client repeats a call whose reply was lost if it only reads, and the writing calls that do the same when
// done twice: Add, and SearchStore and SearchAroundStore unless the destination is the key. Of an Add that was
// repeated, the reported number counts only what the last attempt added. AddIf, Remove and Delete are not repeated: when
// their reply is lost, the error is one for which [rediskit.MayHaveApplied] is true. You may repeat them yourself,
// if it is the effect that matters and not the number.
//
// # Limits
//
// Redis misses places in some areas around the poles: of a circle with a radius over 500 km, and of a box with a
// diagonal over 1,000 km, that reach beyond 80° of latitude. Measured on Redis 7.0, one such circle in fifty was
// incomplete, and one such box in three hundred; of 120,000 other areas, none. What is found is always right.
//
// A search looks at every member in the nine cells around its center that are as large as the area, up to all
// members of the set: a large area in a large set makes the server's other callers wait. Give a Count with Any where
// any few will do.
//
// At most 1,000,000 arguments go into one call (333,333 locations). On a cluster, source and destination of a Store
// call must share a slot: see keys.Builder.Tagged.
//
// The embedded server has no NX and XX, no Hash and no Store calls, which say so in their error, and answers with
// six decimals of a degree, 0.1 m.
package geo
