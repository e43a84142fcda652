-- The sliding window by the batch: a LIST of the sum of the weights of all others, and of each batch "end weight", in the order of
-- their ends, which no two share. The end is that of its lease, and its name.
-- ARGV[4]: n, ARGV[5]: the window.
local n, window = ARGV[4] + 0, ARGV[5] + 0

local function batch(i)
  local ends, weight = string.match(call('LINDEX', key, i) or '', '^(%d+) (%d+)$')
  if not ends then foreign(key) end
  return ends + 0, weight + 0
end

local len, total = call('LLEN', key), 0
if len > 0 then total = tonumber(call('LINDEX', key, 0)) or foreign(key) end

local returned = false
returns(function(name, _, unused)
  local low, high = 1, len
  while low < high do
    local mid = math.floor((low + high) / 2)
    if batch(mid) < name then low = mid + 1 else high = mid end
  end
  if low >= len then return end
  local ends, weight = batch(low)
  unused = math.min(unused, weight)
  if ends ~= name or unused <= 0 then return end
  if unused < weight then
    call('LSET', key, low, int(ends) .. ' ' .. int(weight - unused))
  else
    call('LREM', key, -1, int(ends) .. ' ' .. int(weight))
    len = len - 1
  end
  total, returned = total - unused, true
end)

-- What has left the window is dropped, but no more of it at a time than it takes, beyond a thousand batches.
local free, drop, last = n - total, 0, 0
if len > 1 then
  last = batch(len - 1)
  if last <= now - window then
    free, drop = n, len - 1
  else
    while free < want and (free < need or drop < 1000) do
      local ends, weight = batch(drop + 1)
      if ends > now - window then break end
      free, drop = free + weight, drop + 1
    end
  end
end

local given, taken = fits(free), n - free
if given > 0 then last = math.max(now + lease, last + 1) end

-- If that was not all that was wanted, when is there what is needed again?
local leaves = 0
if given < want then
  local missing, i = need - free + given, drop
  repeat
    i = i + 1
    if i >= len then
      leaves, missing = last, 0
    else
      local ends, weight = batch(i)
      leaves, missing = ends, missing - weight
    end
  until missing <= 0
end

if given > 0 then
  if len == 0 then
    call('RPUSH', key, int(given))
  else
    if drop > 0 then call('LTRIM', key, drop, -1) end
    call('LSET', key, 0, int(taken + given))
  end
  call('RPUSH', key, int(last) .. ' ' .. int(given))
  call('PEXPIRE', key, millis(last + window - now))
elseif returned and len == 1 then
  call('DEL', key)
elseif len > 0 then
  if returned then call('LSET', key, 0, int(total)) end
  lasts(last + window - now)
end
return {given > 0 and 1 or 0, now, taken + given, last, leaves, given, lease, last, 0}
