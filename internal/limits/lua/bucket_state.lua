-- Token bucket and GCRA: the time at which the bucket is full again (the theoretical arrival time of GCRA):
-- "us", or "us rem per" (rem/per of a microsecond more), or after refunds "us rem per total until place by ...":
-- see refund_bucket.lua.

-- read takes a body apart into us, rem and what refunds left behind.
local function read(key, body, per)
  local us, rem, of, moves = string.match(body, '^(%d+) (%d+) (%d+)(.*)$')
  if not us then
    us, rem, of, moves = string.match(body, '^%d+$'), 0, per, ''
    if not us then
      if body ~= '' then foreign(key) end
      us = 0
    end
  end
  us, rem = us + 0, rem + 0
  if of + 0 ~= per and rem > 0 then return us + 1, 0, moves end -- another rate: round up, once
  return us, rem, moves
end

-- moved is how far refunds have moved the state, and until when that matters.
local function moved(us, moves)
  if moves == '' then return 0, 0 end
  local total, until_ = string.match(moves, '^ (%d+) (%d+)')
  if us < now and until_ + 0 <= now then return 0, 0 end
  return total + 0, until_ + 0
end
