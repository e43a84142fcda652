-- What a refusal may write: a TTL that was lost, and the penalty the caller asked for. d is how long a state may live.
if call('PTTL', key) == -1 then call('PEXPIRE', key, millis(d - verdict)) end
local penalty = (ARGV[o + 6] or 0) + 0
if verdict == 0 and penalty > 0 then
  local until_ = now + penalty
  BLOCK
end
