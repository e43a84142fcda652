-- Takes one of n places, if one is free. The same lease may ask again: it has one place, held for its whole length anew.
-- KEYS[1]: the leases. ARGV: the lease, n, its length in microseconds.
-- Reply: 1 taken, 0 full; time; leases held now; if full, when there is a place if none is renewed; when all have ended.
local key, lease, n = KEYS[1], ARGV[1], ARGV[2] + 0
local again, live = held(key, lease), count(key)
if not again and live >= n then
  if call('PTTL', key) == -1 then outlive(key) end
  return {0, now, live, nth(key, n), nth(key, 1)}
end
call('ZREMRANGEBYSCORE', key, '-inf', int(now))
local last = hold(key, lease, now + ARGV[3])
if not again then live = live + 1 end
return {1, now, live, 0, last}
