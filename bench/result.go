package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
)

// row is one line of the results: medians over all rounds.
type row struct {
	Area       string `json:"area"`
	Operation  string `json:"operation"`
	Goroutines int    `json:"goroutines"`
	Subject    string `json:"subject"`

	// RTTMicros is how much longer the round trip was made; 0 is loopback as it is.
	RTTMicros float64 `json:"rtt_us"`

	OpsPerS     float64 `json:"ops_per_s"`
	P50Micros   float64 `json:"p50_us"`
	P99Micros   float64 `json:"p99_us"`
	AllocsPerOp float64 `json:"allocs_per_op"`
	BytesPerOp  float64 `json:"bytes_per_op"`

	// Ratio is the subject's ops/s divided by rediskit's in the same round: below 1, rediskit is faster.
	// 0: there was no rediskit to compare with.
	Ratio float64 `json:"ratio_vs_rediskit"`

	// Value is what the other columns have no room for.
	Value float64 `json:"value,omitempty"`
	Unit  string  `json:"unit,omitempty"`

	Rounds int `json:"rounds"`

	// Disturbed is in how many of them other processes used more than a tenth of a processor.
	Disturbed int `json:"disturbed_rounds"`
}

// report is the content of results.json.
type report struct {
	Environment environment `json:"environment"`
	Rows        []row       `json:"rows"`
}

// environment is what has to be the same for numbers to be comparable.
type environment struct {
	Go     string            `json:"go"`
	OS     string            `json:"os"`
	CPU    string            `json:"cpu"`
	CPUs   int               `json:"cpus"`
	Server string            `json:"server"`
	Peers  map[string]string `json:"peers"` // module: version
}

// over returns the report with old's rows of areas that the report has none of. It has none of them if they
// were measured in another environment. One with more peers is not another: they have no part in old's rows.
func (r report) over(old report, order []area) report {
	before, now := old.Environment, r.Environment
	for module, version := range before.Peers {
		if now.Peers[module] != version {
			return r
		}
	}
	before.Peers, now.Peers = nil, nil
	if !reflect.DeepEqual(before, now) {
		return r
	}
	out := report{Environment: r.Environment}
	for _, a := range order {
		mine := rowsOf(r.Rows, a.name)
		if len(mine) == 0 {
			mine = rowsOf(old.Rows, a.name)
		}
		out.Rows = append(out.Rows, mine...)
	}
	return out
}

func rowsOf(rows []row, area string) []row {
	return slices.Collect(func(yield func(row) bool) {
		for _, r := range rows {
			if r.Area == area && !yield(r) {
				return
			}
		}
	})
}

// readReport returns an empty report if there is no file.
func readReport(path string) (report, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return report{}, nil
	}
	if err != nil {
		return report{}, err
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return report{}, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// write writes one row a line, for a difference between two runs to be readable.
func (r report) write(path string) error {
	env, err := json.MarshalIndent(r.Environment, "  ", "  ")
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"environment\": %s,\n  \"rows\": [", env)
	for i, row := range r.Rows {
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    %s", line)
	}
	b.WriteString("\n  ]\n}\n")
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// median returns the middle one of the values, or the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// medianOf takes the median of one field of the samples.
func medianOf(samples []sample, field func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = field(s)
	}
	return median(values)
}

// summarize makes a row of a subject's samples and those of the baseline in the same rounds, if any.
func summarize(r row, samples, base []sample) row {
	r.Rounds = len(samples)
	r.OpsPerS = rounded(medianOf(samples, func(s sample) float64 { return s.opsPerS }))
	r.P50Micros = rounded(medianOf(samples, func(s sample) float64 { return float64(s.p50) / 1e3 }))
	r.P99Micros = rounded(medianOf(samples, func(s sample) float64 { return float64(s.p99) / 1e3 }))
	r.AllocsPerOp = rounded(medianOf(samples, func(s sample) float64 { return s.allocsPerOp }))
	r.BytesPerOp = rounded(medianOf(samples, func(s sample) float64 { return s.bytesPerOp }))
	r.Value = rounded(medianOf(samples, func(s sample) float64 { return s.value }))
	for _, s := range samples {
		if r.Unit == "" && r.Value != 0 {
			r.Unit = s.unit
		}
		if s.others > tooLoud {
			r.Disturbed++
		}
	}

	var ratios []float64
	for i := range base {
		if base[i].opsPerS > 0 {
			ratios = append(ratios, samples[i].opsPerS/base[i].opsPerS)
		}
	}
	r.Ratio = rounded(median(ratios))
	return r
}
