package sio_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// A server is an http.Handler.
func Example() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("lobby") })
	srv.On("post", sio.Bind(func(_ *sio.Ctx, text string) error {
		return srv.To("lobby").Emit("posted", text)
	}))

	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	web := httptest.NewServer(mux) // in an application, http.ListenAndServe

	// The rest is a client, packet by packet.
	tb := exampletb.New()
	defer web.Close()
	defer tb.End(srv)
	client := siotest.Dialer{URL: web.URL + "/socket.io/"}.WebSocket(tb)
	client.Connect("/", "")
	client.Send(`42["post","hello"]`)
	fmt.Println(client.Next())
	// Output: 42["posted","hello"]
}

func ExampleBind() {
	type Move struct {
		X, Y int
	}
	srv := sio.New(nil)
	srv.On("move", sio.Bind(func(c *sio.Ctx, m Move) error {
		return c.Emit("moved", m.X+m.Y)
	}))

	talk(srv, `42["move",{"x":1,"y":2}]`, `421["move","nonsense"]`)
	// Output:
	// > 42["move",{"x":1,"y":2}]
	// < 42["moved",3]
	// > 421["move","nonsense"]
	// < 431[{"error":{"message":"invalid payload"}}]
}

// Events with several arguments are bound by position.
func ExampleCtx_Bind() {
	srv := sio.New(nil)
	srv.On("add", func(c *sio.Ctx) error {
		var a, b int
		if err := c.Bind(&a, &b); err != nil {
			return err
		}
		return c.Ack(a + b)
	})

	talk(srv, `421["add",40,2]`)
	// Output:
	// > 421["add",40,2]
	// < 431[42]
}

// What has no handler of its own is handed on, whatever its arguments are.
func ExampleArgs_Values() {
	srv := sio.New(nil)
	srv.OnUnknown(func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		return srv.Emit(c.Event(), values...)
	})

	talk(srv, `42["move",{"x":1},[2,"three"],null]`)
	// Output:
	// > 42["move",{"x":1},[2,"three"],null]
	// < 42["move",{"x":1},[2,"three"],null]
}

// The limit may be left out.
func ExampleOptional() {
	srv := sio.New(nil)
	srv.On("history", func(c *sio.Ctx) error {
		var room string
		var limit sio.Optional[int]
		if err := c.Bind(&room, &limit); err != nil {
			return err
		}
		return c.Ack(fmt.Sprintf("%d messages of %s", limit.Or(50), room))
	})

	talk(srv, `421["history","lobby",3]`, `422["history","lobby"]`, `423["history","lobby",null]`, `424["history","lobby","all"]`)
	// Output:
	// > 421["history","lobby",3]
	// < 431["3 messages of lobby"]
	// > 422["history","lobby"]
	// < 432["50 messages of lobby"]
	// > 423["history","lobby",null]
	// < 433["50 messages of lobby"]
	// > 424["history","lobby","all"]
	// < 434[{"error":{"message":"invalid payload"}}]
}

func ExampleReply() {
	type Order struct {
		Item string `json:"item"`
	}
	type Receipt struct {
		Number int `json:"number"`
	}
	srv := sio.New(nil)
	srv.On("buy", sio.Reply(func(_ *sio.Ctx, o Order) (Receipt, error) {
		if o.Item == "" {
			return Receipt{}, &sio.Error{Message: "nothing to buy"}
		}
		return Receipt{Number: 7}, nil
	}))

	talk(srv, `421["buy",{"item":"tea"}]`, `422["buy",{}]`)
	// Output:
	// > 421["buy",{"item":"tea"}]
	// < 431[{"number":7}]
	// > 422["buy",{}]
	// < 432[{"error":{"message":"nothing to buy"}}]
}

func ExampleGuard() {
	srv := sio.New(nil)
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Token string }
		if err := c.Bind(&auth); err != nil {
			return err
		}
		if auth.Token != "secret" {
			return &sio.Error{Message: "not authorized", Data: map[string]string{"hint": "sign in"}}
		}
		return nil
	}))

	converse(srv, `40{"token":"wrong"}`)
	// Output:
	// > 40{"token":"wrong"}
	// < 44{"message":"not authorized","data":{"hint":"sign in"}}
}

func ExampleKey() {
	userKey := sio.NewKey[string]("user")
	srv := sio.New(nil)
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		userKey.Set(c.Socket, "ann") // from a session or a token
		return nil
	}))
	srv.On("who am I", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		user, _ := userKey.Get(c.Socket)
		return user, nil
	}))

	talk(srv, `421["who am I"]`)
	// Output:
	// > 421["who am I"]
	// < 431["ann"]
}

