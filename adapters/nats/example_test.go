package natsadapter_test

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	sio "github.com/sioplug/sioplug/core"
)

// A server in a cluster with others that use the same NATS.
func ExampleNew() { //nolint:testableexamples // needs NATS
	nc, err := nats.Connect("nats://localhost:4222", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := sio.New(&sio.Options{Adapter: natsadapter.New(nc)})
	_ = srv
}

// A job that emits to the clients of all servers.
func ExampleNewEmitter() { //nolint:testableexamples // needs NATS
	nc, err := nats.Connect("nats://localhost:4222")
	if err != nil {
		fmt.Println(err)
		return
	}
	emitter := natsadapter.NewEmitter(nc)
	if err := emitter.To("news").Emit(context.Background(), "headline", "Hello"); err != nil {
		fmt.Println(err)
	}
}
