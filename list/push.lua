-- Pushes elements and makes the list live for another TTL.
-- KEYS  1 the list
-- ARGV  1 LPUSH, RPUSH, LPUSHX or RPUSHX; 2 TTL in ms; 3… the elements
-- Reply the length afterwards; 0 if the list does not exist and was not to be created
-- Once: running it again pushes again.
local n
for i = 3, #ARGV, 4000 do -- unpack takes about 8,000 at most
  n = redis.call(ARGV[1], KEYS[1], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
if n > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return n
