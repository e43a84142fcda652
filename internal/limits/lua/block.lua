-- Refuses everything for a time. KEYS[1]: the state. ARGV: 1 how long, 2 how long a state may live.
-- Reply: when it ends.
if call('PTTL', KEYS[1]) == -1 then call('PEXPIRE', KEYS[1], millis(ARGV[2] + 0)) end -- it was lost
block(KEYS[1], now + ARGV[1])
return now + ARGV[1]
