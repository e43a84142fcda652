-- ARGV: see refund.lua; the numbers of the call are the debt after it, us and rem, and the total at that time.
--
-- A bucket is a queue that is served without a pause: a call owns the stretch of its cost that ended where the
-- debt ended after it, and gets back what is left of it. What has passed of it is gone: giving it back would
-- let more through than if the call had never been. While others wait for their reservations behind it, they
-- keep the times they were told, and only what exceeds theirs comes back.
--
-- What comes back moves all that is behind it, which their calls do not know. So the state keeps how far that
-- is in total, and where it was: the place of a call is its end, had nothing ever been moved. There are at most
-- 16 such places; when two become one, calls between them get back less than they could. All is forgotten when
-- the last call has passed that was there at the time of a refund.
local function less(a, ar, b, br) return a < b or a == b and ar < br end

local function refund(body, blocked)
  local per = ARGV[5] + 0
  local us, rem, text = read(KEYS[1], body, per)
  local total, until_ = moved(us, text)
  local place = ARGV[9] + ARGV[6] + ARGV[8]
  local before, moves, at = total, {}, 1
  if total > 0 then
    for where, by in string.gmatch(string.match(text, '^ %d+ %d+(.*)$'), '(%d+) (%d+)') do
      moves[#moves + 1] = {where + 0, by + 0}
      if where + 0 > place then before, at = before - by, #moves + 1 end
    end
  end

  local function minus(a, ar, b, br)
    a, ar = a - b, ar - br
    if ar < 0 then return a - 1, ar + per end
    return a, ar
  end
  local ends, endrem = ARGV[9] + ARGV[6] - math.max(before - ARGV[8], 0), ARGV[7] + 0
  local x, xr = ARGV[1] + 0, ARGV[2] + 0
  local function most(a, ar)
    if less(a, ar, x, xr) then x, xr = a, ar end
  end
  if less(ARGV[3] + 0, ARGV[4] + 0, us - now, rem) then
    local behind, r = minus(us, rem, ends, endrem)
    most(minus(x, xr, behind, r))
  end
  most(ends - now, endrem)
  most(us - now, rem)
  if x < 0 or x == 0 and xr == 0 or not once(ARGV[9] + ARGV[6] + 1 - now) then return 0 end

  local by = x
  if xr > 0 then by = x + 1 end
  table.insert(moves, at, {place, by})
  until_ = math.max(until_, us + 1)
  us, rem = minus(us, rem, x, xr)
  while #moves > 0 and moves[#moves][1] <= now do table.remove(moves) end
  if #moves > 16 then
    local last = table.remove(moves)
    moves[16] = {last[1], moves[16][2] + last[2]}
  end
  local new = {int(us), int(rem), ARGV[5], int(total + by), int(until_)}
  for _, m in ipairs(moves) do
    new[#new + 1] = int(m[1])
    new[#new + 1] = int(m[2])
  end
  return put(table.concat(new, ' '), blocked)
end

local v = call('GET', KEYS[1])
if not v then return 0 end
return refund(unblock(v))
