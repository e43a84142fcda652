-- Several limits: takes from all or from none.
-- KEYS: their states. ARGV: of each limit the 7 of allow.lua and the code of its algorithm.
-- Reply: of each limit the five numbers of allow.lua. Verdicts are each limit's own; only if all are 1 was it taken.
local algorithms = {}
ALGORITHMS
local reply, found, all = {}, {}, true
for i, key in ipairs(KEYS) do
  local o = (i - 1) * 8
  found[i] = {algorithms[ARGV[o + 8]].check(key, o)}
  all = all and found[i][1] == 1
end
for i, key in ipairs(KEYS) do
  local o, f = (i - 1) * 8, found[i]
  local algorithm = algorithms[ARGV[o + 8]]
  if all then
    f[2], f[3], f[4], f[5] = algorithm.take(key, o, f[2], f[3], f[4], f[5], f[6])
  elseif f[1] ~= 1 then
    algorithm.refuse(key, o, f[1], f[6])
  end
  for j = 1, 5 do reply[#reply + 1] = f[j] end
end
return reply
