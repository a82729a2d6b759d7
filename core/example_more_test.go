package sio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing/fstest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// The position of a cursor is of no use when the next one is there.
func ExampleBroadcast_Volatile() {
	srv := sio.New(nil)
	srv.On("cursor", func(c *sio.Ctx) error {
		var x, y int
		if err := c.Bind(&x, &y); err != nil {
			return err
		}
		return errors.Join(c.Broadcast().Volatile().Emit("cursor", c.ID(), x, y), c.Ack())
	})

	talk(srv, `421["cursor",3,4]`)
	// Output:
	// > 421["cursor",3,4]
	// < 431[]
}

// Each server of a cluster tells its own clients that it is about to stop.
func ExampleBroadcast_Local() {
	srv := sio.New(nil)
	srv.On("stop", func(*sio.Ctx) error {
		return srv.Broadcast().Local().Emit("going down", "in a minute")
	})

	talk(srv, `42["stop"]`)
	// Output:
	// > 42["stop"]
	// < 42["going down","in a minute"]
}

// Middleware measures what handlers do.
func ExampleMiddleware() {
	slow := func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			start := time.Now()
			err := next(c)
			if took := time.Since(start); took > time.Second {
				fmt.Println(c.Event(), "took", took)
			}
			return err
		}
	}
	srv := sio.New(nil)
	srv.UseEvents(slow)
	srv.On("ping", func(c *sio.Ctx) error { return c.Ack("pong") })

	talk(srv, `421["ping"]`)
	// Output:
	// > 421["ping"]
	// < 431["pong"]
}

// Work that takes long is handed on, and acknowledged when it is done. Meanwhile
// the client's next events are handled.
func ExampleCtx_Ack() {
	srv := sio.New(nil)
	jobs := make(chan *sio.Ctx, 10)
	srv.On("render", func(c *sio.Ctx) error {
		select {
		case jobs <- c:
			return nil
		default:
			return &sio.Error{Message: "too busy"}
		}
	})
	go func() {
		for c := range jobs {
			_ = c.Ack("rendered") // an error means that the client has gone
		}
	}()
	defer close(jobs)

	talk(srv, `421["render"]`)
	// Output:
	// > 421["render"]
	// < 431["rendered"]
}

func ExampleNamespace_OnAny() {
	srv := sio.New(nil)
	srv.OnAny(func(c *sio.Ctx) {
		fmt.Printf("%s: %d arguments, %d bytes\n", c.Event(), c.Len(), c.Size())
	})
	srv.OnUnknown(func(*sio.Ctx) error { return &sio.Error{Message: "no such event"} })

	talk(srv, `421["hello",1,"two"]`)
	// Output:
	// hello: 2 arguments, 12 bytes
	// > 421["hello",1,"two"]
	// < 431[{"error":{"message":"no such event"}}]
}

// The rooms of a user who has gone are told.
func ExampleNamespace_OnDisconnect() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("lobby") })
	srv.OnDisconnect(func(s *sio.Socket, reason sio.Reason) {
		fmt.Println("one of", len(s.Rooms()), "rooms:", reason)
		_ = s.To(s.Rooms()...).Emit("left", s.ID())
	})
	srv.On("leave", func(c *sio.Ctx) error { return c.Disconnect() })

	talk(srv, `42["leave"]`)
	// Unordered output:
	// > 42["leave"]
	// < 41
	// one of 2 rooms: server namespace disconnect
}

// A room is worth looking up in the database as long as somebody is in it.
func ExampleNamespace_OnRoom() {
	srv := sio.New(nil)
	srv.OnRoom(func(e sio.RoomEvent) {
		if strings.HasPrefix(e.Room, "doc ") {
			fmt.Println(e.Kind, e.Room)
		}
	})
	srv.On("open", sio.Bind(func(c *sio.Ctx, doc string) error {
		if err := c.Join("doc " + doc); err != nil {
			return err
		}
		if err := c.Leave("doc " + doc); err != nil {
			return err
		}
		return c.Ack()
	}))

	talk(srv, `421["open","7"]`)
	// Output:
	// create-room doc 7
	// join-room doc 7
	// leave-room doc 7
	// delete-room doc 7
	// > 421["open","7"]
	// < 431[]
}

// Values by data keys are there for other servers, and for clients that come back.
func ExampleNewDataKey() {
	name := sio.NewDataKey[string]("name")
	srv := sio.New(nil)
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Name string }
		if err := c.Bind(&auth); err != nil {
			return err
		}
		name.Set(c.Socket, auth.Name)
		return nil
	}))
	srv.On("who", func(c *sio.Ctx) error {
		all, err := srv.Broadcast().Fetch(c.Context())
		if err != nil {
			return err
		}
		var names []string
		for _, s := range all {
			n, _ := name.Of(s)
			names = append(names, n)
		}
		return c.Ack(names)
	})

	converse(srv, `40{"name":"Ann"}`, `421["who"]`)
	// Output:
	// > 421["who"]
	// < 431[["Ann"]]
}

