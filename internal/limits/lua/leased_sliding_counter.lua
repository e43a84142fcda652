-- The sliding counter by the batch: "index current previous epoch", the first three as in sliding_counter.lua. Leases end with
-- the window, and are named by its index and the epoch, which is when the state was made.
-- ARGV[4]: n, ARGV[5]: the window.
local n, window = ARGV[4] + 0, ARGV[5] + 0

local index, at = math.floor(now / window), now
local v = call('GET', key)
local stored, current, previous, epoch = index, 0, 0, now
if v then
  stored, current, previous, epoch = string.match(v, '^(%d+) (%d+) (%d+) (%d+)$')
  if not stored then foreign(key) end
  stored, current, previous, epoch = stored + 0, current + 0, previous + 0, epoch + 0
end

local returned = false
returns(function(of, name, unused)
  if name ~= epoch or unused <= 0 then return end
  if of == stored then
    current, returned = math.max(current - unused, 0), true
  elseif of == stored - 1 then
    previous, returned = math.max(previous - unused, 0), true
  end
end)

if stored > index then -- time does not run backwards
  index, at = stored, stored * window
elseif stored == index - 1 then
  previous = current -- in two steps: the Lua of the embedded server forgets current in one
  current = 0
elseif stored < index then
  current, previous = 0, 0
end

-- Of the window before counts the part that is inside the last one of its length, rounded up.
local rest = (index + 1) * window - at
local us, rem = times(previous, math.floor(rest / window), rest % window, window)
if rem > 0 then us = us + 1 end
local given = fits(n - current - us)
current = current + given
if given > 0 or returned and current + previous > 0 then
  call('SET', key, int(index) .. ' ' .. int(current) .. ' ' .. int(previous) .. ' ' .. int(epoch),
    'PX', millis((index + 2) * window - now))
elseif returned then
  call('DEL', key)
elseif v then
  lasts((index + 2) * window - now)
end
return {given > 0 and 1 or 0, now, current, previous, index, given, math.min(lease, rest), index, epoch}
