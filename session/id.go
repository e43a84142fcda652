package session

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strings"
	"sync"
)

const (
	tagBytes    = 16
	refBytes    = 12
	secretBytes = 32

	minSecret = 16
	maxSecret = 64
)

var encoding = base64.RawURLEncoding.Strict()

// ID is what a client presents to be known: "<tag>.<ref>.<secret>", 83 bytes that are fit for a cookie or a header. The
// tag stands for the user and tells only where the session is kept. The ref is the session's public name, by which it
// is listed and revoked. Whoever has the secret is the user.
//
// An ID does not show its secret, however it is printed, logged or marshalled. [ID.Reveal] does. The zero ID is no
// session's.
type ID struct {
	_        [0]func() // not comparable: see Equal
	tag, ref string
	secret   **secret // fmt looks behind one pointer of what is not exported, but not behind two
}

type secret struct {
	id  string // the whole ID
	sum string // SHA-256 of the secret
}

func hide(id, sum string) **secret {
	s := &secret{id, sum}
	return &s
}

func (id ID) sum() string { return (*id.secret).sum }

// ParseID reads what [ID.Reveal] returned. Its error is [ErrInvalidID]; it does not show the text. An ID that can be
// read need not be a session's.
func ParseID(text string) (ID, error) {
	const refAt, secretAt = 23, 40 // tag and ref have 22 and 16 bytes
	if len(text) < secretAt+22 || len(text) > secretAt+86 || text[refAt-1] != '.' || text[secretAt-1] != '.' {
		return ID{}, errInvalidID
	}
	var buf [maxSecret]byte
	id := ID{tag: text[:refAt-1], ref: text[refAt : secretAt-1]}
	if !decodes(id.tag, tagBytes) || !decodes(id.ref, refBytes) {
		return ID{}, errInvalidID
	}
	n, err := decode(buf[:], text[secretAt:])
	if err != nil || n < minSecret {
		return ID{}, errInvalidID
	}
	id.secret = hide(text, sumOf(buf[:n]))
	return id, nil
}

var errInvalidID = fmt.Errorf("session: %w", ErrInvalidID)

func decodes(text string, size int) bool {
	var buf [maxSecret]byte
	n, err := decode(buf[:], text)
	return err == nil && n == size
}

// decode refuses line breaks too, which the package for base64 passes over.
func decode(to []byte, text string) (int, error) {
	if strings.ContainsAny(text, "\r\n") {
		return 0, base64.CorruptInputError(0)
	}
	return encoding.Decode(to, []byte(text))
}

func sumOf(secret []byte) string {
	sum := sha256.Sum256(secret)
	return string(sum[:])
}

// JoinID makes an ID of what [ID.Public] returned and a secret of 16 to 64 bytes.
func JoinID(public string, secret []byte) (ID, error) {
	return ParseID(public + "." + encoding.EncodeToString(secret))
}

func newID(tag, ref string, key []byte) ID {
	return ID{tag: tag, ref: ref, secret: hide(tag+"."+ref+"."+encoding.EncodeToString(key), sumOf(key))}
}

// random returns n random bytes as text.
func random(n int) string {
	var buf [secretBytes]byte
	rand.Read(buf[:n]) // never fails
	return encoding.EncodeToString(buf[:n])
}

// newRef makes a ref that no program takes for a flag on its command line.
func newRef() string {
	for {
		if ref := random(refBytes); ref[0] != '-' {
			return ref
		}
	}
}

func newSecret() []byte {
	key := make([]byte, secretBytes)
	rand.Read(key)
	return key
}

// tagger has the keys that are made of Config.TagKey where fmt does not look.
type tagger struct {
	key    []byte // for tags: TagKey itself
	tokens []byte // for tokens: nothing that is known of a tag tells anything of a token

	macs sync.Pool // of hash.Hash for tags: to make one takes longer than to use it
}

func newTagger(key []byte) (*tagger, error) {
	tokens, err := hkdf.Key(sha256.New, key, nil, "rediskit session tokens", sha256.Size)
	return &tagger{key: bytes.Clone(key), tokens: tokens}, err
}

// tagOf is the tag of a user.
func (t *tagger) tagOf(userID string) string {
	h, ok := t.macs.Get().(hash.Hash)
	if !ok {
		h = hmac.New(sha256.New, t.key)
	}
	h.Reset()
	io.WriteString(h, userID)
	var sum [sha256.Size]byte
	tag := encoding.EncodeToString(h.Sum(sum[:0])[:tagBytes])
	t.macs.Put(h)
	return tag
}

// Token derives 32 bytes for a purpose from a session, by Config.TagKey: against cross-site request forgery for instance. Nobody
// can guess them who has not got them from the service, they stay the same for as long as the session lives, also over
// rotations, and nothing of them is stored. They are of the ID's tag and ref alone: derive them from an ID only after
// [Manager.Get] has found its session, for with a made-up secret everybody can present the ID of another. The zero ID has
// none.
func (m *Manager[T]) Token(id ID, purpose string) []byte {
	if id.IsZero() {
		return nil
	}
	h := hmac.New(sha256.New, m.tags.tokens)
	io.WriteString(h, id.Public())
	io.WriteString(h, ".")
	io.WriteString(h, purpose)
	return h.Sum(nil)
}

func isRef(ref string) bool { return len(ref) == 16 && decodes(ref, refBytes) }

// Reveal returns the whole ID, secret and all: for the client whose session it is, and for nobody else.
func (id ID) Reveal() string {
	if id.secret == nil {
		return ""
	}
	return (*id.secret).id
}

// Ref returns the session's public name.
func (id ID) Ref() string { return id.ref }

// Public returns the ID without its secret, "<tag>.<ref>".
func (id ID) Public() string {
	if id.tag == "" {
		return ""
	}
	return id.tag + "." + id.ref
}

// IsZero reports whether the ID is no session's.
func (id ID) IsZero() bool { return id.secret == nil }

// Equal reports whether two IDs are the same, secret and all, in constant time.
func (id ID) Equal(other ID) bool {
	return subtle.ConstantTimeCompare([]byte(id.Reveal()), []byte(other.Reveal())) == 1
}

// String hides the secret: "<tag>.<ref>.…", and "" for the zero ID.
func (id ID) String() string {
	if id.tag == "" {
		return ""
	}
	return id.Public() + ".…"
}

// Format writes what String returns, whatever the verb.
func (id ID) Format(f fmt.State, verb rune) { io.WriteString(f, id.String()) }

// GoString is String.
func (id ID) GoString() string { return id.String() }

// LogValue is String.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// MarshalText is String: an ID that was marshalled cannot be used.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
