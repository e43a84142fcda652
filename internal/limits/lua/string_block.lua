-- block of the states in strings.
local function block(key, until_)
  local body = unblock(call('GET', key) or '')
  local ttl = math.max(call('PTTL', key), 0)
  ttl = math.max(ttl, math.ceil((until_ - now) / 1000) + 1)
  call('SET', key, body .. '|' .. int(until_), 'PX', int(ttl))
end
