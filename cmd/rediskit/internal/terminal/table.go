package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Column is a column of a [Table]: numbers stand better at the right.
type Column struct {
	Title string
	Right bool
}

// Table writes rows below titles, in columns as wide as their widest cell. A row may end early.
func Table(w io.Writer, s Style, columns []Column, rows [][]string) error {
	widths := make([]int, len(columns))
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.Title
		widths[i] = utf8.RuneCountInString(c.Title)
		for _, row := range rows {
			if i < len(row) {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			}
		}
	}
	write := func(row []string, style func(string) string) error {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if columns[i].Right {
				b.WriteString(gap + cell)
			} else {
				b.WriteString(cell + gap)
			}
		}
		_, err := fmt.Fprintln(w, style(strings.TrimRight(b.String(), " ")))
		return err
	}
	if err := write(titles, s.Bold); err != nil {
		return err
	}
	for _, row := range rows {
		if err := write(row, func(line string) string { return line }); err != nil {
			return err
		}
	}
	return nil
}
