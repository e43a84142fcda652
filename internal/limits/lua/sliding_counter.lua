-- The sliding counter: "index current previous", index being that of the current window since 1970.
-- ARGV: cost, n, window, -, -, penalty.

-- over compares a * b > c * d exactly for a, c <= 2^30 and b, d < 2^45.
local function over(a, b, c, d)
  local x, y = a * b, c * d
  if x < 9007199254740992 and y < 9007199254740992 then return x > y end
  local limb = 4194304
  local bl, dl = b % limb, d % limb
  local xl, yl = a * bl, c * dl
  local xh, yh = a * ((b - bl) / limb) + math.floor(xl / limb), c * ((d - dl) / limb) + math.floor(yl / limb)
  if xh ~= yh then return xh > yh end
  return xl % limb > yl % limb
end

local function check(key, o)
  local cost, n, window = ARGV[o + 1] + 0, ARGV[o + 2] + 0, ARGV[o + 3] + 0
  local index, at = math.floor(now / window), now
  local v = call('GET', key)
  if not v then return 1, now, 0, 0, index end
  local stored, current, previous = string.match(v, '^(%d+) (%d+) (%d+)$')
  local blocked = 0
  if not stored then
    local body, until_ = unblock(v)
    blocked = math.max(until_ - now, 0)
    stored, current, previous = string.match(body, '^(%d+) (%d+) (%d+)$')
    if not stored and body ~= '' then foreign(key) end
  end
  stored, current, previous = (stored or 0) + 0, (current or 0) + 0, (previous or 0) + 0
  if stored > index then -- time does not run backwards
    index, at = stored, stored * window
  elseif stored == index - 1 then
    previous = current -- in two steps: the Lua of the embedded server forgets current in one
    current = 0
  elseif stored < index then
    current, previous = 0, 0
  end
  local elapsed = at - index * window
  local free = n - current - cost
  if blocked > 0 or free < 0 or over(previous, window - elapsed, free, window) then
    return -blocked, now, current, previous, index
  end
  return 1, now, current, previous, index
end

local function take(key, o, at, current, previous, index)
  current = current + ARGV[o + 1]
  call('SET', key, int(index) .. ' ' .. int(current) .. ' ' .. int(previous), 'PX', millis((index + 2) * ARGV[o + 3] - now))
  return at, current, previous, index
end
