-- ARGV: see refund.lua; the numbers of the call are the debt, us and rem, after it.
--
-- A call owns the stretch of its cost that ends where the debt ended after it. What has passed of that stretch
-- is gone: giving it back would let more through than if the call had never been. While others wait for
-- their reservations behind it, they keep the times they were told, and only what exceeds theirs comes back.
local function less(a, ar, b, br) return a < b or a == b and ar < br end

local function refund(body, until_)
  local per = ARGV[5] + 0
  local us, rem, stored = string.match(body, '^(%d+) (%d+) (%d+)$')
  if not us then us, rem, stored = string.match(body, '^%d+$'), 0, per end
  if not us then return 0 end
  us, rem = us + 0, rem + 0
  if stored + 0 ~= per and rem > 0 then us, rem = us + 1, 0 end

  local function minus(a, ar, b, br)
    a, ar = a - b, ar - br
    if ar < 0 then return a - 1, ar + per end
    return a, ar
  end
  local ends, endrem = ARGV[9] + ARGV[6], ARGV[7] + 0
  local x, xr = ARGV[1] + 0, ARGV[2] + 0
  local function most(a, ar)
    if less(a, ar, x, xr) then x, xr = a, ar end
  end
  if less(ARGV[3] + 0, ARGV[4] + 0, us - now, rem) then
    local a, ar = minus(us, rem, ends, endrem)
    most(minus(x, xr, a, ar))
  end
  most(ends - now, endrem)
  most(us - now, rem)
  if x < 0 or x == 0 and xr == 0 or not once(ends - now + 1) then return 0 end
  us, rem = minus(us, rem, x, xr)
  local new = int(us)
  if rem > 0 then new = new .. ' ' .. int(rem) .. ' ' .. ARGV[5] end
  return put(new, until_)
end

local v = call('GET', KEYS[1])
if not v then return 0 end
return refund(unblock(v))
