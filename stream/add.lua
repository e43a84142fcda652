-- Adds an entry and makes the stream live for another TTL.
-- KEYS  1 the stream
-- ARGV  1 TTL in ms; 2… what XADD takes after the key
-- Reply the entry's ID; nil if the stream does not exist and was not to be created
-- Once: running it again adds again.
local id = redis.call('XADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return id
