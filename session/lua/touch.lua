-- Marks a session as seen now.
--
-- KEYS[1]  the user's index
-- ARGV[1]  the ref
-- ARGV[2]  idle and absolute time-out in milliseconds, if it gets others
-- ARGV[3]
--
-- Reply: the new entry and when it ends; nothing if the session is not in the index or has expired. Then nothing
-- changed.

local entry = valid(KEYS[1], ARGV[1])
if not entry then return false end
local created, seen = read(entry)
local idle, absolute, device = string.match(entry, '^%d+ %d+ (%d+) (%d+)(.*)')
entry = int(created) .. ' ' .. int(math.max(now, seen)) .. ' ' .. (ARGV[2] or idle) .. ' ' .. (ARGV[3] or absolute) .. device
local _, _, ends = read(entry)
call('HSET', KEYS[1], ARGV[1], entry)
last(KEYS[1], ends)
return {entry, ends}
