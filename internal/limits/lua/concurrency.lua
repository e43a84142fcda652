-- Part of the scripts that limit how many at a time: a ZSET of lease -> when it ends, in microseconds. A lease that
-- has ended does not count, and goes when the next is admitted.

local function held(key, lease)
  local ends = call('ZSCORE', key, lease)
  return ends and ends + 0 > now
end

local function count(key) return call('ZCOUNT', key, '(' .. int(now), '+inf') end

-- nth is when the lease ends that is nth from the last to end.
local function nth(key, n) return call('ZRANGE', key, int(-n), int(-n), 'WITHSCORES')[2] + 0 end

-- outlive lets the key live as long as its longest lease.
local function outlive(key)
  local last = nth(key, 1)
  call('PEXPIRE', key, millis(last - now))
  return last
end

-- hold never makes a lease shorter: time does not run backwards.
local function hold(key, lease, ends)
  call('ZADD', key, 'GT', int(ends), lease)
  return outlive(key)
end
