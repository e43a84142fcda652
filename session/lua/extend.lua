-- Makes the data of a session live as long as its entry in the index, which is written first: so the data never outlive it.
--
-- KEYS[1]  the session
-- ARGV[1]  when it ends, in microseconds since 1970
--
-- Reply: 1. Data that are gone stay so.

last(KEYS[1], ARGV[1] + 0)
return 1
