-- refuse is what a refusal may write: the penalty the caller asked for, and a TTL that was lost.
local function refuse(block, key, o, verdict, debt)
  local penalty = ARGV[o + 6] + 0
  if verdict == 0 and penalty > 0 then block(key, now + penalty) end
  if call('PTTL', key) == -1 then
    call('PEXPIRE', key, millis(math.max(ARGV[o + 7] + 0, debt or 0) - verdict))
  end
end
