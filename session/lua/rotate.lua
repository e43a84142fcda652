-- Gives a session another secret, in two runs that are sent together, on two keys.
--
-- KEYS[1]  the session
-- ARGV     'secret', the SHA-256 of the secret it has and of the new one, and for how many milliseconds the one it has
--          stays valid
-- Reply: 1, or 2 if the first is that before the last rotation, or 0 if there is no session of that secret; the
-- user; and the time. Only with 1 something changed. Repeating it changes nothing: only one caller knows the new secret.
--
-- KEYS[1]  the user's index
-- ARGV     'entry', the ref
-- Reply: the entry, or nothing if there is none or it has expired.

local key = KEYS[1]
if ARGV[1] == 'entry' then return valid(key, ARGV[2]) end
local user = call('HGET', key, ':u') or ''
if call('HGET', key, ':s') == ARGV[3] then return {1, user, now} end
local who = holder(key, ARGV[2])
if who ~= 1 then return {who, user, now} end
call('HSET', key, ':s', ARGV[3])
if ARGV[4] == '0' then
  call('HDEL', key, ':o')
else
  call('HSET', key, ':o', ARGV[2] .. int(now + ARGV[4] * 1000))
end
return {1, user, now}
