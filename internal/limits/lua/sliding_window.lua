-- The exact sliding window: a LIST of the times of the hits, oldest first. A hit of cost c is c equal times;
-- hits of different calls have different times. A block is a first element of minus its end.
--
-- The embedded server lets a key expire in the middle of a script: a hit that is gone has left.
-- ARGV: cost, n, window, -, -, penalty.
local cost, n, window = ARGV[o + 1] + 0, ARGV[o + 2] + 0, ARGV[o + 3] + 0
local len, drop, blocked, last = call('LLEN', key), 0, 0, 0
if len > 0 then
  local first = tonumber(call('LINDEX', key, '0') or 0) or foreign(key)
  if first < 0 then
    drop, blocked = 1, math.max(-first - now, 0)
    if len > 1 then first = tonumber(call('LINDEX', key, '1') or 0) or foreign(key) end
  end
  -- All before the edge have left. If the clock is behind the last hit, that counts, as all inside do.
  local edge = now - window
  if drop < len and first <= edge then
    -- Find the first hit inside the window: in steps that double, then by halves.
    local function left(i) return (tonumber(call('LINDEX', key, int(i)) or 0) or foreign(key)) <= edge end
    local low, step = drop, 1
    while low + step < len and left(low + step) do
      low = low + step
      step = step * 2
    end
    local high = math.min(low + step, len)
    while high - low > 1 do
      local mid = math.floor((low + high) / 2)
      if left(mid) then low = mid else high = mid end
    end
    drop = high
  end
  if drop < len then last = tonumber(call('LINDEX', key, '-1') or 0) or foreign(key) end
end
local live = len - drop
verdict, at, a, b, c, d = 1, now, live, last, 0, drop
if live + cost > n then
  -- It fits when the one has left that leaves n - cost behind it.
  verdict, c, d = -blocked, tonumber(call('LINDEX', key, int(drop + live + cost - n - 1)) or 0) or foreign(key), window
elseif blocked > 0 then
  verdict, d = -blocked, window
end
