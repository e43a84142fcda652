package script

// command is what a batch has to know of a Redis command.
type command struct {
	typ    string // the type of its key as TYPE names it; "" for any
	writes bool
	alone  bool // whatever follows the key would be further keys
}

// commandOf knows the commands that are about one key, their first argument, and that a script may call. New
// ones cost nothing but a row, but only those that every supported server has keep a batch from failing
// half-way.
func commandOf(name string) (command, bool) {
	switch name {
	case "EXISTS":
		return command{alone: true}, true
	case "DEL", "UNLINK":
		return command{writes: true, alone: true}, true
	case "TYPE", "TTL", "PTTL", "DUMP":
		return command{}, true
	case "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "PERSIST":
		return command{writes: true}, true

	case "GET", "STRLEN", "GETRANGE", "GETBIT", "BITCOUNT", "BITPOS", "BITFIELD_RO":
		return command{typ: "string"}, true
	case "SET", "SETNX", "SETEX", "PSETEX", "GETSET", "GETDEL", "GETEX", "APPEND", "SETRANGE", "SETBIT",
		"BITFIELD", "INCR", "INCRBY", "INCRBYFLOAT", "DECR", "DECRBY":
		return command{typ: "string", writes: true}, true

	case "HGET", "HMGET", "HGETALL", "HEXISTS", "HLEN", "HKEYS", "HVALS", "HSTRLEN", "HRANDFIELD", "HSCAN":
		return command{typ: "hash"}, true
	case "HSET", "HSETNX", "HDEL", "HINCRBY", "HINCRBYFLOAT":
		return command{typ: "hash", writes: true}, true

	case "LRANGE", "LLEN", "LINDEX", "LPOS":
		return command{typ: "list"}, true
	case "LPUSH", "RPUSH", "LPUSHX", "RPUSHX", "LPOP", "RPOP", "LSET", "LINSERT", "LREM", "LTRIM":
		return command{typ: "list", writes: true}, true

	case "SISMEMBER", "SMISMEMBER", "SMEMBERS", "SCARD", "SRANDMEMBER", "SSCAN":
		return command{typ: "set"}, true
	case "SADD", "SREM", "SPOP":
		return command{typ: "set", writes: true}, true

	case "ZSCORE", "ZMSCORE", "ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE",
		"ZREVRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZRANK", "ZREVRANK", "ZRANDMEMBER", "ZSCAN",
		"GEOPOS", "GEODIST", "GEOHASH", "GEOSEARCH":
		return command{typ: "zset"}, true
	case "ZADD", "ZINCRBY", "ZREM", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZREMRANGEBYLEX", "ZPOPMIN",
		"ZPOPMAX", "GEOADD":
		return command{typ: "zset", writes: true}, true

	case "XLEN", "XRANGE", "XREVRANGE", "XPENDING":
		return command{typ: "stream"}, true
	case "XADD", "XTRIM", "XDEL", "XACK", "XCLAIM", "XAUTOCLAIM":
		return command{typ: "stream", writes: true}, true
	}
	return command{}, false
}
