-- Part of every script. States in strings are "body" or "body|blocked until".

local function int(x) return string.format('%.0f', x) end

-- millis is a TTL that ends no earlier than us from now: keys expire by a clock of whole milliseconds.
local function millis(us) return int(math.ceil(us / 1000) + 1) end

-- foreign raises a string: Redis before 7 does not know tables.
local function foreign(key)
  error('the key holds something that is no state of this limit: ' .. key, 0)
end

-- unblock takes a state apart into its body and when its block ends: 0 if there is none.
local function unblock(v)
  local bar = string.find(v, '|', 1, true)
  if not bar then return v, 0 end
  return string.sub(v, 1, bar - 1), tonumber(string.sub(v, bar + 1)) or 0
end
