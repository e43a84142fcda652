-- An entry of a user's index is ref -> "created seen idle absolute device": the first two in microseconds since 1970,
-- the next two in milliseconds, absolute 0 for none. The device is the client's to read.

-- int writes an integer of any size in two parts: '%.0f' takes three times as long, and '%d' has 32 bits on some machines.
local function int(x)
  local millions = math.floor(x / 1000000)
  if millions == 0 then return string.format('%d', x) end
  return string.format('%d%06d', millions, x - millions * 1000000)
end

-- read returns when the session was created, last seen, and ends; nil for what is no entry.
local function read(entry)
  local created, seen, idle, absolute = string.match(entry, '^(%d+) (%d+) (%d+) (%d+) ')
  if not created then return nil end
  created, seen = created + 0, seen + 0
  local ends = seen + idle * 1000
  if absolute ~= '0' then ends = math.min(ends, created + absolute * 1000) end
  return created, seen, ends
end

-- last makes a key live until ends at least.
local function last(key, ends)
  local ms = math.ceil((ends - now) / 1000)
  if call('PTTL', key) < ms then call('PEXPIRE', key, int(ms)) end
end

-- valid returns the entry of a session that has not expired, or false.
local function valid(index, ref)
  local entry = call('HGET', index, ref)
  local _, _, ends = read(entry or '')
  return ends and ends > now and entry
end
