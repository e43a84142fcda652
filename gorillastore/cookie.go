package gorillastore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/sessions"

	"github.com/tickettoken/rediskit/session"
)

// checkCookie finds what browsers refuse, before anything is stored under a cookie that nobody keeps. Its errors begin with
// "Options" and the field.
func checkCookie(name string, o *sessions.Options) error {
	lower := strings.ToLower(name)
	isHost := strings.HasPrefix(lower, "__host-")
	switch {
	case o.MaxAge > int(session.MaxTTL/time.Second):
		return fmt.Errorf("Options.MaxAge is %d: at most %d", o.MaxAge, int(session.MaxTTL/time.Second))
	case sessions.NewCookie(name, "x", o).Valid() != nil:
		return fmt.Errorf("Options.Path, Domain or Partitioned of the cookie %q: %w", name, sessions.NewCookie(name, "x", o).Valid())
	case (isHost || strings.HasPrefix(lower, "__secure-")) && !o.Secure:
		return fmt.Errorf("Options.Secure is not set: the name %q asks for it", name)
	case isHost && (o.Path != "/" || o.Domain != ""):
		return fmt.Errorf("Options.Path is %q and Domain %q: the name %q asks for \"/\" and none", o.Path, o.Domain, name)
	case o.SameSite == http.SameSiteNoneMode && !o.Secure:
		return errors.New("Options.SameSite is None without Secure")
	}
	return nil
}
