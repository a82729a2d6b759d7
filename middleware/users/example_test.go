package users_test

import (
	"fmt"
	"log/slog"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
	"github.com/sioplug/sioplug/middleware/users"
)

func Example() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	calls := make(chan string, 10)
	people := users.New(srv.Namespace, userOf, &users.Options{ // with package auth, it is auth.Subject
		Grace:     -1, // usually, a user has 5 seconds to come back
		OnOnline:  func(id string) { calls <- id + " is online" },
		OnOffline: func(id string) { calls <- id + " is offline" },
	})

	srv.On("hello", func(c *sio.Ctx) error { return c.Ack() })

	tb := exampletb.New()
	defer tb.End(srv)
	clients := siotest.Pipes(tb, srv)
	tab, phone := clients.Connect(tb, "/", as("ann")), clients.Connect(tb, "/", as("ann"))
	fmt.Println(<-calls)
	fmt.Println(tab.Ask("hello").Err(), phone.Ask("hello").Err()) // now both are there

	_ = people.User("ann").Emit("mail", "you have mail")
	tab.Expect("mail")
	phone.Expect("mail")
	fmt.Println("both have mail")

	tab.Disconnect()
	phone.Disconnect()
	fmt.Println(<-calls)

	// Output:
	// ann is online
	// <nil> <nil>
	// both have mail
	// ann is offline
}

func ExampleUsers_Online() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	people := users.New(srv.Namespace, userOf, nil)
	srv.On("is", sio.Reply(func(_ *sio.Ctx, id string) (bool, error) { return people.Online(id), nil }))

	tb := exampletb.New()
	defer tb.End(srv)
	clients := siotest.Pipes(tb, srv)
	ann := clients.Connect(tb, "/", as("ann"))
	for _, id := range []string{"ann", "bob"} {
		var online bool
		ack := ann.Ask("is", id)
		ack.Bind(&online)
		fmt.Println(id, online)
	}

	// Output:
	// ann true
	// bob false
}
