package ratelimit_test

import (
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// told is what a client is told of an event.
func told(ack *siotest.Ack) string {
	e, refused := errors.AsType[*sio.Error](ack.Err())
	if !refused {
		return "ok"
	}
	return fmt.Sprint(e.Message, ", ", e.Data)
}

func ExamplePerSocket() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	post := sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil })
	srv.On("post", post, ratelimit.PerSocket(2, 24*time.Hour))
	srv.On("other", post)

	tb := exampletb.New()
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	for range 3 {
		ack := client.Ask("post")
		fmt.Println(ack.Err())
	}
	fmt.Println(client.Ask("other").Err())

	// Output:
	// <nil>
	// <nil>
	// rate limit exceeded
	// <nil>
}

func ExampleBurst() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	post := sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil })
	// One an hour in the long run, three after a pause.
	srv.On("post", post, ratelimit.PerSocket(1, time.Hour, ratelimit.Burst(3)))

	tb := exampletb.New()
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	for range 4 {
		fmt.Println(client.Ask("post").Err())
	}

	// Output:
	// <nil>
	// <nil>
	// <nil>
	// rate limit exceeded
}

// An export may be asked for by anybody, but costs what it contains.
func ExampleCost() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	pages := func(c *sio.Ctx) int {
		var n int
		if c.Bind(&n) != nil {
			return 1
		}
		return n
	}
	srv.On("export", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n, nil }),
		ratelimit.PerSocket(100, 24*time.Hour, ratelimit.Cost(pages)))

	tb := exampletb.New()
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	for _, n := range []int{60, 60, 40, 101} {
		fmt.Println(n, client.Ask("export", n).Err())
	}
	// More than a full bucket is never allowed, so there is no time to try again.
	fmt.Println(told(client.Ask("export", 101)))

	// Output:
	// 60 <nil>
	// 60 rate limit exceeded
	// 40 <nil>
	// 101 rate limit exceeded
	// rate limit exceeded, map[code:rate_limited]
}

// Each tenant has a share, however many users it has.
func ExamplePer() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	tenant := func(c *sio.Ctx) string { return c.Handshake().Query.Get("tenant") }
	srv.On("post", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }),
		ratelimit.Per(tenant, 1, time.Hour))

	tb := exampletb.New()
	defer tb.End(srv)
	network := siotest.Pipes(tb, srv)
	for _, name := range []string{"red", "red", "blue"} {
		to := network
		to.URL += "?tenant=" + name
		fmt.Println(name, to.Connect(tb, "/", nil).Ask("post").Err())
	}

	// Output:
	// red <nil>
	// red rate limit exceeded
	// blue <nil>
}

func ExampleMaxPerUser() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	// Usually auth.Subject, behind auth.Require.
	user := func(s *sio.Socket) string { return s.Handshake().Header.Get("User") }
	srv.UseConnect(ratelimit.MaxPerUser(user, 2))

	tb := exampletb.New()
	defer tb.End(srv)
	network := siotest.Pipes(tb, srv)
	for _, name := range []string{"ann", "ann", "ann", "bob"} {
		network.Header = http.Header{"User": {name}}
		_, err := network.TryConnect(tb, "/", nil)
		fmt.Println(name, err)
	}

	// Output:
	// ann <nil>
	// ann <nil>
	// ann too many connections
	// bob <nil>
}

func ExampleHandshakes() {
	srv := sio.New(&sio.Options{
		Logger: slog.New(slog.DiscardHandler),
		UseRequest: []func(http.Header, *sio.Request) error{
			ratelimit.Handshakes(1, 30*time.Minute),
		},
	})

	tb := exampletb.New()
	defer tb.End(srv)
	network := siotest.Pipes(tb, srv)
	for range 2 {
		req, err := http.NewRequest(http.MethodGet, network.Endpoint("EIO", "4", "transport", "polling"), http.NoBody)
		if err != nil {
			panic(err)
		}
		res, err := network.HTTP(tb).Do(req)
		if err != nil {
			panic(err)
		}
		_ = res.Body.Close()
		fmt.Println(res.StatusCode, res.Header.Get("Retry-After") != "")
	}

	// Output:
	// 200 false
	// 429 true
}

// Refusals are counted by the name of their limit, for whatever reads expvar;
// counters of other libraries are used in the same way.
func ExampleObserve() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	refused := expvar.NewMap("rate_limited")
	count := ratelimit.Observe(func(r ratelimit.Refusal) { refused.Add(r.Limit, 1) })
	answer := sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil })
	srv.On("post", answer, ratelimit.PerSocket(2, time.Hour, count, ratelimit.Name("posts")))
	srv.On("move", answer, ratelimit.PerSocket(2, time.Hour, count, ratelimit.Name("moves"), ratelimit.Drop()))

	tb := exampletb.New()
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	for range 5 {
		client.Emit("move")
		_ = client.Ask("post").Err() // which comes when both were handled
	}
	fmt.Println(refused)

	// Output:
	// {"moves": 3, "posts": 3}
}
