-- Creates a group, and with it the stream if there is none, and makes the stream live for another TTL.
-- KEYS  1 the stream
-- ARGV  1 the group; 2 the ID after which it begins; 3 TTL in ms
-- Reply 1; 0 if the group is there already, when nothing is changed
-- Once: running it again finds the group there and replies something else.
local reply = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if type(reply) == 'table' and reply.err then
  if string.find(reply.err, 'BUSYGROUP', 1, true) then
    return 0
  end
  return reply
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
