-- Writes fields of a hash, removes others, and gives the hash its TTL anew, all at one moment.
--
-- KEYS[1]  the hash
-- ARGV[1]  the TTL in milliseconds, or '' to leave the TTL alone
-- ARGV[2]  '' writes in any case, 'nx' only if there is no hash, 'xx' only if there is one,
--          'replace' removes the hash that is there first
-- ARGV[3]  n, how many of the arguments that follow are field, value, field, value …
-- the rest fields to remove, as many as there are
--
-- Reply: 1, or 0 if the condition was not met and nothing changed. A key of another type is WRONGTYPE,
-- and nothing changed.

local key, ttl, mode, last = KEYS[1], ARGV[1], ARGV[2], 3 + tonumber(ARGV[3])
if mode ~= '' then
  local len = redis.call('HLEN', key)
  if mode == 'nx' and len > 0 or mode == 'xx' and len == 0 then
    return 0
  end
  if mode == 'replace' then
    if ttl == '' then
      local left = redis.call('PTTL', key)
      if left >= 0 then
        ttl = left
      end
    end
    redis.call('UNLINK', key)
  end
end

-- unpack() takes at most about 8000 values. Fields are removed last: a hash without fields is gone, and
-- with it the TTL that has to stay.
local step = 1000
for i = 4, last, step do
  redis.call('HSET', key, unpack(ARGV, i, math.min(i + step - 1, last)))
end
for i = last + 1, #ARGV, step do
  redis.call('HDEL', key, unpack(ARGV, i, math.min(i + step - 1, #ARGV)))
end
if ttl ~= '' then
  redis.call('PEXPIRE', key, ttl)
end
return 1
