package natsadapter_test

import (
	"context"
	"log"
	"net/http"

	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	sio "github.com/sioplug/sioplug/core"
)

func ExampleNew() {
	nc, err := nats.Connect("nats://localhost:4222", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	srv := sio.New(&sio.Options{Adapter: natsadapter.New(nc)})
	http.Handle("/socket.io/", srv)
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func ExampleNewEmitter() {
	nc, err := nats.Connect("nats://localhost:4222")
	if err != nil {
		log.Fatal(err)
	}
	emitter := natsadapter.NewEmitter(nc)
	if err := emitter.To("news").Emit(context.Background(), "headline", "Hello"); err != nil {
		log.Print(err)
	}
}
