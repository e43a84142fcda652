-- One limit: decides and takes.
-- KEYS[1]: the state. ARGV: 1 to 6 as the algorithm says, 7 how long a state may live.
-- Reply: verdict (1 allowed, 0 refused, less: minus the rest of a block), time, and three numbers of the algorithm.
local verdict, at, a, b, c, d = check(KEYS[1], 0)
if verdict == 1 then
  at, a, b, c = take(KEYS[1], 0, at, a, b, c, d)
else
  refuse(block, KEYS[1], 0, verdict, d)
end
return {verdict, at, a, b, c}
