a = a + ARGV[o + 1]
call('SET', key, string.format('%d ', a) .. d, 'PX', millis(b - now))
