package ratelimit_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// At most two searches run at the same time, of all clients together.
func ExampleInFlight() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	running, finish := make(chan struct{}), make(chan struct{})
	srv.On("search", sio.Reply(func(*sio.Ctx, struct{}) (string, error) {
		running <- struct{}{}
		<-finish
		return "found", nil
	}), ratelimit.InFlight(2))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Pipes(tb, srv)
	first, second := d.Connect(tb, "/", nil).Ask("search"), d.Connect(tb, "/", nil).Ask("search")
	<-running
	<-running
	fmt.Println(told(d.Connect(tb, "/", nil).Ask("search")))
	close(finish)
	fmt.Println(told(first), told(second))
	// Output:
	// too busy, map[code:busy]
	// ok ok
}

// A list of rooms is joined as a whole, or not at all.
func ExampleJoin() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("subscribe", sio.Bind(func(c *sio.Ctx, rooms []string) error {
		return ratelimit.Join(c.Socket, 3, rooms...)
	}))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	fmt.Println(told(client.Ask("subscribe", []string{"go", "rust"})))
	fmt.Println(told(client.Ask("subscribe", []string{"c", "zig"})))
	// Output:
	// ok
	// too many rooms, map[code:too_many_rooms]
}

// A user has one socket. The old one is told that there is a newer one.
func ExampleNewestWins() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	user := func(s *sio.Socket) string { return string(s.Handshake().Auth) } // with package auth, it is auth.Subject
	srv.UseConnect(ratelimit.MaxPerUser(user, 1, ratelimit.NewestWins()))
	srv.On("hello", func(c *sio.Ctx) error { return c.Ack() })

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	clients := siotest.Pipes(tb, srv)
	laptop := clients.WebSocket(tb)
	laptop.Connect("/", `{"user":"ann"}`)
	laptop.Send(`420["hello"]`)
	fmt.Println(laptop.Next())
	phone := clients.WebSocket(tb)
	phone.Connect("/", `{"user":"ann"}`)
	fmt.Println(laptop.Next())
	fmt.Println(laptop.Next()) // disconnected
	// Output:
	// 430[]
	// 42["rate_limited",{"code":"replaced","event":"connect"}]
	// 41
}

// Two namespaces share one limit, because their limits have the same name in one limiter.
func ExampleIn() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	shared := ratelimit.NewMemory(0)
	for _, name := range []string{"/chat", "/admin"} {
		srv.Of(name).On("export", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }),
			ratelimit.PerIP(1, time.Hour, ratelimit.In(shared, "exports")))
	}

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	fmt.Println(siotest.Connect(tb, srv, "/chat", nil).Ask("export").Err())
	fmt.Println(siotest.Connect(tb, srv, "/admin", nil).Ask("export").Err())
	// Output:
	// <nil>
	// rate limit exceeded
}

// A client that ignores refusals is disconnected.
func ExampleDisconnectAfter() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("post", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }),
		ratelimit.PerSocket(1, time.Hour, ratelimit.DisconnectAfter(2)))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	fmt.Println(client.Ask("post").Err())
	fmt.Println(client.Ask("post").Err())
	client.Emit("post")
	client.Expect("rate_limited")
	fmt.Println(client.Disconnected())
	// Output:
	// <nil>
	// rate limit exceeded
	// io server disconnect
}

// A nightly limiter lets nothing through during the day.
type nightly struct{ ratelimit.Limiter }

func (n nightly) Take(ctx context.Context, key string, r ratelimit.Rate, cost int, atMost time.Duration) (ratelimit.Verdict, error) {
	if day(ctx) {
		return ratelimit.Verdict{Wait: time.Hour}, nil
	}
	return n.Limiter.Take(ctx, key, r, cost, atMost)
}

func day(context.Context) bool { return true }

// A limiter of your own needs one method.
func ExampleLimiter() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	limiter := nightly{ratelimit.NewMemory(0)}
	srv.On("export", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }),
		ratelimit.PerIP(10, time.Hour, ratelimit.In(limiter, "exports")))

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	fmt.Println(told(siotest.Connect(tb, srv, "/", nil).Ask("export")))
	// Output: rate limit exceeded, map[code:rate_limited retryAfter:3600]
}
