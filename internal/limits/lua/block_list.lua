-- Writes a block that ends at until_ to a state in a list: a first element of minus its end.
local first = call('LINDEX', key, '0')
if first and (tonumber(first) or foreign(key)) < 0 then
  call('LSET', key, '0', '-' .. int(until_))
else
  call('LPUSH', key, '-' .. int(until_))
end
if call('PTTL', key) < (until_ - now) / 1000 + 1 then call('PEXPIRE', key, millis(until_ - now)) end
