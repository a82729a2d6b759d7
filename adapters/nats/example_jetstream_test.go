package natsadapter_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	sio "github.com/sioplug/sioplug/core"
)

// startForExample starts a server of NATS with JetStream. Yours is another process: nats-server -js.
func startForExample() (url string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "jetstream")
	if err != nil {
		return "", nil, err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		return "", nil, err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return "", nil, server.ErrServerNotRunning
	}
	return s.ClientURL(), func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}, nil
}

// Two servers over JetStream. A client whose connection is lost can come back to either of them,
// and gets what it has missed.
func ExampleNewJetStream() {
	url, stop, err := startForExample()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	ctx := context.Background()
	heard := make(chan string)
	var servers []*sio.Server
	for range 2 {
		nc, err := nats.Connect(url, nats.MaxReconnects(-1))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer nc.Close()
		srv := sio.New(&sio.Options{Adapter: natsadapter.NewJetStream(nc), ConnectionStateRecovery: &sio.Recovery{}})
		defer srv.Shutdown(ctx) //nolint:errcheck // the example ends
		srv.OnServerEvent("hello", func(_ context.Context, args sio.Args) (any, error) {
			var name string
			err := args.Bind(&name)
			heard <- name
			return nil, err
		})
		servers = append(servers, srv)
	}
	for len(servers[0].Cluster().Members) == 0 { // until they know each other
		<-time.After(time.Millisecond)
	}
	if err := servers[0].ServerSideEmit("hello", "cluster"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-heard)
	// Output: cluster
}
