package sioclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// exampleServer runs a server for an example.
func exampleServer() (url string, stop func()) {
	srv := newServer(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("menu", []string{"soup", "bread"}) })
	srv.On("order", sio.Reply(func(_ *sio.Ctx, dish string) (string, error) {
		if dish != "soup" {
			return "", &sio.Error{Message: "sold out"}
		}
		return "one " + dish, nil
	}))
	hs := httptest.NewServer(srv)
	return hs.URL, hs.Close
}

func Example() {
	url, stop := exampleServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	s, err := sioclient.New(url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	menu := make(chan []string, 1)
	s.On("menu", sioclient.Bind(func(_ *sioclient.Ctx, dishes []string) error {
		menu <- dishes
		return nil
	}))
	if err := s.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-menu)

	receipt, err := sioclient.EmitWithAck[string](ctx, s, "order", "soup")
	fmt.Println(receipt, err)
	_, err = sioclient.EmitWithAck[string](ctx, s, "order", "cake")
	fmt.Println(err)
	fmt.Println(s.Manager().Shutdown(ctx))
	// Output:
	// [soup bread]
	// one soup <nil>
	// sold out
	// <nil>
}

// In a test, the client can reach a server in memory, without a port.
func ExampleNew_inMemory() {
	srv := newServer(nil)
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Pipes(tb, srv)

	s, err := sioclient.New(d.At("/").URL, &sioclient.Options{DialContext: d.Dial})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := s.Connect(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sioclient.EmitWithAck[string](ctx, s, "echo", "hello"))
	fmt.Println(s.Manager().Shutdown(ctx))
	// Output:
	// hello <nil>
	// <nil>
}

func ExampleManager_Of() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	s, err := sioclient.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	private, err := s.Manager().Of("/auth") // over the same connection
	if err != nil {
		fmt.Println(err)
		return
	}
	var refusal *sio.Error
	if err := private.Connect(ctx); errors.As(err, &refusal) {
		fmt.Println(refusal.Message)
	}
	private.SetAuth(map[string]string{"Token": "secret"})
	fmt.Println(private.Connect(ctx))
	fmt.Println(s.Manager().Shutdown(ctx))
	// Output:
	// no entry
	// <nil>
	// <nil>
}

func ExampleSocket_OnDisconnect() {
	url, stop := exampleServer()
	defer stop()
	s, err := sioclient.New(url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan bool)
	s.OnDisconnect(func(s *sioclient.Socket, reason sioclient.Reason) {
		fmt.Println(reason, s.Active())
		close(done)
	})
	if err := s.Connect(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Emit("leave"); err != nil {
		fmt.Println(err)
		return
	}
	<-done
	// Output: io server disconnect false
}

func ExampleAsk() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	s, err := sioclient.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var answers []*sioclient.Answer[int]
	for i := range 3 {
		a, err := sioclient.Ask[int](s, "echo", i) // does not wait
		if err != nil {
			fmt.Println(err)
			return
		}
		answers = append(answers, a)
	}
	for _, a := range answers {
		fmt.Println(a.Wait(ctx))
	}
	fmt.Println(s.Manager().Shutdown(ctx))
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
	// <nil>
}
