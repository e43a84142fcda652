package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/session"
)

func Example() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()

	type Visit struct {
		Name  string `redis:"name"`
		Pages int64  `redis:"pages"`
	}
	sessions, err := session.New[Visit](server.Client(), session.Config{
		TagKey:     bytes.Repeat([]byte("0123456789abcdef"), 2), // in earnest: 32 random bytes from your secrets
		MaxPerUser: 2,
		OnLimit:    session.EvictOldest,
	})
	if err != nil {
		panic(err)
	}

	// Ada logs in on three devices, and may use two.
	var first session.ID
	for _, name := range []string{"phone", "laptop", "tablet"} {
		s, err := sessions.Create(ctx, "ada", Visit{Name: "Ada"}, session.Device{Name: name})
		if err != nil {
			panic(err)
		}
		if first.IsZero() {
			first = s.ID
		}
		for _, gone := range s.Evicted {
			fmt.Println(name, "in,", gone.Device.Name, "out:", gone.Reason)
		}
	}
	_, err = sessions.Get(ctx, first)
	fmt.Println("phone:", errors.Is(err, session.ErrNotFound))

	// She looks at where she is logged in, and ends what she does not know.
	list, err := sessions.List(ctx, "ada")
	if err != nil {
		panic(err)
	}
	for _, info := range list {
		fmt.Println(info.Device.Name, info.ExpiresAt.Sub(info.LastSeenAt))
	}
	ended, err := sessions.Revoke(ctx, "ada", list[1].Ref)
	fmt.Println(ended, err)
	// Output:
	// tablet in, phone out: limit
	// phone: true
	// tablet 30m0s
	// laptop 30m0s
	// true <nil>
}

// Handlers that log in, and that want to know who is.
func Example_login() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	sessions, err := session.New[Visit](server.Client(), session.Config{TagKey: tagKey})
	if err != nil {
		panic(err)
	}
	passwordOf := map[string]string{"ada": "s3cret"}

	login := func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user")
		if password, ok := passwordOf[user]; !ok || password != r.FormValue("password") {
			http.Error(w, "wrong name or password", http.StatusUnauthorized)
			return
		}
		var before session.ID // of the visitor: worth nothing after the login
		if cookie, err := r.Cookie("__Host-id"); err == nil {
			before, _ = session.ParseID(cookie.Value)
		}
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		s, err := sessions.Login(r.Context(), before, user, nil, session.Device{IP: ip, UserAgent: r.UserAgent()})
		switch {
		case errors.Is(err, session.ErrLimit):
			http.Error(w, "log out elsewhere first", http.StatusForbidden)
		case err != nil:
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		default:
			http.SetCookie(w, &http.Cookie{
				Name: "__Host-id", Value: s.ID.Reveal(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
			})
			fmt.Fprintln(w, "welcome,", s.UserID)
		}
	}
	whoami := func(w http.ResponseWriter, r *http.Request) {
		var id session.ID
		if cookie, err := r.Cookie("__Host-id"); err == nil {
			id, _ = session.ParseID(cookie.Value) // Get says the same of one that is malformed
		}
		switch s, err := sessions.Get(r.Context(), id); {
		case errors.Is(err, session.ErrNotFound):
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case err != nil:
			http.Error(w, "try again later", http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, "you are", s.UserID)
		}
	}

	ask := func(handler http.HandlerFunc, form string, cookies ...*http.Cookie) []*http.Cookie {
		r := httptest.NewRequest("POST", "/", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Print(w.Code, " ", w.Body.String())
		return w.Result().Cookies()
	}
	ask(login, "user=ada&password=guess")
	ask(whoami, "")
	ask(whoami, "", &http.Cookie{Name: "__Host-id", Value: "made-up"})
	cookies := ask(login, "user=ada&password=s3cret")
	ask(whoami, "", cookies...)
	// Output:
	// 401 wrong name or password
	// 401 who are you?
	// 401 who are you?
	// 200 welcome, ada
	// 200 you are ada
}

func ExampleManager_Update() {
	server, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx := context.Background()
	sessions, err := session.New[Visit](server.Client(), session.Config{TagKey: tagKey})
	if err != nil {
		panic(err)
	}
	s, err := sessions.Create(ctx, "ada", Visit{Name: "Ada"}, session.Device{})
	if err != nil {
		panic(err)
	}

	// Only the cart is written; another request may count views meanwhile.
	updated, err := sessions.Update(ctx, s.ID, func(v *Visit) error {
		if v.Cart == nil {
			v.Cart = map[string]int{}
		}
		v.Cart["tea"]++
		return nil
	})
	fmt.Println(updated.Data.Cart, updated.Version, err)
	views, err := sessions.Incr(ctx, s.ID, "views", 1)
	fmt.Println(views, err)

	// The user gains rights: a new ID, and a few seconds for requests with the old one that are under way.
	id, err := sessions.Rotate(ctx, s.ID, 10*time.Second)
	fmt.Println(id.Ref() == s.Ref, id.Equal(s.ID), err)
	// Output:
	// map[tea:1] 2 <nil>
	// 1 <nil>
	// true false <nil>
}
