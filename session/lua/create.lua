-- The second of two steps that create a session and are sent together, on two keys: it admits it to the user's index. See
-- create_data.lua for the first one.
--
-- KEYS[1]  the user's index
-- ARGV     'reject' or 'evict', how many sessions a user may have, the ref, how long the session lives in milliseconds if
--          it is not seen again, the rest of its entry after the times, and if one ends in exchange, its ref
--
-- Reply: 1 or 0, how many sessions the user has now, the time, how many had expired, and how many were evicted; then ref,
-- entry, ref, entry ... of the expired, the evicted and the one that was exchanged. It is flat because each table in a
-- reply takes longer than a command. Of a refusal nothing stays, but the expired go.

local index, excess = KEYS[1], 1 - ARGV[2]
local all = call('HGETALL', index)
local expired, live, exchanged = {}, {}, {} -- places in all
local age = ARGV[1] == 'evict' and #all / 2 + excess > 0 and {} -- if somebody may have to go
local latest = 0
for i = 1, #all, 2 do
  local created, seen, ends = read(all[i + 1])
  if not ends or ends <= now then
    expired[#expired + 1] = i
  else
    if ends > latest then latest = ends end
    if all[i] == ARGV[6] then
      exchanged[1] = i
    else
      live[#live + 1] = i
      if age then age[i] = {seen, created, all[i]} end
    end
  end
end
excess = excess + #live

local reply = {1, #live + 1, now, #expired, 0}
local function remove(places, n)
  for i = 1, n do
    local ref = all[places[i]]
    reply[#reply + 1] = ref
    reply[#reply + 1] = all[places[i] + 1]
    call('HDEL', index, ref)
  end
end

if excess > 0 then
  if ARGV[1] == 'reject' then
    remove(expired, #expired)
    reply[1], reply[2] = 0, #live + #exchanged
    return reply
  end
  table.sort(live, function(a, b)
    a, b = age[a], age[b]
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  reply[2], reply[5] = reply[2] - excess, excess
end

-- A server that is full refuses what writes, but not what only removes. So the new entry comes first: without it nobody goes.
local stamp, ends = int(now), now + ARGV[4] * 1000
call('HSET', index, ARGV[3], stamp .. ' ' .. stamp .. ' ' .. ARGV[5])
remove(expired, #expired)
remove(live, reply[5])
remove(exchanged, #exchanged)
if ends >= latest then -- all others end earlier
  call('PEXPIRE', index, ARGV[4])
else
  last(index, latest)
end
return reply
