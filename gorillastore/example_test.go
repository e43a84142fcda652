package gorillastore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/gorillastore"
	"github.com/tickettoken/rediskit/session"
)

func Example() {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer redis.Close()
	manager, err := session.New[gorillastore.Data](redis.Client(), session.Config{
		TagKey:     []byte("32 random bytes from your secrets"),
		MaxPerUser: 1,
	})
	if err != nil {
		panic(err)
	}
	store, err := gorillastore.New(manager, gorillastore.Config{
		User: func(values map[any]any) string {
			user, _ := values["userID"].(string)
			return user
		},
	})
	if err != nil {
		panic(err)
	}

	// From here on it is the application as it was, but for the limit.
	login := func(w http.ResponseWriter, r *http.Request) {
		s, err := store.Get(r, "__Host-session")
		if err == nil {
			s.Values["userID"] = r.FormValue("user")
			err = s.Save(r, w)
		}
		switch {
		case errors.Is(err, session.ErrLimit):
			http.Error(w, "You are logged in elsewhere.", http.StatusConflict)
		case err != nil:
			http.Error(w, "Please try again.", http.StatusInternalServerError)
		}
	}

	try := func() {
		w := httptest.NewRecorder()
		login(w, httptest.NewRequest("POST", "/login?user=ada", nil))
		fmt.Println(w.Code, len(w.Result().Cookies()))
	}
	try()
	try()
	if _, err := manager.RevokeUser(context.Background(), "ada"); err != nil {
		panic(err)
	}
	try()
	// Output:
	// 200 1
	// 409 0
	// 200 1
}
