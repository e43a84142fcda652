package scsstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/alexedwards/scs/v2"

	"github.com/tickettoken/rediskit/embedded"
	"github.com/tickettoken/rediskit/scsstore"
	"github.com/tickettoken/rediskit/session"
)

func Example() {
	redis, err := embedded.Start()
	if err != nil {
		panic(err)
	}
	defer redis.Close()
	sessions, err := session.New[scsstore.Data](redis.Client(), session.Config{
		TagKey:     []byte("32 random bytes from your secrets"),
		MaxPerUser: 1,
	})
	if err != nil {
		panic(err)
	}
	store, err := scsstore.New(redis.Client(), sessions, scsstore.Config{
		User: func(values map[string]any) string {
			user, _ := values["userID"].(string)
			return user
		},
	})
	if err != nil {
		panic(err)
	}

	// From here on it is the application as it was, but for the errors.
	manager := scs.New()
	manager.Store = store
	manager.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		switch {
		case errors.Is(err, session.ErrLimit):
			http.Error(w, "You are logged in elsewhere.", http.StatusConflict)
		case errors.Is(err, session.ErrNotFound): // logged out while the request was under way
		default:
			http.Error(w, "Please try again.", http.StatusInternalServerError)
		}
	}
	handler := manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := manager.RenewToken(r.Context()); err != nil {
			http.Error(w, "Please try again.", http.StatusInternalServerError)
			return
		}
		manager.Put(r.Context(), "userID", r.FormValue("user"))
	}))

	login := func() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", "/login?user=ada", nil))
		fmt.Println(w.Code, len(w.Result().Cookies()))
	}
	login()
	login()
	if _, err := sessions.RevokeUser(context.Background(), "ada"); err != nil {
		panic(err)
	}
	login()
	// Output:
	// 200 1
	// 409 0
	// 200 1
}
