-- One limit: decides and takes nothing. KEYS, ARGV and reply as in allow.lua, before taking.
local verdict, at, a, b, c = check(KEYS[1], 0)
return {verdict, at, a, b, c}