// The dist folder of the npm package socket.io-client, or a go:embed of it, is
// served beside the endpoint.
func ExampleOptions_clientFS() {
	dist := fstest.MapFS{"socket.io.min.js": {Data: []byte("/* the client */")}} // os.DirFS("node_modules/socket.io-client/dist")
	srv := sio.New(&sio.Options{ClientFS: dist})

	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/socket.io.min.js", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Body)
	// Output: 200 application/javascript; charset=utf-8 /* the client */
}

// A strictCodec refuses fields that nobody knows.
type strictCodec struct{}

func (strictCodec) Marshal(v any) ([]byte, error) { return json.Marshal(v) }

func (strictCodec) Unmarshal(data []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Another JSON library, or the usual one with other manners.
func ExampleOptions_json() {
	type Move struct{ X, Y int }
	srv := sio.New(&sio.Options{JSON: strictCodec{}})
	srv.On("move", sio.Bind(func(c *sio.Ctx, m Move) error { return c.Ack(m) }))

	talk(srv, `421["move",{"x":1,"y":2}]`, `422["move",{"z":3}]`)
	// Output:
	// > 421["move",{"x":1,"y":2}]
	// < 431[{"X":1,"Y":2}]
	// > 422["move",{"z":3}]
	// < 432[{"error":{"message":"invalid payload"}}]
}

// Clients have to use socket.io-msgpack-parser, too. Others can be served by a
// second server on another path.
func ExampleOptions_parser() {
	srv := sio.New(&sio.Options{Parser: msgpack.Parser{}})
	srv.On("sum", sio.Reply(func(_ *sio.Ctx, numbers []int) (int, error) {
		sum := 0
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	}))

	mux := http.NewServeMux()
	mux.Handle("/packed/", srv) // io({ path: "/packed/", parser })
	_, path := mux.Handler(httptest.NewRequest(http.MethodGet, "/packed/", nil))
	fmt.Println(path)
	// Output: /packed/
}

// Errors of handlers go where all errors of the application go.
func ExampleOptions_onError() {
	srv := sio.New(&sio.Options{OnError: func(c *sio.Ctx, err error) {
		fmt.Println("reported:", c.Event(), err)
		if c.WantsAck() {
			_ = c.Ack(map[string]string{"problem": "ask the operator"})
		}
	}})
	srv.On("save", func(*sio.Ctx) error { return errors.New("disk full") })

	talk(srv, `421["save"]`)
	// Output:
	// reported: save disk full
	// > 421["save"]
	// < 431[{"problem":"ask the operator"}]
}

// What sockets there are is known without asking anybody.
func ExampleBroadcast_Sockets() {
	srv := sio.New(nil)
	srv.On("hurry", func(c *sio.Ctx) error {
		transports := []string{}
		for _, s := range srv.Broadcast().Sockets() {
			transports = append(transports, s.Transport())
		}
		return c.Ack(slices.Compact(transports))
	})

	talk(srv, `421["hurry"]`)
	// Output:
	// > 421["hurry"]
	// < 431[["websocket"]]
}

// Sockets first, since open polls would hold up the HTTP server.
func ExampleServer_Shutdown() {
	srv := sio.New(nil)
	web := &http.Server{Handler: srv}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(errors.Join(srv.Shutdown(ctx), web.Shutdown(ctx)))
	// Output: <nil>
}

// A process that is told to stop hands its clients over: the load balancer sees that the
// server is not ready, and clients come back to another one.
func ExampleServer_Drain() {
	tb := exampletb.New() // in a test, its *testing.T
	srv := sio.New(nil)
	defer tb.End(srv)
	srv.OnDisconnect(func(_ *sio.Socket, reason sio.Reason) { fmt.Println("disconnected:", reason) })
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.Handle("/readyz", srv.ReadyHandler(nil))
	web := &http.Server{Handler: mux}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	defer signal.Stop(stop)

	client := siotest.Connect(tb, mux, "/", nil)
	stop <- syscall.SIGTERM // in production, Kubernetes or systemd sends it

	<-stop
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Println("drained:", errors.Join(srv.Drain(ctx, nil), web.Shutdown(ctx)))
	fmt.Println("client:", client.Disconnected())
	fmt.Println("ready:", srv.Ready())
	// Output:
	// disconnected: server shutting down
	// drained: <nil>
	// client: transport close
	// ready: false
}

// Middleware that joins rooms has to wait until the client is accepted. With
// recovery it runs again each time that the client is back.
func ExampleCtx_OnAccept() {
	srv := sio.New(nil)
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		c.OnAccept(func(c *sio.Ctx) error { return c.Join("members") })
		return nil
	}))
	srv.On("rooms", func(c *sio.Ctx) error { return c.Ack(c.Rooms()[1:]) })

	talk(srv, `421["rooms"]`)
	// Output:
	// > 421["rooms"]
	// < 431[["members"]]
}

// An id that came from elsewhere is that of a socket here, or it is not.
func ExampleNamespace_Socket() {
	tb := exampletb.New() // in a test, its *testing.T
	srv := sio.New(nil)
	defer tb.End(srv)

	client := siotest.Connect(tb, srv, "/", nil)
	s := srv.Socket(client.ID())
	fmt.Println(s.ID() == client.ID(), srv.Socket("nobody") == nil)
	// Output: true true
}
