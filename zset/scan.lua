-- One step of a walk over a set, and which run of which server took it.
--
-- KEYS[1]  the set
-- ARGV[1]  the cursor
-- ARGV[2]  about how many members to return
--
-- Reply: {cursor, {member, score, member, score ...}, run id}. A cursor means something to one run of one server
-- only, and a failover or a restart between two steps would go unnoticed. The run id is empty where the server
-- does not tell (the embedded server, or an ACL without INFO).

local page = redis.pcall('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
if page.err then
  return page
end
local run = ''
if page[1] ~= '0' or ARGV[1] ~= '0' then
  local info = redis.pcall('INFO', 'server')
  if type(info) == 'string' then
    run = string.match(info, 'run_id:(%w+)') or ''
  end
end
return {page[1], page[2], run}
