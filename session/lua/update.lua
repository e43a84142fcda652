-- Changes fields of a session that is there. Its TTL stays as it is.
--
-- KEYS[1]  the session
-- ARGV[1]  the SHA-256 of the secret
-- ARGV[2]  the version that the change is to, or '' for any
-- ARGV[3]  n, how many of the arguments that follow are field, value, field, value ...
-- the rest fields to remove
--
-- Reply: the new version; 0 if the version is another, -1 if there is no session of that secret. Then nothing changed.

local key = KEYS[1]
if holder(key, ARGV[1]) == 0 then return -1 end
if ARGV[2] ~= '' and call('HGET', key, ':v') ~= ARGV[2] then return 0 end
local last = 3 + ARGV[3]
if last > 3 then call('HSET', key, unpack(ARGV, 4, last)) end
if last < #ARGV then call('HDEL', key, unpack(ARGV, last + 1)) end
return call('HINCRBY', key, ':v', 1)
