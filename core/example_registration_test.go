package sio_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// Middleware runs in the order in which it is added. The first error refuses the client.
func ExampleNamespace_UseConnect() {
	nameKey := sio.NewKey[string]("name")
	srv := sio.New(nil)
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Name string }
		if err := c.Bind(&auth); err != nil {
			return err
		}
		if auth.Name == "" {
			return &sio.Error{Message: "who are you?"}
		}
		nameKey.Set(c.Socket, auth.Name)
		return nil
	}))
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		if name, _ := nameKey.Get(c.Socket); name == "mallory" {
			return &sio.Error{Message: "go away"}
		}
		return nil
	}))

	converse(srv, `40{}`, `40{"name":"mallory"}`, `40{"name":"ann"}`) // ann gets in
	// Output:
	// > 40{}
	// < 44{"message":"who are you?"}
	// > 40{"name":"mallory"}
	// < 44{"message":"go away"}
}

// While the shop is closed, no event gets through, whether it has a handler or not.
func ExampleNamespace_UseEvents() {
	var closed atomic.Bool
	srv := sio.New(nil)
	srv.UseEvents(sio.Guard(func(*sio.Ctx) error {
		if closed.Load() {
			return &sio.Error{Message: "closed"}
		}
		return nil
	}))
	srv.On("buy", func(c *sio.Ctx) error { return c.Ack("sold") })

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	fmt.Println(client.Ask("buy").Err())
	closed.Store(true)
	fmt.Println(client.Ask("buy").Err())
	fmt.Println(client.Ask("steal").Err())
	// Output:
	// <nil>
	// closed
	// closed
}

// What the handler emits is the first thing that the client gets.
func ExampleNamespace_OnConnect() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error {
		if err := c.Join("lobby"); err != nil {
			return err
		}
		return c.Emit("welcome", "you are in the lobby")
	})
	srv.On("rooms", func(c *sio.Ctx) error { return c.Ack(c.Rooms()[1:]) }) // the first is its id

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	fmt.Println(client.Next())
	var rooms []string
	client.Ask("rooms").Bind(&rooms)
	fmt.Println(rooms)
	// Output:
	// ["welcome","you are in the lobby"]
	// [lobby]
}

// Clients that wait for an acknowledgement learn that nobody handles the event.
func ExampleNamespace_OnUnknown() {
	srv := sio.New(nil)
	srv.On("post", func(c *sio.Ctx) error { return c.Ack("posted") })
	srv.OnUnknown(func(c *sio.Ctx) error {
		return &sio.Error{Message: "unknown event", Data: c.Event()}
	})

	talk(srv, `421["post"]`, `422["pots"]`)
	// Output:
	// > 421["post"]
	// < 431["posted"]
	// > 422["pots"]
	// < 432[{"error":{"message":"unknown event","data":"pots"}}]
}

// Middleware numbers the events, for whatever the handlers call with their context.
func ExampleCtx_WithContext() {
	type numberKey struct{}
	var count atomic.Int64
	srv := sio.New(nil)
	srv.UseEvents(func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			ctx := context.WithValue(c.Context(), numberKey{}, count.Add(1))
			return next(c.WithContext(ctx))
		}
	})
	query := func(ctx context.Context) string { // a database's, in an application
		return fmt.Sprint("answer to event ", ctx.Value(numberKey{}))
	}
	srv.On("ask", func(c *sio.Ctx) error { return c.Ack(query(c.Context())) })

	talk(srv, `421["ask"]`, `422["ask"]`)
	// Output:
	// > 421["ask"]
	// < 431["answer to event 1"]
	// > 422["ask"]
	// < 432["answer to event 2"]
}

// Whatever a namespace needs is there before its first client is.
func ExampleServer_OnNewNamespace() {
	srv := sio.New(nil)
	srv.OnNewNamespace(func(n *sio.Namespace) { fmt.Println("new:", n.Name()) })
	srv.Of("/admin")
	tenants := srv.OfRegexp(regexp.MustCompile(`^/tenant-\d+$`))
	tenants.OnConnect(func(c *sio.Ctx) error {
		fmt.Println("connected:", c.Namespace().Name())
		return c.Emit("welcome")
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	siotest.Connect(tb, srv, "/tenant-7", nil).Expect("welcome")
	siotest.Connect(tb, srv, "/tenant-7", nil).Expect("welcome")
	// Output:
	// new: /admin
	// new: /tenant-7
	// connected: /tenant-7
	// connected: /tenant-7
}

// A namespace that a client brought about ends with its last client.
func ExampleServer_OnNamespaceEnd() {
	srv := sio.New(&sio.Options{CleanupEmptyChildNamespaces: true})
	srv.OfRegexp(regexp.MustCompile(`^/tenant-\d+$`))
	ended := make(chan string, 1)
	srv.OnNamespaceEnd(func(n *sio.Namespace) { ended <- n.Name() })

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/tenant-7", nil)
	client.Disconnect()
	fmt.Println(<-ended, "has ended")
	// Output: /tenant-7 has ended
}

// One server of a cluster has changed the prices, and the others forget the old ones.
func ExampleNamespace_OnServerEvent() {
	cluster := adapter.NewMemory() // a broker, in production
	one := sio.New(&sio.Options{Adapter: cluster})
	two := sio.New(&sio.Options{Adapter: cluster})
	forgotten := make(chan string)
	two.OnServerEvent("changed", func(_ context.Context, args sio.Args) (any, error) {
		var what string
		if err := args.Bind(&what); err != nil {
			return nil, err
		}
		forgotten <- what
		return nil, nil
	})

	if err := one.ServerSideEmit("changed", "prices"); err != nil {
		fmt.Println(err)
	}
	fmt.Println("forgotten:", <-forgotten)
	_ = errors.Join(one.Shutdown(context.Background()), two.Shutdown(context.Background()))
	// Output: forgotten: prices
}

// The auth payload is at hand in the handlers of events, too.
func ExampleHandshake_Bind() {
	srv := sio.New(nil)
	srv.On("greet", func(c *sio.Ctx) error {
		var auth struct{ Name, Language string }
		if err := c.Handshake().Bind(&auth); err != nil {
			return err
		}
		if auth.Language == "de" {
			return c.Ack("Hallo " + auth.Name)
		}
		return c.Ack("Hello " + auth.Name)
	})

	converse(srv, `40{"name":"Ann","language":"de"}`, `421["greet"]`)
	// Output:
	// > 421["greet"]
	// < 431["Hallo Ann"]
}
