package replay

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/ratelimit"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

// combined makes a log of n lines from hosts, some of which come much more often than others, in the given time.
func combined(seed uint64, n, hosts int, span time.Duration) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	often := rand.NewZipf(random, 1.1, 20, uint64(hosts-1))
	began := time.Date(2026, time.February, 28, 22, 0, 0, 0, time.FixedZone("", 3600))
	var b bytes.Buffer
	for i := range n {
		at := began.Add(span * time.Duration(i) / time.Duration(n))
		host := often.Uint64()
		fmt.Fprintf(&b, "10.%d.%d.%d - - [%s] \"GET /events/%d/seats?row=%d HTTP/1.1\" 200 %d \"https://shop.example/events/%d\" "+
			"\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\"\n",
			host>>16&255, host>>8&255, host&255, at.Format("02/Jan/2006:15:04:05 -0700"),
			random.IntN(500), random.IntN(40), random.IntN(20_000), random.IntN(500))
	}
	return b.Bytes()
}

func packed(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	w.Write(text)
	w.Close()
	return b.Bytes()
}

func parsedLimits(t testing.TB, texts ...string) []ratelimit.Limit {
	t.Helper()
	var all []ratelimit.Limit
	for _, text := range texts {
		l, err := ratelimit.ParseLimit(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func parsedKey(t testing.TB, text string) Key {
	t.Helper()
	k, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
