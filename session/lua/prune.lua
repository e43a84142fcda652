-- Removes an entry of a user's index whose session has expired or lost its data. A login writes the data first, but the
-- network may bring the two out of order: so entries of the last minute stay. And who read data and entry one after the
-- other may take a session for expired that somebody marked as seen in between.
--
-- KEYS[1]  the user's index
-- ARGV[1]  the ref
-- ARGV[2]  the entry; one that has changed stays
-- ARGV[3]  'expired' if the data are there; what has not expired stays then
--
-- Reply: 1 if it had expired, 2 if it had not, 0 if it stays or is gone already.

if call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local created, _, ends = read(ARGV[2])
local lives = ends and ends > now
if lives and (ARGV[3] == 'expired' or created + 60000000 > now) then return 0 end
call('HDEL', KEYS[1], ARGV[1])
return lives and 2 or 1
