package sio

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/deadline"
	"github.com/sioplug/sioplug/core/internal/gate"
	"github.com/sioplug/sioplug/core/internal/packet"
)

// A Server is a Socket.IO server. It embeds its root namespace "/", so
// registering on the server means registering there. It is an [http.Handler],
// to be mounted by an integration or at "/socket.io/". It is safe for
// concurrent use.
type Server struct {
	*Namespace

	opts     Options
	engine   *engine.Server
	connects *deadline.List[*client] // clients that have yet to join a namespace
	sockets  gate.Gate               // sockets that have not run their last handler

	wire        wire
	clientFiles clientFiles

	groups sync.Mutex // guards all sessionGroups

	mu          sync.Mutex // serializes changes of namespaces, and those of parents to their children
	namespaces  atomic.Pointer[map[string]*Namespace]
	parents     []*Namespace // in the order in which they are asked
	onNamespace []func(*Namespace)
}

// New returns a server; opts may be nil. It panics if an option makes no
// sense. When the server is no longer needed, call [Server.Shutdown].
func New(opts *Options) *Server {
	s := &Server{opts: opts.withDefaults()}
	s.wire = wire{s.opts.JSON, s.opts.Parser}
	s.clientFiles = newClientFiles(s.opts.ClientFS)
	s.connects = deadline.NewList(time.Now(), s.opts.ConnectTimeout, (*client).idle)
	s.engine = engine.NewServer(s.opts.engine(), s.open)
	s.namespaces.Store(&map[string]*Namespace{})
	s.Namespace = s.Of("/")
	return s
}

// Options returns the options in force: those that the server was made with, and
// the defaults for what they leave out. What they refer to must not be changed.
func (s *Server) Options() Options {
	o, e := s.opts, s.engine.Options()
	o.PingInterval, o.PingTimeout, o.UpgradeTimeout = e.PingInterval, e.PingTimeout, e.UpgradeTimeout
	o.MaxSendBuffer, o.HTTPCompressionThreshold = e.MaxSendBuffer, e.HTTPCompressionThreshold
	o.MaxAttachments = cmp.Or(o.MaxAttachments, packet.DefaultMaxAttachments)
	o.Transports = slices.Clone(e.Transports)
	return o
}

// Of returns the namespace of that name, which begins to accept clients if it
// is new. A leading slash is added where it is missing; otherwise the name is
// taken literally.
func (s *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return s.of(name, nil)
}

// namespace returns the namespace that accepts clients under that name, or nil.
func (s *Server) namespace(name string) *Namespace {
	return (*s.namespaces.Load())[name]
}

// ClientsCount returns the number of connected clients, each of which may have
// a socket in several namespaces.
func (s *Server) ClientsCount() int { return s.engine.ClientsCount() }

// Shutdown ends the server: new clients are refused, all others disconnected
// with [ReasonServerShuttingDown], and then Shutdown waits until handlers have
// returned and connections are closed. When ctx ends before that, connections
// are cut and the context's error is returned; handlers that ignore their
// context may still run.
//
// Call it before the HTTP server's own Shutdown, which would wait for open
// polls, and not from a handler, for which it would wait.
func (s *Server) Shutdown(ctx context.Context) error {
	sockets := s.sockets.Close()
	defer s.closeNamespaces()
	if err := s.engine.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case <-sockets:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) closeNamespaces() {
	for _, n := range *s.namespaces.Load() {
		n.close()
	}
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
