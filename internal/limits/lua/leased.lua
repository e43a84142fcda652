-- Begins the scripts that give out permits by the batch, to be used within a lease, and take back what is left of them.
-- KEYS[1]: the state.
-- ARGV: 1 how many are needed at least, 2 how many are wanted (both 0: none), 3 the lease in microseconds,
-- 4 to 8 as the algorithm says, and from 9 on of each batch that is given back the two numbers of its name, and how many of its
-- permits were not used. Each batch is given back once.
-- Reply: 1 if the batch has what is needed, else 0; the time and three numbers of the algorithm, as of allow.lua, after all
-- this; how many permits there are in the batch; for how many microseconds from now it may be used; and the
-- two numbers of its name.
--
-- A batch is charged as if all of it were used at the last moment of its lease. So wherever between now and then it is
-- used, there is never more than the limit. See Leased in package ratelimit.

local key, need, want, lease = KEYS[1], ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0

-- fits is how many permits a batch gets when so many are free: what is wanted or what there is, or none.
local function fits(free)
  if free < need then return 0 end
  return math.max(math.min(free, want), 0)
end

-- returns calls f with each batch that is given back.
local function returns(f)
  for i = 9, #ARGV, 3 do f(ARGV[i] + 0, ARGV[i + 1] + 0, ARGV[i + 2] + 0) end
end

-- lasts mends a TTL that was lost.
local function lasts(us)
  if call('PTTL', key) == -1 then call('PEXPIRE', key, millis(us)) end
end

-- times is n times an amount of us + rem/per, exactly.
local function times(n, us, rem, per)
  local sum, sumrem = 0, 0
  while n > 0 do
    if n % 2 == 1 then
      sum, sumrem = sum + us, sumrem + rem
      if sumrem >= per then sum, sumrem = sum + 1, sumrem - per end
    end
    n = math.floor(n / 2)
    us, rem = us * 2, rem * 2
    if rem >= per then us, rem = us + 1, rem - per end
  end
  return sum, sumrem
end
