package sio_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// The jury votes, and the last one's silence does not spoil it.
func ExampleBroadcastWithAck() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("jury") })
	srv.On("decide", func(c *sio.Ctx) error {
		ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
		defer cancel()
		tally := map[string]int{}
		for vote := range sio.BroadcastWithAck[string](ctx, srv.To("jury"), "guilty?") {
			switch {
			case errors.Is(vote.Err, context.DeadlineExceeded):
				tally["abstained"]++
			case vote.Err == nil:
				tally[vote.Value]++
			}
		}
		return c.Emit("verdict", tally)
	})

	talk(srv, `42["decide"]`, `431["no"]`)
	// Output:
	// > 42["decide"]
	// < 421["guilty?"]
	// > 431["no"]
	// < 42["verdict",{"no":1}]
}

// Each customer of a service has a namespace, which comes about with its first
// client.
func ExampleServer_OfRegexp() {
	srv := sio.New(&sio.Options{CleanupEmptyChildNamespaces: true})
	tenants := srv.OfRegexp(regexp.MustCompile(`^/tenant-\d+$`))
	tenants.On("where", func(c *sio.Ctx) error { return c.Ack(c.Namespace().Name()) })

	converse(srv, `40/tenant-7,`, `42/tenant-7,1["where"]`)
	// Output:
	// > 42/tenant-7,1["where"]
	// < 43/tenant-7,1["/tenant-7"]
}

// Which names there are may depend on who asks.
func ExampleServer_OfFunc() {
	srv := sio.New(nil)
	rooms := srv.OfFunc(func(name string, h *sio.Handshake) bool {
		return strings.HasPrefix(name, "/room/") && h.Header.Get("X-Banned") == ""
	})
	rooms.On("where", func(c *sio.Ctx) error { return c.Ack(c.Namespace().Name()) })

	converse(srv, `40/room/kitchen,`, `42/room/kitchen,1["where"]`, `40/hall,`)
	// Output:
	// > 42/room/kitchen,1["where"]
	// < 43/room/kitchen,1["/room/kitchen"]
	// > 40/hall,
	// < 44/hall,{"message":"Invalid namespace"}
}

func ExampleBroadcast_Fetch() {
	name := sio.NewDataKey[string]("name")
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error {
		name.Set(c.Socket, "Ann")
		return c.Join("lobby")
	})
	srv.On("who is here", func(c *sio.Ctx) error {
		sockets, err := srv.To("lobby").Fetch(c.Context())
		if err != nil {
			return err
		}
		var names []string
		for _, s := range sockets {
			n, _ := name.Of(s)
			names = append(names, n)
		}
		return c.Ack(names)
	})

	talk(srv, `421["who is here"]`)
	// Output:
	// > 421["who is here"]
	// < 431[["Ann"]]
}

// An administrator throws everyone out of a room, on all servers.
func ExampleBroadcast_Disconnect() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("party") })
	srv.On("end", func(*sio.Ctx) error {
		party := srv.To("party")
		return errors.Join(party.Emit("goodbye"), party.Disconnect())
	})

	talk(srv, `42["end"]`)
	// Output:
	// > 42["end"]
	// < 42["goodbye"]
}

// Middleware may hand on other arguments than those that came.
func ExampleCtx_WithArgs() {
	srv := sio.New(nil)
	srv.UseEvents(func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			var text string
			if err := c.Bind(&text); err != nil {
				return err
			}
			clean, err := c.WithArgs(strings.ReplaceAll(text, "darn", "****"))
			if err != nil {
				return err
			}
			return next(clean)
		}
	})
	srv.On("say", sio.Bind(func(c *sio.Ctx, text string) error { return c.Emit("said", text) }))

	talk(srv, `42["say","darn it"]`)
	// Output:
	// > 42["say","darn it"]
	// < 42["said","**** it"]
}

func ExampleNamespace_OnAnyOutgoing() {
	srv := sio.New(nil)
	srv.OnAny(func(c *sio.Ctx) { fmt.Println("in: ", c.Event()) })
	srv.OnAnyOutgoing(func(_ *sio.Socket, event string, args sio.Args) {
		var n int
		_ = args.Bind(&n)
		fmt.Println("out:", event, n)
	})
	srv.On("count", func(*sio.Ctx) error { return srv.Emit("counted", 1) })

	talk(srv, `42["count"]`)
	// Output:
	// in:  count
	// out: counted 1
	// > 42["count"]
	// < 42["counted",1]
}

// A picture is compressed already.
func ExampleSocket_Self() {
	srv := sio.New(nil)
	srv.On("picture", func(c *sio.Ctx) error {
		return c.Self().Compress(false).Emit("picture", []byte("JPEG"))
	})

	talk(srv, `42["picture"]`)
	// Output:
	// > 42["picture"]
	// < 451-["picture",{"_placeholder":true,"num":0}] and bSlBFRw==
}

