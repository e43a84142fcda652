-- Begins every script: the server's time in microseconds.
local call = redis.call
if redis.replicate_commands then redis.replicate_commands() end -- Redis before 7 asks for it
local t = call('TIME')
local now = t[1] * 1000000 + t[2]
