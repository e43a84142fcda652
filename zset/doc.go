// Package zset is typed access to Redis's sorted sets: members, each once, in the order of their scores.
//
//	scores, err := zset.New(client, zset.Config[string]{TTL: 24 * time.Hour})
//	scores.Add(ctx, key, zset.Entry[string]{Member: "ann", Score: 31})
//	scores.Incr(ctx, key, "ann", 11)
//	best, err := scores.Top(ctx, key, 10)
//
// What there is, by the question it answers:
//
//	write      Add, AddIf (NX, XX, GT, LT), Incr, IncrIf
//	one member Score, Scores, Rank, RevRank, RankWithScore, RevRankWithScore
//	ranges     Range, RevRange, Top (by rank), RangeByScore, RangeByLex
//	counts     Card, Count, LexCount
//	everything All (iterates)
//	take out   PopMin, PopMax, BPopMin, BPopMax (wait for a member)
//	remove     Remove, RemoveByRank, RemoveByScore, RemoveByLex, Delete
//	many sets  Union, Inter, Diff, UnionStore, InterStore, DiffStore
//
// Members of equal score are in the order of their bytes. A score is a float64: every whole number up to 2⁵³ is
// exact, infinities are scores, NaN is not. Scores come back as precisely as they were written.
//
// # Members and codecs
//
// A member is what Config.Codec makes of an M, and two members are the same if their encodings are. So the codec
// has to be deterministic: the same value must always give the same bytes. The default is: strings and byte
// slices as they are, and JSON for everything else, with map keys sorted. A struct that gains a field becomes
// another member. Ranges by lex compare encodings, so they are for strings.
//
// # TTL
//
// Every call that writes sets the key's TTL to Config.TTL anew, at the same moment as it writes, in one round
// trip. A call that finds nothing to do (a condition not met, nobody to remove, an empty set to pop from) leaves
// the TTL alone, and so do BPopMin and BPopMax. With rediskit.NoTTL no call touches the TTL, except that a Store
// call replaces its destination together with its TTL.
//
// # Errors, and calls repeated
//
// Errors are [*rediskit.OpError] with the method's name and the key. A member or key that is not there is no
// error. Arguments are checked before anything is sent. Members that the codec cannot read are in a [*DecodeError],
// and the others come with it. Without a deadline in ctx a call ends after about twice
// the client's CommandTimeout.
//
// The client repeats a call whose reply was lost if it only reads, and the writing calls that do the same when
// done twice: Add, and UnionStore, InterStore and DiffStore unless the destination is among the sources. Of an Add
// that was repeated, the reported number counts only what the last attempt added. No other call is repeated: when
// its reply is lost, the error is one for which [rediskit.MayHaveApplied] is true. You may repeat AddIf, Remove,
// RemoveByScore and RemoveByLex yourself, if it is the effect that matters and not the number; but not Incr,
// RemoveByRank or a pop.
//
// # Waiting for members
//
// [Set.BPopMin] and [Set.BPopMax] wait on connections of their own and lose no member to a context that ends:
// if the server has already taken one off, it is returned. What they can lose is the member whose reply a broken
// connection cuts off, as can PopMin and PopMax; no pop of a sorted set can be made safe against that. Where a
// lost member is too much, read with [Set.Range], work, and [Set.Remove] then; or use a queue.
//
// # Limits
//
// The keys of one call must share a slot on a cluster: see keys.Builder.Tagged. At most 1,000,000 arguments go
// into one call (500,000 entries), and at most 3,000 sets into one Store call. Reading calls hold their whole
// result in memory; use a [Page] or [Set.All].
//
// The embedded server has no ZDIFF and ZDIFFSTORE, its ZINTER sorts by member, and it ignores GT and LT in IncrIf.
package zset
