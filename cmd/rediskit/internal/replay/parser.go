package replay

import (
	"bytes"
	"time"
)

// entry is what a replay needs of a line. Its slices are parts of the line.
type entry struct {
	at   int64 // seconds since 1970
	zone int   // seconds east of UTC
	host []byte
	user []byte
	// request is what stands between the quotes, escapes and all.
	request []byte
}

// Why a line is malformed.
const (
	tooLong   = "longer than 65,536 bytes"
	noHost    = "no host at the beginning"
	noIdent   = "no identity after the host"
	noTime    = "no [time] and \"request\" after the user"
	badTime   = "the time is none from 1970 to 2199, or not written as 02/Jan/2006:15:04:05 -0700"
	noEnd     = "the request has no closing quote"
	noStatus  = "no status of three digits after the request"
	noSize    = "no size after the status"
	stampSize = len("02/Jan/2006:15:04:05 -0700")
)

// parser reads lines of the Common Log Format,
//
//	host ident user [02/Jan/2006:15:04:05 -0700] "request" status size
//
// and of those that add to it at the end, as the Combined Log Format does: what follows the size is not looked at.
// In quotes, a backslash takes away the meaning of the next byte. A user may have blanks and brackets, but no
// unescaped quote, because servers escape it; so the first [time] before a quote is the time.
type parser struct {
	stamp    [stampSize]byte // the time that was read last
	at       int64
	zone     int
	hasStamp bool
}

// parse reads a line without its end. It returns why it is malformed, or "".
func (p *parser) parse(line []byte, e *entry) string {
	i := 0
	for i < len(line) && line[i] > ' ' && line[i] != 0x7f {
		i++
	}
	if i == 0 || i == len(line) || line[i] != ' ' {
		return noHost
	}
	e.host, line = line[:i], line[i+1:]
	if i = bytes.IndexByte(line, ' '); i <= 0 {
		return noIdent
	}
	line = line[i+1:]

	why, open := noTime, 1 // a user has a byte at least
	for {
		if open > len(line) {
			return why
		}
		i = bytes.Index(line[open:], []byte(" ["))
		if i < 0 {
			return why
		}
		open += i
		after := line[open+2:]
		if len(after) > stampSize+2 && string(after[stampSize:stampSize+3]) == `] "` {
			if p.time([stampSize]byte(after)) {
				break
			}
			why = badTime
		}
		open++
	}
	e.at, e.zone = p.at, p.zone
	e.user, line = line[:open], line[open+2+stampSize+3:]

	end := closing(line)
	if end < 0 {
		return noEnd
	}
	e.request, line = line[:end], line[end+1:]
	n := number(line)
	if n != 3 && !isDash(line, n) {
		return noStatus
	}
	line = line[n+1:]
	if n = number(line); n == 0 {
		return noSize
	}
	if n++; n < len(line) && line[n] != ' ' {
		return noSize
	}
	return ""
}

// closing is where the quote is that ends a text, or -1.
func closing(text []byte) int {
	from := 0
	for {
		i := bytes.IndexByte(text[from:], '"')
		if i < 0 {
			return -1
		}
		i += from
		escapes := i
		for escapes > from && text[escapes-1] == '\\' {
			escapes--
		}
		if (i-escapes)%2 == 0 {
			return i
		}
		from = i + 1
	}
}

// number is how many bytes after a blank are digits, or 1 for a dash that stands for none; 0 if there is neither.
func number(text []byte) int {
	if len(text) < 2 || text[0] != ' ' {
		return 0
	}
	if text[1] == '-' {
		return 1
	}
	n := 0
	for n+1 < len(text) && isDigit(text[n+1]) {
		n++
	}
	return n
}

func isDash(text []byte, n int) bool { return n == 1 && text[1] == '-' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// time reads the time of a line, which mostly is that of the line before.
func (p *parser) time(t [stampSize]byte) bool {
	if p.hasStamp && t == p.stamp {
		return true
	}
	for i, pattern := range []byte("00/aaa/0000:00:00:00 +0000") {
		c := t[i]
		switch pattern {
		case '0':
			if !isDigit(c) {
				return false
			}
		case 'a', '+':
		default:
			if c != pattern {
				return false
			}
		}
	}
	two := func(i int) int { return int(t[i]-'0')*10 + int(t[i+1]-'0') }
	day, year, hour, minute, second := two(0), two(7)*100+two(9), two(12), two(15), two(18)
	zone := two(22)*3600 + two(24)*60
	if two(22) > 23 || two(24) > 59 {
		return false
	}
	switch t[21] {
	case '+':
	case '-':
		zone = -zone
	default:
		return false
	}
	month := monthOf(string(t[3:6]))
	// A leap second is the first of the next minute, as it is for the clocks that count seconds since 1970.
	if month == 0 || hour > 23 || minute > 59 || second > 60 || year < 1970 || year > 2199 {
		return false
	}
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if day < 1 || date.Day() != day {
		return false
	}
	at := date.Unix() + int64(hour*3600+minute*60+second-zone)
	if at < 0 {
		return false
	}
	p.stamp, p.at, p.zone, p.hasStamp = t, at, zone, true
	return true
}

func monthOf(name string) time.Month {
	switch name {
	case "Jan":
		return time.January
	case "Feb":
		return time.February
	case "Mar":
		return time.March
	case "Apr":
		return time.April
	case "May":
		return time.May
	case "Jun":
		return time.June
	case "Jul":
		return time.July
	case "Aug":
		return time.August
	case "Sep":
		return time.September
	case "Oct":
		return time.October
	case "Nov":
		return time.November
	case "Dec":
		return time.December
	default:
		return 0
	}
}
