package keys

import (
	"fmt"
	"strings"
)

// Builder makes the keys of one namespace. The zero Builder is that of the
// empty namespace. A Builder is immutable: copy it and share it freely.
type Builder struct {
	prefix string // "", or the namespace and '/'
}

// New returns the Builder of a namespace, which keeps the keys of a service, a
// tenant or an environment apart from others in the same database. An empty
// namespace adds no prefix.
//
// A namespace is written as it is: New returns an error if it contains a byte
// that a part would have to escape.
func New(namespace string) (Builder, error) {
	if namespace == "" {
		return Builder{}, nil
	}
	if i := firstEscaped(namespace); i >= 0 {
		return Builder{}, fmt.Errorf("keys: namespace %q: %q at byte %d is not allowed", namespace, namespace[i], i)
	}
	return Builder{prefix: namespace + "/"}, nil
}

// MustNew is like New but panics where New returns an error. It is for
// namespaces that are constants.
func MustNew(namespace string) Builder {
	b, err := New(namespace)
	if err != nil {
		panic(err)
	}
	return b
}

// Namespace returns the namespace that New was given.
func (b Builder) Namespace() string {
	return strings.TrimSuffix(b.prefix, "/")
}

// Key is a key of no particular kind. Build, Tagged and Sub make it.
type Key string

func (k Key) String() string { return string(k) }

// Build makes a free key of any parts. Different parts make different keys.
// Without parts it is the bare prefix of the namespace, which is the empty
// string in the empty namespace.
func (b Builder) Build(parts ...string) Key {
	return Key(spelling{prefix: b.prefix, parts: parts}.String())
}

// Tagged is like Build with a hash tag after the first part. Keys with equal
// tags share a slot, so that a script or a transaction can use them together
// on a cluster. Without parts the tag is the whole key.
func (b Builder) Tagged(tag string, parts ...string) Key {
	return Key(spelling{prefix: b.prefix, parts: parts, tagged: true, tag: tag, at: min(1, len(parts))}.String())
}

// Sub makes a key that belongs to another one, as the dead letters of a queue
// belong to the queue. The two share a slot if key has a hash tag.
//
// Sub takes key as it is; parts are escaped.
func Sub[K ~string](key K, parts ...string) Key {
	return Key(spelling{prefix: string(key), parts: parts}.String())
}

// Pattern is a glob for SCAN, PSUBSCRIBE and ACL rules: a literal prefix and
// one final '*'.
type Pattern string

func (p Pattern) String() string { return string(p) }

// Prefix matches the keys whose first parts are the given ones and that have
// at least one part more. Without parts it matches the whole namespace, which
// in the empty namespace is every key of the database.
func (b Builder) Prefix(parts ...string) Pattern {
	return Pattern(spelling{prefix: b.prefix, parts: parts, star: true}.String())
}

// Sessions matches the keys of all sessions, made by Session or UserSession,
// and not those of UserSessions.
func (b Builder) Sessions() Pattern { return b.Prefix("session") }

// CacheKind matches the keys that Cache makes for the kind.
func (b Builder) CacheKind(kind string) Pattern { return b.Prefix("cache", kind) }

// RateLimitKind matches the keys that RateLimit makes for the kind.
func (b Builder) RateLimitKind(kind string) Pattern { return b.Prefix("rl", kind) }
