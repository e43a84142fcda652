-- Refuses everything for a time. KEYS[1]: the state. ARGV: 1 how long, 2 how long a state may live.
-- Reply: when it ends.
local key, until_ = KEYS[1], now + ARGV[1]
if call('PTTL', key) == -1 then call('PEXPIRE', key, millis(ARGV[2])) end -- it was lost
do
  BLOCK
end
return until_
