package natsadapter_test

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	"github.com/sioplug/sioplug/core/adapter"
)

const patience = 30 * time.Second

// A natsServer is a server of NATS, in this process.
type natsServer struct {
	tb   testing.TB
	opts server.Options
	srv  *server.Server

	creating sync.Mutex // held while streams are created
}

// startNATS starts a server of NATS, which ends with the test.
func startNATS(tb testing.TB, change ...func(o *server.Options)) *natsServer {
	tb.Helper()
	s := &natsServer{tb: tb, opts: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: 8 << 20}}
	for _, f := range change {
		f(&s.opts)
	}
	s.start()
	tb.Cleanup(s.stop)
	return s
}

func (s *natsServer) start() {
	s.tb.Helper()
	o := s.opts
	srv, err := server.NewServer(&o)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.srv = srv
	srv.Start()
	if !srv.ReadyForConnections(patience) {
		s.tb.Fatal("the server of NATS does not start")
	}
	s.opts.Port = o.Port
}

func (s *natsServer) stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// connect returns a connection, which ends with the test.
func (s *natsServer) connect(tb testing.TB, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return connectTo(tb, s.srv.ClientURL(), opts...)
}

func connectTo(tb testing.TB, url string, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	closed, once := make(chan struct{}), sync.Once{}
	all := []nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0), nats.RetryOnFailedConnect(true),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
		nats.ClosedHandler(func(*nats.Conn) { once.Do(func() { close(closed) }) }),
	}
	nc, err := nats.Connect(url, append(all, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		nc.Close()
		<-closed
	})
	return nc
}

// A clusterServer is what tests need of an adapter.
type clusterServer interface {
	adapter.Cluster
	adapter.Reporter
	adapter.ErrorNotifier
}

func newServer(nc *nats.Conn, opts ...natsadapter.Options) clusterServer {
	return natsadapter.New(nc, opts...)
}
