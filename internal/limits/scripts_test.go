package limits

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tickettoken/rediskit"
	"github.com/tickettoken/rediskit/rediskittest"
	"github.com/tickettoken/rediskit/script"
)

var singleAndEmbedded = []rediskittest.Kind{rediskittest.OnSingle, rediskittest.OnEmbedded}

// A state remembers the places of 16 refunds, and takes those of more together.
func TestManyRefundsOfABucketAreAsManyInMemory(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		f, store := freeze(t, c, true), NewStore(1000)
		random := rand.New(rand.NewPCG(1, 2))
		for round := range 12 {
			text := []string{"token-bucket:1/1s,burst=100", "gcra:3000000/1s,burst=100", "gcra:7/1s,burst=60"}[round%3]
			s := limit(t, text)
			now, call := int64(start), Call{s, f.key(fmt.Sprint(text, round)), 1}
			var calls []taken
			for range 40 {
				call.Cost = 1 + random.Int64N(2)
				r := store.Allow(now, call)
				same(t, "Allow", now, call, f.allow(t, now, call), r)
				calls = append(calls, taken{call, r})
			}
			slices.Reverse(calls) // or else all are in front of the next
			for range round * 4 {
				i, j := random.IntN(len(calls)), random.IntN(len(calls))
				calls[i], calls[j] = calls[j], calls[i]
			}
			for i, back := range calls {
				if got, want := f.refundOf(t, now, back.call, back.r), store.Refund(now, back.call, back.r); got != want {
					t.Fatalf("%s: refund %d of %+v: %v, in memory %v", text, i, back.r, got, want)
				}
				f.lasts(t, call.Key)
				if i%5 == 4 {
					now += random.Int64N(max(s.cost(1).us, 2))
					same(t, "Allow", now, call, f.allow(t, now, call), store.Allow(now, call))
				}
				same(t, "Peek", now, call, f.peek(t, now, call), store.Peek(now, call))
			}
		}
	}, singleAndEmbedded...)
}

func TestRefundsInAnyOrderGiveEverythingBack(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for order, arrange := range map[string]func([]taken){
		"first to last": func([]taken) {},
		"last to first": slices.Reverse[[]taken],
		"any": func(calls []taken) {
			random.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		},
	} {
		s, store := limit(t, "token-bucket:1/1s,burst=10"), NewStore(10)
		call := Call{s, "key", 1}
		var calls []taken
		for range 10 {
			calls = append(calls, taken{call, store.Allow(start, call)})
		}
		arrange(calls)
		for _, c := range calls {
			if !store.Refund(start, call, c.r) {
				t.Errorf("%s: nothing came back of %+v", order, c.r)
			}
		}
		if r := store.Peek(start, Call{s, "key", 10}); r.Verdict != 1 {
			t.Errorf("%s: after all came back, %+v", order, r)
		}
	}
}

func TestTheSlidingCounterComparesExactlyWhereFloatsDoNot(t *testing.T) {
	const asked = `
local answers = {}
for i = 1, #ARGV, 4 do
  answers[#answers + 1] = over(ARGV[i] + 0, ARGV[i + 1] + 0, ARGV[i + 2] + 0, ARGV[i + 3] + 0) and 1 or 0
end
return answers`
	run := script.New(source("sliding_counter_over")+asked, script.Idempotent)
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		rapid.Check(t, func(t *rapid.T) {
			var args []string
			var want []int64
			for range 100 {
				permits := rapid.OneOf(rapid.Int64Range(0, MaxPermits), rapid.Int64Range(MaxPermits-9, MaxPermits))
				window := rapid.OneOf(rapid.Int64Range(0, us(MaxWindow)), rapid.Int64Range(us(MaxWindow)-9, us(MaxWindow)))
				a, b := permits.Draw(t, "a"), window.Draw(t, "b")
				c, d := permits.Draw(t, "c"), window.Draw(t, "d")
				if a > 0 && c > 1 && gcd(a, c) == 1 && rapid.Bool().Draw(t, "close") { // products that differ by at most 9
					by := big.NewInt(rapid.Int64Range(-9, 9).Draw(t, "by"))
					least := new(big.Int).ModInverse(big.NewInt(a), big.NewInt(c))
					least.Mul(least, by).Mod(least, big.NewInt(c))
					more := rapid.Int64Range(1, us(MaxWindow)/MaxPermits-1).Draw(t, "more")
					b = least.Int64() + c*more
					least.Mul(least, big.NewInt(a)).Sub(least, by)
					d = max(least.Div(least, big.NewInt(c)).Int64()+a*more, 0)
				}
				for _, n := range []int64{a, b, c, d} {
					args = append(args, number(n))
				}
				left := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
				answer := int64(0)
				if left.Cmp(new(big.Int).Mul(big.NewInt(c), big.NewInt(d))) > 0 {
					answer = 1
				}
				if (answer == 1) != over(a, b, c, d) {
					t.Fatalf("in Go %d·%d > %d·%d is not %d", a, b, c, d, answer)
				}
				want = append(want, answer)
			}
			got := must[[]int64](t)(run.Exec(t.Context(), c, nil, args).AsIntSlice())
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%v: %d", args[4*i:4*i+4], got[i])
				}
			}
		})
	}, singleAndEmbedded...)
}

