-- The exact sliding window: a LIST of the times of the hits, oldest first. A hit of cost c is c equal times;
-- hits of different calls have different times. A block is a first element of minus its end.
-- ARGV: cost, n, window, -, -, penalty.

local function element(key, i) return tonumber(call('LINDEX', key, i)) or foreign(key) end

local function check(key, o)
  local cost, n, window = ARGV[o + 1] + 0, ARGV[o + 2] + 0, ARGV[o + 3] + 0
  local len = call('LLEN', key)
  if len == 0 then return 1, now, 0, 0, 0, 0 end
  local first, drop, blocked = element(key, 0), 0, 0
  if first < 0 then
    drop, blocked = 1, math.max(-first - now, 0)
    if len > 1 then first = element(key, 1) end
  end
  -- All before the edge have left. If the clock is behind the last hit, that counts, as all inside do.
  local edge = now - window
  if drop < len and first <= edge then
    -- Find the first hit inside the window: in steps that double, then by halves.
    local low, step = drop, 1
    while low + step < len and element(key, low + step) <= edge do
      low = low + step
      step = step * 2
    end
    local high = math.min(low + step, len)
    while high - low > 1 do
      local mid = math.floor((low + high) / 2)
      if element(key, mid) <= edge then low = mid else high = mid end
    end
    drop = high
  end
  local live, last = len - drop, 0
  if live > 0 then last = element(key, -1) end
  if live + cost <= n then
    if blocked > 0 then return -blocked, now, live, last, 0 end
    return 1, now, live, last, 0, drop
  end
  -- It fits when the one has left that leaves n - cost behind it.
  return -blocked, now, live, last, element(key, drop + live + cost - n - 1)
end

local function take(key, o, at, live, last, _, drop)
  local cost, window = ARGV[o + 1] + 0, ARGV[o + 3] + 0
  local stamp = math.max(at, last + 1)
  if drop > 0 then call('LTRIM', key, drop, -1) end
  local text = int(stamp)
  if cost == 1 then
    call('RPUSH', key, text)
  else
    local chunk = {}
    for i = 1, math.min(cost, 1000) do chunk[i] = text end
    for _ = 1, math.floor(cost / 1000) do call('RPUSH', key, unpack(chunk)) end
    if cost % 1000 > 0 then call('RPUSH', key, unpack(chunk, 1, cost % 1000)) end
  end
  call('PEXPIRE', key, millis(stamp + window - now))
  return at, live + cost, stamp, 0
end

local function block(key, until_)
  local first = call('LINDEX', key, 0)
  if first and (tonumber(first) or foreign(key)) < 0 then
    call('LSET', key, 0, int(-until_))
  else
    call('LPUSH', key, int(-until_))
  end
  if call('PTTL', key) < (until_ - now) / 1000 + 1 then call('PEXPIRE', key, millis(until_ - now)) end
end
