local v, last = int(at + a), a + 1
if b > 0 or d ~= '' then v = v .. ' ' .. int(b) .. ' ' .. ARGV[o + 3] .. d end
if d ~= '' then last = math.max(last, string.match(d, '^ %d+ (%d+)') - now) end -- until when it matters
call('SET', key, v, 'PX', millis(last))
