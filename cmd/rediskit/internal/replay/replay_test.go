package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tickettoken/rediskit/internal/limits"
	"github.com/tickettoken/rediskit/ratelimit"
)

// logLine is a request of a host, so many seconds after noon.
func logLine(host string, seconds int) string {
	return fmt.Sprintf(`%s - - [%s] "GET / HTTP/1.1" 200 1`+"\n", host, noon.Add(time.Duration(seconds)*time.Second).Format("02/Jan/2006:15:04:05 -0700"))
}

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.FixedZone("", 3600))

func config(t testing.TB, texts ...string) Config {
	return Config{Limits: parsedLimits(t, texts...), Key: parsedKey(t, "ip")}
}

// replayed replays texts, which have to be read to their ends.
func replayed(t testing.TB, cfg Config, texts ...string) *Report {
	t.Helper()
	var inputs []Input
	for i, text := range texts {
		inputs = append(inputs, Input{Name: fmt.Sprint("log", i), Reader: strings.NewReader(text)})
	}
	r, err := Run(t.Context(), cfg, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPoliciesAreComparedInOnePass(t *testing.T) {
	var log strings.Builder
	for i := range 5 {
		log.WriteString(logLine("a", i))
	}
	log.WriteString(logLine("b", 5) + logLine("a", 70))
	cfg := config(t, "fixed-window:2/1m", "fixed-window:4/1m", "fixed-window:1/1h")
	cfg.Top = 1
	got := replayed(t, cfg, log.String())
	if got.Requests != 7 || got.Lines != 7 || got.Keys != 2 || !got.First.Equal(noon) || !got.Last.Equal(noon.Add(70*time.Second)) {
		t.Errorf("got %+v", got)
	}
	want := []Policy{
		{"fixed-window:2/1m", 4, 3, 300.0 / 7, 1, []TopKey{{"a", 6, 3}}},
		{"fixed-window:4/1m", 6, 1, 100.0 / 7, 1, []TopKey{{"a", 6, 1}}},
		{"fixed-window:1/1h", 2, 5, 500.0 / 7, 1, []TopKey{{"a", 6, 5}}},
	}
	if !reflect.DeepEqual(got.Policies, want) {
		t.Errorf("got  %+v\nwant %+v", got.Policies, want)
	}
}

// The report is what one gets who asks a Store about one line after another.
func TestEveryRequestIsDecidedOnTheClockOfItsKey(t *testing.T) {
	texts := []string{"sliding-window:20/1m", "sliding-counter:50/5m", "fixed-window:10/10s,penalty=1m", "token-bucket:1/3s,burst=10", "gcra:7/20s,burst=20"}
	random := rand.New(rand.NewPCG(7, 7))
	var log strings.Builder
	stores, clocks := make([]*limits.Store, len(texts)), map[string]int64{}
	refused, keys := make([]int64, len(texts)), make([]map[string]int64, len(texts))
	for p := range texts {
		stores[p], keys[p] = limits.NewStore(1000), map[string]int64{}
	}
	disorder, latest, second := int64(0), 0, 0
	const requests = 5000
	for range requests {
		second += random.IntN(3)
		at := second
		if random.IntN(5) == 0 {
			at = max(at-random.IntN(60), 0)
		}
		if at < latest {
			disorder++
		}
		latest = max(latest, at)
		host := fmt.Sprint("host", random.IntN(6))
		log.WriteString(logLine(host, at))
		clocks[host] = max(clocks[host], noon.Add(time.Duration(at)*time.Second).UnixMicro())
		for p, text := range texts {
			spec, err := limits.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if stores[p].Allow(clocks[host], limits.Call{Limit: spec, Key: host, Cost: 1}).Verdict != 1 {
				refused[p]++
				keys[p][host]++
			}
		}
	}
	got := replayed(t, config(t, texts...), log.String())
	if got.Requests != requests || got.OutOfOrder != disorder || got.Keys != 6 || disorder < 100 {
		t.Errorf("%d requests, %d out of order (want %d), %d keys", got.Requests, got.OutOfOrder, disorder, got.Keys)
	}
	for p, l := range got.Policies {
		if l.Refused != refused[p] || l.Allowed != requests-refused[p] || int(l.KeysRefused) != len(keys[p]) || len(l.Top) != len(keys[p]) {
			t.Errorf("%s refused %d of %d keys, want %d of %d", l.Limit, l.Refused, l.KeysRefused, refused[p], len(keys[p]))
		}
		for _, k := range l.Top {
			if k.Refused != keys[p][k.Name] {
				t.Errorf("%s refused %s %d times, want %d", l.Limit, k.Name, k.Refused, keys[p][k.Name])
			}
		}
	}
}

func TestAKeyThatComesLateIsNoEarlierThanItWas(t *testing.T) {
	cfg := config(t, "gcra:1/10s,burst=2")
	// At its own time, 10, the third would find the bucket as it is at 20 with 10 seconds less to fill, and be refused.
	got := replayed(t, cfg, logLine("a", 0)+logLine("a", 20)+logLine("a", 10)+logLine("b", 5))
	if got.Policies[0].Refused != 0 || got.OutOfOrder != 2 {
		t.Errorf("%d refused, %d out of order", got.Policies[0].Refused, got.OutOfOrder)
	}
}

func TestSeveralLogsAreMergedByTime(t *testing.T) {
	log := string(combined(3, 9_000, 50, 5*time.Minute))
	cfg := config(t, "sliding-window:30/1m", "gcra:1/1s,burst=5")
	want := replayed(t, cfg, log)
	if want.Policies[0].Refused < 500 {
		t.Fatalf("only %d refused", want.Policies[0].Refused)
	}

	// Three servers, each with its newest file under the first name and older ones packed, in the order of a shell.
	random := rand.New(rand.NewPCG(4, 4))
	dir := t.TempDir()
	lines := strings.SplitAfter(log, "\n")
	var inputs []Input
	for server := range 3 {
		for rotation := range 4 {
			var part strings.Builder
			for i, line := range lines {
				if i%3 == server && i/2_500 == 3-rotation {
					part.WriteString(line)
				}
			}
			name, text := filepath.Join(dir, fmt.Sprintf("web%d.log.%d", server, rotation)), []byte(part.String())
			if rotation > 0 {
				name, text = name+".gz", packed(text)
			}
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
			inputs = append(inputs, Input{Name: name})
		}
	}
	for range 2 {
		random.Shuffle(len(inputs), func(i, j int) { inputs[i], inputs[j] = inputs[j], inputs[i] })
		got, err := Run(t.Context(), cfg, inputs)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestAFileIsReadWhenItsTimeHasCome(t *testing.T) {
	dir := t.TempDir()
	var inputs []Input
	for i := range 50 {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, []byte(logLine("a", -10*i)), 0o600); err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, Input{Name: name})
	}
	r, err := newReplay(config(t, "fixed-window:1/1m"))
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	r.cfg.Progress = func(int64, int64, int64) { most = max(most, len(r.active)) }
	if err := r.open(inputs); err != nil {
		t.Fatal(err)
	}
	r.merge(t.Context())
	if r.requests != 50 || r.disorder > 0 || most > 2 {
		t.Errorf("%d requests, %d out of order, up to %d files open", r.requests, r.disorder, most)
	}
}

func TestHowALogIsCutIntoPiecesDoesNotMatter(t *testing.T) {
	log := string(combined(5, 300, 20, time.Hour)) + "bad\r\n\r\n" + strings.Repeat("x", longestLine+1) + "\n" +
		strings.ReplaceAll(logLine("crlf", 4000), "\n", "\r\n") + strings.Repeat("y", 2*bufferSize) + "\n" + logLine("after", 4001) +
		strings.TrimSuffix(logLine("last", 4002), "\n")
	cfg := config(t, "fixed-window:5/1m")
	cfg.Top = 100
	want := replayed(t, cfg, log)
	if want.Requests != 303 || want.Malformed != 4 || want.Keys < 10 {
		t.Fatalf("got %+v", want)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data with the error": iotest.DataErrReader,
		"gzip":               func(io.Reader) io.Reader { return bytes.NewReader(packed([]byte(log))) },
		"gzip, byte by byte": func(io.Reader) io.Reader { return iotest.OneByteReader(bytes.NewReader(packed([]byte(log)))) },
		"gzip in two members": func(io.Reader) io.Reader {
			return bytes.NewReader(slices.Concat(packed([]byte(log[:1000])), packed([]byte(log[1000:]))))
		},
	} {
		got, err := Run(t.Context(), cfg, []Input{{Name: "log0", Reader: cut(strings.NewReader(log))}})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
}

func TestMalformedLinesAreCountedAndTheFirstAreShown(t *testing.T) {
	log := logLine("a", 0) + "\n" + strings.Repeat("\x00", 100) + logLine("a", 1) + strings.Repeat("z", longestLine+1) + "\n" +
		strings.TrimSuffix(logLine("a", 2), "\n") + strings.Repeat("z", 10*bufferSize) + "\n" + "a - - [yesterday] \"GET /\" 200 1\n" +
		"a - -\n" + logLine("a", 3)
	got := replayed(t, config(t, "fixed-window:1/1m"), log)
	want := []Problem{{"log0", 2, noHost}, {"log0", 3, noHost}, {"log0", 4, tooLong}, {"log0", 5, tooLong}, {"log0", 6, noTime}}
	if got.Lines != 8 || got.Malformed != 6 || got.Requests != 2 || !reflect.DeepEqual(got.Problems, want) {
		t.Errorf("%d lines, %d malformed: %+v", got.Lines, got.Malformed, got.Problems)
	}
}

func TestOfManyLogsNotEveryMalformedLineIsShown(t *testing.T) {
	bad := slices.Repeat([]string{strings.Repeat("bad\n", 7)}, 9)
	got := replayed(t, config(t, "fixed-window:1/1m"), bad...)
	if got.Malformed != 63 || len(got.Problems) != mostProblems || got.Problems[5] != (Problem{"log1", 1, noHost}) {
		t.Errorf("%d malformed: %+v", got.Malformed, got.Problems)
	}
}

func TestALineMayBeAsLongAsItSays(t *testing.T) {
	line := strings.TrimSuffix(logLine("a", 0), "\n")
	line += " " + strings.Repeat("u", longestLine-len(line)-1)
	for text, malformed := range map[string]int64{line: 0, line + "\r\n": 0, line + "u": 1, line + "u\n": 1} {
		if got := replayed(t, config(t, "fixed-window:1/1m"), text); got.Malformed != malformed || got.Requests != 1-malformed {
			t.Errorf("%d bytes: %d malformed", len(text), got.Malformed)
		}
	}
}

func TestLinesWithoutAKeyAreInNoLimit(t *testing.T) {
	cfg := Config{Limits: parsedLimits(t, "fixed-window:1/1h"), Key: parsedKey(t, "user")}
	got := replayed(t, cfg, strings.Repeat(logLine("a", 0), 5)+strings.Repeat(strings.Replace(logLine("a", 0), "- -", "- jo", 1), 2))
	if got.WithoutKey != 5 || got.Requests != 2 || got.Policies[0].Refused != 1 || got.Policies[0].Top[0].Name != "jo" {
		t.Errorf("got %+v", got)
	}
}

func TestEmptyLogsGiveAnEmptyReport(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, in := range []Input{{Name: empty}, {Name: "r", Reader: strings.NewReader("")}, {Name: "gz", Reader: bytes.NewReader(packed(nil))}} {
		got, err := Run(t.Context(), config(t, "fixed-window:1/1m"), []Input{in})
		if err != nil || got.Lines != 0 || got.First != nil || len(got.Timeline.Buckets) != 0 || got.Policies[0].Percent != 0 {
			t.Errorf("%s: %+v, %v", in.Name, got, err)
		}
	}
}

func TestWhatWasReadBeforeAnErrorIsReported(t *testing.T) {
	log := string(combined(6, 8_000, 50, time.Hour))
	whole := packed([]byte(log))
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 0x55
	bare := errors.New("the disk is gone")
	for name, row := range map[string]struct {
		in   io.Reader
		want string
	}{
		"cut off":    {bytes.NewReader(whole[:len(whole)/2]), "cut: the gzip data is cut off"},
		"damaged":    {bytes.NewReader(flipped), "cut: gzip: "},
		"no header":  {strings.NewReader("\x1f\x8bno gzip at all"), "cut: gzip: "},
		"an error":   {io.MultiReader(strings.NewReader(log), iotest.ErrReader(bare)), "cut: the disk is gone"},
		"no trailer": {bytes.NewReader(whole[:len(whole)-4]), "cut: the gzip data is cut off"},
	} {
		other := logLine("other", 0)
		got, err := Run(t.Context(), config(t, "fixed-window:1/1m"),
			[]Input{{Name: "cut", Reader: row.in}, {Name: "other", Reader: strings.NewReader(other)}})
		if err == nil || !strings.HasPrefix(err.Error(), row.want) || len(got.Errors) != 1 || got.Errors[0] != err.Error() {
			t.Errorf("%s: %v, %q", name, err, got.Errors)
		}
		least := int64(2000)
		if name == "no header" {
			least = 1
		}
		// A line that was cut off is no line.
		if got.Requests < least || got.Malformed != 0 && name != "damaged" || got.Lines != got.Requests+got.Malformed {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAFileThatIsNotThereStopsTheReplayBeforeItBegins(t *testing.T) {
	dir := t.TempDir()
	read := false
	first := Input{Name: "first", Reader: readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })}
	for name, want := range map[string]error{filepath.Join(dir, "none"): fs.ErrNotExist, dir: errIsDirectory} {
		if r, err := Run(t.Context(), config(t, "fixed-window:1/1m"), []Input{first, {Name: name}}); r != nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if read {
		t.Error("something was read")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAReaderThatGivesNothingIsNotReadForEver(t *testing.T) {
	idle := readerFunc(func([]byte) (int, error) { return 0, nil })
	_, err := Run(t.Context(), config(t, "fixed-window:1/1m"), []Input{{Name: "idle", Reader: idle}})
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

// What follows a log that still grows wants to know how it was when it stops it.
func TestAnInterruptedReplayReportsWhatItHasRead(t *testing.T) {
	reader, writer := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(t, "fixed-window:1/1m")
	cfg.Progress = func(_, _, n int64) {
		if n == 3 { // read, though neither the buffer nor the log has come to an end
			cancel()
		}
	}
	go writer.Write([]byte(logLine("a", 0) + logLine("a", 1) + logLine("b", 1) + "unfinished"))
	got, err := Run(ctx, cfg, []Input{{Name: "log", Reader: reader}})
	if !errors.Is(err, context.Canceled) || got.Requests != 3 || got.Policies[0].Refused != 1 || !slices.Equal(got.Errors, []string{"context canceled"}) {
		t.Errorf("%v, %+v", err, got)
	}
	writer.Close() // or its reader would wait for ever
}

func TestMoreKeysThanThereIsRoomForAreDecidedAndReported(t *testing.T) {
	var log strings.Builder
	for i := range 100 {
		log.WriteString(logLine(fmt.Sprint("host", i), 0) + logLine(fmt.Sprint("host", i), 0))
	}
	cfg := config(t, "fixed-window:1/1h")
	cfg.Keys = 10
	got := replayed(t, cfg, log.String())
	if !got.MoreKeys || got.Keys != 10 || got.Requests != 200 || got.Policies[0].Refused != 100 || got.Policies[0].KeysRefused != 10 {
		t.Errorf("got %+v", got)
	}
	cfg.Keys = 100
	if got := replayed(t, cfg, log.String()); got.MoreKeys || got.Keys != 100 || got.Policies[0].KeysRefused != 100 {
		t.Errorf("got %+v", got)
	}
}

func TestProgressIsInBytesOfTheFiles(t *testing.T) {
	text := combined(8, 5000, 50, time.Hour)
	dir := t.TempDir()
	plain, zipped := filepath.Join(dir, "plain"), filepath.Join(dir, "zipped")
	if err := errors.Join(os.WriteFile(plain, text, 0o600), os.WriteFile(zipped, packed(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	size := int64(len(text) + len(packed(text)))
	var read, total, lines int64
	cfg := config(t, "fixed-window:1/1m")
	cfg.Progress = func(r, of, n int64) {
		if r < read || n < lines || of != size {
			t.Errorf("%d of %d bytes, %d lines, after %d bytes and %d lines of %d", r, of, n, read, lines, size)
		}
		read, total, lines = r, of, n
	}
	if _, err := Run(t.Context(), cfg, []Input{{Name: plain}, {Name: zipped}}); err != nil {
		t.Fatal(err)
	}
	if read != total || lines != 10_000 {
		t.Errorf("%d of %d bytes, %d lines", read, total, lines)
	}
	cfg.Progress = func(_, of, _ int64) { total = of }
	replayed(t, cfg, string(text))
	if total != 0 {
		t.Errorf("of what has no size it says %d", total)
	}
}

func TestLinesOfKnownKeysAllocateNothing(t *testing.T) {
	r, err := newReplay(config(t, "sliding-window:60/1m", "token-bucket:1/1s,burst=20", "sliding-counter:100/1h"))
	if err != nil {
		t.Fatal(err)
	}
	s, b := &source{key: r.cfg.Key, networks: networks{}}, &batch{}
	lines := strings.Split(strings.TrimSpace(string(combined(9, 1000, 10, time.Minute))), "\n")
	for i := range 500 { // half of them from IPv6
		lines[2*i] = fmt.Sprintf("2001:db8:%x::1%s", i%10, lines[2*i][strings.IndexByte(lines[2*i], ' '):])
	}
	raw := make([][]byte, len(lines))
	for i := range lines {
		raw[i] = []byte(lines[i])
	}
	round := func() {
		*b = batch{events: b.events[:0], keys: b.keys[:0]}
		for _, line := range raw {
			s.line(b, line)
		}
		from := int32(0)
		for _, ev := range b.events {
			r.decide(ev.at, b.keys[from:ev.end])
			from = ev.end
		}
	}
	round()
	if n := testing.AllocsPerRun(10, round); n > 0 {
		t.Errorf("%v allocations for %d lines", n, len(raw))
	}
}

func TestWhatCannotBeReplayedIsRefused(t *testing.T) {
	negative := config(t, "fixed-window:1/1m")
	negative.Keys = -1
	for want, cfg := range map[string]Config{
		"replay: Config.Keys is -1: want at least 1":    negative,
		"replay: no limits":                             {Key: parsedKey(t, "ip")},
		"replay: no key":                                {Limits: parsedLimits(t, "fixed-window:1/1m")},
		"replay: concurrency:1/1s: a log does not tell": config(t, "concurrency:1/1s"),
		"replay: ratelimit: the zero Limit":             {Limits: make([]ratelimit.Limit, 1), Key: parsedKey(t, "ip")},
	} {
		if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
