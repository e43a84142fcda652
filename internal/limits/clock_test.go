package limits

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
)

// frozen is the scripts on a clock that stands still until a test moves it: the time is what a key says. No
// key on the server gets a TTL, because the server's clock plays no role. TTLs are kept in a hash instead. If
// the clock never goes backwards, keys expire by them, as early as a server might: so a TTL that is too short
// shows as a wrong decision.
type frozen struct {
	*Scripts
	c         *rediskit.Client
	ctx       context.Context
	clock     string
	key       func(string) string
	expiring  bool
	setAt     int64
	setBefore bool
}

const frozenClock = `
local clock, expiring = 'CLOCK', EXPIRING
local ttls = clock .. ':ttls'
local now = redis.call('GET', clock) + 0
local millisecond = math.floor(now / 1000)
for _, key in ipairs(KEYS) do
  local ends = redis.call('HGET', ttls, key)
  if expiring and ends and ends + 0 <= millisecond then redis.call('DEL', key) end
  if redis.call('EXISTS', key) == 0 then redis.call('HDEL', ttls, key) end
end
local function ends(key, ms) redis.call('HSET', ttls, key, string.format('%.0f', millisecond + ms)) end
local function call(command, key, ...)
  local given = {...}
  if command == 'PTTL' then
    if redis.call('EXISTS', key) == 0 then return -2 end
    local at = redis.call('HGET', ttls, key)
    return at and at - millisecond or -1
  elseif command == 'PEXPIRE' then
    if redis.call('EXISTS', key) == 1 then ends(key, given[1]) end
    return 1
  elseif command == 'SET' then
    local options, ms, keep = {}, nil, false
    local i = 2
    while i <= #given do
      if given[i] == 'PX' then
        ms, i = given[i + 1] + 0, i + 1
      elseif given[i] == 'KEEPTTL' then
        keep = true
      else
        options[#options + 1] = given[i]
      end
      i = i + 1
    end
    local done = redis.call('SET', key, given[1], unpack(options))
    if done and ms then
      ends(key, ms)
    elseif done and not keep then
      redis.call('HDEL', ttls, key)
    end
    return done
  end
  local reply = redis.call(command, key, ...)
  if command == 'LTRIM' and redis.call('EXISTS', key) == 0 then redis.call('HDEL', ttls, key) end
  return reply
end
`

func freeze(t testing.TB, c *rediskit.Client, expiring bool) *frozen {
	key := rediskittest.Keys(t)
	f := &frozen{c: c, ctx: context.Background(), clock: key("clock"), key: key, expiring: expiring}
	source := strings.ReplaceAll(frozenClock, "CLOCK", f.clock)
	if expiring {
		source = strings.ReplaceAll(source, "EXPIRING", "true")
	} else {
		source = strings.ReplaceAll(source, "EXPIRING", "false")
	}
	f.Scripts = makeScripts(source)
	t.Cleanup(func() { remove(t, c, key) })
	return f
}

func (f *frozen) set(t fataler, now int64) {
	if !f.setBefore || f.setAt != now {
		do(t, f.c, "SET", f.clock, number(now))
		f.setAt, f.setBefore = now, true
	}
}

// The methods of a Store.

func (f *frozen) allow(t fataler, now int64, call Call) Reply {
	t.Helper()
	f.set(t, now)
	return must[Reply](t)(f.Allow(f.ctx, f.c, call))
}

func (f *frozen) allowAll(t fataler, now int64, calls []Call) []Reply {
	t.Helper()
	f.set(t, now)
	return must[[]Reply](t)(f.AllowAll(f.ctx, f.c, calls))
}

func (f *frozen) peek(t fataler, now int64, call Call) Reply {
	t.Helper()
	f.set(t, now)
	return must[Reply](t)(f.Peek(f.ctx, f.c, call))
}

func (f *frozen) reserve(t fataler, now int64, call Call, ahead time.Duration) Reply {
	t.Helper()
	f.set(t, now)
	return must[Reply](t)(f.Reserve(f.ctx, f.c, call, ahead))
}

func (f *frozen) refundOf(t fataler, now int64, call Call, r Reply) bool {
	t.Helper()
	f.set(t, now)
	return must[bool](t)(f.Refund(f.ctx, f.c, call, marker(call, r), r))
}

func (f *frozen) blockFor(t fataler, now int64, limit *Spec, key string, d time.Duration) {
	t.Helper()
	f.set(t, now)
	if err := f.Block(f.ctx, f.c, limit, key, d); err != nil {
		t.Fatalf("%v", err)
	}
}

func (f *frozen) reset(t fataler, key string) { do(t, f.c, "DEL", key) }

// lasts fails the test if a key would stay for ever.
func (f *frozen) lasts(t fataler, key string) {
	t.Helper()
	if num(t, f.c, "EXISTS", key) == 1 && num(t, f.c, "HEXISTS", f.clock+":ttls", key) == 0 {
		t.Fatalf("%s has no TTL", key)
	}
}
