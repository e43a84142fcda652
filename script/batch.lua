-- Checks what a batch of simple operations needs, then applies it.
--
-- KEYS     the keys of the batch, each once; with a token, its key is KEYS[1]
-- ARGV[1]  how long the token lasts, in ms; 0 without a token
-- ARGV[2]  the fingerprint of the batch; empty without a token
-- ARGV[3]  the number of checks
-- ARGV[4]  the number of operations
-- ARGV[5…] the checks, then the operations. Each is
--            name       IFEXISTS, IFABSENT, IFEQUALS value, TYPE type, INT low high,
--                       FIELDINT field low high; or a command
--            key        an index in KEYS
--            ttl        of an operation: the key's TTL after it, in ms; 0: what it is
--            n          the number of arguments, then those
--
-- Reply: {'applied', replies}
--        {'refused', i, error}  check i does not hold, the token's for 0; error is nil if it is a condition of
--                               the caller's
--        {'failed', i, error}   operation i failed; those before it are applied
--        {'used'}               the token was used for another batch
--        or an error with which the server refuses every write, such as READONLY: nothing is applied
--
-- Guarantee: every check comes before the first write. A batch whose token was used for the same batch is not
-- applied again: the reply is the first one's, which the token keeps. A refused batch leaves no trace.

local function isError(reply)
  return type(reply) == 'table' and reply.err ~= nil
end

-- plain is the reply of redis.pcall without what Redis before 7.0 puts before some errors: the line of the
-- script, and a '-'.
local function plain(reply)
  if isError(reply) then
    return {err = string.gsub(reply.err, '^@user_script: %d+: %-?', '')}
  end
  return reply
end

-- refuses reports whether an error is about the server and not about the command. The server then refused the
-- first write of the script, and the client, which is told, may try again.
local function refuses(reply)
  local code = string.match(reply.err, '^%u+')
  return code == 'READONLY' or code == 'OOM' or code == 'MISCONF' or code == 'NOREPLICAS' or code == 'MASTERDOWN'
end

-- save writes a reply as text, for the token to keep.
local function save(reply, out)
  local kind, body = '_', ''
  if type(reply) == 'number' then
    kind, body = ':', string.format('%.0f', reply)
  elseif type(reply) == 'string' then
    kind, body = '$', reply
  elseif type(reply) == 'table' and reply.ok then
    kind, body = '+', reply.ok
  elseif isError(reply) then
    kind, body = '-', reply.err
  elseif type(reply) == 'table' then
    out[#out + 1] = '*' .. #reply .. '\n'
    for i = 1, #reply do
      save(reply[i], out)
    end
    return
  end
  out[#out + 1] = kind .. #body .. '\n' .. body
end

-- restore reads what save wrote at a position, and returns it with the position behind it.
local function restore(saved, at)
  local kind = string.sub(saved, at, at)
  local stop = string.find(saved, '\n', at, true)
  local n = tonumber(string.sub(saved, at + 1, stop - 1))
  at = stop + 1
  if kind == '*' then
    local list = {}
    for i = 1, n do
      list[i], at = restore(saved, at)
    end
    return list, at
  end
  local body = string.sub(saved, at, at + n - 1)
  at = at + n
  if kind == ':' then
    return tonumber(body), at
  elseif kind == '$' then
    return body, at
  elseif kind == '+' then
    return {ok = body}, at
  elseif kind == '-' then
    return {err = body}, at
  end
  return false, at
end

local at = 5

-- step returns the name, key and TTL of the next check or operation, and where in ARGV its arguments are.
local function step()
  local first = at + 4
  local last = first + tonumber(ARGV[at + 3]) - 1
  local name, key, ttl = ARGV[at], KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2]
  at = last + 1
  return name, key, ttl, first, last
end

-- counts reports whether Redis takes a value for an integer, and adding low or high keeps it one. The limit
-- leaves room for what Lua's numbers round.
local function counts(value, low, high)
  if not value then
    value = '0'
  end
  if #value > 20 or value ~= '0' and not string.match(value, '^%-?[1-9]%d*$') then
    return false
  end
  value = tonumber(value)
  return value + tonumber(low) >= -9.2e18 and value + tonumber(high) <= 9.2e18
end

-- check returns whether one check holds, and an error unless it is a condition of the caller's.
local function check(name, key, first)
  if name == 'IFEXISTS' then
    return redis.call('EXISTS', key) == 1
  elseif name == 'IFABSENT' then
    return redis.call('EXISTS', key) == 0
  elseif name == 'IFEQUALS' then
    local value = plain(redis.pcall('GET', key))
    if isError(value) then
      return false, value
    end
    return value == ARGV[first]
  elseif name == 'TYPE' then
    local kind = redis.call('TYPE', key).ok
    return kind == 'none' or kind == ARGV[first],
      {err = 'WRONGTYPE Operation against a key holding the wrong kind of value'}
  elseif name == 'INT' then
    return counts(redis.call('GET', key), ARGV[first], ARGV[first + 1]),
      {err = 'ERR value is not an integer or out of range'}
  end
  return counts(redis.call('HGET', key, ARGV[first]), ARGV[first + 1], ARGV[first + 2]),
    {err = 'ERR hash value is not an integer or out of range'}
end

-- apply runs one operation.
local function apply(name, key, ttl, first, last)
  local reply = plain(redis.pcall(name, key, unpack(ARGV, first, last)))
  if isError(reply) then
    return reply
  end
  if ttl ~= '0' then
    local set = plain(redis.pcall('PEXPIRE', key, ttl))
    if isError(set) then
      return set
    end
  end
  -- Lua has rounded a large number.
  if type(reply) == 'number' and (reply >= 9007199254740992 or reply <= -9007199254740992) then
    if name == 'INCRBY' then
      return plain(redis.pcall('GET', key))
    elseif name == 'HINCRBY' then
      return plain(redis.pcall('HGET', key, ARGV[first]))
    end
  end
  return reply
end

local lifetime, fingerprint = ARGV[1], ARGV[2]
if lifetime ~= '0' then
  local kept = plain(redis.pcall('GET', KEYS[1]))
  if isError(kept) then
    return {'refused', 0, kept}
  end
  if kept then
    if string.sub(kept, 1, #fingerprint) ~= fingerprint then
      return {'used'}
    end
    if #kept == #fingerprint then
      return {'refused', 0, {err = 'ERR an earlier run of the batch did not end'}}
    end
    return (restore(kept, #fingerprint + 1))
  end
end

for i = 1, tonumber(ARGV[3]) do
  local name, key, _, first = step()
  local holds, err = check(name, key, first)
  if not holds then
    return {'refused', i, err}
  end
end

-- Now, because later it would be too late to find that the token cannot be written.
if lifetime ~= '0' then
  local set = plain(redis.pcall('SET', KEYS[1], fingerprint, 'PX', lifetime))
  if isError(set) then
    if refuses(set) then
      return set
    end
    return {'refused', 0, set}
  end
end

local replies = {}
local result = {'applied', replies}
for i = 1, tonumber(ARGV[4]) do
  local reply = apply(step())
  if isError(reply) then
    if refuses(reply) then
      return reply
    end
    result = {'failed', i, reply}
    break
  end
  replies[i] = reply
end

if lifetime ~= '0' then
  local out = {fingerprint}
  save(result, out)
  redis.call('SET', KEYS[1], table.concat(out), 'PX', lifetime)
end
return result