// Products of counts and windows are far beyond 2^53 here.
func TestALargeSlidingCounterRefusesExactlyWhatIsTooMuch(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		f := freeze(t, c, true)
		s := must[*Spec](t)(New(SlidingCounter, MaxPermits, 0, MaxWindow, 0))
		w := us(MaxWindow)
		key := f.key("large")
		before := (start/w+1)*w - 1
		if r := f.allow(t, before, Call{s, key, MaxPermits - 1}); r.Verdict != 1 {
			t.Fatalf("%+v", r)
		}
		for _, elapsed := range []int64{0, 1, 31_622, 31_623, 63_245, w / 3, w - 31_623, w - 1} {
			now := before + 1 + elapsed
			// cost <= n - previous·(W - e)/W
			most := new(big.Int).Mul(big.NewInt(MaxPermits-1), big.NewInt(w-elapsed))
			most.Add(most, big.NewInt(w-1)).Div(most, big.NewInt(w))
			fits := MaxPermits - most.Int64()
			if r := f.peek(t, now, Call{s, key, fits}); r.Verdict != 1 {
				t.Errorf("after %d us %d do not fit: %+v", elapsed, fits, r)
			}
			if r := f.peek(t, now, Call{s, key, fits + 1}); r.Verdict == 1 {
				t.Errorf("after %d us %d fit: %+v", elapsed, fits+1, r)
			}
		}
	}, singleAndEmbedded...)
}

func TestACostMayBeLargerThanWhatLuaUnpacks(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		f, store := freeze(t, c, true), NewStore(10)
		s := limit(t, "sliding-window:50000/1m")
		now := int64(start)
		var calls []taken
		for _, cost := range []int64{999, 1000, 1001, 12_345, 30_000, 4655, 1} {
			now += 1000
			call := Call{s, f.key("bulk"), cost}
			got, want := f.allow(t, now, call), store.Allow(now, call)
			same(t, "Allow", now, call, got, want)
			calls = append(calls, taken{call, got})
		}
		if n := num(t, c, "LLEN", f.key("bulk")); n != 50_000 {
			t.Errorf("there are %d hits", n)
		}
		last := calls[len(calls)-2] // the last that fitted
		if last.r.Verdict != 1 || calls[len(calls)-1].r.Verdict != 0 {
			t.Errorf("%+v", calls)
		}
		if !f.refundOf(t, now, calls[3].call, calls[3].r) || !store.Refund(now, calls[3].call, calls[3].r) {
			t.Error("nothing came back")
		}
		for _, elapsed := range []int64{0, 59_994_999, 59_995_000, 59_998_000, 60_000_000} {
			call := Call{s, f.key("bulk"), 12_345}
			same(t, "Peek", now+elapsed, call, f.peek(t, now+elapsed, call), store.Peek(now+elapsed, call))
		}
	}, singleAndEmbedded...)
}

// The edge of the window is looked for in steps that double: each number of hits that have left is tried.
func TestTheEdgeOfASlidingWindowIsFoundWhereverItIs(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		f := freeze(t, c, true)
		s := limit(t, "sliding-window:70/1s")
		for _, blocked := range []bool{false, true} {
			for hits := range int64(70) {
				if hits > 20 && hits%13 != 0 {
					continue
				}
				key := f.key(fmt.Sprint("edge", hits, blocked))
				f.set(t, start)
				for i := range hits {
					do(t, c, "RPUSH", key, number(start+10*i))
				}
				if blocked {
					do(t, c, "LPUSH", key, number(-start-100))
				}
				for gone := int64(0); gone <= hits; gone++ {
					for _, after := range []int64{0, 9} {
						now := start + 1_000_000 + 10*(gone-1) + after
						want := Reply{Verdict: 1, At: now, A: hits - gone}
						if gone < hits {
							want.B = start + 10*(hits-1)
						}
						if r := f.peek(t, now, Call{s, key, 1}); r != want {
							t.Fatalf("%d of %d have left: %+v, want %+v", gone, hits, r, want)
						}
					}
				}
			}
		}
	}, rediskittest.OnSingle)
}

func TestTheRemainderIsCarriedOnTheServer(t *testing.T) {
	rediskittest.Each(t, func(t *testing.T, c *rediskit.Client) {
		f := freeze(t, c, true)
		for _, text := range []string{"gcra:3000000/1s,burst=10", "token-bucket:3000000/1s,burst=10"} {
			call := Call{limit(t, text), f.key(text), 1}
			for us, allowed := int64(0), int64(0); us < 100; us++ {
				for f.allow(t, start+us, call).Verdict == 1 {
					allowed++
				}
				if want := 10 + 3*us; allowed != want {
					t.Fatalf("%s: after %d us %d were allowed, not %d", text, us, allowed, want)
				}
			}
		}
		s := limit(t, "gcra:7/1s,burst=3")
		now, call := int64(start), Call{s, f.key("seven"), 1}
		for k := int64(1); k <= 200; k++ {
			r := f.allow(t, now, call)
			if r.Verdict != 1 {
				now += us(s.Decide(r, 1, true).Wait)
				r = f.allow(t, now, call)
			}
			if want := (max(k-3, 0)*1_000_000 + 6) / 7; r.Verdict != 1 || now-start != want {
				t.Fatalf("hit %d was allowed after %d us, not %d: %+v", k, now-start, want, r)
			}
		}
	}, singleAndEmbedded...)
}
