package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"
)

// TestMain lets the test's own binary be the process that makes the way longer, as bench's is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-delay=") {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestHistogramQuantilesAreWithinABucketOfTheExactOnes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var exact []time.Duration
	for range 10_000 {
		d := time.Duration(math.Exp(rng.Float64() * 24)) // 1 ns to 26 s
		h.record(d)
		exact = append(exact, d)
	}
	slices.Sort(exact)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := exact[int(q*float64(len(exact)))-1]
		if got := h.quantile(q); math.Abs(float64(got-want)) > float64(want)/64+1 {
			t.Errorf("quantile(%v) = %v, exactly %v", q, got, want)
		}
	}
}

func TestHistogramBucketsAreInOrderAndHoldWhatIsPutIn(t *testing.T) {
	for b := range buckets {
		if got := bucketOf(middleOf(b)); got != b {
			t.Fatalf("the middle of bucket %d, %v, is put into %d", b, middleOf(b), got)
		}
	}
	for d, want := range map[time.Duration]int{-1: 0, 0: 0, 63: 63, 64: 64, time.Hour: buckets - 1, math.MaxInt64: buckets - 1} {
		if got := bucketOf(d); got != want {
			t.Errorf("bucketOf(%d) = %d, want %d", d, got, want)
		}
	}
}

func TestHistogramsAddUp(t *testing.T) {
	var a, b, empty histogram
	for i := range 100 {
		a.record(time.Duration(i))
		b.record(time.Duration(i) * time.Second)
	}
	a.add(&b)
	if a.total != 200 || a.quantile(0.25) > 63 || a.quantile(1) < 98*time.Second {
		t.Errorf("total %d, quarter %v, all %v", a.total, a.quantile(0.25), a.quantile(1))
	}
	if got := empty.quantile(0.99); got != 0 {
		t.Errorf("of an empty histogram: %v", got)
	}
}

