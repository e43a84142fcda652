-- Replaces the element at an index and makes the list live for another TTL.
-- KEYS  1 the list
-- ARGV  1 the index, which may be negative; 2 the element; 3 TTL in ms
-- Reply 1, or 0 if there is no such element
-- Once: if somebody has pushed in between, running it again replaces another element.
local n, i = redis.call('LLEN', KEYS[1]), tonumber(ARGV[1])
if i >= n or i < -n then
  return 0
end
redis.call('LSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