// Clients that lose their connection for less than a minute miss nothing.
func ExampleRecovery() {
	srv := sio.New(&sio.Options{
		ConnectionStateRecovery: &sio.Recovery{MaxDisconnectionDuration: time.Minute},
	})
	srv.OnConnect(func(c *sio.Ctx) error {
		if c.Recovered() { // it is in its rooms, and has got what it missed
			return c.Emit("welcome back")
		}
		return errors.Join(c.Join("news"), c.Emit("welcome"))
	})

	interrupted(srv, func() { _ = srv.To("news").Emit("news", "you missed this") })
	// Output:
	// < 42["welcome","<offset>"]
	// the connection is lost, and made again
	// < 42["news","you missed this","<offset>"]
	// < 40{"sid":"<the same id>"}
	// < 42["welcome back","<offset>"]
}

// Two servers in one process; in production there is a broker between them.
func ExampleNamespace_ServerSideEmit() {
	cluster := adapter.NewMemory()
	one := sio.New(&sio.Options{Adapter: cluster})
	two := sio.New(&sio.Options{Adapter: cluster})
	two.OnServerEvent("clients?", func(_ context.Context, _ sio.Args) (any, error) {
		return two.ClientsCount(), nil
	})

	for answer := range sio.ServerSideEmitWithAck[int](context.Background(), one.Namespace, "clients?") {
		fmt.Println(answer.Value, answer.Err)
	}
	_ = errors.Join(one.Shutdown(context.Background()), two.Shutdown(context.Background()))
	// Output: 0 <nil>
}

// interrupted connects a client that has its session recovered after meanwhile,
// and prints what it gets. The server has to emit something when it connects.
func interrupted(srv *sio.Server, meanwhile func()) {
	tb := exampletb.New()
	defer tb.End(srv)
	d := siotest.Pipes(tb, srv)
	client := d.WebSocket(tb)
	client.Send("40")
	pid := regexp.MustCompile(`"pid":"(.+?)"`).FindStringSubmatch(client.Next())[1]
	offset := regexp.MustCompile(`"([^"]+)"]$`)
	show := func(packet string) {
		packet = offset.ReplaceAllString(packet, `"<offset>"]`)
		fmt.Println("<", regexp.MustCompile(`"sid":.*`).ReplaceAllString(packet, `"sid":"<the same id>"}`))
	}
	last := client.Next()
	show(last)
	client.Abort()
	eventually(tb, "the server knows", func() bool { return srv.ClientsCount() == 0 })
	meanwhile()
	fmt.Println("the connection is lost, and made again")
	client = d.WebSocket(tb)
	client.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset.FindStringSubmatch(last)[1]))
	for range 3 {
		show(client.Next())
	}
}

// A client does not poll for a while. Of the positions it gets the newest one of each car,
// and of the news the two newest.
func ExampleBroadcast_Latest() {
	srv := sio.New(nil)
	connected := make(chan *sio.Socket, 1)
	srv.OnConnect(func(c *sio.Ctx) error { connected <- c.Socket; return nil })

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Pipes(tb, srv).Polling(tb)
	client.Connect("/", "")
	socket := <-connected
	for _, x := range []int{1, 2, 3} {
		_ = srv.Broadcast().Latest("car:7").Emit("moved", 7, x)
		_ = srv.Broadcast().Latest("car:8").Emit("moved", 8, 10*x)
		_ = srv.Broadcast().DropOldest(2).Emit("news", x)
	}
	fmt.Printf("%+v\n", socket.Dropped())
	for range 4 {
		fmt.Println(client.Next())
	}
	// Output:
	// {Dropped:1 Replaced:4}
	// 42["news",2]
	// 42["moved",7,3]
	// 42["moved",8,30]
	// 42["news",3]
}

// A feed pauses while a client is too far behind.
func ExampleSocket_OnDrained() {
	srv := sio.New(nil)
	connected := make(chan *sio.Socket, 1)
	srv.OnConnect(func(c *sio.Ctx) error { connected <- c.Socket; return nil })

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Pipes(tb, srv).Polling(tb)
	client.Connect("/", "")
	socket := <-connected
	_ = socket.Emit("picture", make([]byte, 100_000))
	resumed := make(chan error)
	if socket.Buffered() > 64<<10 {
		fmt.Println("paused")
		socket.OnDrained(16<<10, func(err error) { resumed <- err })
	}
	client.Next() // the client reads again
	fmt.Println("resumed with error", <-resumed)
	// Output:
	// paused
	// resumed with error <nil>
}
