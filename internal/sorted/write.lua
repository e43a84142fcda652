-- Runs one command that writes to a sorted set, and gives the set its TTL anew.
--
-- KEYS[1]       the set
-- ARGV[1]       the TTL in milliseconds
-- ARGV[2]       "always", or "changed": leave the TTL alone if the command did nothing
-- ARGV[3]       n, how many options there are
-- ARGV[4]       the command
-- ARGV[5..4+n]  its options
-- the rest      its items (members with scores or coordinates); there may be any number of them
--
-- Reply: the command's own, or the sum of several if the items did not fit into one, because unpack() does
-- not take more than about 8000. All of it happens at one moment, for every reader. A set that the command
-- left empty is gone and gets no TTL.

local PART = 6000 -- divisible by 1, 2 and 3, the strings that an item is made of

local first = 5 + tonumber(ARGV[3]) -- of the items
local reply
if #ARGV - 4 <= PART then
  reply = redis.pcall(ARGV[4], KEYS[1], unpack(ARGV, 5))
else
  reply = 0
  for from = first, #ARGV, PART do
    local args = {}
    for i = 5, first - 1 do
      args[#args + 1] = ARGV[i]
    end
    for i = from, math.min(from + PART - 1, #ARGV) do
      args[#args + 1] = ARGV[i]
    end
    local n = redis.pcall(ARGV[4], KEYS[1], unpack(args))
    if type(n) == 'table' then
      return n
    end
    reply = reply + n
  end
end

local nothing = reply == 0 or reply == false
if type(reply) == 'table' then
  if reply.err then
    return reply
  end
  nothing = #reply == 0
end
if ARGV[2] == 'always' or not nothing then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return reply
