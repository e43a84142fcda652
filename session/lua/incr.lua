-- Adds to a field of a session, in two runs that are sent together, on two keys.
--
-- KEYS[1]  the session
-- ARGV     'add', the SHA-256 of the secret, the field, what to add, the least and the greatest sum that fit the field, '' for
--          those of 64 bits
-- Reply: the sum as a string, because a number in Lua keeps 53 bits only; nothing if there is no session of that
-- secret. If the sum does not fit, or the command fails, the reply is an error, and nothing changed.
--
-- KEYS[1]  the user's index
-- ARGV     'entry', the ref
-- Reply: 1 if the session is in the index and has not expired, else 0.

if ARGV[1] == 'entry' then return valid(KEYS[1], ARGV[2]) and 1 or 0 end
if holder(KEYS[1], ARGV[2]) == 0 then return false end
local was = call('HGET', KEYS[1], ARGV[3])
call('HINCRBY', KEYS[1], ARGV[3], ARGV[4])
local sum = call('HGET', KEYS[1], ARGV[3])
if ARGV[5] ~= '' and sum + 0 < ARGV[5] + 0 or ARGV[6] ~= '' and sum + 0 > ARGV[6] + 0 then
  if was then
    call('HSET', KEYS[1], ARGV[3], was)
  else
    call('HDEL', KEYS[1], ARGV[3])
  end
  return redis.error_reply('ERR the sum does not fit the field')
end
return sum
