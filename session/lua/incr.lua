-- Adds to a field of a session, in two runs that are sent together, on two keys.
--
-- KEYS[1]  the session
-- ARGV     'add', the SHA-256 of the secret, the field, what to add
-- Reply: the sum as a string, because a number in Lua keeps 53 bits only; nothing if there is no session of that
-- secret. If the command fails, its error is the reply, and nothing changed.
--
-- KEYS[1]  the user's index
-- ARGV     'entry', the ref
-- Reply: 1 if the session is in the index and has not expired, else 0.

if ARGV[1] == 'entry' then return valid(KEYS[1], ARGV[2]) and 1 or 0 end
if holder(KEYS[1], ARGV[2]) == 0 then return false end
call('HINCRBY', KEYS[1], ARGV[3], ARGV[4])
return call('HGET', KEYS[1], ARGV[3])
