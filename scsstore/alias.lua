-- Tells which session a token has, or gives it one.
--
-- KEYS[1]  the token's alias: 'v' for a visitor's or 'u' for a user's session, 'V' or 'U' once the token has ended, and
--          "<tag>.<ref>" of the session
-- ARGV[1]  what the alias has to be in order to change, '' for none
-- ARGV[2]  what it becomes then, '' if it is not to change
-- ARGV[3]  how many milliseconds it lives from now on at least
--
-- Reply: what it is now, '' for none. Repeating it changes nothing.

local is = redis.call('GET', KEYS[1]) or ''
if is == ARGV[1] and ARGV[2] ~= '' then is = ARGV[2] end
if is == '' then return '' end
local ms = math.max(redis.call('PTTL', KEYS[1]), ARGV[3] + 0)
redis.call('SET', KEYS[1], is, 'PX', string.format('%.0f', ms))
return is
