-- Removes fields, and gives what is left of the hash its TTL anew if there were any.
--
-- KEYS[1]   the hash
-- ARGV[1]   the TTL in milliseconds
-- ARGV[2..] the fields; there may be any number of them
--
-- Reply: how many fields were there. With none of them, nothing changed.

local removed, step = 0, 1000
for i = 2, #ARGV, step do
  removed = removed + redis.call('HDEL', KEYS[1], unpack(ARGV, i, math.min(i + step - 1, #ARGV)))
end
if removed > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return removed
