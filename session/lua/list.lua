-- Reads a user's sessions.
--
-- KEYS[1]  the user's index
-- ARGV[1]  'list' or 'count'
--
-- Reply: ref, entry, ref, entry ... of those that have not expired, in no order; or how many there are.

local reply = {}
local all = call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local _, _, ends = read(all[i + 1])
  if ends and ends > now then
    reply[#reply + 1] = all[i]
    reply[#reply + 1] = all[i + 1]
  end
end
if ARGV[1] == 'count' then return #reply / 2 end
return reply
