-- Part of every script. States in strings are "body" or "body|blocked until".
--
-- Functions are made anew in every run. One that uses locals of the script from outside costs a few percent of
-- a run, one that does not far less; so what is always needed is not in functions, or in such.

-- int writes a whole number. Lua's own way has 14 digits; '%d' has what fits a C long, and is quicker than '%.0f'.
local function int(x)
  if x < 100000000000000 and x > -100000000000000 then return x .. '' end
  local s = string.format('%d', x)
  if #s < 15 then s = string.format('%.0f', x) end -- a long of 32 bits
  return s
end

-- millis is a TTL that ends no earlier than us from now: keys expire by a clock of whole milliseconds.
local function millis(us) return math.ceil(us / 1000) + 1 .. '' end

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
