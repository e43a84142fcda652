package demo

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/internal/leaks"
	"github.com/tickettoken/rediskit/keys"
	"github.com/tickettoken/rediskit/rediskittest"
)

func TestMain(m *testing.M) { leaks.VerifyTestMain(m) }

func testTour(t *testing.T) (*tour, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	return &tour{out: &out, client: rediskittest.Embedded(t), close: func() {}, embedded: true,
		namespace: keys.MustNew("demo-test"), largest: largest, written: make(map[string]struct{})}, &out
}

func TestEveryKeyOfTheTourExpires(t *testing.T) {
	for _, step := range Steps() {
		t.Run(step.Name, func(t *testing.T) {
			tr, out := testTour(t)
			if err := step.run(t.Context(), tr); err != nil {
				t.Fatalf("%v after\n%s", err, out)
			}
			for _, key := range allKeys(t, tr) {
				left, err := tr.client.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
					return b.Pttl().Key(key).Build()
				}).AsInt64()
				if err != nil || left <= 0 || left > ttl.Milliseconds() {
					t.Errorf("%s has %d ms left, %v", key, left, err)
				}
			}
		})
	}
}

func TestTheTourDeletesAllItWrote(t *testing.T) {
	tr, out := testTour(t)
	if err := tr.make(t.Context(), Steps()); err != nil {
		t.Fatalf("%v after\n%s", err, out)
	}
	if len(allKeys(t, tr)) == 0 {
		t.Error("it wrote nothing")
	}
	if err := tr.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := allKeys(t, tr); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestTheTourEvictsADeviceAndRevivesNoSession(t *testing.T) {
	tr, out := testTour(t)
	if err := stepSession(t.Context(), tr); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"→ fridge in, phone out: limit\n    the phone is logged out: true\n", "  laptop\n    the ID of the fridge: ",
		"the same ref: true\n    the old secret is worth nothing: true\n",
		"revoked: true\n    the save found no session: true\n    nor does a request after it: true\n    4 sessions left\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if left := allKeys(t, tr); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestAStepThatFailsDoesNotEndTheTour(t *testing.T) {
	tr, out := testTour(t)
	made := false
	err := tr.make(t.Context(), []Step{
		{Name: "bad", run: func(context.Context, *tour) error { return errors.New("no luck") }},
		{Name: "good", run: func(context.Context, *tour) error { made = true; return nil }},
	})
	if err == nil || err.Error() != "1 of 2 steps failed: bad" || !made {
		t.Errorf("error %v, next step made: %v", err, made)
	}
	if !strings.Contains(out.String(), "failed: no luck") || strings.Contains(out.String(), "Done") {
		t.Errorf("printed\n%s", out)
	}
}

func TestAStepBeyondTheEmbeddedServerIsNoFailure(t *testing.T) {
	tr, out := testTour(t)
	err := tr.make(t.Context(), []Step{{Name: "tracking", embedded: "it cannot track", run: nil}})
	if err != nil || !strings.Contains(out.String(), "Not on the embedded server: it cannot track") {
		t.Errorf("error %v, printed\n%s", err, out)
	}
}

func TestAnInterruptedTourCleansUp(t *testing.T) {
	tr, out := testTour(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := tr.make(ctx, []Step{
		Steps()[0],
		{Name: "interrupted", run: func(ctx context.Context, _ *tour) error { cancel(); return ctx.Err() }},
		{Name: "never", run: nil},
	})
	if !errors.Is(err, context.Canceled) || strings.Contains(out.String(), "never") {
		t.Errorf("error %v, printed\n%s", err, out)
	}
	if err := tr.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := allKeys(t, tr); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestALargeDatabaseIsWalkedOnlyWhenAskedTo(t *testing.T) {
	tr, out := testTour(t)
	tr.largest = 1
	if err := tr.client.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Mset().KeyValue().KeyValue("one", "v").KeyValue("two", "v").Build()
	}).Error(); err != nil {
		t.Fatal(err)
	}
	if err := stepScan(t.Context(), tr); err != nil || !strings.Contains(out.String(), "This database has 2 keys") {
		t.Errorf("error %v, printed\n%s", err, out)
	}
	if got := len(tr.written); got > 0 {
		t.Errorf("it wrote %d keys", got)
	}
}

// What is shown is what a reader can take in: not empty, and not wider than a screen.
func TestEveryPartOfAStepCanBeShown(t *testing.T) {
	files, err := fs.Glob(sources, "*.go")
	if err != nil || len(files) < len(Steps()) {
		t.Fatal(files, err)
	}
	for _, file := range files {
		source, err := sources.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := 0
		for i, line := range strings.Split(string(source), "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "t.show(") {
				continue
			}
			parts++
			code, err := snippet(file, i+1)
			if err != nil || len(code) == 0 {
				t.Errorf("%s:%d: %v, %d lines", file, i+1, err, len(code))
			}
			for _, text := range code {
				if strings.Contains(text, "return err") || strings.Contains(text, "t.show") {
					t.Errorf("%s:%d: shows %q", file, i+1, text)
				}
				if utf8.RuneCountInString(text) > 94 {
					t.Errorf("%s:%d: %q is too wide", file, i+1, text)
				}
			}
		}
		if parts == 0 {
			t.Errorf("%s shows nothing", file)
		}
	}
}

func TestOnlyChecksOfErrAreLeftOut(t *testing.T) {
	got := tidy(strings.Split(`		v, err := f()
		if err != nil {
			return err
		}

		for range 2 {
			if err != nil {
				return err
			}
			if err != nil {
				return nil
			}
		}`, "\n"))
	want := []string{
		"v, err := f()", "", "for range 2 {", "    if err != nil {", "        return nil", "    }", "}",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAStepThatIsNotThereIsRefused(t *testing.T) {
	if err := Run(t.Context(), Config{Out: &bytes.Buffer{}, Only: []string{"nothing"}}); !errors.Is(err, ErrNoStep) {
		t.Errorf("got %v", err)
	}
}

func allKeys(t *testing.T, tr *tour) []string {
	t.Helper()
	names, err := tr.client.Do(t.Context(), func(b rueidis.Builder) rueidis.Completed {
		return b.Keys().Pattern("*").Build()
	}).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return names
}
