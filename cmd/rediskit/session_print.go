package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tickettoken/rediskit/cmd/rediskit/internal/terminal"
	"github.com/tickettoken/rediskit/session"
)

// What is longer is cut in tables, in characters.
const (
	deviceWidth = 60
	valueWidth  = 200
)

// object is a JSON object.
type object map[string]any

// text sets a member to a text, or name_base64 if it is not UTF-8, which JSON has no way to say.
func (o object) text(name, text string) {
	if utf8.ValidString(text) {
		o[name] = text
	} else {
		o[name+"_base64"] = base64.StdEncoding.EncodeToString([]byte(text))
	}
}

// about adds the user.
func about(user string, o object) object {
	o.text("user", user)
	return o
}

// pairs are names and values as a list of objects, in the order of the names.
func pairs(values map[string]string) []object {
	list := make([]object, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		o := object{}
		o.text("name", name)
		o.text("value", values[name])
		list = append(list, o)
	}
	return list
}

func sessionObject(info session.Info) object {
	device := object{}
	for _, member := range []struct{ name, text string }{
		{"ip", info.Device.IP}, {"user_agent", info.Device.UserAgent}, {"name", info.Device.Name},
	} {
		if member.text != "" {
			device.text(member.name, member.text)
		}
	}
	if len(info.Device.Extra) > 0 {
		device["extra"] = pairs(info.Device.Extra)
	}
	return object{"ref": info.Ref, "created": info.CreatedAt, "last_seen": info.LastSeenAt, "expires": info.ExpiresAt, "device": device}
}

func sessionCount(n int) string {
	if n == 1 {
		return "1 session"
	}
	return terminal.Count(int64(n)) + " sessions"
}

// noSessions reminds of what else can be the reason.
func noSessions(user string) string {
	return terminal.Line(user) + " has no sessions, by this tag key and namespace"
}

// noSession says that there is no such session, and is refused.
func (f *sessionFlags) noSession(w io.Writer, user, ref, member string, value any) error {
	var err error
	if f.json {
		err = printJSON(w, about(user, object{"ref": ref, member: value}))
	} else {
		_, err = fmt.Fprintf(w, "%s has no session %s, by this tag key and namespace\n", terminal.Line(user), ref)
	}
	if err != nil {
		return err
	}
	return refused{}
}

func (f *sessionFlags) printList(w io.Writer, user string, all []session.Info) error {
	if f.json {
		list := make([]object, len(all))
		for i, info := range all {
			list[i] = sessionObject(info)
		}
		return printJSON(w, about(user, object{"sessions": list}))
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, noSessions(user))
		return err
	}
	if _, err := fmt.Fprintf(w, "%s of %s, times in UTC\n\n", sessionCount(len(all)), terminal.Line(user)); err != nil {
		return err
	}
	rows := make([][]string, len(all))
	for i, info := range all {
		device := info.Device.Name
		if device == "" {
			device = info.Device.UserAgent
		}
		rows[i] = []string{info.Ref, moment(info.CreatedAt), moment(info.LastSeenAt), moment(info.ExpiresAt),
			cell(info.Device.IP, deviceWidth), cell(device, deviceWidth)}
	}
	columns := []terminal.Column{{Title: "REF"}, {Title: "CREATED"}, {Title: "LAST SEEN"}, {Title: "EXPIRES"}, {Title: "IP"}, {Title: "DEVICE"}}
	return terminal.Table(w, terminal.StyleOf(w), columns, rows)
}

func (f *sessionFlags) printSession(w io.Writer, user string, info session.Info, values map[string]string) error {
	if f.json {
		o := sessionObject(info)
		o["found"], o["data"] = true, pairs(values)
		return printJSON(w, about(user, o))
	}
	lines := [][2]string{
		{"ref", info.Ref}, {"user", terminal.Line(user)},
		{"created", moment(info.CreatedAt) + " UTC"}, {"last seen", moment(info.LastSeenAt) + " UTC"}, {"expires", moment(info.ExpiresAt) + " UTC"},
		{"device", cell(info.Device.Name, valueWidth)}, {"ip", cell(info.Device.IP, valueWidth)},
		{"user agent", cell(info.Device.UserAgent, valueWidth)},
	}
	for _, name := range slices.Sorted(maps.Keys(info.Device.Extra)) {
		lines = append(lines, [2]string{"extra", terminal.Line(name) + " = " + cell(info.Device.Extra[name], valueWidth)})
	}
	for _, line := range lines {
		if line[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-10s  %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	if len(values) == 0 {
		_, err := fmt.Fprintln(w, "no data")
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		rows = append(rows, []string{cell(name, deviceWidth), terminal.Bytes(int64(len(value))), cell(value, valueWidth)})
	}
	return terminal.Table(w, terminal.StyleOf(w), []terminal.Column{{Title: "FIELD"}, {Title: "SIZE", Right: true}, {Title: "VALUE"}}, rows)
}

func moment(t time.Time) string { return t.UTC().Format(time.DateTime) }

// cell is a text that may be anything, as terminal.Line writes it, and cut if it is long.
func cell(text string, most int) string {
	if text == "" {
		return ""
	}
	n := 0
	for i := range text {
		if n == most {
			return terminal.Line(text[:i]) + "…"
		}
		n++
	}
	return terminal.Line(text)
}
