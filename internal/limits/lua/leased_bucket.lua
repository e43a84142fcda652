-- Token bucket and GCRA by the batch: "us rem per latest epoch total". The first three are when the bucket is full again, as
-- in bucket_state.lua; latest is the latest end of a lease; total counts the permits in all batches since epoch, which is when that
-- began. A batch is named by the epoch and the total after it.
-- ARGV[4], ARGV[5]: full's us and rem; ARGV[6]: per; ARGV[7], ARGV[8]: a permit's us and rem.
--
-- Every batch with a lease up to e and w permits of T puts that time to max(itself, e) + w T. So it is the latest of e plus
-- the weight of that batch and all after it, over all batches. When of one batch not all was used, what was not may come off
-- as far as it stays no earlier than what that says of the batches after it; which is no later than the latest of their ends
-- plus the weight of all of them.
local full, fullrem, per, one, onerem = ARGV[4] + 0, ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0, ARGV[8] + 0

local v = call('GET', key)
local us, rem, latest, epoch, total = now, 0, 0, now, 0
if v then
  local of
  us, rem, of, latest, epoch, total = string.match(v, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not us then foreign(key) end
  us, rem, latest, epoch, total = us + 0, rem + 0, latest + 0, epoch + 0, total + 0
  if of + 0 ~= per then -- another rate: a permit of before has another weight
    if rem > 0 then us, rem = us + 1, 0 end
    epoch, total = now, 0
  end
end

local returned = false
returns(function(name, of, unused)
  if name ~= epoch or of > total or unused <= 0 then return end
  local least = latest + math.ceil((total - of) * (one + onerem / per) * (1 + 1e-12)) + 1
  local u, r = times(unused, one, onerem, per)
  u, r = us - u, rem - r
  if r < 0 then u, r = u - 1, r + per end
  if u < least then u, r = least, 0 end
  if u < us or u == us and r < rem then
    us = u
    rem = r
    returned = true
  end
end)

local debt, debtrem = us - now, rem
if debt < 0 then debt, debtrem = 0, 0 end
local from, fromrem = debt, debtrem
if from < lease then from, fromrem = lease, 0 end
local free, freerem = full - from, fullrem - fromrem
if freerem < 0 then free, freerem = free - 1, freerem + per end
local given, u, r = 0, 0, 0
if free >= 0 then
  -- The quotient may be off by one. The product is exact.
  given = math.min(want, math.floor((free + 1) / (one + onerem / per)) + 1)
  u, r = times(given, one, onerem, per)
  while given > 0 and (u > free or u == free and r > freerem) do
    given = given - 1
    u, r = times(given, one, onerem, per)
  end
  given = fits(given)
end

if given > 0 then
  u, r = times(given, one, onerem, per)
  debt, debtrem = from + u, fromrem + r
  if debtrem >= per then debt, debtrem = debt + 1, debtrem - per end
  total, latest = total + given, math.max(latest, now + lease)
end
if given > 0 or returned and debt > 0 then
  call('SET', key, int(now + debt) .. ' ' .. int(debtrem) .. ' ' .. int(per) .. ' ' .. int(latest) .. ' ' .. int(epoch) .. ' '
    .. int(total), 'PX', millis(debt + 1))
elseif returned then
  call('DEL', key)
elseif v then
  lasts(debt + 1)
end
return {given > 0 and 1 or 0, now, debt, debtrem, 0, given, lease, epoch, total}