// A handler may ask the client that it works for.
func ExampleEmitWithAck() {
	srv := sio.New(nil)
	srv.On("delete", func(c *sio.Ctx) error {
		ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
		defer cancel()
		sure, err := sio.EmitWithAck[bool](ctx, c.Socket, "are you sure?")
		if err != nil {
			return err
		}
		return c.Ack(sure)
	})

	talk(srv, `421["delete"]`, `431[true]`)
	// Output:
	// > 421["delete"]
	// < 421["are you sure?"]
	// > 431[true]
	// < 431[true]
}

// Several questions are under way at the same time, and no event overtakes another.
func ExampleAsk() {
	srv := sio.New(nil)
	srv.On("check in", func(c *sio.Ctx) error {
		ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
		defer cancel()
		name, err := sio.Ask[string](c.Socket, "name?")
		if err != nil {
			return err
		}
		age, err := sio.Ask[int](c.Socket, "age?")
		if err != nil {
			return err
		}
		n, err := name.Wait(ctx)
		if err != nil {
			return err
		}
		a, err := age.Wait(ctx)
		if err != nil {
			return err
		}
		return c.Ack(fmt.Sprintf("%s is %d", n, a))
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Pipes(tb, srv).WebSocket(tb)
	client.Connect("/", "")
	client.Send(`42123["check in"]`)
	fmt.Println(client.Next())
	fmt.Println(client.Next())
	client.Send(`431["Ann"]`, `432[42]`)
	fmt.Println(client.Next())
	// Output:
	// 421["name?"]
	// 422["age?"]
	// 43123["Ann is 42"]
}

// A file is sent in chunks, no faster than its client reads. One chunk at a time is in
// memory, and the client is not disconnected for what waits.
func ExampleSocket_Flush() {
	srv := sio.New(nil)
	srv.On("download", func(c *sio.Ctx) error {
		file := strings.NewReader("a large file") // os.Open, in an application
		ctx, cancel := context.WithTimeout(c.Context(), 10*time.Minute)
		defer cancel()
		chunk := make([]byte, 8) // 64 KiB, in an application
		for {
			n, err := file.Read(chunk)
			if errors.Is(err, io.EOF) {
				return c.Ack()
			}
			if err != nil {
				return err
			}
			if err := c.Emit("chunk", chunk[:n]); err != nil {
				return err
			}
			if err := c.Flush(ctx); err != nil {
				return err
			}
		}
	})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Pipes(tb, srv).Connect(tb, "/", nil)
	download := client.Ask("download")
	for range 2 {
		var chunk []byte
		client.Expect("chunk", &chunk)
		fmt.Printf("%q\n", chunk)
	}
	download.Bind()
	fmt.Println("done")
	// Output:
	// "a large "
	// "file"
	// done
}

func ExampleBroadcast() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("news", "sports") })
	readers := srv.To("news", "sports") // each client once
	srv.On("publish", func(c *sio.Ctx) error {
		others := readers.Except(c.ID()) // readers is as it was
		if err := others.Emit("published", "to others"); err != nil {
			return err
		}
		return readers.Emit("published", "to all")
	})

	talk(srv, `42["publish"]`)
	// Output:
	// > 42["publish"]
	// < 42["published","to all"]
}

// A []byte travels as binary data, wherever it is.
func ExampleSocket_Emit() {
	type Picture struct {
		Name string `json:"name"`
		Data []byte `json:"data"`
	}
	srv := sio.New(nil)
	srv.On("next", func(c *sio.Ctx) error {
		return c.Emit("picture", Picture{Name: "dot", Data: []byte{1, 2, 3}})
	})

	talk(srv, `42["next"]`)
	// Output:
	// > 42["next"]
	// < 451-["picture",{"name":"dot","data":{"_placeholder":true,"num":0}}] and bAQID
}

// talk connects a client and prints what it and the server say in turn.
func talk(srv *sio.Server, packets ...string) {
	converse(srv, append([]string{"40"}, packets...)...)
}

func converse(srv *sio.Server, packets ...string) {
	tb := exampletb.New()
	defer tb.End(srv)
	client := siotest.Pipes(tb, srv).WebSocket(tb)
	for _, p := range packets {
		client.Send(p)
		answer := client.Next()
		if strings.HasPrefix(answer, "45") {
			answer += " and " + client.Next()
		}
		if strings.HasPrefix(answer, "40") {
			continue // connected, with an id that is another one each time
		}
		fmt.Printf("> %s\n< %s\n", p, answer)
	}
}
