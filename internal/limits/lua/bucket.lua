-- ARGV: cost's us and rem, full's us and rem, per, penalty.

local function check(key, o, ahead)
  local per = ARGV[o + 5] + 0
  local us, rem, moves, total, until_, blocked = 0, 0, '', 0, 0, 0
  local v = call('GET', key)
  if v then
    local body
    body, blocked = unblock(v)
    blocked = math.max(blocked - now, 0)
    us, rem, moves = read(key, body, per)
    total, until_ = moved(us, moves)
    if total == 0 then moves = '' end
  end
  local debt = us - now
  if debt < 0 then debt, rem = 0, 0 end
  us = debt + ARGV[o + 1]
  local r = rem + ARGV[o + 2]
  if r >= per then us, r = us + 1, r - per end
  local full = ARGV[o + 3] + (ahead or 0)
  if blocked > 0 or us > full or us == full and r > ARGV[o + 4] + 0 then
    return -blocked, now, debt, rem, total, math.max(debt, until_ - now)
  end
  return 1, now, us, r, total, moves
end

local function take(key, o, at, us, rem, total, moves)
  local v, last = int(at + us), us + 1
  if rem > 0 or moves ~= '' then v = v .. ' ' .. int(rem) .. ' ' .. ARGV[o + 5] .. moves end
  if moves ~= '' then
    local _, until_ = moved(at + us, moves)
    last = math.max(last, until_ - now)
  end
  call('SET', key, v, 'PX', millis(last))
  return at, us, rem, total
end
