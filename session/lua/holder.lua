-- The hash of a session has the SHA-256 of its secret in ":s". After a rotation with a grace, ":o" has that of the secret
-- before, and behind it until when it is valid, in microseconds since 1970.

-- holder returns 1 if sum is that of the secret, 2 if of the one before and its grace lasts, else 0.
local function holder(key, sum)
  local own = call('HMGET', key, ':s', ':o')
  if not own[1] then return 0 end
  if own[1] == sum then return 1 end
  if own[2] and string.sub(own[2], 1, 32) == sum and string.sub(own[2], 33) + 0 > now then return 2 end
  return 0
end
