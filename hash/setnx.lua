-- Writes a field that is not there, and gives the hash its TTL anew if it did.
--
-- KEYS[1]  the hash
-- ARGV[1]  the TTL in milliseconds
-- ARGV[2]  the field
-- ARGV[3]  its value
--
-- Reply: 1, or 0 if the field was there and nothing changed.

local r = redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[3])
if r == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return r
