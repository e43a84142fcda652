package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
)

func TestATimelineCountsEverythingOnceWhateverComesWhen(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		zone := random.Int64N(26*3600) - 12*3600
		line := timeline{policies: 2, zone: zone}
		span := int64(1) << random.IntN(33)
		began := random.Int64N(7_000_000_000)
		exact := map[int64]int64{}
		for i := range int64(200) {
			at := began + random.Int64N(span)
			exact[at]++
			b := line.at(at)
			b.requests++
			b.refused[i%2]++
		}
		width := line.width()
		if len(line.buckets) > mostBuckets || width > 1 && len(line.buckets) < 2 {
			t.Fatalf("%d buckets of %d s for %d s", len(line.buckets), width, span)
		}
		var sum [3]int64
		for i, b := range line.buckets {
			from := (line.first+int64(i))*width - zone
			want := int64(0)
			for at, n := range exact {
				if at >= from && at < from+width {
					want += n
				}
			}
			if b.requests != want {
				t.Fatalf("bucket %d of %d s has %d, want %d", i, width, b.requests, want)
			}
			sum[0], sum[1], sum[2] = sum[0]+b.requests, sum[1]+b.refused[0], sum[2]+b.refused[1]
		}
		if sum != [3]int64{200, 100, 100} {
			t.Fatalf("in all %v", sum)
		}
		if ends := line.buckets[len(line.buckets)-1]; line.buckets[0].requests == 0 || ends.requests == 0 {
			t.Fatal("it has empty ends")
		}
	}
}

func TestBucketsFitTheSpanOfTheLog(t *testing.T) {
	for span, want := range map[time.Duration]int64{
		time.Second: 1, 39 * time.Second: 1, time.Minute: 5, 10 * time.Minute: 30, time.Hour: 300, 5 * time.Hour: 600,
		24 * time.Hour: 3600, 7 * 24 * time.Hour: 6 * 3600, 30 * 24 * time.Hour: 24 * 3600, 365 * 24 * time.Hour: 16 * 24 * 3600,
	} {
		line := timeline{policies: 1}
		line.at(1_772_323_200) // a midnight
		line.at(1_772_323_200 + int64(span.Seconds()) - 1)
		if got := line.width(); got != want {
			t.Errorf("%v: buckets of %d s, want %d s", span, got, want)
		}
	}
}

func sample(t testing.TB) *Report {
	var log strings.Builder
	for i := range 100 {
		log.WriteString(logLine("10.0.0.7", i*6))
		if i%10 == 0 {
			log.WriteString(logLine("2001:db8::1", i*6))
		}
		if i > 60 {
			log.WriteString(strings.Repeat(logLine("h\xff", i*6), 4))
		}
	}
	log.WriteString(logLine("10.0.0.8", 60) + "no log\n" + logLine("-", 600) + logLine("\x1b[2J", 600))
	cfg := config(t, "sliding-window:25/1m", "fixed-window:1/1h")
	cfg.Top = 2
	return replayed(t, cfg, log.String())
}

func TestTheReportIsForPeople(t *testing.T) {
	var out bytes.Buffer
	if err := sample(t).Text(&out, terminal.Style{}); err != nil {
		t.Fatal(err)
	}
	want := `
267 requests of 4 keys (ip), 2026-03-01 12:00:00 to 2026-03-01 12:09:54 +0100
1 request out of order
1 more request without a key, which no limit applies to
2 lines malformed
  log0:268: no identity after the host
  log0:270: no host at the beginning

   LIMIT                 ALLOWED  REFUSED          KEYS REFUSED
A  sliding-window:25/1m      211       56  20.97%             1  25.00%
B  fixed-window:1/1h           4      263  98.50%             3  75.00%

FROM      REQUESTS              A REFUSED         B REFUSED
12:00:00         6  ##                  0                 4  ##
12:00:30         5  ##                  0                 5  ##
12:01:00         7  ###                 0                 6  ##
12:01:30         5  ##                  0                 5  ##
12:02:00         6  ##                  0                 6  ##
12:02:30         5  ##                  0                 5  ##
12:03:00         6  ##                  0                 6  ##
12:03:30         5  ##                  0                 5  ##
12:04:00         6  ##                  0                 6  ##
12:04:30         5  ##                  0                 5  ##
12:05:00         6  ##                  0                 6  ##
12:05:30         5  ##                  0                 5  ##
12:06:00        22  ########            0                21  ########
12:06:30        25  ##########         11  ####          25  ##########
12:07:00        26  ##########          7  ###           26  ##########
12:07:30        25  ##########          8  ###           25  ##########
12:08:00        26  ##########         10  ####          26  ##########
12:08:30        25  ##########          5  ##            25  ##########
12:09:00        26  ##########         13  #####         26  ##########
12:09:30        25  ##########          2  #             25  ##########

Most refused by A, sliding-window:25/1m
REFUSED          REQUESTS  KEY
     56  35.90%       156  "h\xff"

Most refused by B, fixed-window:1/1h
REFUSED          REQUESTS  KEY
    155  99.36%       156  "h\xff"
     99  99.00%       100  10.0.0.7
`
	if out.String() != want[1:] {
		t.Errorf("got\n%s", out.String())
	}
}

