-- Ends a token: as long as its alias lives, no session is the token's.
--
-- KEYS[1]  the token's alias: see alias.lua
--
-- Reply: what it was before it was ended first, '' for none. Repeating it changes nothing.

local is = redis.call('GET', KEYS[1]) or ''
if is == '' then return '' end
if string.sub(is, 1, 1) == '!' then return string.sub(is, 2) end
redis.call('SET', KEYS[1], '!' .. is, 'KEEPTTL')
return is
