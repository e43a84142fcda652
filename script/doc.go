// Package script runs Lua scripts on Redis, where they are atomic: nobody else's command runs in between.
//
//	var take = script.New(`
//		local left = tonumber(redis.call('GET', KEYS[1]) or '0')
//		if left < tonumber(ARGV[1]) then
//			return redis.error_reply('SOLDOUT ' .. left .. ' left')
//		end
//		return redis.call('DECRBY', KEYS[1], ARGV[1])
//	`, script.Once)
//
//	left, err := script.Run[int64](ctx, client, take, []string{key}, 2)
//	if script.Code(err) == "SOLDOUT" {
//
// # Map
//
//   - [New] makes a [Script] of Lua source, once, as a package's variable. [Once] or [Idempotent] says whether
//     it may be repeated after a lost reply.
//   - [Run] runs it with typed arguments and a decoded reply. [Args], [Decode] and [Code] are its parts.
//   - [Script.Exec] and [Script.ExecMulti] run it with strings and give the raw result; rediskit's own packages
//     stand on them.
//   - [Script.Load] sends it to every master at start-up.
//   - [Batch] applies a list of simple operations on keys of one slot together, with conditions, without a
//     script of one's own. [Op] adds any other command about one key.
//
// # Guarantees
//
//   - One round trip: EVALSHA. A server that does not know the script, because it is new, was restarted, or
//     got SCRIPT FLUSH, gets the source with EVAL and a second one.
//   - A Once script is never sent again after its reply was lost: rediskit.MayHaveApplied reports true then. An
//     Idempotent one is, under the rules of [rediskit.Client.Do].
//   - Keys of different slots of a cluster are an error wrapping rediskit.ErrCrossSlot, and nothing is sent.
//   - A nil reply is never an error of its own nor a zero value in disguise: see [Run].
//   - Mistakes in arguments are found before anything is sent. No error shows a value or an argument.
//
// # Limits
//
//   - Redis takes nothing back. A script that fails half-way keeps its earlier writes. Check first, write then.
//   - While a script runs its server does nothing else. Keep it to what must be atomic.
//   - A script may use the keys it is given in KEYS and no others, or a cluster refuses it or, worse, does not.
//   - A slot that moves from one node of a cluster to another refuses a script with several keys (TRYAGAIN) if
//     one of them is missing. It is repeated until Config.CommandTimeout.
//   - Errors that begin with READONLY, LOADING, CLUSTERDOWN, MASTERDOWN, TRYAGAIN, UNBLOCKED, NOSCRIPT, MOVED or
//     ASK are the server's, upon which the client runs the script again, elsewhere perhaps. Let no error of a
//     script begin with these letters.
//   - A failover can lose what a script wrote, as it can lose any write.
//
// # Writing scripts
//
// For servers from Redis 6.2 and for the embedded one: no shebang line, no functions (FUNCTION), none of the
// libraries struct, cmsgpack and bit. Name every table of KEYS, ARGV and replies at the top of the file.
//
// Integers. Replies cut a fraction off: return floats as strings. Lua's numbers are float64; tostring keeps 14
// digits of them. A large integer is exact up to 2^53 and only if it is formatted so:
//
//	return string.format('%.0f', n)
//
// Lists. A table that is returned ends before its first nil: put false in its place, which replies nil. unpack
// fails at about 8,000 values (5,000 on the embedded server), so long lists go in pieces:
//
//	for i = 1, #ARGV, 1000 do
//		redis.call('RPUSH', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV)))
//	end
//
// Time. What several processes must agree on is the server's time. Before Redis 7.0 a script may write after
// it asked for the time only if its writes are replicated one by one, which is the default and can be turned
// off in the configuration. The call below turns it on; later versions do nothing else:
//
//	if redis.replicate_commands then redis.replicate_commands() end
//	local t = redis.call('TIME')
//	local now = t[1] * 1000000 + t[2] -- microseconds, as Args writes a time.Time
//
// Epoch microseconds fit Lua's numbers, nanoseconds do not.
//
// Errors. redis.call raises an error of the command and ends the script; redis.pcall returns it as a table with
// the field err, which the script may look at and return. An error of the script's own has a code in capitals,
// for [Code]:
//
//	return redis.error_reply('SOLDOUT no seat is left')
package script
