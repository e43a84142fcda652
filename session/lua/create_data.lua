-- The first of two steps that create a session: its data. See create.lua for the second.
--
-- KEYS[1]  the session
-- ARGV     'data', how long it lives in milliseconds, then field, value, field, value ...: unpack() takes
--          about 8000, and New sees to it that there are fewer
--
-- Reply: 1. It is only data: without an entry in the index nobody can log in with it.

if ARGV[1] == 'data' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 3))
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end

