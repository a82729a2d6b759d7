package sio_test

import (
	"context"
	"errors"
	"fmt"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// A subscription of one client ends with its socket, however that happens.
func ExampleSocket_OnEnd() {
	ended := make(chan struct{})
	unsubscribe := func() {
		fmt.Println("unsubscribed")
		close(ended)
	}
	srv := sio.New(nil)
	srv.On("subscribe", func(c *sio.Ctx) error {
		if !c.OnEnd(unsubscribe) { // it has ended already
			unsubscribe()
			return nil
		}
		return c.Ack("subscribed")
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	var answer string
	client.Ask("subscribe").Bind(&answer)
	fmt.Println(answer)
	client.Abort() // the network fails
	<-ended
	// Output:
	// subscribed
	// unsubscribed
}

// Clients may leave whatever room they name, but not the one that their user is found by.
func ExampleSocket_Pin() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Pin("user:ann") })
	srv.On("leave", sio.Bind(func(c *sio.Ctx, room string) error {
		if err := c.Leave(room); err != nil {
			return err
		}
		return srv.To("user:ann").Emit("still here")
	}))

	talk(srv, `42["leave","user:ann"]`)
	// Output:
	// > 42["leave","user:ann"]
	// < 42["still here"]
}

// A user who signs out is not found by the name any more.
func ExampleSocket_Unpin() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Pin("user:ann") })
	srv.On("sign out", func(c *sio.Ctx) error {
		if err := c.Unpin("user:ann"); err != nil {
			return err
		}
		found, err := srv.To("user:ann").Count(c.Context())
		if err != nil {
			return err
		}
		return c.Ack(found)
	})

	talk(srv, `421["sign out"]`)
	// Output:
	// > 421["sign out"]
	// < 431[0]
}

// Clients are told the rooms that they joined, and not those of the server.
func ExampleSocket_Pinned() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error {
		return errors.Join(c.Pin("user:ann"), c.Join("lobby"))
	})
	srv.On("rooms", func(c *sio.Ctx) error {
		fmt.Println("pinned:", c.Pinned())
		return c.Ack(c.Rooms()[1:]) // the first is its id
	})

	talk(srv, `421["rooms"]`)
	// Output:
	// pinned: [user:ann]
	// > 421["rooms"]
	// < 431[["lobby"]]
}

// Those who have muted a room are in another one, and get nothing.
func ExampleBroadcast_Except() {
	srv := sio.New(nil)
	srv.On("enter", sio.Bind(func(c *sio.Ctx, muted bool) error {
		if muted {
			return c.Join("chat", "muted")
		}
		return c.Join("chat")
	}))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Pipes(tb, srv)
	ann, bob := d.Connect(tb, "/", nil), d.Connect(tb, "/", nil)
	ann.Ask("enter", false).Bind()
	bob.Ask("enter", true).Bind()
	if err := srv.To("chat").Except("muted").Emit("posted", "hello"); err != nil {
		fmt.Println(err)
	}
	if err := srv.Emit("going down"); err != nil { // everyone gets that
		fmt.Println(err)
	}
	fmt.Println("Ann:", ann.Next(), ann.Next())
	fmt.Println("Bob:", bob.Next())
	// Output:
	// Ann: ["posted","hello"] ["going down"]
	// Bob: ["going down"]
}

// When a game begins, all who wait for it go to its room.
func ExampleBroadcast_Join() {
	srv := sio.New(nil)
	srv.On("wait", sio.Bind(func(c *sio.Ctx, _ struct{}) error { return c.Join("waiting") }))
	srv.On("begin", func(*sio.Ctx) error {
		waiting, game := srv.To("waiting"), srv.To("game 1")
		return errors.Join(waiting.Join("game 1"), waiting.Leave("waiting"), game.Emit("begun"))
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Pipes(tb, srv)
	ann, bob := d.Connect(tb, "/", nil), d.Connect(tb, "/", nil)
	ann.Ask("wait").Bind()
	bob.Ask("wait").Bind()
	ann.Emit("begin")
	fmt.Println(ann.Next(), bob.Next(), srv.Rooms())
	// Output: ["begun"] ["begun"] [game 1]
}

// The client gets message and data. The cause is for the log.
func ExampleError() {
	errNoRows := errors.New("table users: no rows")
	srv := sio.New(nil)
	srv.On("profile", sio.Bind(func(_ *sio.Ctx, name string) error {
		err := &sio.Error{
			Message: "no such user",
			Data:    map[string]string{"name": name},
			Err:     errNoRows,
		}
		fmt.Println(err) // the text in the log
		return err
	}))

	talk(srv, `421["profile","bob"]`)
	// Output:
	// no such user: table users: no rows
	// > 421["profile","bob"]
	// < 431[{"error":{"message":"no such user","data":{"name":"bob"}}}]
}

// Work that goes on after its handler stops with the client, and knows why.
func ExampleDisconnectError() {
	stopped := make(chan error)
	srv := sio.New(nil)
	srv.On("watch", func(c *sio.Ctx) error {
		go func() {
			<-c.Context().Done()
			stopped <- context.Cause(c.Context())
		}()
		return c.Ack()
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	client.Ask("watch").Bind()
	client.Disconnect()
	err := <-stopped
	if d, ok := errors.AsType[*sio.DisconnectError](err); ok && d.Reason == sio.ReasonClientNamespaceDisconnect {
		fmt.Println("the client has left")
	}
	fmt.Println(errors.Is(err, sio.ErrDisconnected))
	// Output:
	// the client has left
	// true
}
