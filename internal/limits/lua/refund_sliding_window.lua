-- Takes the hits of one call out again. KEYS[1]: the state. ARGV[1]: their time, which no other call has.
-- Reply: how many there were.
return redis.call('LREM', KEYS[1], 0, ARGV[1])
