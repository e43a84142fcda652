-- Reads the next part of a walk over a hash, and tells which run of which server it was read from: a cursor
-- means nothing to any other.
--
-- KEYS[1]  the hash
-- ARGV[1]  the cursor
-- ARGV[2]  the run it is from, or '' for a walk that begins
-- ARGV[3]  about how many fields to read
--
-- Reply: the run, the next cursor, and field, value, field, value … On another run than ARGV[2] says, the walk
-- begins anew. The run is '' where the server does not tell it: the embedded one, or an ACL without INFO.

local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local cursor = ARGV[1]
if run ~= ARGV[2] then
  cursor = '0'
end
local r = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', ARGV[3])
return {run, r[1], r[2]}
