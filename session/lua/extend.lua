-- Makes the data of a session live as long as its entry in the index, at least.
--
-- KEYS[1]  the session
-- ARGV[1]  when it ends, in microseconds since 1970
--
-- Reply: 1. Data that are gone stay so.

local ms = math.ceil((ARGV[1] - now) / 1000)
if call('PTTL', KEYS[1]) < ms and call('PEXPIRE', KEYS[1], int(ms)) == 1 then
  call('HSET', KEYS[1], ':x', int(now + ms * 1000))
end
return 1