func TestTheReportIsForMachines(t *testing.T) {
	cfg := config(t, "fixed-window:1/1h")
	log := strings.Repeat(logLine("a", 0), 3) + strings.Repeat(logLine("\xff", 61), 2) + "no log\n" + logLine("-", 0)
	var out, compact bytes.Buffer
	if err := replayed(t, cfg, log).JSON(&out); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compact, out.Bytes()); err != nil {
		t.Fatal(err)
	}
	want := `{"lines":7,"malformed":1,"without_key":1,"requests":5,"out_of_order":0,"key":"ip","keys":2,"more_keys":false,` +
		`"first":"2026-03-01T12:00:00+01:00","last":"2026-03-01T12:01:01+01:00","policies":[{"limit":"fixed-window:1/1h",` +
		`"allowed":2,"refused":3,"refused_percent":60,"keys_refused":2,"top":[{"key":"a","requests":3,"refused":2},` +
		`{"key_base64":"/w==","requests":2,"refused":1}]}],"timeline":{"bucket_seconds":5,"buckets":[`
	if got := compact.String(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `"problems":[{"file":"log0","line":6,"reason":"`+noIdent+`"}],"errors":[]}`) {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	out.Reset()
	compact.Reset()
	if err := replayed(t, cfg, "").JSON(&out); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compact, out.Bytes()); err != nil {
		t.Fatal(err)
	}
	want = `{"lines":0,"malformed":0,"without_key":0,"requests":0,"out_of_order":0,"key":"ip","keys":0,"more_keys":false,"first":null,"last":null,` +
		`"policies":[{"limit":"fixed-window:1/1h","allowed":0,"refused":0,"refused_percent":0,"keys_refused":0,"top":[]}],` +
		`"timeline":{"bucket_seconds":1,"buckets":[]},"problems":[],"errors":[]}`
	if got := compact.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheReportSaysWhatItDoesNotShow(t *testing.T) {
	cfg := config(t, "fixed-window:1/1h")
	cfg.Keys = 2
	var out bytes.Buffer
	r := replayed(t, cfg, logLine("a", 0)+logLine("b", 0)+logLine("c", 0)+logLine("c", 24*3600*40)+strings.Repeat("\n", 7))
	if err := r.Text(&out, terminal.Style{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4 requests of more than 2 keys (ip)", "Too many keys: ", "7 lines malformed", "  and 2 more\n", "\n2026-04-09 "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestSharesAreNotRoundedToNothingOrAll(t *testing.T) {
	for _, row := range []struct {
		part, of int64
		want     string
	}{{0, 0, "0.00%"}, {0, 9, "0.00%"}, {9, 9, "100.00%"}, {1, 1_000_000, "<0.01%"}, {999_999, 1_000_000, ">99.99%"}, {1, 3, "33.33%"}} {
		if got := percentText(row.part, row.of); got != row.want {
			t.Errorf("%d of %d: %s, want %s", row.part, row.of, got, row.want)
		}
	}
}

func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	r := sample(t)
	full := errors.New("full")
	for room := range 400 {
		w := &narrow{room: room, err: full}
		if err := r.Text(w, terminal.Style{}); !errors.Is(err, full) {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
	}
}

type narrow struct {
	room int
	err  error
}

func (n *narrow) Write(p []byte) (int, error) {
	if n.room -= len(p); n.room < 0 {
		return 0, n.err
	}
	return len(p), nil
}
