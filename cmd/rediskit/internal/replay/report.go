package replay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
)

// Report is what came out of a replay.
type Report struct {
	// Lines is Malformed + WithoutKey + Requests.
	Lines     int64 `json:"lines"`
	Malformed int64 `json:"malformed"`
	// WithoutKey are lines that have a dash where the key is, such as the user of a request without one. They are in no
	// limit.
	WithoutKey int64 `json:"without_key"`
	Requests   int64 `json:"requests"`
	// OutOfOrder are requests that are from before one that came earlier in the log.
	OutOfOrder int64 `json:"out_of_order"`

	Key  string `json:"key"`
	Keys int64  `json:"keys"`
	// MoreKeys reports that there are more keys than were counted one by one. Their requests were decided all the
	// same, but policies may have forgotten keys too early, and so have refused too little.
	MoreKeys bool `json:"more_keys"`

	// First and Last are the times of the requests in the zone of the first, nil without requests.
	First *time.Time `json:"first"`
	Last  *time.Time `json:"last"`

	Policies []Policy `json:"policies"`
	Timeline Timeline `json:"timeline"`

	// Problems are the first malformed lines of each log, and 20 at most.
	Problems []Problem `json:"problems"`
	// Errors say what could not be read, and if the replay was interrupted.
	Errors []string `json:"errors"`
}

// Policy is what one limit did.
type Policy struct {
	Limit       string   `json:"limit"`
	Allowed     int64    `json:"allowed"`
	Refused     int64    `json:"refused"`
	Percent     float64  `json:"refused_percent"`
	KeysRefused int64    `json:"keys_refused"` // at least once
	Top         []TopKey `json:"top"`          // the most refused first
}

// TopKey is a key that was refused often.
type TopKey struct {
	Name     string
	Requests int64
	Refused  int64
}

// MarshalJSON writes a name that is not UTF-8 as key_base64.
func (k TopKey) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		terminal.JSONKey
		Requests int64 `json:"requests"`
		Refused  int64 `json:"refused"`
	}{terminal.NewJSONKey(k.Name), k.Requests, k.Refused})
}

// Timeline is how it went over time.
type Timeline struct {
	Seconds int64    `json:"bucket_seconds"`
	Buckets []Bucket `json:"buckets"` // without gaps
}

// Bucket is a part of a [Timeline].
type Bucket struct {
	Begin    time.Time `json:"begin"`
	Requests int64     `json:"requests"`
	Refused  []int64   `json:"refused"` // by policy
}

func (r *replay) report() *Report {
	rep := &Report{
		Lines: r.lines, Malformed: r.malformed, WithoutKey: r.keyless, Requests: r.requests, OutOfOrder: r.disorder,
		Key: r.cfg.Key.String(), Keys: int64(len(r.keys)), MoreKeys: r.more,
		Problems: r.problems, Policies: []Policy{}, Errors: []string{},
		Timeline: Timeline{Seconds: r.timeline.width(), Buckets: []Bucket{}},
	}
	if rep.Problems == nil {
		rep.Problems = []Problem{}
	}
	for _, err := range r.errs {
		rep.Errors = append(rep.Errors, err.Error())
	}
	zone := time.FixedZone("", int(r.timeline.zone))
	if r.requests > 0 {
		first, last := time.Unix(r.first, 0).In(zone), time.Unix(r.last, 0).In(zone)
		rep.First, rep.Last = &first, &last
	}
	for i, b := range r.timeline.buckets {
		begin := (r.timeline.first+int64(i))*r.timeline.width() - r.timeline.zone
		rep.Timeline.Buckets = append(rep.Timeline.Buckets, Bucket{time.Unix(begin, 0).In(zone), b.requests, b.refused})
	}
	for i, p := range r.policies {
		out := Policy{Limit: p.spec.String(), Allowed: r.requests - p.refused, Refused: p.refused, Percent: percent(p.refused, r.requests)}
		out.KeysRefused, out.Top = r.top(i)
		rep.Policies = append(rep.Policies, out)
	}
	return rep
}

// top is how many keys a policy refused, and those it refused the most.
func (r *replay) top(policy int) (int64, []TopKey) {
	all := []TopKey{}
	for id, k := range r.keys {
		if n := r.refused[id*len(r.policies)+policy]; n > 0 {
			all = append(all, TopKey{k.name, k.requests, n})
		}
	}
	slices.SortFunc(all, func(a, b TopKey) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Name, b.Name))
	})
	return int64(len(all)), slices.Clip(all[:min(len(all), max(r.cfg.Top, 0))])
}

func percent(part, of int64) float64 { return 100 * float64(part) / float64(max(of, 1)) }

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer, style terminal.Style) error {
	p := &printer{w: w, style: style}
	p.summary(r)
	if r.Requests > 0 {
		p.policies(r)
		p.timeline(r)
		for i := range r.Policies {
			p.top(r, i)
		}
	}
	return p.err
}

type printer struct {
	w     io.Writer
	style terminal.Style
	err   error
}

func (p *printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format, args...); p.err == nil {
		p.err = err
	}
}

func (p *printer) table(columns []terminal.Column, rows [][]string) {
	if p.err == nil {
		p.err = terminal.Table(p.w, p.style, columns, rows)
	}
}

