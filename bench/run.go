package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"time"

	"github.com/tickettoken/rediskit/internal/redistest"
)

// runner measures areas on a server of its own.
type runner struct {
	rounds   int
	duration time.Duration // of one measurement
	rtt      time.Duration // to measure with besides loopback; 0: none
	retries  int           // of a measurement that others disturbed

	// watch begins to watch for others than the processes named, and returns what tells how many processors they
	// used since. It is watchOthers, but for tests.
	watch    func(own []int) func() float64
	match    *regexp.Regexp
	progress io.Writer
}

// where is how to reach the server, directly and over a longer way, and who has a part in a measurement.
type where struct {
	addrs map[time.Duration]string
	pids  []int
}

// candidate is a subject that is set up at one place, with what was measured of it.
type candidate struct {
	subject string
	rtt     time.Duration
	stand   *stand
	probe   probe
	samples []sample
}

// run starts a server for the area and measures all its operations.
func (r *runner) run(ctx context.Context, a area) ([]row, error) {
	server, err := redistest.StartServer(redistest.ServerConfig{})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	w := where{addrs: map[time.Duration]string{0: server.Addr()}, pids: []int{os.Getpid(), server.Pid()}}
	if r.rtt > 0 {
		d, err := startDelay(ctx, server.Addr(), r.rtt)
		if err != nil {
			return nil, err
		}
		defer d.close()
		w.addrs[r.rtt] = d.addr
		w.pids = append(w.pids, d.cmd.Process.Pid)
	}

	var rows []row
	for _, o := range a.operations {
		counts := o.goroutines
		if counts == nil {
			counts = []int{1, 16, 128}
		}
		for _, n := range counts {
			more, err := r.cell(ctx, a.name, o, n, w)
			if err != nil {
				return nil, fmt.Errorf("%s, %s, %d goroutines: %w", a.name, o.name, n, err)
			}
			rows = append(rows, more...)
		}
	}
	return rows, nil
}

// cell measures all subjects of an operation with one number of goroutines. The subjects take turns, each
// round in another order, so that what else the machine does hits all of them alike.
func (r *runner) cell(ctx context.Context, area string, o operation, goroutines int, w where) ([]row, error) {
	rtts := []time.Duration{0}
	if r.rtt > 0 && !o.loopbackOnly {
		rtts = append(rtts, r.rtt)
	}
	var all []*candidate
	for _, rtt := range rtts {
		for _, sub := range o.subjects {
			path := fmt.Sprintf("%s/%s/%d/%s", area, o.name, goroutines, sub.name)
			if r.match == nil || r.match.MatchString(path) {
				all = append(all, &candidate{subject: sub.name, rtt: rtt, stand: &stand{addr: w.addrs[rtt], goroutines: goroutines}})
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	defer func() {
		for _, c := range all {
			c.stand.close()
		}
	}()
	began := time.Now()
	if err := r.setUp(ctx, o, all, w.addrs[0]); err != nil {
		return nil, err
	}
	for range r.rounds {
		for _, i := range rand.Perm(len(all)) {
			s, err := r.measure(ctx, o, all[i], w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].subject, err)
			}
			all[i].samples = append(all[i].samples, s)
		}
	}
	fmt.Fprintf(r.progress, "%s, %s, %d goroutines: %d subjects in %v\n",
		area, o.name, goroutines, len(all), time.Since(began).Round(100*time.Millisecond))
	return rowsFor(row{Area: area, Operation: o.name, Goroutines: goroutines}, all), nil
}

// measure takes one sample. One that others disturbed is taken again, and the least disturbed one kept.
func (r *runner) measure(ctx context.Context, o operation, c *candidate, w where) (best sample, err error) {
	retries := r.retries
	if o.cold {
		retries = 0
	}
	for try := 0; ; try++ {
		disturbance := r.watch(w.pids)
		s, err := c.probe(ctx, r.duration)
		if err != nil {
			return sample{}, err
		}
		s.others = disturbance()
		if try == 0 || s.others < best.others {
			best = s
		}
		if best.others <= tooLoud || try >= retries {
			return best, nil
		}
	}
}

// setUp fills the server, connects the subjects, and has each run for a moment that does not count.
func (r *runner) setUp(ctx context.Context, o operation, all []*candidate, server string) error {
	if err := prepareServer(ctx, server, o.prepare); err != nil {
		return err
	}
	for _, c := range all {
		for _, sub := range o.subjects {
			if sub.name != c.subject {
				continue
			}
			var err error
			if c.probe, err = sub.setup(ctx, c.stand); err != nil {
				return fmt.Errorf("%s: %w", c.subject, err)
			}
		}
		if o.cold {
			continue
		}
		if _, err := c.probe(ctx, r.duration/5); err != nil {
			return fmt.Errorf("%s: %w", c.subject, err)
		}
	}
	return nil
}

// rowsFor makes the rows of a cell, each compared with the baseline over the same way.
func rowsFor(r row, all []*candidate) []row {
	base := make(map[time.Duration][]sample)
	for _, c := range all {
		if c.subject == baseline {
			base[c.rtt] = c.samples
		}
	}
	var rows []row
	for _, c := range all {
		r.Subject = c.subject
		r.RTTMicros = float64(c.rtt) / 1e3
		rows = append(rows, summarize(r, c.samples, base[c.rtt]))
	}
	return rows
}
