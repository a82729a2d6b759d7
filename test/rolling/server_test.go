package rolling_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/redis/go-redis/v9"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// The brokers.
const (
	redisStreams = "Redis streams"
	jetStream    = "JetStream"
)

// runNATS is a server of NATS with JetStream until SIGTERM.
func runNATS(dir string) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	srv, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
		JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		return err
	}
	srv.Start()
	if !srv.ReadyForConnections(patience) {
		return errors.New("the server of NATS does not start")
	}
	fmt.Println(srv.ClientURL())
	<-stop.Done()
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

// connect connects with the broker.
func (s settings) connect() (connection adapter.Cluster, disconnect func(), err error) {
	if s.Broker == redisStreams {
		client := redis.NewClient(&redis.Options{Addr: s.Addr})
		return redisadapter.Streams(client, redisadapter.StreamsOptions{MaxLen: maxKept}), func() { _ = client.Close() }, nil
	}
	nc, err := nats.Connect(s.Addr)
	if err != nil {
		return nil, nil, err
	}
	return natsadapter.NewJetStream(nc), nc.Close, nil
}

// maxKept is how many messages Redis keeps: more than are sent while a client is away.
const maxKept = 50_000

// runServer is a server until SIGTERM. Then it drains.
func runServer(s settings) error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})).With(slog.String("server", s.Name))
	connection, disconnect, err := s.connect()
	if err != nil {
		return err
	}
	defer disconnect()
	srv := sio.New(&sio.Options{
		Adapter: connection, ConnectionStateRecovery: &sio.Recovery{}, Logger: log,
		// nginx sends polls to the server that the id begins with.
		GenerateID: func(*sio.Request) (string, error) { return s.Name + "-" + rand.Text(), nil },
		Observers: []*sio.Observer{{RecoveryDone: func(info sio.RecoveryDoneInfo) {
			if info.Outcome != sio.RecoveryOK {
				log.Warn("a client was not recovered", slog.String("outcome", string(info.Outcome)), slog.Any("error", info.Err))
			}
		}}},
	})
	handle(srv)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	web := &http.Server{Addr: s.Listen, Handler: mux, ReadHeaderTimeout: patience}
	failed := make(chan error, 1)
	go func() { failed <- web.ListenAndServe() }()
	fmt.Println("ready")
	select {
	case err := <-failed:
		return err
	case <-stop.Done():
	}
	const grace = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), 2*(s.Spread+2*grace)) // Drain wants no more than three quarters
	defer cancel()
	err = errors.Join(srv.Drain(ctx, &sio.DrainOptions{Spread: s.Spread, Grace: grace}), web.Shutdown(ctx))
	if status := srv.Cluster(); status.Lost > 0 || status.Gaps > 0 {
		err = errors.Join(err, fmt.Errorf("the cluster: %+v", status))
	}
	return err
}

// A message is one for the clients in a room, or for all.
type message struct {
	Number int    `json:"number"`
	Room   string `json:"room"` // "" for all clients
	Sent   int64  `json:"sent"` // when the server has got it, in Unix nanoseconds
}

func handle(srv *sio.Server) {
	srv.OnConnect(func(c *sio.Ctx) error {
		if c.Recovered() {
			return nil
		}
		var auth struct{ Room string }
		if err := json.Unmarshal(c.Handshake().Auth, &auth); err != nil {
			return err
		}
		return c.Join(auth.Room)
	})
	srv.On("say", sio.Reply(func(_ *sio.Ctx, m message) (int, error) {
		m.Sent = time.Now().UnixNano()
		if m.Room == "" {
			return m.Number, srv.Emit("said", m)
		}
		return m.Number, srv.To(m.Room).Emit("said", m)
	}))
}
