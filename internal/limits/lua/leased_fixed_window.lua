-- The fixed window by the batch: "count end", from the first batch on. Leases end with the window, whose end is their name.
-- ARGV[4]: n, ARGV[5]: the window.
local n, window = ARGV[4] + 0, ARGV[5] + 0

local v = call('GET', key)
local count, ends = 0, 0
if v then
  count, ends = string.match(v, '^(%d+) (%d+)$')
  if not count then foreign(key) end
  count, ends = count + 0, ends + 0
end

local returned = false
returns(function(name, _, unused)
  if name == ends and ends > now and unused > 0 then
    count, returned = math.max(count - unused, 0), true
  end
end)
if count == 0 or ends <= now then count, ends = 0, now + window end

local given = fits(n - count)
count = count + given
if given > 0 or returned and count > 0 then
  call('SET', key, int(count) .. ' ' .. int(ends), 'PX', millis(ends - now))
elseif returned then
  call('DEL', key)
elseif v then
  lasts(ends - now)
end
return {given > 0 and 1 or 0, now, count, ends, 0, given, math.min(lease, ends - now), ends, 0}