func (p *printer) summary(r *Report) {
	more := ""
	if r.MoreKeys {
		more = "more than "
	}
	p.printf("%s of %s%s (%s)", counted(r.Requests, "request"), more, terminal.Keys(r.Keys), r.Key)
	if r.Requests > 0 {
		const layout = "2006-01-02 15:04:05"
		p.printf(", %s to %s", r.First.Format(layout), r.Last.Format(layout+" -0700"))
	}
	p.printf("\n")
	if r.OutOfOrder > 0 {
		p.printf("%s out of order\n", counted(r.OutOfOrder, "request"))
	}
	if r.WithoutKey > 0 {
		p.printf("%s without a key, which no limit applies to\n", counted(r.WithoutKey, "more request"))
	}
	if r.MoreKeys {
		p.printf("%s: keys beyond those counted one by one may have been refused more often than it says here\n", p.style.Bad("Too many keys"))
	}
	if r.Malformed > 0 {
		p.printf("%s malformed\n", p.style.Bad(counted(r.Malformed, "line")))
		for _, m := range r.Problems {
			p.printf("  %s:%d: %s\n", terminal.Line(m.File), m.Line, m.Reason)
		}
		if more := r.Malformed - int64(len(r.Problems)); more > 0 {
			p.printf("  and %s more\n", terminal.Count(more))
		}
	}
}

func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return terminal.Count(n) + " " + noun
}

func (p *printer) policies(r *Report) {
	p.printf("\n")
	columns := []terminal.Column{{Title: ""}, {Title: "LIMIT"}, {Title: "ALLOWED", Right: true}, {Title: "REFUSED", Right: true},
		{Title: "", Right: true}, {Title: "KEYS REFUSED", Right: true}, {Title: "", Right: true}}
	var rows [][]string
	for i, l := range r.Policies {
		rows = append(rows, []string{label(i), l.Limit, terminal.Count(l.Allowed), terminal.Count(l.Refused), percentText(l.Refused, r.Requests),
			terminal.Count(l.KeysRefused), percentText(l.KeysRefused, r.Keys)})
	}
	p.table(columns, rows)
}

// label is how the report calls a policy: A, B, C.
func label(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprint(i + 1)
}

// percentText does not say that none or all were refused if that is not so.
func percentText(part, of int64) string {
	switch share := percent(part, of); {
	case part > 0 && share < 0.01:
		return "<0.01%"
	case part < of && share > 99.99:
		return ">99.99%"
	default:
		return fmt.Sprintf("%.2f%%", share)
	}
}

// screen is how wide a report may be, if numbers and names allow.
const screen = 79

func (p *printer) timeline(r *Report) {
	p.printf("\n")
	t := r.Timeline
	layout := timeLayout(t)
	columns := []terminal.Column{{Title: "FROM"}, {Title: "REQUESTS", Right: true}, {Title: ""}}
	rows := make([][]string, len(t.Buckets))
	most := int64(1)
	for i, b := range t.Buckets {
		most = max(most, b.Requests)
		rows[i] = []string{b.Begin.Format(layout), terminal.Count(b.Requests), ""}
	}
	for l := range r.Policies {
		columns = append(columns, terminal.Column{Title: label(l) + " REFUSED", Right: true}, terminal.Column{Title: ""})
		for i, b := range t.Buckets {
			rows[i] = append(rows[i], terminal.Count(b.Refused[l]), "")
		}
	}
	// The bars get what the numbers leave. They have one scale, so that those of refusals are a part of the others.
	used := 0
	for c, column := range columns {
		width := utf8.RuneCountInString(column.Title)
		for _, row := range rows {
			width = max(width, utf8.RuneCountInString(row[c]))
		}
		used += width + 2
	}
	bars := 1 + len(r.Policies)
	width := int64(min(max((screen-used)/bars, 4), 24))
	for i, b := range t.Buckets {
		rows[i][2] = bar(b.Requests, most, width)
		for l, n := range b.Refused {
			rows[i][4+2*l] = bar(n, most, width)
		}
	}
	p.table(columns, rows)
}

// bar is as long as n is of most, and there is something of it if n is not 0.
func bar(n, most, width int64) string {
	if n == 0 {
		return ""
	}
	return strings.Repeat("#", max(int((float64(n)/float64(most))*float64(width)+0.5), 1))
}

// timeLayout writes what differs between the buckets.
func timeLayout(t Timeline) string {
	first, last := t.Buckets[0].Begin, t.Buckets[len(t.Buckets)-1].Begin
	switch {
	case t.Seconds >= 24*3600:
		return "2006-01-02"
	case first.YearDay() != last.YearDay() || first.Year() != last.Year():
		return "01-02 15:04"
	case t.Seconds < 60:
		return "15:04:05"
	default:
		return "15:04"
	}
}

func (p *printer) top(r *Report, i int) {
	l := r.Policies[i]
	if len(l.Top) == 0 {
		return
	}
	p.printf("\nMost refused by %s, %s\n", label(i), l.Limit)
	columns := []terminal.Column{{Title: "REFUSED", Right: true}, {Title: "", Right: true}, {Title: "REQUESTS", Right: true}, {Title: "KEY"}}
	var rows [][]string
	for _, k := range l.Top {
		rows = append(rows, []string{terminal.Count(k.Refused), percentText(k.Refused, k.Requests), terminal.Count(k.Requests), terminal.Line(k.Name)})
	}
	p.table(columns, rows)
}
