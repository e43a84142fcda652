-- Ends sessions of a user: at this moment, whatever happens to their data. Then removes data.
--
-- KEYS[1]  the user's index
-- ARGV     'these' and refs; or 'others' and the ref of the one that stays; or 'all'
-- Reply: the time, then ref, entry, ref, entry ... of those that were removed, the expired ones among them; nothing if
-- the one that is to stay is not there, and then nothing changed.
--
-- KEYS[1]  a session, for the run after that
-- ARGV     'data'
-- Reply: 1 if there were any.

local key, mode = KEYS[1], ARGV[1]
if mode == 'data' then return call('UNLINK', key) end
local reply = {now}
local function remove(ref, entry)
  reply[#reply + 1] = ref
  reply[#reply + 1] = entry
  call('HDEL', key, ref)
end
if mode == 'these' then
  for i = 2, #ARGV do
    local entry = call('HGET', key, ARGV[i])
    if entry then remove(ARGV[i], entry) end
  end
  return reply
end
if mode == 'others' and not valid(key, ARGV[2]) then return false end
local all = call('HGETALL', key)
for i = 1, #all, 2 do
  if mode == 'all' or all[i] ~= ARGV[2] then remove(all[i], all[i + 1]) end
end
return reply
