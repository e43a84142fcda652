-- The first of two runs that create a session: its data.
--
-- KEYS[1]  the session
-- ARGV     'data', how long it lives in milliseconds, then field, value, field, value ...: unpack() takes
--          about 8000, and New sees to it that there are fewer
--
-- Reply: 1. It is only data: without an entry in the index nobody can log in with it.

if ARGV[1] == 'data' then
  call('HSET', KEYS[1], ':x', string.format('%.0f', now + ARGV[2] * 1000), unpack(ARGV, 3))
  call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end

