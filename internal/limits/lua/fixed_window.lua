-- The fixed window: "count end", from the first hit on.
-- ARGV: cost, n, window, -, -, penalty.

local function check(key, o)
  local cost, n = ARGV[o + 1] + 0, ARGV[o + 2] + 0
  local v = call('GET', key)
  if not v then return 1, now, 0, now + ARGV[o + 3], 0 end
  local count, ends = string.match(v, '^(%d+) (%d+)$')
  local blocked = 0
  if not count then
    local body, until_ = unblock(v)
    blocked = math.max(until_ - now, 0)
    count, ends = string.match(body, '^(%d+) (%d+)$')
    if not count and string.find(body, '^%d+$') then -- a bare counter, as of INCR: its window ends with its TTL
      local ttl = call('PTTL', key)
      count, ends = body, now + (ttl > 0 and ttl * 1000 or ARGV[o + 3])
    elseif not count and body ~= '' then
      foreign(key)
    end
  end
  count, ends = (count or 0) + 0, (ends or 0) + 0
  if ends <= now then count, ends = 0, now + ARGV[o + 3] end
  if blocked == 0 and count + cost <= n then return 1, now, count, ends, 0 end
  return -blocked, now, count, ends, 0
end

local function take(key, o, at, count, ends)
  count = count + ARGV[o + 1]
  call('SET', key, int(count) .. ' ' .. int(ends), 'PX', millis(ends - now))
  return at, count, ends, 0
end
