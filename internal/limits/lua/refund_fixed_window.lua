-- ARGV: see refund.lua; the numbers of the call are its count and the end of its window.
local function refund(body, until_)
  local count, ends = string.match(body, '^(%d+) (%d+)$')
  if not count or ends + 0 ~= ARGV[7] + 0 or not once(ends - now) then return 0 end
  return put(int(math.max(count - ARGV[1], 0)) .. ' ' .. ends, until_)
end

local v = call('GET', KEYS[1])
if not v then return 0 end
return refund(unblock(v))
