package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tooLoud is the share of one processor that others may use during a measurement before it counts as disturbed.
const tooLoud = 0.1

// hz is the unit of the times in /proc, which Linux fixes at a hundredth of a second for its users.
const hz = 100

// watchOthers begins to watch how much processor time goes to processes that have no part in a measurement, or to
// other virtual machines. The function it returns tells how many processors they used since, on average. Where
// there is no /proc it sees nobody.
func watchOthers(own []int) func() float64 {
	began, before := time.Now(), foreignTime(own)
	return func() float64 {
		return max(foreignTime(own)-before, 0) / time.Since(began).Seconds()
	}
}

// foreignTime returns, in seconds since some moment, the time that all processors spent on others than own.
func foreignTime(own []int) float64 {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	ticks, err := busyTicks(string(stat))
	if err != nil {
		return 0
	}
	for _, pid := range own {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		t, err := processTicks(string(stat))
		if err != nil {
			continue
		}
		ticks -= t
	}
	return ticks / hz
}

// busyTicks reads user, nice, system and steal of the first line of /proc/stat. Interrupts are left out: those of
// the loopback are the measurement's.
func busyTicks(stat string) (float64, error) {
	line, _, _ := strings.Cut(stat, "\n")
	f := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal ...
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("malformed line %q", line)
	}
	return sum(f[1], f[2], f[3], f[8])
}

// processTicks reads utime, stime, cutime and cstime of /proc/PID/stat: the last two are those of children that have
// ended. They come after the name, which may contain anything.
func processTicks(stat string) (float64, error) {
	_, rest, _ := strings.Cut(stat[max(strings.LastIndexByte(stat, ')'), 0):], " ")
	f := strings.Fields(rest) // from the third field on
	if len(f) < 15 {
		return 0, fmt.Errorf("malformed line %q", stat)
	}
	return sum(f[11:15]...)
}

func sum(numbers ...string) (total float64, err error) {
	for _, s := range numbers {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, err
		}
		total += float64(n)
	}
	return total, nil
}
