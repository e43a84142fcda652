-- Adds to a number in a field, and gives the hash its TTL anew.
--
-- KEYS[1]  the hash
-- ARGV[1]  the TTL in milliseconds
-- ARGV[2]  HINCRBY or HINCRBYFLOAT
-- ARGV[3]  the field
-- ARGV[4]  what to add
--
-- Reply: the new number as a string, because a number in Lua keeps 53 bits only. If the command fails, its
-- error is the reply, and nothing changed.

redis.call(ARGV[2], KEYS[1], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HGET', KEYS[1], ARGV[3])
