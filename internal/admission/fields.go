package admission

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields has what the fields RateLimit-Policy and RateLimit say of each policy, which are lists of strings with parameters
// (RFC 9651), as of draft-ietf-httpapi-ratelimit-headers-10.
type fields struct {
	names    []string // quoted
	policies []string
	all      string // policies, joined
}

func newFields[R any](policies []Policy[R]) fields {
	var f fields
	for _, p := range policies {
		name := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p.Name) + `"`
		item := name + ";q=" + strconv.Itoa(p.Limit.Permits())
		if p.Limit.IsConcurrency() {
			item += `;qu="concurrent-requests"`
		} else {
			item += ";w=" + strconv.FormatInt(Seconds(p.Limit.Window()), 10)
		}
		f.names = append(f.names, name)
		f.policies = append(f.policies, item)
	}
	f.all = strings.Join(f.policies, ", ")
	return f
}

// Fields are the values of RateLimit-Policy, for the policies that apply to a request, and of RateLimit, for what is
// known of them. Either may be empty.
func (g *Gate[R]) Fields(p *Pass) (policies, state string) {
	var b strings.Builder
	if policies = g.fields.all; slices.Contains(p.applies, false) {
		for i, applies := range p.applies {
			if applies {
				separate(&b)
				b.WriteString(g.fields.policies[i])
			}
		}
		policies = b.String()
	}
	b.Reset()
	for _, s := range p.States {
		separate(&b)
		b.WriteString(g.fields.names[s.Policy])
		b.WriteString(";r=")
		b.WriteString(strconv.Itoa(s.Remaining))
		if g.policies[s.Policy].Limit.IsConcurrency() {
			continue // nobody knows when places are given back
		}
		b.WriteString(";t=")
		b.WriteString(strconv.FormatInt(Seconds(s.Wait), 10))
	}
	return policies, b.String()
}

func separate(b *strings.Builder) {
	if b.Len() > 0 {
		b.WriteString(", ")
	}
}

// Seconds rounds up to whole seconds.
func Seconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d-1)/time.Second) + 1
}
