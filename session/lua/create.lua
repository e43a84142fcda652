-- The second of two runs that create a session and are sent together, on two keys: see create_data.lua for the first.
--
-- KEYS[1]  the user's index
-- ARGV     'admit', the ref, how many sessions a user may have, 'reject' or 'evict', idle and absolute time-out in
--          milliseconds (0 for none), the device, and the ref of a session that ends in exchange, or ''
--
-- Reply: 1 or 0, how many sessions the user has now, the time, and three lists of ref, entry, ref, entry ...: of those
-- that had expired, that were evicted, and the one that was exchanged. Of a refusal nothing stays, but the expired go.

local index, limit = KEYS[1], ARGV[3] + 0
local expired, evicted, exchanged, live = {}, {}, {}, {}
local latest = 0
local all = call('HGETALL', index)
for i = 1, #all, 2 do
  local created, seen, ends = read(all[i + 1])
  if not ends or ends <= now then
    expired[#expired + 1] = all[i]
    expired[#expired + 1] = all[i + 1]
  else
    latest = math.max(latest, ends)
    if all[i] == ARGV[8] then
      exchanged = {all[i], all[i + 1]}
    else
      live[#live + 1] = {all[i], all[i + 1], seen, created}
    end
  end
end

local function remove(list)
  for i = 1, #list, 2 do call('HDEL', index, list[i]) end
end

local excess = #live + 1 - limit
if excess > 0 then
  if ARGV[4] == 'reject' then
    remove(expired)
    return {0, #live + #exchanged / 2, now, expired, evicted, {}}
  end
  table.sort(live, function(a, b)
    if a[3] ~= b[3] then return a[3] < b[3] end
    if a[4] ~= b[4] then return a[4] < b[4] end
    return a[1] < b[1]
  end)
  for i = 1, excess do
    evicted[#evicted + 1] = live[i][1]
    evicted[#evicted + 1] = live[i][2]
  end
end

-- A server that is full refuses what writes, but not what only removes. So the new entry comes first: without it nobody goes.
local stamp = int(now)
call('HSET', index, ARGV[2], stamp .. ' ' .. stamp .. ' ' .. ARGV[5] .. ' ' .. ARGV[6] .. ' ' .. ARGV[7])
remove(expired)
remove(evicted)
remove(exchanged)
local ms = ARGV[5] + 0
if ARGV[6] ~= '0' then ms = math.min(ms, ARGV[6]) end
if now + ms * 1000 >= latest then -- all others end earlier
  call('PEXPIRE', index, int(ms))
else
  last(index, latest)
end
return {1, #live + 1 - math.max(excess, 0), now, expired, evicted, exchanged}