func TestHistogramRecordsWithoutAllocating(t *testing.T) {
	h := new(histogram)
	if n := testing.AllocsPerRun(100, func() { h.record(time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		before := slices.Clone(c.of)
		if got := median(c.of); got != c.want || !slices.Equal(before, c.of) {
			t.Errorf("median(%v) = %v, want %v", before, got, c.want)
		}
	}
}

func TestARatioComparesWithinARound(t *testing.T) {
	// The machine halves its speed after the first round; the subject is three times as fast throughout.
	base := []sample{{opsPerS: 200}, {opsPerS: 100}, {opsPerS: 100}}
	peer := []sample{{opsPerS: 600, p50: 1500}, {opsPerS: 300, p50: 2500}, {opsPerS: 300, p50: 9500}}
	got := summarize(row{Area: "a", Subject: "peer"}, peer, base)
	want := row{Area: "a", Subject: "peer", OpsPerS: 300, P50Micros: 2.5, Ratio: 3, Rounds: 3}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if alone := summarize(row{}, peer, nil); alone.Ratio != 0 {
		t.Errorf("without anything to compare with the ratio is %v", alone.Ratio)
	}
}

func TestTimesOfProcessors(t *testing.T) {
	stat := "cpu  491553 7 143742 373298 3619 5 17196 52457 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	if got, err := busyTicks(stat); err != nil || got != 491553+7+143742+52457 {
		t.Errorf("busyTicks: %v, %v", got, err)
	}
	process := "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 30 12 5 6 20 0 1 0 100 0 0\n"
	if got, err := processTicks(process); err != nil || got != 30+12+5+6 {
		t.Errorf("processTicks: %v, %v", got, err)
	}
	for _, text := range []string{"", "cpu", "cpu a b c d e f g h i", "intr 1 2 3 4 5 6 7 8 9"} {
		if _, err := busyTicks(text); err == nil {
			t.Errorf("busyTicks took %q", text)
		}
		if _, err := processTicks(text); err == nil {
			t.Errorf("processTicks took %q", text)
		}
	}
}

func TestADisturbedMeasurementIsTakenAgainAndTheQuietestKept(t *testing.T) {
	for _, c := range []struct {
		name           string
		cold           bool
		disturbance    []float64 // of one try after the other
		tries, chosen  int
		keptDisturbing float64
	}{
		{"quiet at once", false, []float64{0.1}, 1, 1, 0.1},
		{"quiet at last", false, []float64{0.5, 0.2, 0.05, 0}, 3, 3, 0.05},
		{"never quiet", false, []float64{0.5, 0.2, 0.3, 0.9}, 4, 2, 0.2},
		{"too long to repeat", true, []float64{0.5, 0}, 1, 1, 0.5},
	} {
		tries := 0
		r := &runner{retries: 3, watch: func([]int) func() float64 {
			return func() float64 { return c.disturbance[tries-1] }
		}}
		s, err := r.measure(t.Context(), operation{cold: c.cold}, &candidate{
			probe: func(context.Context, time.Duration) (sample, error) {
				tries++
				return sample{opsPerS: float64(tries)}, nil
			},
		}, where{})
		if err != nil || tries != c.tries || s.opsPerS != float64(c.chosen) || s.others != c.keptDisturbing {
			t.Errorf("%s: %d tries, %+v, %v", c.name, tries, s, err)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for x, want := range map[float64]string{
		0: "", 0.034: "0.03", 1: "1", 7.25: "7.25", 12.34: "12.3", 656.4: "656", 12_345: "12,300", 298_765: "299,000",
		1_234_567: "1,230,000", 999.9: "1,000",
	} {
		if got := number(x); got != want {
			t.Errorf("number(%v) = %q, want %q", x, got, want)
		}
	}
}

func tableRows() []row {
	return []row{
		{Area: "a", Operation: "get", Goroutines: 1, Subject: "rediskit", OpsPerS: 20_000, Ratio: 1, P50Micros: 40, P99Micros: 99, AllocsPerOp: 0.001},
		{Area: "a", Operation: "get", Goroutines: 1, Subject: "peer", OpsPerS: 10_000, Ratio: 0.5, P50Micros: 80, P99Micros: 200, AllocsPerOp: 7, BytesPerOp: 328},
		{Area: "a", Operation: "get", Goroutines: 1, Subject: "rediskit", RTTMicros: 1000, OpsPerS: 900, Ratio: 1, P50Micros: 1100, P99Micros: 1200},
		{Area: "a", Operation: "memory", Goroutines: 1, Subject: "rediskit", Value: 3.5, Unit: "MB"},
	}
}

func TestTheTableShowsALongerWayBesideLoopback(t *testing.T) {
	var b bytes.Buffer
	gridOf(tableRows()).writeText(&b)
	want := `
operation  goroutines  subject    ops/s  vs rediskit  p50 µs  p99 µs  allocs/op  B/op  besides  ops/s +1ms  vs rediskit +1ms  p50 µs +1ms  p99 µs +1ms

get        1           rediskit  20,000        1.00×      40      99          0     0                  900             1.00×        1,100        1,200
get        1           peer      10,000        0.50×      80     200          7   328

memory     1           rediskit                                                         3.5 MB
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheDocumentKeepsWhatStandsAroundTheTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("# Title\n\n"+tableBegin+"\nold\n"+tableEnd+"\nlosses\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := document(report{Rows: tableRows()}, []area{{name: "a", about: "About a."}, {name: "b", about: "Not measured."}})
	for range 2 { // the second time finds the first one's work
		if err := writeDocument(path, text); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(got); !strings.HasPrefix(s, "# Title\n\n"+tableBegin) || !strings.HasSuffix(s, tableEnd+"\nlosses\n") ||
		strings.Contains(s, "old") || strings.Count(s, "| peer |") != 1 || strings.Contains(s, "Not measured") {
		t.Errorf("got\n%s", s)
	}
	if err := os.WriteFile(path, []byte("# Title\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeDocument(path, text); err == nil {
		t.Error("a document without a place for the tables was taken")
	}
}

func TestResultsOfOtherAreasStayIfNothingElseChanged(t *testing.T) {
	order := []area{{name: "a"}, {name: "b"}}
	here := environment{Go: "go1.26", Peers: map[string]string{"m": "v1"}}
	old := report{Environment: here, Rows: []row{{Area: "a", OpsPerS: 1}, {Area: "b", OpsPerS: 2}, {Area: "gone"}}}
	fresh := report{Environment: here, Rows: []row{{Area: "b", OpsPerS: 3}}}

	want := []row{{Area: "a", OpsPerS: 1}, {Area: "b", OpsPerS: 3}}
	if got := fresh.over(old, order).Rows; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	fresh.Environment.Peers = map[string]string{"m": "v1", "more": "v1"}
	if got := fresh.over(old, order); !slices.Equal(got.Rows, want) || !reflect.DeepEqual(got.Environment, fresh.Environment) {
		t.Errorf("with one more peer: %v", got)
	}
	old.Environment.Go = "go1.25"
	if got := fresh.over(old, order).Rows; !slices.Equal(got, fresh.Rows) {
		t.Errorf("with another Go: %v", got)
	}
	old.Environment = fresh.Environment
	old.Environment.Peers = map[string]string{"m": "v2"}
	if got := fresh.over(old, order).Rows; !slices.Equal(got, fresh.Rows) {
		t.Errorf("with another peer's version: %v", got)
	}
}

func TestResultsReadBackAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	if got, err := readReport(path); err != nil || got.Rows != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	want := report{Environment: environment{Go: "go1.26", CPUs: 2, Peers: map[string]string{"m": "v1"}}, Rows: tableRows()}
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	if got, err := readReport(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestALoopEndsWithTheFirstError(t *testing.T) {
	boom := errors.New("boom")
	_, err := measureWhile(t.Context(), 4, func(ctx context.Context, g, n int) error {
		if g == 2 && n == 10 {
			return boom
		}
		return ctx.Err()
	}, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func TestALoopCountsCallsAndTheirAllocations(t *testing.T) {
	sink := make([][]byte, 2)
	s, err := measureWhile(t.Context(), 2, func(_ context.Context, g, _ int) error {
		sink[g] = make([]byte, 1<<12)
		return nil
	}, func(context.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if s.opsPerS <= 0 || s.p50 <= 0 || s.p99 < s.p50 || s.allocsPerOp < 1 || s.bytesPerOp < 1<<12 {
		t.Errorf("%+v", s)
	}
}

func TestEveryAreaRuns(t *testing.T) {
	for _, a := range areas(10_000) {
		t.Run(a.name, func(t *testing.T) {
			r := &runner{rounds: 1, duration: time.Millisecond, watch: watchOthers, progress: t.Output()}
			rows, err := r.run(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 {
				t.Error("no rows")
			}
		})
	}
}

func TestADelayMakesTheRoundTripLonger(t *testing.T) {
	r := &runner{rounds: 1, duration: 20 * time.Millisecond, rtt: 20 * time.Millisecond, watch: watchOthers, progress: t.Output()}
	ping := area{name: "ping", operations: []operation{{name: "ping", goroutines: []int{1}, subjects: []subject{
		{baseline, func(_ context.Context, s *stand) (probe, error) {
			c, err := s.rueidis(rueidis.ClientOption{})
			if err != nil {
				return nil, err
			}
			return s.loop(func(ctx context.Context, _, _ int) error { return c.Do(ctx, c.B().Ping().Build()).Error() }), nil
		}},
	}}}}
	rows, err := r.run(t.Context(), ping)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[1].RTTMicros != 20_000 || rows[1].P50Micros < 20_000 {
		t.Errorf("%+v", rows)
	}
}
