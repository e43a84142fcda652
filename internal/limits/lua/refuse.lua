-- refuse is what a refusal may write: a TTL that was lost, and the penalty the caller asked for.
local function refuse(block, key, o, verdict, lasts)
  if call('PTTL', key) == -1 then
    call('PEXPIRE', key, millis(math.max(ARGV[o + 7] + 0, lasts or 0) - verdict))
  end
  local penalty = ARGV[o + 6] + 0
  if verdict == 0 and penalty > 0 then block(key, now + penalty) end
end
