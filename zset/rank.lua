-- The rank and the score of a member at one moment, for servers whose ZRANK does not know WITHSCORE.
--
-- KEYS[1]  the set
-- ARGV[1]  ZRANK or ZREVRANK
-- ARGV[2]  the member
--
-- Reply: {rank, score as a string}, or nil if the member is not in the set.

local rank = redis.pcall(ARGV[1], KEYS[1], ARGV[2])
if not rank or type(rank) == 'table' then
  return rank
end
return {rank, redis.call('ZSCORE', KEYS[1], ARGV[2])}
