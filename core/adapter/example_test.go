package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// Two servers in one process are one cluster: a broadcast of one reaches the clients of
// both.
func ExampleMemory() {
	cluster := adapter.NewMemory()
	one := sio.New(&sio.Options{Adapter: cluster})
	two := sio.New(&sio.Options{Adapter: cluster})

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(two)
	client := siotest.Connect(tb, two, "/", nil)
	fmt.Println(one.Emit("news", "from server one"))

	var text string
	client.Expect("news", &text)
	fmt.Println(text)
	fmt.Println(one.Shutdown(context.Background()))
	// Output:
	// <nil>
	// from server one
	// <nil>
}

// A log of one's own for each namespace, to set its limits. By default it is this one,
// with the limits of sio.Recovery.
func ExampleMemoryLog() {
	srv := sio.New(&sio.Options{ConnectionStateRecovery: &sio.Recovery{
		Log: func(string) adapter.Log {
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{MaxAge: time.Minute})
		},
	}})
	srv.OnConnect(func(c *sio.Ctx) error { return errors.Join(c.Join("news"), c.Emit("welcome")) })

	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	client := siotest.Connect(tb, srv, "/", nil)
	welcome := client.Expect("welcome")
	fmt.Println("arguments:", welcome.Len()) // the offset, by which the client says how far it has come
	// Output: arguments: 1
}
