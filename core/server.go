package sio

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/gate"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// A Server is a Socket.IO server. It embeds its root namespace "/", so
// registering on the server means registering there. It is an [http.Handler],
// to be mounted by an integration or at "/socket.io/". It is safe for
// concurrent use.
type Server struct {
	*Namespace

	opts            Options
	logger          *slog.Logger // that of the options, as it may be used anywhere
	engine          *engine.Server
	observers       atomic.Pointer[observers]
	connectTimeouts *deadline.List[*client] // clients that have yet to join a namespace
	sockets         gate.Gate               // sockets that have not run their last handler

	wire          wire
	warnedTooMany atomic.Bool // of too many binary values
	clientFiles   clientFiles

	started              time.Time
	clusterErrors        serial.Queue[clusterErrorTask]
	droppedClusterErrors atomic.Int64 // since OnClusterError caught up
	clusterHasFailed     atomic.Bool  // and was not healthy since, as the log says

	groups sync.Mutex // guards all sessionGroups

	mu             sync.Mutex   // serializes changes of namespaces, and of the routes of parents and children
	namespaces     sync.Map     // names to *Namespace; read without mu
	parents        []*Namespace // in the order in which they are asked
	onNewNamespace []func(*Namespace)
	shuttingDown   bool // Shutdown has begun, and observers are told

	onNamespaceEnd []func(*Namespace)
	empty          emptyChildren

	notReady atomic.Bool // Drain or Shutdown has begun
	drain    drainCall
}

// New returns a server; opts may be nil. It panics if an option makes no
// sense. When the server is no longer needed, call [Server.Shutdown].
func New(opts *Options) *Server {
	s := &Server{opts: opts.withDefaults()}
	s.logger = rescue.Logger(s.opts.Logger)
	s.wire = wire{codec: s.opts.JSON, parser: s.opts.Parser, maxAttachments: s.opts.MaxSendAttachments, tooMany: s.warnTooMany}
	s.clientFiles = newClientFiles(s.opts.ClientFS)
	s.connectTimeouts = deadline.NewList(time.Now(), s.opts.ConnectTimeout, (*client).connectTimedOut)
	s.observers.Store(newObservers(s.opts.Observers))
	engineOptions := s.opts.engine()
	engineOptions.Observer = s.observer()
	s.engine = engine.NewServer(engineOptions, s.open)
	if err := s.watchCluster(); err != nil {
		panic(err) //nolint:forbidigo // it is the adapter's own panic, as in Of
	}
	s.Namespace = s.Of("/")
	if s.Clustered() {
		s.OnOwnServerEvent(own.Parent, s.onParentEvent)
	}
	observeApart(s, "ServerStarted", s.observers.Load().serverStarted, s)
	return s
}

// Options returns the options in force, defaults included. Do not change what they refer
// to.
func (s *Server) Options() Options {
	o, e := s.opts, s.engine.Options()
	o.PingInterval, o.PingTimeout, o.UpgradeTimeout = e.PingInterval, e.PingTimeout, e.UpgradeTimeout
	o.MaxSendBuffer, o.HTTPCompressionThreshold = e.MaxSendBuffer, e.HTTPCompressionThreshold
	o.MaxHandshakeBytes = e.MaxHandshakeBytes
	o.Transports = slices.Clone(e.Transports)
	o.Observers = slices.Clone(s.observers.Load().list)
	return o
}

// ClientsCount returns the number of connected clients. A client counts once, however
// many namespaces it is in. A client that was closed or has timed out does not count,
// even before OnDisconnect handlers run.
func (s *Server) ClientsCount() int { return s.engine.ClientsCount() }

// closeGrace is how long Shutdown waits for namespaces to be closed when its context
// has ended before.
const closeGrace = 500 * time.Millisecond

// Shutdown ends the server: new clients are refused, all others disconnected
// with [ReasonServerShuttingDown], and then Shutdown waits until handlers have
// returned and connections are closed. Then adapters and logs are closed. When ctx
// ends before that, connections are cut, adapters and logs closed, and the context's
// error is returned, within a second, whatever hangs. Handlers that ignore their
// context may still run.
//
// Call it before the HTTP server's own Shutdown, which would wait for open
// polls, and not from a handler, for which it would wait.
//
// [Server.Drain] does the same, and gives clients and handlers time before.
func (s *Server) Shutdown(ctx context.Context) error {
	s.notReady.Store(true)
	s.drain.shuttingDown()
	s.observeShutdown(ctx)
	sockets := s.sockets.Close()
	err := s.engine.Shutdown(ctx)
	if err == nil {
		select {
		case <-sockets:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	closed := s.closeNamespaces()
	select {
	case <-closed:
		return err
	case <-ctx.Done():
	}
	select {
	case <-closed:
		return err
	case <-time.After(closeGrace):
		return ctx.Err()
	}
}

// closeNamespaces closes all namespaces at the same time, because any of them may hang.
// Then it closes the channel.
func (s *Server) closeNamespaces() <-chan struct{} {
	var all sync.WaitGroup
	s.namespaces.Range(func(_, v any) bool {
		if n, ok := v.(*Namespace); ok {
			all.Go(n.close) // ends with the adapter's Close and the log's
		}
		return true
	})
	closed := make(chan struct{})
	go func() { // ends with them
		all.Wait()
		close(closed)
	}()
	return closed
}

// warnTooMany logs that an event cannot be sent. The first time it does so at Warn,
// because the error of Emit is easily overlooked. Later it does so at Debug, because the
// number may depend on clients.
func (s *Server) warnTooMany(event string, n int) {
	level := slog.LevelDebug
	if s.warnedTooMany.CompareAndSwap(false, true) {
		level = slog.LevelWarn
	}
	s.log().LogAttrs(context.Background(), level, "a packet was not sent: it has more binary values than clients accept: "+
		"join them to one, send several events, or see Options.MaxSendAttachments",
		slog.String("event", event), slog.Int("values", n), slog.Int("limit", s.opts.MaxSendAttachments))
}

// background runs f on a goroutine that Shutdown waits for, unless that has
// begun.
func (s *Server) background(f func()) {
	if !s.sockets.Enter() {
		return
	}
	go func() { // Shutdown waits for it
		defer s.sockets.Leave()
		f()
	}()
}
