-- One limit: decides and takes.
-- KEYS[1]: the state. ARGV: 1 to 7 as the algorithm says; zeros at the end may be left out.
-- Reply: verdict (1 allowed, 0 refused, less: minus the rest of a block), time, and three numbers of the algorithm;
-- zeros at the end are left out.
local key, o = KEYS[1], 0
local verdict, at, a, b, c, d
do
  CHECK
end
if verdict == 1 then
  TAKE
else
  REFUSE
end
if c ~= 0 then return {verdict, at, a, b, c} end
if b ~= 0 then return {verdict, at, a, b} end
return {verdict, at, a}
