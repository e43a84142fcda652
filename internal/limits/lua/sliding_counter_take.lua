a = a + ARGV[o + 1]
call('SET', key, int(c) .. string.format(' %d %d', a, b), 'PX', millis((c + 2) * ARGV[o + 3] - now))
