package sioclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
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
		log.Fatal(err)
	}
	menu := make(chan []string, 1)
	s.On("menu", sioclient.Bind(func(_ *sioclient.Ctx, dishes []string) error {
		menu <- dishes
		return nil
	}))
	if err := s.Connect(ctx); err != nil {
		log.Fatal(err)
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

func ExampleManager_Of() {
	url, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	s, err := sioclient.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	private, err := s.Manager().Of("/auth") // over the same connection
	if err != nil {
		log.Fatal(err)
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
		log.Fatal(err)
	}
	done := make(chan bool)
	s.OnDisconnect(func(s *sioclient.Socket, reason sioclient.Reason) {
		fmt.Println(reason, s.Active())
		close(done)
	})
	if err := s.Connect(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := s.Emit("leave"); err != nil {
		log.Fatal(err)
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
		log.Fatal(err)
	}
	var answers []*sioclient.Answer[int]
	for i := range 3 {
		a, err := sioclient.Ask[int](s, "echo", i) // does not wait
		if err != nil {
			log.Fatal(err)
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
