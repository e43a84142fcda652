-- Runs one command that makes a sorted set out of others, and gives the new set its TTL.
--
-- KEYS[1]   the new set; it is replaced, or deleted if the result is empty
-- KEYS[2..] the sets it is made of
-- ARGV[1]   the TTL in milliseconds
-- ARGV[2]   the command
-- ARGV[3]   "1" if the command wants the number of its sources before them
-- ARGV[4..] its options
--
-- Reply: the number of members of the new set.

local args = {KEYS[1]}
if ARGV[3] == '1' then
  args[2] = #KEYS - 1
end
for i = 2, #KEYS do
  args[#args + 1] = KEYS[i]
end
for i = 4, #ARGV do
  args[#args + 1] = ARGV[i]
end
local n = redis.pcall(ARGV[2], unpack(args))
if type(n) == 'table' then
  return n
end
if n > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return n
