package httpkit_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/httpkit"
	"github.com/tickettoken/rediskit/session"
)

// Shopper is the data of a session.
type Shopper struct {
	Name string         `redis:"name"`
	Cart map[string]int `redis:"cart,omitempty"`
}

// passwordOf stands for what a service has for that.
var passwordOf = map[string]string{"ada": "s3cret"}

// postLogin logs in who knows the password, with the cart from before.
func postLogin(w http.ResponseWriter, r *http.Request) {
	user := r.FormValue("user")
	if password, ok := passwordOf[user]; !ok || password != r.FormValue("password") {
		http.Error(w, "wrong name or password", http.StatusUnauthorized)
		return
	}
	s := httpkit.SessionOf[Shopper](r)
	created, err := s.Login(r.Context(), user)
	switch {
	case errors.Is(err, session.ErrLimit):
		http.Error(w, "log out elsewhere first", http.StatusConflict)
		return
	case err != nil:
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	s.Data.Name = user
	s.Flash("Welcome, " + user + ".")
	for _, gone := range created.Evicted {
		s.Flash("You are logged out on " + gone.Device.UserAgent + ".")
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func ExampleSession() {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer redis.Close()
	sessions, err := session.New[Shopper](redis.Client(), session.Config{
		TagKey:  []byte(strings.Repeat("0123456789abcdef", 2)), // in earnest: 32 random bytes from your secrets
		OnLimit: session.EvictOldest, MaxPerUser: 1,
	})
	if err != nil {
		panic(err)
	}
	withSession, err := httpkit.Session(sessions, httpkit.SessionConfig{})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", postLogin)
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		s := httpkit.SessionOf[Shopper](r)
		if s.Data.Cart == nil {
			s.Data.Cart = map[string]int{}
		}
		s.Data.Cart[r.FormValue("add")]++ // and that is all: it is saved, and a visitor gets a cookie
		fmt.Fprint(w, "in the cart: ", s.Data.Cart)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := httpkit.SessionOf[Shopper](r)
		messages, err := s.Flashes(r.Context())
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "user %q, cart %v, %q", s.UserID(), s.Data.Cart, messages)
	})
	server := httptest.NewTLSServer(withSession(mux))
	defer server.Close()

	for _, device := range []string{"phone", "laptop"} {
		jar, _ := cookiejar.New(nil)
		browser := &http.Client{Transport: asDevice{server.Client().Transport, device}, Jar: jar}
		for _, form := range []url.Values{{"add": {"tea"}}, {"user": {"ada"}, "password": {"s3cret"}}} {
			path := "/cart"
			if form.Has("user") {
				path = "/login"
			}
			res, err := browser.PostForm(server.URL+path, form)
			if err != nil {
				panic(err)
			}
			page, _ := io.ReadAll(res.Body)
			res.Body.Close()
			fmt.Println(device, path, res.StatusCode, string(page))
		}
	}
	// Output:
	// phone /cart 200 in the cart: map[tea:1]
	// phone /login 200 user "ada", cart map[tea:1], ["Welcome, ada."]
	// laptop /cart 200 in the cart: map[tea:1]
	// laptop /login 200 user "ada", cart map[tea:1], ["Welcome, ada." "You are logged out on phone."]
}

// asDevice is a browser with a name.
type asDevice struct {
	http.RoundTripper
	name string
}

func (d asDevice) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", d.name)
	return d.RoundTripper.RoundTrip(r)
}
