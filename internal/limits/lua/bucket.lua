-- Token bucket and GCRA: the time at which the bucket is full again (the theoretical arrival time of GCRA),
-- "us" or "us rem per": rem/per of a microsecond more.
-- ARGV: cost's us and rem, full's us and rem, per, penalty.

local function check(key, o, ahead)
  local per = ARGV[o + 5] + 0
  local us, rem, blocked = 0, 0, 0
  local v = call('GET', key)
  if v then
    us = tonumber(v)
    if not us then
      local body, until_ = unblock(v)
      blocked = math.max(until_ - now, 0)
      local stored
      us, rem, stored = string.match(body, '^(%d+) (%d+) (%d+)$')
      if not us then
        us, rem, stored = string.match(body, '^%d+$'), 0, per
        if not us and body ~= '' then foreign(key) end
      end
      us, rem = (us or 0) + 0, rem + 0
      if stored + 0 ~= per and rem > 0 then us, rem = us + 1, 0 end -- another rate: round up, once
    end
  end
  local debt = us - now
  if debt < 0 then debt, rem = 0, 0 end
  us = debt + ARGV[o + 1]
  local r = rem + ARGV[o + 2]
  if r >= per then us, r = us + 1, r - per end
  local full = ARGV[o + 3] + (ahead or 0)
  if blocked > 0 or us > full or us == full and r > ARGV[o + 4] + 0 then return -blocked, now, debt, rem, 0, debt end
  return 1, now, us, r, 0
end

local function take(key, o, at, us, rem)
  local v = int(at + us)
  if rem > 0 then v = v .. ' ' .. int(rem) .. ' ' .. ARGV[o + 5] end
  call('SET', key, v, 'PX', millis(us + 1))
  return at, us, rem, 0
end
