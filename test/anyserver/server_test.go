package anyserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/cluster/forward"
	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// last is the number of the last message of a client.
var last = sio.NewDataKey[int]("last")

// serve is a server of the cluster: the process of its own. Its arguments are variables of the
// environment: its name, its address, that of Redis, the adapter, and how many servers there are.
func serve() {
	name := os.Getenv(roleVariable)
	if err := run(name, os.Getenv("ADDR"), os.Getenv("REDIS"), os.Getenv("SERVERS")); err != nil {
		fmt.Fprintf(os.Stderr, "server %s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(name, addr, redisAddr, others string) error {
	number, err := strconv.Atoi(others)
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: redisAddr})
	defer client.Close()
	servers, closeBroker, err := newCluster(os.Getenv("ADAPTER"), os.Getenv("BROKER"), client)
	if err != nil {
		return err
	}
	defer closeBroker()
	o := forward.Options{Listen: "127.0.0.1:0", Secret: "the secret of this cluster"}
	if os.Getenv("OVER_BROKER") != "" {
		o.Listen = ""
	}
	router, err := forward.New(servers, o)
	if err != nil {
		return err
	}
	srv := sio.New(&sio.Options{Adapter: servers, SessionRouter: router})
	handle(srv, name)

	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: srv, ReadHeaderTimeout: patience}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	for deadline := time.Now().Add(patience); len(srv.Cluster().Members) < number-1; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("there are %d other servers", len(srv.Cluster().Members))
		}
	}
	fmt.Println("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err == nil { // until the test closes it
		return errors.New("there is something on the input")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stats := router.Stats()
	if err := errors.Join(srv.Shutdown(ctx), web.Shutdown(ctx)); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Println("forwarded", stats.Forwarded, "received", stats.Received)
	return nil
}

// members are servers in a cluster.
type members interface {
	adapter.Cluster
	forward.Members
}

// newCluster returns the adapter of that name.
func newCluster(name, url string, client *redis.Client) (m members, closeBroker func(), err error) {
	o := cluster.Options{HeartbeatTimeout: patience} // so that only the broker tells that a server was killed
	closeBroker = func() {}
	switch name {
	case "classic":
		return redisadapter.Classic(client, redisadapter.ClassicOptions{Options: o}), closeBroker, nil
	case "sharded":
		return redisadapter.Sharded(client, redisadapter.ShardedOptions{Options: o}), closeBroker, nil
	case "streams":
		return redisadapter.Streams(client, redisadapter.StreamsOptions{Options: o}), closeBroker, nil
	case "postgres":
		pool, err := pgxpool.New(context.Background(), url)
		if err != nil {
			return nil, nil, err
		}
		return postgresadapter.New(pool, postgresadapter.Options{Options: o}), pool.Close, nil
	case "nats", "jetstream":
		nc, err := nats.Connect(url, nats.MaxReconnects(-1))
		if err != nil {
			return nil, nil, err
		}
		if name == "nats" {
			return natsadapter.New(nc, natsadapter.Options{Options: o}), nc.Close, nil
		}
		return natsadapter.NewJetStream(nc, natsadapter.JetStreamOptions{Options: o}), nc.Close, nil
	default:
		return nil, nil, fmt.Errorf("there is no adapter %q", name)
	}
}

// handle has what clients ask for. Messages of a client have to come in order, each once.
func handle(srv *sio.Server, name string) {
	srv.On("server", func(c *sio.Ctx) error { return c.Ack(name) })
	srv.On("up", sio.Reply(func(c *sio.Ctx, n int) (int, error) {
		before, _ := last.Get(c.Socket)
		if n != before+1 {
			return 0, &sio.Error{Message: fmt.Sprintf("%d came after %d", n, before)}
		}
		last.Set(c.Socket, n)
		return n, nil
	}))
	srv.On("last", func(c *sio.Ctx) error {
		n, _ := last.Get(c.Socket)
		return c.Ack(n)
	})
	srv.On("down", func(c *sio.Ctx) error {
		var before, number int
		if err := c.Bind(&before, &number); err != nil {
			return err
		}
		for n := range number {
			if err := c.Emit("message", before+n+1); err != nil {
				return err
			}
		}
		return nil
	})
	srv.On("all", sio.Bind(func(_ *sio.Ctx, text string) error { return srv.Emit("said", text) }))
}
