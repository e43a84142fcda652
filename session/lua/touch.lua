-- Marks a session as seen now.
--
-- KEYS[1]  the user's index
-- ARGV[1]  the ref
--
-- Reply: the new entry and when it ends; nothing if the session is not in the index or has expired. Then nothing
-- changed.

local entry = call('HGET', KEYS[1], ARGV[1])
if not entry then return false end
local created, seen, ends = read(entry)
if not ends or ends <= now then return false end
if now > seen then
  entry = string.gsub(entry, '^(%d+) %d+ ', '%1 ' .. int(now) .. ' ', 1)
  created, seen, ends = read(entry)
  call('HSET', KEYS[1], ARGV[1], entry)
end
last(KEYS[1], ends)
return {entry, ends}
