-- Gives back what one call took, once.
-- KEYS[1]: the state; KEYS[2]: marks the call as refunded for as long as that makes a difference.
-- ARGV: of counters the cost, -, -, -, window; of buckets the us and rem of the cost and of full, and per; then
-- of the call's reply the three numbers and the time. Reply: 1 if something came back, else 0.

-- once is false if the call has been refunded already.
local function once(us)
  return us > 0 and call('SET', KEYS[2], '1', 'NX', 'PX', millis(us))
end

local function put(body, until_)
  if until_ > now then body = body .. '|' .. int(until_) end
  call('SET', KEYS[1], body, 'XX', 'KEEPTTL') -- XX: the embedded server lets a key expire in the middle of a script
  return 1
end
