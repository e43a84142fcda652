-- One limit: decides and takes nothing. KEYS, ARGV and reply as in allow.lua, before taking.
local key, o = KEYS[1], 0
local verdict, at, a, b, c, d
do
  CHECK
end
return {verdict, at, a, b, c}
