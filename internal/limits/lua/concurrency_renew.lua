-- Lengthens a lease that has not ended. KEYS[1]: the leases. ARGV: the lease, its length in microseconds.
-- Reply: 1 held, 0 lost; a lost one is not taken again.
if not held(KEYS[1], ARGV[1]) then return 0 end
hold(KEYS[1], ARGV[1], now + ARGV[2])
return 1
