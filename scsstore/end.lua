-- Ends a token: as long as its alias lives, no session is the token's.
--
-- KEYS[1]  the token's alias: see alias.lua
--
-- Reply: what it is now, '' for none. Repeating it changes nothing.

local is = redis.call('GET', KEYS[1])
if not is then return '' end
is = string.upper(string.sub(is, 1, 1)) .. string.sub(is, 2)
redis.call('SET', KEYS[1], is, 'KEEPTTL')
return is
