-- The sliding counter: "index current previous", index being that of the current window since 1970.
-- ARGV: cost, n, window, -, -, penalty.
local cost, n, window = ARGV[o + 1] + 0, ARGV[o + 2] + 0, ARGV[o + 3] + 0
local index, time = math.floor(now / window), now
local stored, current, previous, blocked = index, 0, 0, 0
local v = call('GET', key)
if v then
  stored, current, previous = string.match(v, '^(%d+) (%d+) (%d+)$')
  if not stored then
    local body, until_ = unblock(v)
    blocked = math.max(until_ - now, 0)
    stored, current, previous = string.match(body, '^(%d+) (%d+) (%d+)$')
    if not stored then
      if body ~= '' then foreign(key) end
      stored, current, previous = index, 0, 0
    end
  end
  stored, current, previous = stored + 0, current + 0, previous + 0
  if stored > index then -- time does not run backwards
    index, time = stored, stored * window
  elseif stored == index - 1 then
    previous = current -- in two steps: the Lua of the embedded server forgets current in one
    current = 0
  elseif stored < index then
    current, previous = 0, 0
  end
end
local elapsed = time - index * window
local free = n - current - cost
verdict, at, a, b, c = 1, now, current, previous, index
if blocked > 0 or free < 0 or over(previous, window - elapsed, free, window) then verdict, d = -blocked, 2 * window end
