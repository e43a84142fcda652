local cost = ARGV[o + 1] + 0
local stamp = math.max(at, b + 1)
if d > 0 then call('LTRIM', key, int(d), '-1') end
local text = int(stamp)
if cost == 1 then
  call('RPUSH', key, text)
else
  local chunk = {}
  for i = 1, math.min(cost, 1000) do chunk[i] = text end
  for _ = 1, math.floor(cost / 1000) do call('RPUSH', key, unpack(chunk)) end
  if cost % 1000 > 0 then call('RPUSH', key, unpack(chunk, 1, cost % 1000)) end
end
call('PEXPIRE', key, millis(stamp + ARGV[o + 3] - now))
a, b = a + cost, stamp
