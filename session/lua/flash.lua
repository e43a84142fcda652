-- Adds messages to those that wait with a session, or takes them all, in two runs that are sent together, on two keys.
--
-- KEYS[1]  the session
-- ARGV     'add', the SHA-256 of the secret, how many bytes may wait, messages as the client reads them; or
--          'pop' and the SHA-256 of the secret
-- Reply: to 'add' 1, or 0 if there would be too many, to 'pop' the messages, '' if there are none; nothing if there
-- is no session of that secret. Then nothing changed.
--
-- KEYS[1]  the user's index
-- ARGV     'entry', the ref
-- Reply: 1 if the session is in the index and has not expired, else 0.

local key = KEYS[1]
if ARGV[1] == 'entry' then return valid(key, ARGV[2]) and 1 or 0 end
if holder(key, ARGV[2]) == 0 then return false end
local waiting = call('HGET', key, ':f') or ''
if ARGV[1] == 'pop' then
  call('HDEL', key, ':f')
  return waiting
end
waiting = waiting .. ARGV[4]
if #waiting > ARGV[3] + 0 then return 0 end
call('HSET', key, ':f', waiting)
return 1
