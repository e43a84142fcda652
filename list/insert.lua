-- Inserts an element beside another and makes the list live for another TTL.
-- KEYS  1 the list
-- ARGV  1 BEFORE or AFTER; 2 the element to find; 3 the element to insert; 4 TTL in ms
-- Reply the length afterwards; -1 if the element was not found, 0 if the list does not exist
-- Once: running it again inserts again.
local n = redis.call('LINSERT', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if n > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return n
