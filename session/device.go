package session

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a [Device], in bytes.
const (
	MaxIP        = 64
	MaxUserAgent = 512 // what is longer is cut
	MaxName      = 128
	MaxExtras    = 16 // entries
	MaxExtra     = 1024
)

// Device is where a session is used, as the login saw it. It is for users to recognise their sessions by, and decides
// nothing. Any bytes are kept as they are.
type Device struct {
	IP        string // at most MaxIP bytes
	UserAgent string // cut to MaxUserAgent bytes
	Name      string // at most MaxName bytes

	// Extra is the application's: at most MaxExtras entries, and MaxExtra bytes of all names and values together.
	Extra map[string]string
}

func (d Device) check() error {
	switch {
	case len(d.IP) > MaxIP:
		return fmt.Errorf("Device.IP has %d bytes: at most %d", len(d.IP), MaxIP)
	case len(d.Name) > MaxName:
		return fmt.Errorf("Device.Name has %d bytes: at most %d", len(d.Name), MaxName)
	case len(d.Extra) > MaxExtras:
		return fmt.Errorf("Device.Extra has %d entries: at most %d", len(d.Extra), MaxExtras)
	}
	size := 0
	for name, value := range d.Extra {
		size += len(name) + len(value)
	}
	if size > MaxExtra {
		return fmt.Errorf("Device.Extra has %d bytes: at most %d", size, MaxExtra)
	}
	return nil
}

// cut shortens a text, between characters if it is UTF-8.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for i := most; i > most-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:most]
}

// encode writes texts with their lengths before them: IP, user agent, name, and names and values of the extra entries.
func (d Device) encode() string {
	b := make([]byte, 0, 32+len(d.IP)+len(d.Name)+min(len(d.UserAgent), MaxUserAgent))
	add := func(s string) { b = appendText(b, s) }
	add(d.IP)
	add(cut(d.UserAgent, MaxUserAgent))
	add(d.Name)
	if len(d.Extra) > 0 {
		for _, name := range slices.Sorted(maps.Keys(d.Extra)) {
			add(name)
			add(d.Extra[name])
		}
	}
	return string(b)
}

var errDevice = errors.New("malformed device")

func decodeDevice(s string) (d Device, err error) {
	for i := 0; s != ""; i++ {
		var text string
		if text, s, err = nextText(s); err != nil {
			return Device{}, err
		}
		switch i {
		case 0:
			d.IP = text
		case 1:
			d.UserAgent = text
		case 2:
			d.Name = text
		default:
			var value string
			if value, s, err = nextText(s); err != nil {
				return Device{}, err
			}
			if d.Extra == nil {
				d.Extra = make(map[string]string)
			}
			d.Extra[text] = value
		}
	}
	return d, nil
}

// appendText writes a text with its length before it.
func appendText(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// nextText reads what appendText wrote.
func nextText(s string) (text, rest string, err error) {
	number, rest, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(number, 10, 16)
	if !ok || err != nil || int(n) > len(rest) {
		return "", "", errDevice
	}
	return rest[:n], rest[n:], nil
}
