-- Refuses everything for ARGV[1] microseconds. KEYS[1]: the state. Reply: when it ends.
block(KEYS[1], now + ARGV[1])
return now + ARGV[1]
