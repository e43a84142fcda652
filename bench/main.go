package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench measures what args say. It writes the table to stdout and how it is getting on to stderr.
func bench(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	all := areas(1_000_000)
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var (
		area     = flags.String("area", "", "measure these areas only, separated by commas: "+strings.Join(namesOf(all), " "))
		rounds   = flags.Int("runs", 5, "measure everything so often and print medians")
		duration = flags.Duration("duration", time.Second, "how long one measurement takes")
		rtt      = flags.Duration("rtt", 0, "measure also with a round trip that is longer by so much")
		retries  = flags.Int("retries", 0, "measure again, up to so often, what other processes disturbed (on Linux)")
		match    = flags.String("match", "", "measure only what this regular expression finds in area/operation/goroutines/subject, and write no file")
		out      = flags.String("out", "results.json", "write the results here")
		markdown = flags.String("markdown", "", "write the tables into this document")
		profile  = flags.String("cpuprofile", "", "write a CPU profile here")
		target   = flags.String("delay", "", "used by bench itself: be the longer way to this address")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *target != "" {
		return serveDelay(*target, *rtt)
	}
	if *rounds < 1 || *duration <= 0 || *rtt < 0 || *retries < 0 {
		return errors.New("-runs and -duration must be above zero, -rtt and -retries not below")
	}
	chosen, err := choose(all, *area)
	if err != nil {
		return err
	}
	r := &runner{rounds: *rounds, duration: *duration, rtt: *rtt, retries: *retries, watch: watchOthers, progress: stderr}
	if *match != "" {
		if r.match, err = regexp.Compile(*match); err != nil {
			return fmt.Errorf("-match: %w", err)
		}
	}
	env, err := currentEnvironment()
	if err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}

	rep := report{Environment: env}
	for _, a := range chosen {
		rows, err := r.run(ctx, a)
		if err != nil {
			return err
		}
		rep.Rows = append(rep.Rows, rows...)
	}
	printReport(stdout, rep, all)
	if *match != "" {
		return nil
	}
	old, err := readReport(*out)
	if err != nil {
		return err
	}
	rep = rep.over(old, all)
	if err := rep.write(*out); err != nil {
		return err
	}
	if *markdown != "" {
		return writeDocument(*markdown, document(rep, all))
	}
	return nil
}

func printReport(w io.Writer, rep report, all []area) {
	fmt.Fprintln(w, rep.Environment)
	for _, a := range all {
		if rows := rowsOf(rep.Rows, a.name); len(rows) > 0 {
			fmt.Fprintf(w, "\n%s, medians of %s\n\n", a.name, roundsOf(rows))
			gridOf(rows).writeText(w)
		}
	}
}

func namesOf(all []area) []string {
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = a.name
	}
	return out
}

// choose returns the areas of a list separated by commas, all of them for an empty one.
func choose(all []area, list string) ([]area, error) {
	if list == "" {
		return all, nil
	}
	wanted := strings.Split(list, ",")
	for _, name := range wanted {
		if !slices.Contains(namesOf(all), name) {
			return nil, fmt.Errorf("-area: %q is none of %s", name, strings.Join(namesOf(all), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(a area) bool { return !slices.Contains(wanted, a.name) }), nil
}
