-- The fixed window: "count end", from the first hit on.
-- ARGV: cost, n, window, -, -, penalty.
local cost, n = ARGV[o + 1] + 0, ARGV[o + 2] + 0
local count, ends, blocked = 0, 0, 0
local v = call('GET', key)
if v then
  count, ends = string.match(v, '^(%d+) (%d+)$')
  if not count then
    local body, until_ = unblock(v)
    blocked = math.max(until_ - now, 0)
    count, ends = string.match(body, '^(%d+) (%d+)$')
    if not count and string.find(body, '^%d+$') then -- a bare counter, as of INCR: its window ends with its TTL
      local ttl = call('PTTL', key)
      count, ends = body, int(now + (ttl > 0 and ttl * 1000 or ARGV[o + 3]))
    elseif not count then
      if body ~= '' then foreign(key) end
      count, ends = 0, 0
    end
  end
end
d = ends -- as it is written
count, ends = count + 0, ends + 0
if ends <= now then
  count, ends = 0, now + ARGV[o + 3]
  d = int(ends)
end
verdict, at, a, b, c = 1, now, count, ends, 0
if blocked > 0 or count + cost > n then verdict, d = -blocked, ARGV[o + 3] end
