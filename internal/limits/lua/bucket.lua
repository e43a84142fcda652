-- Token bucket and GCRA: see bucket_state.lua.
-- ARGV: cost's us, full's us, per, cost's rem, full's rem, penalty, and how far ahead permits may be taken.
local per = ARGV[o + 3] + 0
local us, rem, moves, total, until_, blocked = now, 0, '', 0, 0, 0
local v = call('GET', key)
if v then
  if string.find(v, '^%d+$') then
    us = v + 0
  else
    STATE
    local body
    body, blocked = unblock(v)
    blocked = math.max(blocked - now, 0)
    us, rem, moves = read(key, body, per)
    total, until_ = moved(us, moves)
    if total == 0 then moves = '' end
  end
end
local debt = us - now
if debt < 0 then debt, rem = 0, 0 end
us = debt + ARGV[o + 1]
local r = rem + (ARGV[o + 4] or 0)
if r >= per then us, r = us + 1, r - per end
verdict, at, a, b, c, d = 1, now, us, r, total, moves
local full = ARGV[o + 2] + (ARGV[o + 7] or 0)
if blocked > 0 or us > full or us == full and r > (ARGV[o + 5] or 0) + 0 then
  verdict, a, b, d = -blocked, debt, rem, math.max(ARGV[o + 2] + 1, debt, until_ - now)
end
