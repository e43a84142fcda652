-- Writes a block that ends at until_ to a state in a string.
local body = unblock(call('GET', key) or '')
local ttl = math.max(call('PTTL', key), math.ceil((until_ - now) / 1000) + 1)
call('SET', key, body .. '|' .. int(until_), 'PX', int(ttl))
