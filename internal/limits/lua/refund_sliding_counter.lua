-- ARGV: see refund.lua; the numbers of the call are the two counts and the index of its window.
local function refund(body, until_)
  local index, current, previous = string.match(body, '^(%d+) (%d+) (%d+)$')
  local of = ARGV[8] + 0
  if not index or index - of < 0 or index - of > 1 or not once((of + 2) * ARGV[5] - now) then return 0 end
  if index + 0 == of then
    current = int(math.max(current - ARGV[1], 0))
  else
    previous = int(math.max(previous - ARGV[1], 0))
  end
  return put(index .. ' ' .. current .. ' ' .. previous, until_)
end

local v = call('GET', KEYS[1])
if not v then return 0 end
return refund(unblock(v))
