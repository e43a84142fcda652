-- Moves an element and makes the destination live for another TTL.
-- KEYS  1 the source; 2 the destination, which may be the source
-- ARGV  1 LEFT or RIGHT of the source; 2 LEFT or RIGHT of the destination; 3 TTL in ms
-- Reply the element; nil if the source is empty
-- Once: running it again moves another element.
local v = redis.call('LMOVE', KEYS[1], KEYS[2], ARGV[1], ARGV[2])
if v then
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return v
