package httpkit

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

const (
	tokenHeader  = "X-CSRF-Token"
	tokenField   = "csrf_token"
	tokenPurpose = "csrf"
	tokenBytes   = 32
	tokenWithin  = 64 << 10 // of the body
)

// CSRFToken returns a token for forms and scripts of this session, see SessionConfig.CSRFTokens. It is the same session's for as
// long as that lives, over rotations, but not over a login; each call writes it differently, so that compressed pages do
// not give it away. A visitor without a session gets one, since the token is a session's. Errors are those of
// [RequestSession.Save].
func (s *RequestSession[T]) CSRFToken(ctx context.Context) (string, error) {
	if s.draft == nil {
		if err := s.visit(ctx); err != nil {
			return "", err
		}
	}
	var text [2 * tokenBytes]byte
	pad, masked := text[:tokenBytes], text[tokenBytes:]
	rand.Read(pad) // never fails
	subtle.XORBytes(masked, pad, s.token())
	return base64.RawURLEncoding.EncodeToString(text[:]), nil
}

func (s *RequestSession[T]) token() []byte { return s.mw.m.Token(s.draft.Session.ID, tokenPurpose) }

// hasToken looks at the header, and only without one at the body, which stays to be read.
func (s *RequestSession[T]) hasToken() bool {
	text := s.r.Header.Get(tokenHeader)
	if text == "" {
		text = formToken(s.r)
	}
	both, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(both) != 2*tokenBytes {
		return false
	}
	subtle.XORBytes(both, both[:tokenBytes], both[tokenBytes:])
	return subtle.ConstantTimeCompare(both[:tokenBytes], s.token()) == 1
}

// formToken looks for the field in the beginning of a form.
func formToken(r *http.Request) string {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isMultipart := kind == "multipart/form-data"
	if err != nil || r.Body == nil || !isMultipart && kind != "application/x-www-form-urlencoded" {
		return ""
	}
	// A read that fails, fails again for the handler.
	head, _ := io.ReadAll(io.LimitReader(r.Body, tokenWithin))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	if !isMultipart {
		return urlencodedToken(string(head))
	}
	parts := multipart.NewReader(bytes.NewReader(head), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return ""
		}
		if part.FormName() == tokenField {
			text, _ := io.ReadAll(part)
			return string(text)
		}
	}
}

// urlencodedToken is the first field of that name. What the end of the head has cut off is no token.
func urlencodedToken(form string) string {
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != tokenField {
			continue
		}
		text, _ := url.QueryUnescape(value)
		return text
	}
	return ""
}

// isSafe is as in http.CrossOriginProtection.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
