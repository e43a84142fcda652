-- A bucket: takes what is free within ARGV[8] microseconds. The rest as in allow.lua.
local verdict, at, a, b, c, d = check(KEYS[1], 0, ARGV[8] + 0)
if verdict == 1 then
  at, a, b, c = take(KEYS[1], 0, at, a, b, c, d)
else
  refuse(block, KEYS[1], 0, verdict, d)
end
return {verdict, at, a, b, c}
