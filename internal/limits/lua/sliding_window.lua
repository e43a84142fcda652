-- The exact sliding window: a LIST of the times of the hits, oldest first. A hit of cost c is c equal times;
-- hits of different calls have different times. A block is a first element of minus its end.
-- ARGV: cost, n, window, -, -, penalty.

local function check(key, o)
  local cost, n, window = ARGV[o + 1] + 0, ARGV[o + 2] + 0, ARGV[o + 3] + 0
  local len = call('LLEN', key)
  if len == 0 then return 1, now, 0, 0, 0, 0 end
  local first = call('LINDEX', key, 0) + 0
  local drop, blocked = 0, 0
  if first < 0 then
    drop, blocked = 1, math.max(-first - now, 0)
    if len == 1 then
      if blocked > 0 then return -blocked, now, 0, 0, 0 end
      return 1, now, 0, 0, 0, 1
    end
    first = call('LINDEX', key, 1) + 0
  end
  local last = call('LINDEX', key, -1) + 0
  local at = now
  if at < last then at = last end -- time does not run backwards
  if first <= at - window then
    -- Find the first hit inside the window: in steps that double, then by halves.
    local edge, low, step = at - window, drop, 1
    while low + step < len and call('LINDEX', key, low + step) + 0 <= edge do
      low = low + step
      step = step * 2
    end
    local high = math.min(low + step, len)
    while high - low > 1 do
      local mid = math.floor((low + high) / 2)
      if call('LINDEX', key, mid) + 0 <= edge then low = mid else high = mid end
    end
    drop = high
  end
  local live = len - drop
  if live + cost <= n then
    if blocked > 0 then return -blocked, now, live, last, 0 end
    return 1, at, live, last, 0, drop
  end
  -- It fits when the one has left that leaves n - cost behind it.
  return -blocked, now, live, last, call('LINDEX', key, drop + live + cost - n - 1) + 0
end

local function take(key, o, at, live, last, _, drop)
  local cost, window = ARGV[o + 1] + 0, ARGV[o + 3] + 0
  if at <= last then at = last + 1 end
  if drop > 0 then call('LTRIM', key, drop, -1) end
  local stamp = int(at)
  if cost == 1 then
    call('RPUSH', key, stamp)
  else
    local chunk = {}
    for i = 1, math.min(cost, 1000) do chunk[i] = stamp end
    for i = 1, math.floor(cost / 1000) do call('RPUSH', key, unpack(chunk)) end
    if cost % 1000 > 0 then call('RPUSH', key, unpack(chunk, 1, cost % 1000)) end
  end
  call('PEXPIRE', key, millis(at + window - now))
  return now, live + cost, at, 0
end

local function block(key, until_)
  local first = call('LINDEX', key, 0)
  if first and first + 0 < 0 then
    call('LSET', key, 0, int(-until_))
  else
    call('LPUSH', key, int(-until_))
  end
  if call('PTTL', key) < (until_ - now) / 1000 + 1 then call('PEXPIRE', key, millis(until_ - now)) end
end
