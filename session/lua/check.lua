-- Tells whether a secret is that of a session.
--
-- KEYS[1]  the session
-- ARGV[1]  the SHA-256 of the secret
--
-- Reply: 1 if it is, 2 if it is that before the last rotation and its grace lasts, 0 if not; the user; and the
-- time.

return {holder(KEYS[1], ARGV[1]), call('HGET', KEYS[1], ':u') or '', now}
