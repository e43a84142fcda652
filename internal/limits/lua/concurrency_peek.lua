-- Tells what concurrency_acquire.lua would, and takes nothing. KEYS[1]: the leases. ARGV[1]: n.
-- Reply: as there, with 0 for a time that does not matter.
local key, n = KEYS[1], ARGV[1] + 0
local live = count(key)
local verdict, free, last = 1, 0, 0
if live >= n then verdict, free = 0, nth(key, n) end
if live > 0 then last = nth(key, 1) end
return {verdict, now, live, free, last}
