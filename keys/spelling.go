package keys

import (
	"errors"
	"fmt"
	"strings"
)

// emptyPart spells the empty part. No other part can be spelled so, because
// '%' before anything but two hexadecimal digits is never written.
const emptyPart = "%empty"

// escaped tells the bytes that a part may not contain as they are.
var escaped = func() (set [256]bool) {
	for c := range ' ' + 1 {
		set[c] = true
	}
	set[0x7f] = true
	for _, c := range []byte(`:/{}*?[]^\%"'`) {
		set[c] = true
	}
	return set
}()

// spelling is a key or pattern before it is written down.
type spelling struct {
	prefix string // written as it is: what Builder.prefix holds, or a whole key
	kind   string // written as it is, if any
	parts  []string
	tagged bool
	tag    string
	at     int // the index in parts that the tag stands before
	star   bool
}

// String writes s in one allocation of exactly the needed size.
func (s spelling) String() string {
	var b strings.Builder
	b.Grow(s.size())
	b.WriteString(s.prefix)
	if s.kind != "" {
		separate(&b)
		b.WriteString(s.kind)
	}
	for i := range len(s.parts) + 1 {
		if s.tagged && i == s.at {
			separate(&b)
			b.WriteByte('{')
			writePart(&b, s.tag)
			b.WriteByte('}')
		}
		if i < len(s.parts) {
			separate(&b)
			writePart(&b, s.parts[i])
		}
	}
	if s.star {
		separate(&b)
		b.WriteByte('*')
	}
	return b.String()
}

func (s spelling) size() int {
	n, separators := len(s.prefix)+len(s.kind), len(s.parts)
	for _, p := range s.parts {
		n += partSize(p)
	}
	if s.kind != "" {
		separators++
	}
	if s.tagged {
		n += len("{}") + partSize(s.tag)
		separators++
	}
	if s.star {
		n += len("*")
		separators++
	}
	if separators > 0 && opensKey(s.prefix) {
		separators--
	}
	return n + separators
}

// separate writes the ':' before a part, which the first part does not have.
func separate(b *strings.Builder) {
	if !opensKey(b.String()) {
		b.WriteByte(':')
	}
}

// opensKey reports whether the first part of a key comes after s.
func opensKey(s string) bool {
	return s == "" || s[len(s)-1] == '/'
}

func partSize(part string) int {
	if part == "" {
		return len(emptyPart)
	}
	n := len(part)
	for i := range len(part) {
		if escaped[part[i]] {
			n += 2
		}
	}
	return n
}

func writePart(b *strings.Builder, part string) {
	if part == "" {
		b.WriteString(emptyPart)
		return
	}
	const digits = "0123456789ABCDEF"
	written := 0
	for i := range len(part) {
		if c := part[i]; escaped[c] {
			b.WriteString(part[written:i])
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			written = i + 1
		}
	}
	b.WriteString(part[written:])
}

// Name is what a key says.
type Name struct {
	Namespace string
	Parts     []string // as they were before escaping, the hash tag among them
	Tag       int      // the index of the hash tag in Parts, -1 if there is none
}

// Parse reverses Build, Tagged, Sub and the methods that make keys of a kind.
// Different keys have different names. Parse returns an error for a key that
// this package does not make; the error does not contain the key, which may be
// a secret.
func Parse(key string) (Name, error) {
	n := Name{Tag: -1}
	rest := key
	if namespace, after, found := strings.Cut(key, "/"); found {
		if namespace == "" || firstEscaped(namespace) >= 0 {
			return Name{}, errors.New("keys: parse key: what stands before '/' is no namespace")
		}
		n.Namespace, rest = namespace, after
	}
	if rest == "" {
		return n, nil
	}
	n.Parts = make([]string, 0, 4)
	for text := range strings.SplitSeq(rest, ":") {
		if len(text) > 1 && text[0] == '{' && text[len(text)-1] == '}' {
			if n.Tag >= 0 {
				return Name{}, fmt.Errorf("keys: parse key: part %d is a second hash tag", len(n.Parts))
			}
			n.Tag = len(n.Parts)
			text = text[1 : len(text)-1]
		}
		part, err := unescape(text)
		if err != nil {
			return Name{}, fmt.Errorf("keys: parse key: part %d: %w", len(n.Parts), err)
		}
		n.Parts = append(n.Parts, part)
	}
	return n, nil
}

// unescape reverses writePart and accepts nothing that writePart does not
// write, so that no two texts are one part.
func unescape(text string) (string, error) {
	switch text {
	case "":
		return "", fmt.Errorf("empty, which is written %s", emptyPart)
	case emptyPart:
		return "", nil
	}
	var b strings.Builder
	written := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if !escaped[c] {
			continue
		}
		if c != '%' {
			return "", fmt.Errorf("%q is not escaped", c)
		}
		c, ok := hexByte(text[i+1:])
		if !ok {
			return "", errors.New("'%' without two upper-case hexadecimal digits")
		}
		if !escaped[c] {
			return "", fmt.Errorf("'%%%02X' is escaped without need", c)
		}
		b.WriteString(text[written:i])
		b.WriteByte(c)
		i += 2
		written = i + 1
	}
	if written == 0 {
		return text, nil
	}
	b.WriteString(text[written:])
	return b.String(), nil
}

// hexByte reads the two digits that s starts with.
func hexByte(s string) (c byte, ok bool) {
	if len(s) < 2 {
		return 0, false
	}
	for _, d := range []byte(s[:2]) {
		switch {
		case '0' <= d && d <= '9':
			c = c<<4 | (d - '0')
		case 'A' <= d && d <= 'F':
			c = c<<4 | (d - 'A' + 10)
		default:
			return 0, false
		}
	}
	return c, true
}

// firstEscaped returns the index of the first byte of s that a part could not
// contain as it is, or -1.
func firstEscaped(s string) int {
	for i := range len(s) {
		if escaped[s[i]] {
			return i
		}
	}
	return -1
}
